"""Small DNGs for tests, written with tifffile."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

COLOUR_1 = np.array([[0.9, -0.3, 0.02], [-0.35, 1.2, 0.18], [0.02, 0.1, 0.4]])
COLOUR_2 = np.array([[0.75, -0.2, -0.05], [-0.4, 1.2, 0.2], [-0.05, 0.15, 0.6]])
NEUTRAL = (0.5, 1.0, 0.625)

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, SRATIONAL, DOUBLE = 1, 2, 3, 4, 5, 7, 10, 12


def fractions(values: Any, denominator: int = 10000) -> tuple[int, ...]:
    """Numbers as the numerators and denominators of TIFF's rationals."""
    return tuple(part for value in np.ravel(values) for part in (round(float(value) * denominator), denominator))


def rational(code: int, values: Any, kind: int = RATIONAL) -> tuple[int, int, int, tuple[int, ...], bool]:
    return code, kind, np.size(values), fractions(values), True


def colour_tags(
    matrices: Sequence[tuple[Any, int]] = ((COLOUR_1, 17), (COLOUR_2, 21)), neutral: Any = NEUTRAL
) -> list[tuple[Any, ...]]:
    """ColorMatrix and CalibrationIlluminant for each pair, and AsShotNeutral unless it is None."""
    tags: list[tuple[Any, ...]] = []
    for index, (matrix, illuminant) in enumerate(matrices):
        tags += [rational(50721 + index, matrix, SRATIONAL), (50778 + index, SHORT, 1, illuminant, True)]
    return tags if neutral is None else [*tags, rational(50728, neutral)]


def gain_map_opcode(gains: Any, area: Sequence[int], pitch: int = 2, plane: int = 0, planes: int = 1) -> bytes:
    """One GainMap opcode whose `gains` `(rows, columns)` span the frame from edge to edge."""
    gains = np.asarray(gains, dtype=">f4")
    rows, columns = gains.shape
    spacing = (1 / max(rows - 1, 1), 1 / max(columns - 1, 1))
    data = struct.pack(">10I4dI", *area, plane, planes, pitch, pitch, rows, columns, *spacing, 0.0, 0.0, 1)
    return opcode(9, data + gains.tobytes())


def opcode(number: int, data: bytes) -> bytes:
    return struct.pack(">4I", number, 0x01030000, 0, len(data)) + data


def opcode_list(*entries: bytes) -> bytes:
    return struct.pack(">I", len(entries)) + b"".join(entries)


def write_dng(
    path: Path,
    samples: Any,
    cfa: str | bytes = "rggb",
    black: Any = (64.0,),
    white: int = 1023,
    orientation: int = 1,
    tags: Sequence[tuple[Any, ...]] | None = None,
    more: Sequence[tuple[Any, ...]] = (),
) -> Path:
    """A DNG of `samples`: `(H, W)` with colour filters, or `(H, W, 3)` without.

    `cfa` is a name, or the codes of the filters of a square pattern, four of 2x2 sites or 36 of 6x6: 0 red, 1 green,
    2 blue, 3 cyan, 4 magenta, 5 yellow.
    """
    mosaic = samples.ndim == 2
    side = 2 if np.size(black) == 4 else 1
    extra = [
        (274, SHORT, 1, orientation, True),
        (271, ASCII, 0, "Maker", True),
        (272, ASCII, 0, "Model", True),
        (50706, BYTE, 4, bytes([1, 4, 0, 0]), True),
        (50707, BYTE, 4, bytes([1, 1, 0, 0]), True),
        (50708, ASCII, 0, "Maker Model", True),
        (50713, SHORT, 2, (side, side), True),
        rational(50714, black if mosaic else np.full(3, black)),
        (50717, SHORT, 1 if mosaic else 3, white if mosaic else (white,) * 3, True),
        *(colour_tags() if tags is None else tags),
        *more,
    ]
    if mosaic:
        pattern = cfa if isinstance(cfa, bytes) else bytes("rgb".index(letter) for letter in cfa)
        colours = bytes(sorted(set(pattern)))
        repeat = (math.isqrt(len(pattern)),) * 2
        extra += [(33421, SHORT, 2, repeat, True), (33422, BYTE, len(pattern), pattern, True)]
        extra += [(50710, BYTE, len(colours), colours, True), (50711, SHORT, 1, 1, True)]
    photometric = 32803 if mosaic else 34892
    tifffile.imwrite(path, samples, photometric=photometric, planarconfig=None if mosaic else 1, extratags=extra)
    return path


def scene(height: int = 32, width: int = 48, white: int = 1023, planes: int = 0, seed: int = 7) -> Any:
    """Random codes up to `white`, of which some are reached."""
    shape = (height, width, planes) if planes else (height, width)
    codes = np.random.default_rng(seed).integers(0, white + 1, shape, dtype=np.uint16)
    codes[0, 0] = white
    return codes
