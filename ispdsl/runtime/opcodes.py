"""The lists of opcodes in a DNG: the lens shading that a camera stores as GainMap.

Adobe DNG specification 1.7, chapter 7, "Opcode List Processing" and "GainMap". All numbers are big-endian whatever the
file's byte order. Nothing in the bytes is trusted: every count is held against the bytes that are there.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ispdsl.runtime.frame import resample

NAMES = {
    1: "WarpRectilinear",
    2: "WarpFisheye",
    3: "FixVignetteRadial",
    4: "FixBadPixelsConstant",
    5: "FixBadPixelsList",
    6: "TrimBounds",
    7: "MapTable",
    8: "MapPolynomial",
    9: "GainMap",
    10: "DeltaPerRow",
    11: "DeltaPerColumn",
    12: "ScalePerRow",
    13: "ScalePerColumn",
    14: "WarpRectilinear2",
}
GAIN_MAP = 9
MAP_POLYNOMIAL = 8

_HEAD = struct.Struct(">4I")
_GAIN_HEAD = struct.Struct(">10I4dI")
_MAX_OPCODES = 256
_MAX_POINTS = 1024
"""Samples along an axis of a gain map; real ones have some twenty."""

_LARGEST_GAIN = 1e4


@dataclass(frozen=True)
class GainMap:
    """One GainMap opcode: where it acts, and its gains `(map planes, points down, points across)`."""

    area: tuple[int, int, int, int]
    """Top, left, bottom, right in pixels of the active area."""
    plane: int
    planes: int
    pitch: tuple[int, int]
    spacing: tuple[float, float]
    origin: tuple[float, float]
    gains: NDArray[np.float64]


def parse(data: bytes) -> list[tuple[int, bytes]]:
    """The opcodes of a list with their parameters.

    Raises:
        ValueError: the list is cut short or holds more opcodes than a camera would write.
    """
    if len(data) < 4:
        raise ValueError("it is shorter than its own count")
    (count,) = struct.unpack_from(">I", data)
    if count > _MAX_OPCODES:
        raise ValueError(f"it claims {count} opcodes")
    found: list[tuple[int, bytes]] = []
    position = 4
    for _ in range(count):
        if position + _HEAD.size > len(data):
            raise ValueError("it ends inside an opcode")
        opcode, _version, _flags, size = _HEAD.unpack_from(data, position)
        position += _HEAD.size
        if size > len(data) - position:
            raise ValueError("it ends inside an opcode")
        found.append((opcode, data[position : position + size]))
        position += size
    return found


def parse_gain_map(data: bytes) -> GainMap:
    """Read the parameters of one GainMap.

    Raises:
        ValueError: counts, positions or gains that cannot be right.
    """
    if len(data) < _GAIN_HEAD.size:
        raise ValueError("a GainMap is cut short")
    fields = _GAIN_HEAD.unpack_from(data)
    numbers, map_planes = fields[10:14], fields[14]
    top, left, bottom, right, plane, planes, row_pitch, column_pitch, down, across = fields[:10]
    if not (1 <= down <= _MAX_POINTS and 1 <= across <= _MAX_POINTS and 1 <= map_planes <= 4):
        raise ValueError(f"a GainMap claims {down} x {across} x {map_planes} gains")
    if len(data) < _GAIN_HEAD.size + 4 * down * across * map_planes:
        raise ValueError("a GainMap is cut short")
    if min(row_pitch, column_pitch, planes) < 1 or bottom <= top or right <= left:
        raise ValueError("a GainMap acts on an empty area")
    gains = np.frombuffer(data, ">f4", down * across * map_planes, _GAIN_HEAD.size)
    if not (np.isfinite(gains).all() and gains.min() > 0.0 and gains.max() < _LARGEST_GAIN):
        raise ValueError("a GainMap holds gains that no lens needs")
    spacing, origin = numbers[:2], numbers[2:]
    if not all(count == 1 or 1 / _MAX_POINTS <= step <= 1 for count, step in zip((down, across), spacing, strict=True)):
        raise ValueError("a GainMap has an impossible spacing between its points")
    if not all(-1 <= start <= 1 for start in origin):
        raise ValueError("a GainMap begins far outside of the frame")
    return GainMap(
        (top, left, bottom, right),
        plane,
        planes,
        (row_pitch, column_pitch),
        (spacing[0], spacing[1]),
        (origin[0], origin[1]),
        gains.astype(np.float64).reshape(down, across, map_planes).transpose(2, 0, 1),
    )


def combine(maps: list[GainMap], height: int, width: int, samples: int) -> tuple[NDArray[np.float64], bool]:
    """All gain maps of a frame as one grid `(4 sites, rows, columns)` from edge to edge, sample i of n at i/(n-1).

    Args:
        maps: the opcodes in their order; those that act on one site multiply.
        height: of the active area in pixels.
        width: of the active area in pixels.
        samples: 1 for a mosaic, 3 for three samples a site (the sites are then R, G, B, G).

    Returns:
        the grid and whether any map was left out because it acts on a part of the frame only.
    """
    rows, columns = (max([2, *(_points(item, axis) for item in maps)]) for axis in (0, 1))
    grid = np.ones((4, rows, columns))
    partial = False
    for item in maps:
        top, left, bottom, right = item.area
        down, across = item.pitch
        whole = top < down and left < across and bottom > height - down and right > width - across
        if not whole or max(down, across) > 2:
            partial = True
            continue
        for site in range(4):
            plane = (0, 1, 2, 1)[site] if samples == 3 else 0
            acts = item.plane <= plane < item.plane + item.planes
            if samples == 1:
                acts = acts and (site // 2 - top) % down == 0 and (site % 2 - left) % across == 0
            if acts:
                grid[site] *= _spread(item, min(plane - item.plane, item.gains.shape[0] - 1), rows, columns)
    return grid, partial


def _points(item: GainMap, axis: int) -> int:
    """How many samples from edge to edge keep the spacing of a map."""
    count = item.gains.shape[axis + 1]
    return 1 if count == 1 else min(max(count, round(1.0 / item.spacing[axis]) + 1), _MAX_POINTS)


def _spread(item: GainMap, plane: int, rows: int, columns: int) -> NDArray[np.float64]:
    """One plane of a map sampled from edge to edge of the frame."""
    positions: list[NDArray[np.float64]] = []
    for axis, count in enumerate((rows, columns)):
        extent = item.spacing[axis] * (item.gains.shape[axis + 1] - 1)
        relative = np.linspace(0.0, 1.0, count) - item.origin[axis]
        positions.append(relative / extent if extent > 0.0 else np.zeros(count))
    return resample(item.gains[plane : plane + 1], positions[0], positions[1])[0]
