"""The file of a double: safetensors with the card as JSON in its metadata. Reads the card without torch.

A safetensors file is eight bytes of length (little endian), a JSON header of that length with the name, dtype, shape
and place of every tensor, and the tensors' bytes without gaps: https://github.com/huggingface/safetensors (Format).
Nothing in it is ever executed.
"""

from __future__ import annotations

import json
import os
import tempfile
from math import prod
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ispdsl.errors import CompileError, FileError
from ispdsl.proxies.card import FORMAT, Card

MARK = "ispdsl double"
"""Says in the metadata what the file is."""

LONGEST_HEADER = 16 << 20
LARGEST = 4 << 30
"""Bytes of a header and of a file beyond which none is a double."""

WIDTHS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "U8": 1, "BOOL": 1}

HINT = "train it again with `ispdsl train`, or name the file that `ispdsl train` wrote"


def header(path: Path, what: str = "double", hint: str = HINT) -> dict[str, Any]:
    """The header of a safetensors file, its sizes checked against the file's.

    Args:
        path: the file.
        what: it should hold, for messages.
        hint: how to mend it.

    Raises:
        FileError: the file is missing, none of safetensors, cut off, or too large.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if size < 10 or length > min(size - 8, LONGEST_HEADER) or size > LARGEST:
                raise FileError(f"{path} is no file of a {what}: it is no safetensors file, or cut off", hint)
            found = json.loads(file.read(length))
    except OSError as error:
        raise FileError(f"{path}: {error.strerror or error}", hint) from None
    except (ValueError, RecursionError):
        raise FileError(f"{path} is no file of a {what}: its header is no JSON", hint) from None
    if not isinstance(found, dict) or _bytes(found) != size - 8 - length:
        raise FileError(f"{path} is damaged: its header and its size disagree", hint)
    return found


def _bytes(found: dict[str, Any]) -> int | None:
    """How many bytes the tensors of a header take without gaps; None where an entry is malformed."""
    places: list[tuple[int, int]] = []
    for name, entry in found.items():
        if name == "__metadata__":
            continue
        try:
            first, last = entry["data_offsets"]
            expected = prod(entry["shape"]) * WIDTHS[entry["dtype"]]
            if not all(type(each) is int and each >= 0 for each in (first, last, *entry["shape"])):
                return None
        except (KeyError, TypeError, ValueError):
            return None
        if last - first != expected:
            return None
        places.append((first, last))
    end = 0
    for first, last in sorted(places):
        if first != end:
            return None
        end = last
    return end


def read_card(path: Path) -> Card:
    """The card of a double's file.

    Raises:
        FileError: the file is no double's, is damaged, or of another version of ispdsl.
    """
    path = Path(path)
    metadata = header(path).get("__metadata__")
    if not isinstance(metadata, dict) or metadata.get("what") != MARK:
        raise FileError(f"{path} is no file of a double: these are other weights, or its header is damaged", HINT)
    try:
        content = json.loads(metadata["card"])
        version = content["format"]
        if version != FORMAT:
            raise FileError(f"{path} is a double of format {version}, this ispdsl reads format {FORMAT}", HINT)
        return Card.model_validate(content)
    except (KeyError, TypeError, ValueError, RecursionError, ValidationError):
        raise FileError(f"{path}: the card in it is damaged", HINT) from None


def _umask() -> int:
    """Of this process; it can be read by setting it alone."""
    found = os.umask(0o077)
    os.umask(found)
    return found


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all, also when the machine stops.

    Raises:
        CompileError: it cannot be written.
    """
    path = Path(path)
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise CompileError(f"{path} cannot be written: {error.strerror or error}", "choose another folder") from None
