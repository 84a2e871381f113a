"""Samples as files: safetensors, named by the SHA-256 of their content.

Tensors ``images/NAME`` are float32 `(C, H, W)`, or uint16 where nothing but such numbers is in them, and float32 again
when they are read; ``metadata/NAME`` are float64, a single number has shape ``()``. The rest is JSON under ``sample``
in the header. Blobs may come from strangers: nothing of them is executed or unpickled, and every size is checked before
it is believed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import struct
from collections.abc import Collection, Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray
from pydantic import ValidationError

from ispdsl.ir.model import Frozen
from ispdsl.store.disk import install, make_folder, read_regular, regular, removed_on_failure, write_draft
from ispdsl.store.errors import StoreError
from ispdsl.store.sample import Sample

FOLDER = "blobs"
DRAFTS = "drafts"
SUFFIX = ".safetensors"
DIGEST = re.compile(r"[0-9a-f]{64}")
LARGEST = 1 << 32
"""Bytes of a blob."""
LARGEST_HEADER = 1 << 26

IMAGE = "images/"
METADATA = "metadata/"
NOTE = "sample"
DTYPES = {"<f4": "F32", "<f8": "F64", "<u2": "U16"}
KINDS = ("<f4", "<u2")
"""Of images."""
LARGEST_CODE = 65535


@dataclass(frozen=True)
class Stored:
    """A blob that lies on the disk, and that the ledger may not know of yet."""

    digest: str
    bytes: int


class _Note(Frozen, frozen=True):
    """What of a sample is no array."""

    settings: dict[str, Any]
    type: str
    raw: str
    part: tuple[int, int, int, int]
    seconds: float
    extra: dict[str, Any]


def path_of(folder: Path, digest: str) -> Path:
    """Where the blob of a run lies.

    Raises:
        StoreError: `digest` is no SHA-256 in hexadecimal.
    """
    if not DIGEST.fullmatch(digest):
        raise StoreError(f"{digest!r} is not the name of a blob")
    return folder / FOLDER / digest[:2] / f"{digest}{SUFFIX}"


def put_blob(folder: Path, sample: Sample) -> Stored:
    """Write a sample into a run: the first half of keeping it, for worker processes. `acknowledge` is the second.

    Any number of processes may do this at once. What is never acknowledged is collected by `gc` after a minute.

    Args:
        folder: of the run.
        sample: what to keep.

    Raises:
        DiskError: the disk is full, protected or fails; nothing is left behind.
    """
    hashed, size = hashlib.sha256(), 0

    def passing() -> Generator[memoryview]:
        nonlocal size
        for piece in pieces(sample):
            hashed.update(piece)
            size += piece.nbytes
            yield piece

    draft = write_draft(folder / DRAFTS, passing(), folder / FOLDER)
    stored = Stored(hashed.hexdigest(), size)
    target = path_of(folder, stored.digest)
    with removed_on_failure(draft):
        make_folder(target.parent)
    install(draft, target)  # also where it is there: it may be old, and about to be collected
    return stored


def read_blob(folder: Path, digest: str) -> Sample:
    """The sample of a blob, whose content has been compared with its name.

    Raises:
        StoreError: it is missing, damaged, or holds no sample.
    """
    path = path_of(folder, digest)
    data = read_regular(path, LARGEST)
    if hashlib.sha256(data).hexdigest() != digest:
        raise StoreError(f"{path} is damaged: its content is not what its name says", FORGET)
    try:
        return decode(data)
    except StoreError as error:
        raise StoreError(f"{path}: {error.message}", error.hint) from error


def read_some(folder: Path, digest: str, names: Collection[str]) -> Sample:
    """The sample of a blob with some of its images; its content is not compared with its name, which takes all of it.

    Args:
        folder: of the run.
        digest: name of the blob.
        names: of the images to read; those that it has not are left out.

    Raises:
        StoreError: it is missing, or holds no sample.
    """
    path = path_of(folder, digest)
    try:
        with regular(path, LARGEST) as stream:
            return decode(_extract(stream, names))
    except StoreError as error:
        raise StoreError(f"{path}: {error.message}", error.hint) from error


def _extract(stream: BinaryIO, names: Collection[str]) -> bytes:
    """A safetensors file of some images of another, read without the rest; `decode` says what is wrong with it."""
    size, length = os.fstat(stream.fileno()).st_size, struct.unpack("<Q", stream.read(8).ljust(8, b"\xff"))[0]
    if length > LARGEST_HEADER:
        raise StoreError("it is no safetensors file: its header is longer than 64 MiB")
    try:
        entries: dict[str, Any] = json.loads(stream.read(length))
        told: dict[str, Any] = {"__metadata__": entries.pop("__metadata__")}
        kept: list[bytes] = []
        end = 0
        for name, entry in sorted(entries.items(), key=lambda item: item[1]["data_offsets"][0]):
            if name.startswith(IMAGE) and name.removeprefix(IMAGE) not in names:
                continue
            first, last = entry["data_offsets"]
            if not 0 <= first <= last <= size - 8 - length:
                raise ValueError(f"{name} lies beyond its end")
            stream.seek(8 + length + first)
            kept.append(stream.read(last - first))
            begun, end = end, end + len(kept[-1])
            told[name] = {**entry, "data_offsets": (begun, end)}
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError, OSError) as error:
        raise StoreError(f"it is no safetensors file: {error}") from error
    text = json.dumps(told).encode()
    return b"".join([struct.pack("<Q", len(text)), text, *kept])


FORGET = "`ispdsl runs gc --damaged` forgets what is damaged; `ispdsl runs resume` makes it again"


def encode(sample: Sample) -> bytes:
    """A sample as the bytes of a safetensors file; equal samples give equal bytes."""
    return b"".join(pieces(sample))


def pieces(sample: Sample) -> Iterator[memoryview]:
    """A sample as the bytes of a safetensors file, in pieces; images are not copied."""
    found = arrays_of(sample)
    arrays = [(name, _codes(array) if name.startswith(IMAGE) else array) for name, array in found.items()]
    arrays.sort(key=lambda item: (-item[1].itemsize, item[0]))  # so that all are aligned
    told: dict[str, object] = {"__metadata__": {NOTE: json.dumps(note_of(sample), sort_keys=True)}}
    end = 0
    for name, array in arrays:
        begun, end = end, end + array.nbytes
        told[name] = {"dtype": DTYPES[array.dtype.str], "shape": array.shape, "data_offsets": (begun, end)}
    text = json.dumps(told, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    yield memoryview(struct.pack("<Q", len(text)) + text)
    for _, array in arrays:
        yield array.reshape(-1).view(np.uint8).data


def _codes(image: NDArray[Any]) -> NDArray[Any]:
    """An image as uint16 where that is the same bit for bit, as of a sensor's codes; otherwise as it is."""
    codes = image
    for part in (image[:, :1], image):  # most are found out by their first rows
        if not (part.size and part.min() >= 0 and part.max() <= LARGEST_CODE):  # what is not finite fails as well
            return image
        codes = part.astype("<u2")
        if not np.array_equal(codes.astype(part.dtype).view(np.uint32), part.view(np.uint32)):  # -0 is not 0
            return image
    return codes


def decode(data: bytes) -> Sample:
    """The sample in the bytes of a safetensors file.

    Raises:
        StoreError: they hold no sample.
    """
    arrays, texts = tensors(data)
    return sample_of(arrays, parse(texts.get(NOTE)))


def tensors(data: bytes) -> tuple[dict[str, NDArray[Any]], Mapping[str, str]]:
    """The arrays of a safetensors file by name, and the free texts in its header.

    Raises:
        StoreError: it is none.
    """
    texts = header(data)
    try:
        return safetensors.numpy.load(data), texts
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise StoreError(f"it is no safetensors file: {error}") from error


def arrays_of(sample: Sample) -> dict[str, NDArray[Any]]:
    """Images and metadata of a sample under the names that they have in a file."""
    images = {f"{IMAGE}{name}": np.asarray(image, "<f4", order="C") for name, image in sample.images.items()}
    numbers = {f"{METADATA}{name}": np.asarray(value, "<f8", order="C") for name, value in sample.metadata.items()}
    return {**images, **numbers}


def note_of(sample: Sample) -> dict[str, Any]:
    """What of a sample is no array, for JSON."""
    return {
        "settings": dict(sample.settings),
        "type": sample.type,
        "raw": sample.raw,
        "part": list(sample.part),
        "seconds": sample.seconds,
        "extra": dict(sample.extra),
    }


def sample_of(arrays: Mapping[str, NDArray[Any]], found: object) -> Sample:
    """Put a sample together from what `arrays_of` and `note_of` give.

    Raises:
        StoreError: it is none.
    """
    try:
        note = _Note.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        raise StoreError(f"it holds no sample: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    images: dict[str, NDArray[np.float32]] = {}
    metadata: dict[str, float | NDArray[np.float64]] = {}
    for name, array in sorted(arrays.items()):
        if name.startswith(IMAGE) and array.dtype.str in KINDS and array.ndim == 3:
            images[name.removeprefix(IMAGE)] = array.astype(np.float32, copy=False)
        elif name.startswith(METADATA) and array.dtype == np.float64:
            metadata[name.removeprefix(METADATA)] = array if array.ndim else float(array)
        else:
            raise StoreError(f"it holds no sample: {name!r} is {array.dtype} {array.shape}")
    return Sample(images, note.settings, metadata, note.type, note.raw, note.part, note.seconds, note.extra)


def header(data: bytes) -> Mapping[str, str]:
    """The free texts in the header of a safetensors file.

    Raises:
        StoreError: there is no such header.
    """
    length = struct.unpack("<Q", data[:8])[0] if len(data) >= 8 else len(data)
    if length > min(len(data) - 8, LARGEST_HEADER):
        raise StoreError("it is no safetensors file: its header is longer than itself or than 64 MiB")
    try:
        found = json.loads(data[8 : 8 + length]).get("__metadata__", {})
        return {str(name): str(value) for name, value in found.items()}
    except (ValueError, AttributeError, RecursionError) as error:
        raise StoreError("it is no safetensors file: its header is no JSON of that form") from error


def parse(text: str | None) -> object:
    """What a text of the header says.

    Raises:
        StoreError: it is missing, or no JSON.
    """
    if text is None:
        raise StoreError("it holds no sample: its header does not say of what")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StoreError(f"it holds no sample: its header is no JSON: {error}") from error
