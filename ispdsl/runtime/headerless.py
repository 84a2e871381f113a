"""Mosaics without a container of their own: plain samples, MIPI packing and binary PGM, read by a description."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ispdsl.ir.types import Type
from ispdsl.runtime.camera_colour import Array, as_shot_metadata, model_of_ccm
from ispdsl.runtime.description import BITS, RawDescription
from ispdsl.runtime.frame import Frame, FrameSource, RawError
from ispdsl.runtime.grey_world import grey_world
from ispdsl.runtime.spaces import D65_XY
from ispdsl.runtime.whitepoint import xy_of

Codes = NDArray[np.uint8] | NDArray[np.uint16]

_PGM_TOKEN = rb"(?:\s|#[^\n]*\n)+(\d{1,9})"
_PGM_HEADER = re.compile(rb"P5" + 3 * _PGM_TOKEN + rb"\s")

_DEFECTS = 0.005
"""Share of samples that may be larger than the bits allow: defective pixels; more of them are a wrong description."""


@dataclass(frozen=True)
class Samples:
    """The samples `(H, W)` of a mosaic, the bits that each may use, and the largest code."""

    codes: Codes
    bits: int
    white: float


def read_headerless(data: bytes, description: RawDescription, source: FrameSource) -> Frame:
    """The frame that `description` makes of a headerless file or a binary PGM.

    Raises:
        RawError: sizes or codes do not fit the description.
    """
    samples = _pgm(data, description, source.path) if data[:2] == b"P5" else _plain(data, description, source.path)
    notes: list[str] = []
    largest = int(samples.codes.max())
    beyond = int(np.count_nonzero(samples.codes >= 1 << samples.bits))
    if beyond > _DEFECTS * samples.codes.size:
        raise RawError(
            f"{source.path}: {beyond} samples, up to {largest}, do not fit {samples.bits} bits",
            "check bits, dtype (byte order) and header_bytes in the description",
        )
    if beyond:
        notes.append(f"{beyond} samples, up to {largest}, do not fit {samples.bits} bits: kept as they are")
    black = np.broadcast_to(np.asarray(description.black or 0.0, dtype=np.float64), 4).copy()
    white = samples.white if description.white is None else description.white
    notes += [] if description.black is not None else ["no black level given: 0 taken"]
    notes += [] if description.white is not None else [f"no white level given: {white:g} taken"]
    if white <= black.max():
        raise RawError(f"{source.path}: the white level {white:g} is not above the black level {black.max():g}")
    neutral = _neutral(samples.codes, description, black, white, notes)
    matrix = _balanced_to_srgb(description, notes)
    xy = np.array(D65_XY) if description.illuminant is None else xy_of(description.illuminant)
    colour, colour_notes = as_shot_metadata(model_of_ccm(matrix, neutral, xy), neutral)
    storage = max(samples.bits, int(np.ceil(white)).bit_length(), largest.bit_length())
    return Frame(
        image=samples.codes[None],
        type=Type(name="raw", args=(description.cfa, f"u{storage}")),
        metadata={
            "black_level": black,
            "white_level": float(white),
            **colour,
            "baseline_exposure": 0.0,
            "gain_map": np.ones((4, 2, 2)),
        },
        orientation=description.orientation,
        source=source,
        notes=(*notes, *colour_notes),
    )


def _plain(data: bytes, description: RawDescription, path: str) -> Samples:
    width, height, dtype = description.width, description.height, description.dtype
    if width is None or height is None or dtype is None:
        missing = [name for name in ("width", "height", "dtype") if getattr(description, name) is None]
        raise RawError(f"{path}: the description lacks {', '.join(missing)}", "a headerless mosaic needs them")
    container = BITS[dtype]
    if (width * container) % 8:
        raise RawError(f"{path}: {width} samples of {dtype} do not fill whole bytes", "check width and dtype")
    row_bytes = width * container // 8
    stride = row_bytes if description.stride_bytes is None else description.stride_bytes
    if stride < row_bytes:
        raise RawError(f"{path}: a row of {width} samples takes {row_bytes} bytes, stride_bytes says {stride}")
    expected = description.header_bytes + stride * height + description.trailing_bytes
    if expected != len(data):
        raise RawError(
            f"{path}: the description asks for {expected} bytes, the file has {len(data)}",
            "check width, height, dtype, stride_bytes, header_bytes and trailing_bytes",
        )
    rows = np.frombuffer(data, np.uint8, stride * height, description.header_bytes).reshape(height, stride)
    rows = np.ascontiguousarray(rows[:, :row_bytes])
    bits = container if description.bits is None else description.bits
    return Samples(_unpack(rows, dtype), bits, (1 << bits) - 1)


def _unpack(rows: NDArray[np.uint8], dtype: str) -> Codes:
    """Samples `(H, W)` from the bytes of each row. The MIPI packings follow CSI-2 v1.3, sections 11.4.4 and 11.4.5."""
    if dtype == "u8":
        return rows
    if dtype == "mipi_raw10":
        groups = rows.reshape(rows.shape[0], -1, 5).astype(np.uint16)
        low = groups[..., 4:] >> np.array([0, 2, 4, 6], np.uint16) & 3
        return (groups[..., :4] << 2 | low).astype(np.uint16).reshape(rows.shape[0], -1)
    if dtype == "mipi_raw12":
        groups = rows.reshape(rows.shape[0], -1, 3).astype(np.uint16)
        low = groups[..., 2:] >> np.array([0, 4], np.uint16) & 15
        return (groups[..., :2] << 4 | low).astype(np.uint16).reshape(rows.shape[0], -1)
    return rows.view("<u2" if dtype == "u16le" else ">u2").astype(np.uint16)


def _pgm(data: bytes, description: RawDescription, path: str) -> Samples:
    """Samples of a binary PGM (netpbm, pgm(5)); what the description repeats must agree with the header."""
    header = _PGM_HEADER.match(data)
    if not header:
        raise RawError(f"{path}: a PGM whose header is damaged", "a header reads: P5 WIDTH HEIGHT MAXVAL")
    width, height, largest = (int(number) for number in header.groups())
    for name, found, given in (("width", width, description.width), ("height", height, description.height)):
        if given is not None and given != found:
            raise RawError(f"{path}: the header says {name} {found}, the description {given}")
    if not 1 <= largest < 1 << 16 or min(width, height) < 2:
        raise RawError(f"{path}: a PGM of {width} x {height} with largest code {largest} is no mosaic")
    sample_bytes = 1 if largest < 256 else 2
    expected = header.end() + width * height * sample_bytes
    if expected != len(data):
        raise RawError(f"{path}: the header asks for {expected} bytes, the file has {len(data)}")
    rows = np.frombuffer(data, np.uint8, offset=header.end()).reshape(height, width * sample_bytes)
    bits = largest.bit_length() if description.bits is None else description.bits
    white = largest if description.bits is None else (1 << bits) - 1
    return Samples(_unpack(rows, "u8" if sample_bytes == 1 else "u16be"), bits, white)


def _neutral(codes: Codes, description: RawDescription, black: Array, white: float, notes: list[str]) -> Array:
    """Camera colour of a neutral, green = 1: from the given gains, else the grey-world estimate (Buchsbaum 1980)."""
    if description.wb_rgb is not None:
        gains = np.array(description.wb_rgb)
        return gains[1] / gains
    estimate = grey_world(codes, description.cfa, black, white)
    if estimate is None:
        notes.append("no white balance given and none can be estimated: equal codes taken for grey")
        return np.ones(3)
    notes.append("no white balance given: the mean of all unclipped samples taken for grey")
    return estimate


def _balanced_to_srgb(description: RawDescription, notes: list[str]) -> Array:
    """The matrix from white-balanced camera to linear sRGB, each row brought to sum 1 so that grey stays grey."""
    if description.ccm is not None:
        matrix = np.array(description.ccm, dtype=np.float64)
    elif description.ccm_q10 is not None:
        matrix = np.array(description.ccm_q10, dtype=np.float64) / 1024.0
    else:
        notes.append("no colour matrix given: balanced camera colours taken for linear sRGB")
        return np.eye(3)
    sums = matrix.sum(axis=1)
    if sums.min() <= 0.0 or np.linalg.cond(matrix / sums[:, None]) > 1e4:
        raise RawError(
            "the colour matrix of the description is singular or turns grey negative", "check ccm: rows, not columns"
        )
    if np.abs(sums - 1.0).max() > 2e-3:
        listed = ", ".join(f"{total:.3f}" for total in sums)
        notes.append(f"the rows of the colour matrix sum to {listed}: scaled to keep grey grey")
    return matrix / sums[:, None]
