"""DNG files of the synthetic camera (Adobe Digital Negative 1.4, TIFF/EP, TIFF 6.0)."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from ispdsl.runtime.pictures import atomic_write
from ispdsl.synthetic.camera import SyntheticRaw

BYTE, ASCII, SHORT, RATIONAL, UNDEFINED, SRATIONAL, DOUBLE = 1, 2, 3, 5, 7, 10, 12
"""Field types of TIFF 6.0."""

D65 = 21
"""The light source of EXIF that the colour matrix is for."""

GAIN_MAP = 9
UNIT = 1_000_000
"""Denominator of all rationals."""

Tag = tuple[int, int, int, Any, bool]


def write_dng(path: str | Path, raw: SyntheticRaw, *, orientation: int = 1) -> None:
    """Write `raw` as an uncompressed DNG; equal raws give equal files, and an existing file is replaced at once.

    Args:
        path: where to; ``.dng`` is what readers expect.
        raw: the mosaic with all that its tags say.
        orientation: EXIF orientation 1 to 8 that a reader applies to show the picture upright.

    Raises:
        PictureError: the file cannot be written.
    """
    atomic_write(path, encode_dng(raw, orientation=orientation))


def encode_dng(raw: SyntheticRaw, *, orientation: int = 1) -> bytes:
    """The bytes that `write_dng` writes."""
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        raw.mosaic[0],
        byteorder="<",
        photometric="cfa",
        subfiletype=0,
        metadata=None,
        software="ispdsl",
        extratags=dng_tags(raw, orientation),
    )
    return buffer.getvalue()


def dng_tags(raw: SyntheticRaw, orientation: int) -> list[Tag]:
    """The tags beyond those of a plain TIFF, in ascending order."""
    model = "ispdsl synthetic camera"
    tags: list[Tag] = [
        tag(271, ASCII, "ispdsl"),  # Make
        tag(272, ASCII, "synthetic camera"),  # Model
        tag(274, SHORT, [orientation]),
        tag(33421, SHORT, [2, 2]),  # CFARepeatPatternDim
        tag(33422, BYTE, bytes("rgb".index(colour) for colour in raw.cfa)),  # CFAPattern
        tag(50706, BYTE, bytes((1, 4, 0, 0))),  # DNGVersion
        tag(50707, BYTE, bytes((1, 3, 0, 0))),  # DNGBackwardVersion: opcodes came with 1.3
        tag(50708, ASCII, model),  # UniqueCameraModel
        tag(50710, BYTE, bytes((0, 1, 2))),  # CFAPlaneColor
        tag(50711, SHORT, [1]),  # CFALayout: rectangular
        tag(50713, SHORT, [2, 2]),  # BlackLevelRepeatDim
        tag(50714, SHORT, raw.black),
        tag(50717, SHORT, [raw.white]),
        rationals(50721, SRATIONAL, raw.colour_matrix.ravel()),  # ColorMatrix1
        rationals(50728, RATIONAL, raw.as_shot_neutral),
        rationals(50730, SRATIONAL, [raw.baseline_exposure]),
        tag(50778, SHORT, [D65]),  # CalibrationIlluminant1
    ]
    if raw.gain_map is not None:
        tags.append(tag(51009, UNDEFINED, gain_map_opcodes(raw)))  # OpcodeList2
    if raw.noise_profile is not None:
        tags.append(tag(51041, DOUBLE, raw.noise_profile))
    return tags


def tag(code: int, kind: int, value: Any) -> Tag:
    """A tag as tifffile takes it; text counts its closing zero."""
    return code, kind, len(value) + (kind == ASCII), value, True


def rationals(code: int, kind: int, values: Iterable[float]) -> Tag:
    """A tag of fractions over `UNIT`."""
    pairs = [number for value in values for number in (round(value * UNIT), UNIT)]
    return code, kind, len(pairs) // 2, pairs, True


def gain_map_opcodes(raw: SyntheticRaw) -> bytes:
    """An opcode list with one GainMap for each of the four sites (DNG 1.4, chapter 7), which is big-endian always."""
    height, width = raw.mosaic.shape[1:]
    grids = np.asarray(raw.gain_map, ">f4")
    rows, columns = grids.shape[1:]
    opcodes = [struct.pack(">I", len(grids))]
    for site, grid in enumerate(grids):
        area = struct.pack(">8I", site // 2, site % 2, height, width, 0, 1, 2, 2)  # every second row and column
        layout = struct.pack(">2I4dI", rows, columns, 1 / (rows - 1), 1 / (columns - 1), 0.0, 0.0, 1)
        body = area + layout + grid.tobytes()
        opcodes.append(struct.pack(">I4sII", GAIN_MAP, bytes((1, 3, 0, 0)), 0, len(body)) + body)
    return b"".join(opcodes)
