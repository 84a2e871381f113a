"""Colours as the figures see them: CIELAB for colour differences, luma for structure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ispdsl.runtime.camera_colour import ColourModel
from ispdsl.runtime.spaces import D65_XY, LINEAR, RGB_SPACES, SRGB_CURVE, Floats, Transfer, rgb_to_xyz, white_xyz

CODED = ("pq", "hlg")
"""Spaces of BT.2020's primaries whose codes are display-referred; their light depends on the display."""


@dataclass(frozen=True, eq=False)
class Colorimetry:
    """What the codes of an RGB space mean: their curve, the matrix `(3, 3)` from light to XYZ, and the XYZ of white."""

    transfer: Transfer
    to_xyz: NDArray[np.float64]
    white: NDArray[np.float64]


def colorimetry(space: str, metadata: Mapping[str, ArrayLike]) -> Colorimetry | None:
    """The colorimetry of a space, relative to its own white, so that no adaptation comes in; None where it has none.

    ``camera`` is what the frame's colour matrices make of it (Adobe DNG specification 1.7, chapter 6): its white is
    the as-shot one.

    Args:
        space: name of the colour space.
        metadata: of the frame; read for ``camera`` alone.
    """
    if space == "xyz":
        return Colorimetry(LINEAR, np.eye(3), _white(D65_XY))
    if space == "camera":
        return _of_camera(metadata)
    if space not in RGB_SPACES:
        return None
    known = RGB_SPACES[space]
    return Colorimetry(known.transfer, rgb_to_xyz(known).astype(np.float64), _white(known.white))


def _of_camera(metadata: Mapping[str, ArrayLike]) -> Colorimetry | None:
    names = ("colour_matrix_1", "colour_matrix_2", "illuminant_1", "illuminant_2")
    if not {*names, "as_shot_neutral", "as_shot_temperature"} <= set(metadata):
        return None
    one, two, cold, warm = (np.asarray(metadata[name], np.float64) for name in names)
    matrix = ColourModel(one, two, float(cold), float(warm)).matrix(float(np.asarray(metadata["as_shot_temperature"])))
    neutral = np.asarray(metadata["as_shot_neutral"], np.float64)
    to_xyz = np.linalg.solve(matrix, np.diag(neutral))
    white = to_xyz.sum(axis=1)
    return Colorimetry(LINEAR, to_xyz / white[1], white / white[1])


def _white(xy: tuple[float, float]) -> NDArray[np.float64]:
    return white_xyz(xy).astype(np.float64)


def lab(image: Floats, seen: Colorimetry) -> NDArray[np.float64]:
    """CIELAB `(3, ...)` of codes `(3, ...)`, relative to the white of their space (CIE 15:2004, 8.2.1).

    Values above 1 and below 0 are neither clipped nor refused: the cube root goes on above the white, its straight
    part below black.
    """
    light = seen.transfer.decode(np.asarray(image, np.float64))
    relative = np.tensordot(seen.to_xyz / seen.white[:, None], light, axes=1)
    root = np.where(relative > (6 / 29) ** 3, np.cbrt(relative), relative * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = root
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def luma(image: Floats, space: str, metadata: Mapping[str, ArrayLike]) -> NDArray[np.float32]:
    """The luma `(H, W)` of RGB `(3, H, W)`, black 0 and white 1: coded values weighted by their luminances.

    Light is coded by sRGB's curve first, so that structure counts as the eye sees it and not by highlights alone.
    """
    seen = colorimetry("rec2020" if space in CODED else space, metadata) or colorimetry("linear_srgb", {})
    assert seen is not None
    linear = space not in CODED and seen.transfer == LINEAR
    codes = SRGB_CURVE.encode(image) if linear else image
    return np.tensordot(seen.to_xyz[1].astype(np.float32), np.asarray(codes, np.float32), axes=1)
