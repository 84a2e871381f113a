"""3D lookup tables in the Cube LUT format (Adobe, *Cube LUT Specification*, version 1.0, 2013): their text and numbers.

Without numpy, so that a table named in a `.isp` file is checked before anything heavy is imported.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

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


def cube_content(path: Path) -> bytes:
    """The bytes of a ``.cube`` file.

    Raises:
        CubeError: the file cannot be read, or is larger than any table.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise CubeError(f"cannot read {path}: {error.strerror}", "check the path of the table") from error
    if len(content) > MOST_BYTES:
        raise CubeError(f"{path} is larger than {MOST_BYTES >> 20} MiB", f"use at most {LARGEST} points an axis")
    return content


def cube_numbers(content: bytes | str, name: str, most: int = LARGEST) -> tuple[int, list[float]]:
    """The points per axis n of a ``.cube`` file, 2..129, and its 3 n^3 numbers in the order of the file: red fastest.

    Args:
        content: the file's text, or its bytes.
        name: what errors call the file.
        most: rows of a table with more points per axis are counted and not read, and no numbers come back.

    Raises:
        CubeError: the text breaks the format, is one-dimensional, or has another domain than 0..1.
    """
    text = content.decode("utf-8", errors="replace") if isinstance(content, bytes) else content
    size: int | None = None
    values: list[float] = []
    rows = number = 0
    try:
        for line in text.splitlines():
            number += 1
            if len(line) > LONGEST_LINE:
                raise CubeError(f"longer than {LONGEST_LINE} characters", "a row holds three numbers")
            counted = size is not None and size > most and line[:1].isdigit()
            words = () if counted else line.split()
            if not counted and (not words or words[0].startswith("#")):
                continue
            if words and words[0][0].isalpha() and words[0].lower() not in ("nan", "inf", "infinity"):
                size = _keyword(words, size)
                continue
            if size is None:
                raise CubeError("a row of numbers before LUT_3D_SIZE", "write LUT_3D_SIZE n above the rows")
            if words:
                values += _numbers(words, 3)
            rows += 1
            if rows > size**3:
                raise CubeError(f"more than {size**3} rows", f"LUT_3D_SIZE {size} needs {size}^3 rows")
    except CubeError as error:
        raise CubeError(f"{name}, line {number}: {error.message}", error.hint) from None
    if size is None:
        raise CubeError(f"{name}: LUT_3D_SIZE is missing", "write LUT_3D_SIZE n, then n^3 rows of three numbers")
    if rows < size**3:
        raise CubeError(f"{name}: ends after {rows} of {size**3} rows", f"LUT_3D_SIZE {size} needs {size}^3 rows")
    return size, values if size <= most else []


def _keyword(words: Sequence[str], size: int | None) -> int | None:
    """The size that is known after a keyword line."""
    keyword = words[0]
    if keyword == "TITLE":
        return size
    if keyword == "LUT_3D_SIZE":
        if size is not None:
            raise CubeError("LUT_3D_SIZE is given twice", "keep one of them")
        if len(words) != 2 or not words[1].isascii() or not words[1].isdigit() or len(words[1]) > 4:
            raise CubeError("LUT_3D_SIZE takes one whole number", "write for example LUT_3D_SIZE 17")
        if not SMALLEST <= int(words[1]) <= LARGEST:
            raise CubeError(f"LUT_3D_SIZE {words[1]} is out of range", f"use {SMALLEST} to {LARGEST}")
        return int(words[1])
    if keyword == "LUT_1D_SIZE":
        raise CubeError("a one-dimensional table", "export the look as a 3D table")
    if keyword in DOMAINS:
        wanted = DOMAINS[keyword]
        if tuple(_numbers(words[1:], len(wanted))) != wanted:
            shown = " ".join(f"{value:g}" for value in wanted)
            raise CubeError(f"{keyword} is not {shown}", "export the look for inputs from 0 to 1")
        return size
    raise CubeError(f"unknown keyword {keyword[:40]!r}", f"known are TITLE, LUT_3D_SIZE, {', '.join(DOMAINS)}")


def _numbers(words: Sequence[str], count: int) -> list[float]:
    """Exactly `count` finite numbers."""
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        shown = " ".join(words)[:60]
        raise CubeError(f"{shown!r} is not {count} finite numbers", "write them with points, e.g. 0.25 0.5 1")
    return numbers
