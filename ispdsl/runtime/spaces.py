"""RGB colour spaces of finished pictures: primaries, white and transfer function, for files and for views.

The graph's own colour conversions are programs in torch; this numpy table serves ICC profiles, contact sheets and the
synthetic camera.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.floating]

D50 = np.array([0.9642, 1.0, 0.8249])
"""The white of the ICC profile connection space (ICC.1:2022, 7.2.16)."""

D65_XY = (0.3127, 0.3290)
D50_XY = (0.3457, 0.3585)

BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
"""XYZ to Bradford's cone responses (ICC.1:2022, annex E)."""


@dataclass(frozen=True)
class Transfer:
    """Code ``e`` to light: ``(a e + b) ** gamma`` from `threshold` on, ``slope * e`` below; odd about zero.

    The form of ICC's parametric curve of type 3, which every standard below fits.
    """

    gamma: float = 1.0
    a: float = 1.0
    b: float = 0.0
    slope: float = 1.0
    threshold: float = 0.0

    def decode(self, code: ArrayLike) -> Floats:
        """Codes (any shape) to linear light."""
        code = np.asarray(code)
        size = np.abs(code)
        light = np.where(size >= self.threshold, (self.a * size + self.b) ** self.gamma, self.slope * size)
        return np.copysign(light, code).astype(code.dtype, copy=False)

    def encode(self, light: ArrayLike) -> Floats:
        """Linear light (any shape) to codes: the inverse of `decode`."""
        light = np.asarray(light)
        size = np.abs(light)
        knee = (self.a * self.threshold + self.b) ** self.gamma
        code = np.where(size >= knee, (size ** (1 / self.gamma) - self.b) / self.a, size / self.slope)
        return np.copysign(code, light).astype(light.dtype, copy=False)


@dataclass(frozen=True)
class RGBSpace:
    """Chromaticities ``(x, y)`` of red, green, blue and white, and the transfer function of the codes."""

    primaries: tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
    white: tuple[float, float]
    transfer: Transfer


def power_with_toe(gamma: float, offset: float, slope: float, threshold: float) -> Transfer:
    """The curve of the video standards: ``((e + offset) / (1 + offset)) ** gamma`` over a straight toe."""
    return Transfer(gamma, 1 / (1 + offset), offset / (1 + offset), slope, threshold)


BT709 = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
BT2020 = ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046))
ROMM = ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001))

SRGB_CURVE = power_with_toe(2.4, 0.055, 1 / 12.92, 0.04045)  # IEC 61966-2-1
BT709_CURVE = power_with_toe(1 / 0.45, 0.099, 1 / 4.5, 0.081)  # ITU-R BT.709
BT2020_CURVE = power_with_toe(1 / 0.45, 0.09929682680944, 1 / 4.5, 4.5 * 0.018053968510807)  # ITU-R BT.2020
ROMM_CURVE = Transfer(1.8, 1.0, 0.0, 1 / 16, 16 * 2.0**-9)  # ISO 22028-2, with the 1/512 knee of its first edition
LINEAR = Transfer()

RGB_SPACES: dict[str, RGBSpace] = {
    "srgb": RGBSpace(BT709, D65_XY, SRGB_CURVE),
    "linear_srgb": RGBSpace(BT709, D65_XY, LINEAR),
    "rec709": RGBSpace(BT709, D65_XY, BT709_CURVE),
    "rec2020": RGBSpace(BT2020, D65_XY, BT2020_CURVE),
    "linear_rec2020": RGBSpace(BT2020, D65_XY, LINEAR),
    "prophoto": RGBSpace(ROMM, D50_XY, ROMM_CURVE),
    "linear_prophoto": RGBSpace(ROMM, D50_XY, LINEAR),
}
"""Colour spaces that a matrix and a curve describe, by the names that types use."""


def white_xyz(xy: tuple[float, float]) -> Floats:
    """XYZ of luminance 1 at chromaticity `xy`."""
    x, y = xy
    return np.array([x / y, 1.0, (1 - x - y) / y])


def rgb_to_xyz(space: RGBSpace) -> Floats:
    """The matrix ``(3, 3)`` from linear RGB to XYZ, relative to the space's own white (SMPTE RP 177)."""
    primaries = np.stack([white_xyz(xy) for xy in space.primaries], axis=1)
    return primaries * np.linalg.solve(primaries, white_xyz(space.white))


def adaptation(source: Floats, target: Floats) -> Floats:
    """Bradford's linear adaptation ``(3, 3)`` that takes white `source` to white `target`, both XYZ."""
    return np.linalg.solve(BRADFORD, np.diag(BRADFORD @ target / (BRADFORD @ source)) @ BRADFORD)


def rgb_to_d50(space: RGBSpace) -> Floats:
    """The matrix ``(3, 3)`` from linear RGB to XYZ adapted to D50, the ICC profile connection space."""
    return adaptation(white_xyz(space.white), D50) @ rgb_to_xyz(space)
