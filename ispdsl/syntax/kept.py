"""Trees of texts that had no mistakes, kept in the user's cache folder: to parse them takes ten times as long.

A file holds one tree as JSON, under a name that is the hash of the text and of the code that parses; another text or
another version has another name. It begins with a hash of itself, so that a damaged one is found and made again. Only a
folder that belongs to the user, and that nobody else can write to, is read or written. ISPDSL_KEEP_TREES=0 keeps none.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from dataclasses import is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ispdsl import caches, source
from ispdsl.source import Span
from ispdsl.syntax import tree

MOST = 512
"""Trees that are kept; the oldest go first."""

KINDS: tuple[Any, ...] = tuple(
    each for each in vars(tree).values() if is_dataclass(each) and each.__module__ == tree.__name__
)
"""The classes of nodes. The last field of each is its span."""

NUMBERS = {kind: number for number, kind in enumerate(KINDS)}

TUPLE = -1
"""Stands in the place of a class's number before the items of a tuple."""


def tree_of(text: str) -> tree.File | None:
    """The tree of a text, where it was kept; None where it was not, or the file is damaged."""
    place = _folder()
    if place is None:
        return None
    name = _name(text)
    try:
        head, _, data = (place / name).read_bytes().partition(b"\n")
        return _decoded(json.loads(data)) if head == _seal(name, data) else None
    except (OSError, ValueError):
        return None


def keep(text: str, found: tree.File) -> None:
    """Keep the tree of a text; where that cannot be, nothing happens."""
    place = _folder(make=True)
    if place is None:
        return
    name = _name(text)
    data = json.dumps(_encoded(found), separators=(",", ":")).encode()
    temporary = place / f".{name}.{os.urandom(6).hex()}"
    try:
        temporary.write_bytes(_seal(name, data) + b"\n" + data)
        temporary.replace(place / name)
        _drop_oldest(place)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _folder(make: bool = False) -> Path | None:
    """The folder of trees, if it is safe."""
    if os.environ.get("ISPDSL_KEEP_TREES") == "0" or not hasattr(os, "getuid"):
        return None
    try:
        place = caches.folder() / "trees"
        if make:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.mkdir(mode=0o700, exist_ok=True)
        found = place.lstat()
    except (OSError, RuntimeError):
        return None
    own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022
    return place if own else None


def _name(text: str) -> str:
    return hashlib.sha256(_code() + text.encode("utf-8", "surrogatepass")).hexdigest()


@cache
def _code() -> bytes:
    """A hash of the code that trees depend on."""
    here = Path(__file__).parent
    files = sorted([*here.glob("*.py"), *here.glob("*.lark"), Path(source.__file__)])
    return hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)).digest()


def _seal(name: str, data: bytes) -> bytes:
    return hashlib.sha256(name.encode() + data).hexdigest().encode()


def _encoded(value: Any) -> Any:
    """A node as the number of its class, where it begins and ends, and its other fields."""
    if isinstance(value, tuple):
        return [TUPLE, *map(_encoded, value)]
    number = NUMBERS.get(type(value))
    if number is None:
        return value
    fields = (getattr(value, name) for name in value.__slots__[:-1])
    return [number, value.span.start, value.span.end, *map(_encoded, fields)]


def _decoded(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    if value[0] == TUPLE:
        return tuple(map(_decoded, value[1:]))
    return KINDS[value[0]](*map(_decoded, value[3:]), Span(value[1], value[2]))


def _drop_oldest(place: Path) -> None:
    """Remove what is too many, unused temporary files too."""
    files = list(os.scandir(place))
    if len(files) > MOST:
        for each in sorted(files, key=lambda each: each.stat().st_mtime)[: len(files) - MOST]:
            Path(each.path).unlink(missing_ok=True)
