"""Mosaics for programs: a DNG, or plain samples with the description that `ispdsl run --describe` reads.

Adobe Digital Negative 1.4 over TIFF/EP and TIFF 6.0. The file names no camera that exists, so that no program brings
levels, crops or colours of its own: what it needs to know stands in the tags.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.executors.model import Image
from ispdsl.ir.types import INTEGER_STORAGE, Type
from ispdsl.runtime.camera_colour import LINEAR_SRGB_TO_XYZ
from ispdsl.runtime.dng import ILLUMINANTS, LINEAR_RAW
from ispdsl.runtime.frame import Frame, RawError
from ispdsl.runtime.rawfile import read
from ispdsl.runtime.spaces import adaptation, white_xyz
from ispdsl.runtime.whitepoint import xy_of

Codes = NDArray[Any]
Tag = tuple[int, int, int, Any, bool]

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, SRATIONAL, DOUBLE = 1, 2, 3, 4, 5, 7, 10, 12
"""Field types of TIFF 6.0."""

GAIN_MAP = 9
LARGEST = 2**31 - 1
D65 = 21


def encode_dng(name: str, image: Codes, type_: Type, frame: Frame, orientation: int = 1) -> dict[str, bytes]:
    """An uncompressed DNG of a mosaic or of three samples a site, with levels, colour and white of the frame.

    Args:
        name: of the file.
        image: ``(1 or 3, H, W)`` uint16 codes.
        type_: ``raw<CFA, storage>``; its CFA is written.
        frame: whose metadata goes into the tags. Its orientation does not: a program's picture is to come back as it
            went.
        orientation: EXIF orientation for whoever shows the picture.
    """
    linear = type_.args[0] == "linear"
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        np.ascontiguousarray(np.moveaxis(image, 0, -1)) if linear else image[0],
        byteorder="<",
        photometric=LINEAR_RAW if linear else "cfa",
        planarconfig="contig" if linear else None,
        subfiletype=0,
        metadata=None,
        software="ispdsl",
        extratags=sorted(_tags(image, str(type_.args[0]), frame, orientation)),
    )
    return {name: buffer.getvalue()}


def _tags(image: Codes, cfa: str, frame: Frame, orientation: int) -> list[Tag]:
    """The tags beyond those of a plain TIFF."""
    known = frame.metadata
    black = np.asarray(known["black_level"], dtype=np.float64)
    tags = [
        _tag(271, ASCII, "ispdsl"),  # Make
        _tag(272, ASCII, "frame"),  # Model
        _tag(274, SHORT, [orientation]),
        _tag(50706, BYTE, bytes((1, 4, 0, 0))),  # DNGVersion
        _tag(50707, BYTE, bytes((1, 3, 0, 0))),  # DNGBackwardVersion: opcodes came with 1.3
        _tag(50708, ASCII, "ispdsl frame"),  # UniqueCameraModel
        _tag(50717, LONG, [round(float(known["white_level"]))] * len(image)),
        _fractions(50728, RATIONAL, np.asarray(known["as_shot_neutral"])),
        _fractions(50730, SRATIONAL, [float(known["baseline_exposure"])]),
        *_colour_tags(frame),
        *_exposure_tags(frame),
    ]
    if cfa == "linear":
        return [*tags, _fractions(50714, RATIONAL, black[:3])]
    gains = np.asarray(known["gain_map"])
    if not (gains == 1.0).all():
        tags.append(_tag(51009, UNDEFINED, _gain_map(gains, image.shape[1:])))  # OpcodeList2
    return [
        *tags,
        _tag(33421, SHORT, [2, 2]),  # CFARepeatPatternDim
        _tag(33422, BYTE, bytes("rgb".index(colour) for colour in cfa)),  # CFAPattern
        _tag(50710, BYTE, bytes((0, 1, 2))),  # CFAPlaneColor
        _tag(50711, SHORT, [1]),  # CFALayout: rectangular
        _tag(50713, SHORT, [2, 2]),  # BlackLevelRepeatDim
        _fractions(50714, RATIONAL, black),
    ]


def _colour_tags(frame: Frame) -> list[Tag]:
    """ColorMatrix1 and 2 with the EXIF light sources nearest to their illuminants; one where there is but one."""
    matrices = [np.asarray(frame.metadata[f"colour_matrix_{number}"]) for number in (1, 2)]
    sources = [_light_source(float(frame.metadata[f"illuminant_{number}"])) for number in (1, 2)]
    tags = [_fractions(50721, SRATIONAL, matrices[0].ravel()), _tag(50778, SHORT, sources[:1])]
    if sources[0] != sources[1]:
        tags += [_fractions(50722, SRATIONAL, matrices[1].ravel()), _tag(50779, SHORT, sources[1:])]
    return tags


def _light_source(temperature: float) -> int:
    """The EXIF LightSource nearest in temperature; the standard illuminants before the kinds of lamps."""
    return min(ILLUMINANTS, key=lambda code: (abs(1 / ILLUMINANTS[code] - 1 / temperature), code not in (17, D65)))


def _exposure_tags(frame: Frame) -> list[Tag]:
    """What the frame knows of exposure and noise."""
    known = frame.metadata
    tags = [
        _fractions(code, RATIONAL, [float(known[name])])
        for name, code in (("exposure_time", 33434), ("f_number", 33437))
        if name in known
    ]
    if "iso" in known:
        tags.append(_tag(34855, SHORT, [min(round(float(known["iso"])), 65535)]))
    if "noise_profile" in known:
        tags.append(_tag(51041, DOUBLE, [float(value) for value in np.asarray(known["noise_profile"])]))
    return tags


def _gain_map(gains: NDArray[np.float64], size: tuple[int, ...]) -> bytes:
    """An opcode list with one GainMap for each of the four sites (DNG 1.4, chapter 7), which is big-endian always."""
    rows, columns = gains.shape[1:]
    opcodes = [struct.pack(">I", len(gains))]
    for site, grid in enumerate(gains.astype(">f4")):
        area = struct.pack(">8I", site // 2, site % 2, *size, 0, 1, 2, 2)  # every second row and column
        steps = (1 / max(rows - 1, 1), 1 / max(columns - 1, 1))
        body = area + struct.pack(">2I4dI", rows, columns, *steps, 0.0, 0.0, 1) + grid.tobytes()
        opcodes.append(struct.pack(">I4sII", GAIN_MAP, bytes((1, 3, 0, 0)), 0, len(body)) + body)
    return b"".join(opcodes)


def _tag(code: int, kind: int, value: Any) -> Tag:
    """A tag as tifffile takes it; text counts its closing zero."""
    return code, kind, len(value) + (kind == ASCII), value, True


def _fractions(code: int, kind: int, values: Iterable[float]) -> Tag:
    """A tag of fractions, each the nearest that 32 bits above and below the line can hold."""
    numbers: list[int] = []
    for value in map(float, values):
        nearest = Fraction(value).limit_denominator(int(LARGEST / max(1.0, abs(value) + 1.0)))
        numbers += [nearest.numerator, nearest.denominator]
    return code, kind, len(numbers) // 2, numbers, True


# ---- plain samples ------------------------------------------------------------------------------------------


def encode_dump(name: str, image: Codes, type_: Type, frame: Frame) -> dict[str, bytes]:
    """The samples of a Bayer mosaic as little-endian 16-bit words, and ``NAME.json`` that describes them.

    Raises:
        ExecutorError: `SETTINGS`: the frame has three samples a site, which no description covers.
    """
    if type_.args[0] == "linear":
        message = "raw holds mosaics, and this frame has three samples a site"
        raise ExecutorError(Fault.SETTINGS, message, "write it as dng, tiff16 or npy")
    known = frame.metadata
    bits = INTEGER_STORAGE.fullmatch(str(type_.args[1]))
    neutral = np.asarray(known["as_shot_neutral"], dtype=np.float64)
    description = {
        "cfa": type_.args[0],
        "width": image.shape[2],
        "height": image.shape[1],
        "dtype": "u16le",
        "bits": int(bits[1]) if bits else 16,
        "black": np.asarray(known["black_level"]).tolist(),
        "white": float(known["white_level"]),
        "wb_rgb": (neutral[1] / neutral).tolist(),
        "illuminant": float(np.clip(known["as_shot_temperature"], 1667, 50000)),
        "ccm": _balanced_to_srgb(frame, neutral).tolist(),
    }
    return {name: image[0].astype("<u2").tobytes(), f"{name}.json": json.dumps(description, indent=2).encode()}


def _balanced_to_srgb(frame: Frame, neutral: NDArray[np.float64]) -> NDArray[np.float64]:
    """`(3, 3)` from balanced camera colour to linear sRGB under the as-shot white, its rows summing to 1."""
    known = frame.metadata
    low, high = (1.0 / float(known[f"illuminant_{number}"]) for number in (1, 2))
    temperature, tint = float(known["as_shot_temperature"]), float(known["as_shot_tint"])
    weight = float(np.clip((1.0 / temperature - high) / (low - high), 0.0, 1.0)) if low != high else 1.0
    matrix = weight * np.asarray(known["colour_matrix_1"]) + (1.0 - weight) * np.asarray(known["colour_matrix_2"])
    x, y = xy_of(temperature, tint)
    white = white_xyz((float(x), float(y))).astype(np.float64)
    to_srgb = np.linalg.solve(LINEAR_SRGB_TO_XYZ, adaptation(white, LINEAR_SRGB_TO_XYZ @ np.ones(3)))
    found = to_srgb @ np.linalg.inv(matrix / neutral[:, None])
    return found / found.sum(axis=1, keepdims=True)


def read_mosaic(path: Path, type_: Type) -> Image:
    """The codes ``(C, H, W)`` of a DNG, or of plain samples with ``FILE.json`` beside them.

    Raises:
        ExecutorError: `GARBAGE` where it is no such file; `SHAPE` where it has another colour filter array.
    """
    try:
        frame = read(path)
    except RawError as error:
        raise ExecutorError(Fault.GARBAGE, error.message, error.hint or None) from None
    if frame.cfa != type_.args[0]:
        message = f"{path.name} is a mosaic of {frame.cfa}, and {type_} is asked for"
        raise ExecutorError(Fault.SHAPE, message, "let the program keep the colour filters, or correct the type")
    return frame.image.astype(np.float32)
