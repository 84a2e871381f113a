"""Read and write 3D lookup tables in the Cube LUT format (Adobe, *Cube LUT Specification*, version 1.0, 2013)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SMALLEST, LARGEST = 2, 129
"""Points per axis that are read."""

MOST_BYTES = 160 * 2**20
"""A longer file is no table of 129 points an axis."""

LONGEST_LINE = 250
"""Bytes of a line, as the specification limits them."""

DOMAINS = {"DOMAIN_MIN": (0.0, 0.0, 0.0), "DOMAIN_MAX": (1.0, 1.0, 1.0), "LUT_3D_INPUT_RANGE": (0.0, 1.0)}
"""The domain that a look is applied on; the last keyword is an extension that grading programs write."""


class CubeError(Exception):
    """A file that is no usable 3D table: what is wrong, and how to mend it."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def read_cube(path: Path | str) -> NDArray[np.float64]:
    """The table of a ``.cube`` file as ``(n, n, n, 3)``, indexed ``[red][green][blue]``, n in 2..129.

    Raises:
        CubeError: the file cannot be read, breaks the format, is one-dimensional, or has another domain than 0..1.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise CubeError(f"cannot read {path}: {error.strerror}", "check the path of the table") from error
    if len(content) > MOST_BYTES:
        raise CubeError(f"{path} is larger than {MOST_BYTES >> 20} MiB", f"use at most {LARGEST} points an axis")
    return parse_cube(content.decode("utf-8", errors="replace"), path.name)


def parse_cube(text: str, name: str) -> NDArray[np.float64]:
    """The table of a ``.cube`` file's `text`; `name` is what errors call the file. See `read_cube`."""
    size: int | None = None
    values: list[float] = []
    for number, line in enumerate(text.splitlines(), 1):
        where = f"{name}, line {number}"
        if len(line) > LONGEST_LINE:
            raise CubeError(f"{where}: longer than {LONGEST_LINE} characters", "a row holds three numbers")
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0][0].isalpha() and words[0].lower() not in ("nan", "inf", "infinity"):
            size = _keyword(words, where, size)
            continue
        if size is None:
            raise CubeError(f"{where}: a row of numbers before LUT_3D_SIZE", "write LUT_3D_SIZE n above the rows")
        values.extend(_numbers(words, 3, where))
        if len(values) > 3 * size**3:
            raise CubeError(f"{where}: more than {size**3} rows", f"LUT_3D_SIZE {size} needs {size}^3 rows")
    if size is None:
        raise CubeError(f"{name}: LUT_3D_SIZE is missing", "write LUT_3D_SIZE n, then n^3 rows of three numbers")
    if len(values) < 3 * size**3:
        rows = len(values) // 3
        raise CubeError(f"{name}: ends after {rows} of {size**3} rows", f"LUT_3D_SIZE {size} needs {size}^3 rows")
    # Red runs fastest in the file.
    return np.ascontiguousarray(np.array(values).reshape(size, size, size, 3).transpose(2, 1, 0, 3))


def _keyword(words: list[str], where: str, size: int | None) -> int | None:
    """The size that is known after a keyword line."""
    keyword = words[0]
    if keyword == "TITLE":
        return size
    if keyword == "LUT_3D_SIZE":
        if size is not None:
            raise CubeError(f"{where}: LUT_3D_SIZE is given twice", "keep one of them")
        if len(words) != 2 or not words[1].isascii() or not words[1].isdigit() or len(words[1]) > 4:
            raise CubeError(f"{where}: LUT_3D_SIZE takes one whole number", "write for example LUT_3D_SIZE 17")
        if not SMALLEST <= int(words[1]) <= LARGEST:
            raise CubeError(f"{where}: LUT_3D_SIZE {words[1]} is out of range", f"use {SMALLEST} to {LARGEST}")
        return int(words[1])
    if keyword == "LUT_1D_SIZE":
        raise CubeError(f"{where}: a one-dimensional table", "export the look as a 3D table")
    if keyword in DOMAINS:
        wanted = DOMAINS[keyword]
        if tuple(_numbers(words[1:], len(wanted), where)) != wanted:
            shown = " ".join(f"{value:g}" for value in wanted)
            raise CubeError(f"{where}: {keyword} is not {shown}", "export the look for inputs from 0 to 1")
        return size
    raise CubeError(f"{where}: unknown keyword {keyword[:40]!r}", "known are TITLE, LUT_3D_SIZE and DOMAIN_MIN/MAX")


def _numbers(words: list[str], count: int, where: str) -> list[float]:
    """Exactly `count` finite numbers."""
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        shown = " ".join(words)[:60]
        raise CubeError(f"{where}: {shown!r} is not {count} finite numbers", "write them with points, e.g. 0.25 0.5 1")
    return numbers


def format_cube(table: NDArray[np.floating], title: str, comments: Iterable[str] = ()) -> str:
    """The text of a ``.cube`` file for a table ``(n, n, n, 3)`` indexed ``[red][green][blue]``, to six digits."""
    rows = np.asarray(table).transpose(2, 1, 0, 3).reshape(-1, 3)
    head = [f"# {comment}" for comment in comments] + [f'TITLE "{title}"', f"LUT_3D_SIZE {table.shape[0]}"]
    return "\n".join([*head, *(f"{r:.6f} {g:.6f} {b:.6f}" for r, g, b in rows)]) + "\n"
