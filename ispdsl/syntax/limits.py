"""What a file may cost, and how one is read."""

from __future__ import annotations

from pathlib import Path

from ispdsl.diagnostics import Diagnostic, Label
from ispdsl.source import Source, Span

MAX_BYTES = 1 << 20
"""Bytes of a file."""

MAX_NESTING = 64
"""Brackets within brackets."""

MAX_NODES = 10_000
"""Nodes of the tree."""

MAX_TOKENS = 2 * MAX_NODES
"""A text with more tokens has more than `MAX_NODES` nodes: no two tokens make less than one."""

MAX_WORD = 256
"""Characters of a name or a number."""

MAX_STRING = 4096
"""Characters of a string."""

MAX_ERRORS = 50
"""Errors told of one file."""


def load_source(path: Path, name: str | None = None) -> Source | Diagnostic:
    """Read a `.isp` file: UTF-8, with or without a byte order mark, at most `MAX_BYTES` long.

    `name` is what diagnostics call the file, its path by default. Gives E101 where the bytes are not UTF-8 and E102
    where there are too many of them.

    Raises:
        OSError: the file cannot be opened.
    """
    name = name or str(path)
    with path.open("rb") as stream:
        data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        return too_large(Source(name, "", path))
    try:
        return Source(name, data.decode("utf-8").removeprefix("\ufeff"), path)
    except UnicodeDecodeError as error:
        readable = data[: error.start].decode("utf-8").removeprefix("\ufeff")
        place = Label(Source(name, readable, path), Span(len(readable), len(readable)), "the readable text ends here")
        message = f"the file is not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start}"
        return Diagnostic("E101", message, place, hint="save the file as UTF-8")


def too_large(source: Source) -> Diagnostic:
    """The diagnostic of a text beyond `MAX_BYTES`."""
    hint = "split it into files that import each other, and keep tables in files of their own"
    return Diagnostic("E102", f"the file is larger than {MAX_BYTES >> 20} MiB", Label(source, Span(0, 0)), hint=hint)
