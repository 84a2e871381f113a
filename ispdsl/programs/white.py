"""White points in torch: the Planckian locus with tint, DNG's interpolation of matrices, Bradford adaptation.

Vectors are ``(..., 3)``, chromaticities ``(..., 2)``, matrices ``(..., 3, 3)``, temperatures and tints ``(...)``.
`ispdsl.runtime.whitepoint` is the numpy twin, and has the inverse.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ispdsl.programs.ops import constant
from ispdsl.runtime.cie1931 import CIE_1931
from ispdsl.runtime.spaces import BRADFORD, RGB_SPACES, rgb_to_xyz
from ispdsl.runtime.whitepoint import SECOND_RADIATION, TINT_SCALE

XYZ_TO_LINEAR_SRGB: list[list[float]] = np.linalg.inv(rgb_to_xyz(RGB_SPACES["srgb"])).tolist()
"""XYZ to linear sRGB from the primaries of IEC 61966-2-1 at full precision, so that D65 is (1, 1, 1) exactly."""


def white_xy(temperature: Tensor, tint: Tensor) -> Tensor:
    """CIE 1931 chromaticity ``(..., 2)`` of the illuminant of correlated colour `temperature` (K) and `tint`.

    Planck's law summed against the CIE 1931 2-degree observer in steps of 5 nm gives the point of the locus in
    CIE 1960 (u, v), the derivative in temperature its normal, along which the white lies ``tint / TINT_SCALE`` away.
    """
    uv, tangent = _locus(temperature)
    normal = torch.stack([tangent[..., 1], -tangent[..., 0]], -1)
    uv = uv + (tint / TINT_SCALE)[..., None] * normal
    u, v = uv[..., 0], uv[..., 1]
    return torch.stack([3.0 * u, 2.0 * v], -1) / (2.0 * u - 8.0 * v + 4.0)[..., None]


def _locus(temperature: Tensor) -> tuple[Tensor, Tensor]:
    """The point of the Planckian locus in CIE 1960 (u, v) and its unit tangent towards higher temperatures."""
    kelvin = temperature[..., None]
    table = constant([list(row) for row in CIE_1931], temperature)
    metres, observer = table[:, 0] * 1e-9, table[:, 1:]
    exponent = SECOND_RADIATION / (metres * kelvin)
    radiance = torch.exp(-5.0 * torch.log(metres * 2e6)) / torch.expm1(exponent)
    growth = radiance * exponent / kelvin / -torch.expm1(-exponent)
    xyz = (radiance[..., None] * observer).sum(-2)
    slope = (growth[..., None] * observer).sum(-2)
    weights = constant([1.0, 15.0, 3.0], temperature)
    numerators = constant([4.0, 6.0], temperature)
    total, total_slope = (xyz * weights).sum(-1, keepdim=True), (slope * weights).sum(-1, keepdim=True)
    uv = numerators * xyz[..., :2] / total
    tangent = numerators * slope[..., :2] / total - uv * total_slope / total
    return uv, tangent / tangent.square().sum(-1, keepdim=True).sqrt()


def xy_to_xyz(xy: Tensor) -> Tensor:
    """XYZ of luminance 1 ``(..., 3)`` at chromaticity ``(..., 2)``."""
    x, y = xy[..., 0], xy[..., 1]
    return torch.stack([x / y, torch.ones_like(y), (1.0 - x - y) / y], -1)


def bradford(source: Tensor, target: Tensor) -> Tensor:
    """Bradford's linear adaptation ``(..., 3, 3)`` of XYZ from white `source` to white `target`, chromaticities both.

    Source: Lam 1985, as ICC.1:2022, annex E, gives it.
    """
    cones = constant(BRADFORD.tolist(), source)
    back = constant(np.linalg.inv(BRADFORD).tolist(), source)
    before = (cones * xy_to_xyz(source)[..., None, :]).sum(-1)
    after = (cones * xy_to_xyz(target)[..., None, :]).sum(-1)
    return back @ ((after / before)[..., :, None] * cones)


def blend_by_temperature(first: Tensor, second: Tensor, kelvin_1: Tensor, kelvin_2: Tensor, kelvin: Tensor) -> Tensor:
    """Interpolate two matrices linearly in 1/temperature, the nearer one beyond both (DNG 1.4, chapter 6).

    Equal temperatures mean that there is one matrix only: the first.
    """
    span = 1.0 / kelvin_1 - 1.0 / kelvin_2
    single = span == 0
    share = (1.0 / kelvin_1 - 1.0 / kelvin) / torch.where(single, 1.0, span)
    share = torch.where(single, 0.0, share.clamp(0.0, 1.0))[..., None, None]
    return first + share * (second - first)


def inverse3(matrix: Tensor) -> Tensor:
    """The inverse of ``(..., 3, 3)`` by cofactors: arithmetic only."""
    rows = matrix.unbind(-2)
    columns = [torch.linalg.cross(rows[i - 2], rows[i - 1]) for i in range(3)]
    adjugate = torch.stack(columns, -1)
    determinant = (rows[0] * columns[0]).sum(-1)
    return adjugate / determinant[..., None, None]
