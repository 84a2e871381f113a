"""The AgX display transform: colours meet white as they grow bright and do not run into the corners of the gamut."""

from __future__ import annotations

import torch
from torch import Tensor

from ispdsl.programs.ops import Scalar, at_least_single, constant

INSET_WEIGHTS = (0.212, 0.392, 0.396)
"""Share of each primary in the neutral that colours are drawn to. With an inset of 0.2 the matrix of `agx` is the
published one to three digits: rows (0.842, 0.078, 0.079), (0.042, 0.878, 0.079), (0.042, 0.078, 0.879)."""

MIDDLE_GREY = 0.18
DISPLAY_GAMMA = 2.2
"""Exponent of the display that the curve is made for."""

DARKEST = 1e-9
"""Value up to which the logarithm counts a value as this one; darker than the darkest `black`."""


def agx(
    image: Tensor,
    *,
    black: Scalar,
    white: Scalar,
    contrast: Scalar,
    toe: Scalar,
    shoulder: Scalar,
    inset: Scalar,
    outset: Scalar,
) -> Tensor:
    """AgX (Sobotka 2022) in five steps, given by formulas rather than by tables.

    1. Inset: ``x - inset (x - n)`` with the neutral ``n = 0.212 R + 0.392 G + 0.396 B``. Saturated colours get some of
       every primary, so that all planes reach white.
    2. Log encoding: ``v = (log2(x / 0.18) - black) / (white - black)``, limited to 0..1.
    3. Sigmoid (`_sigmoid`) with slope `contrast` at grey, where it is ``0.18^(1/2.2)``.
    4. Decoding to display-linear light: ``v^2.2``. So grey stays 0.18.
    5. Outset: the inverse of an inset by `outset`, then a limit to 0..1.

    Sobotka's curve has its pivot at 0.5; here it is where grey is kept. His later versions turn the primaries as well;
    this one draws them straight to neutral.

    Args:
        image: ``(..., 3, H, W)``, scene-linear, any range; the weights of the inset are meant for BT.709 primaries.
        black: stops from 0.18 to what becomes 0; -12 to -8.
        white: stops from 0.18 to what becomes 1; 6 to 8.
        contrast: slope of the encoded curve at grey; from 1.75 up, below which no sigmoid reaches both ends.
        toe: exponent of the sigmoid below grey, 1 to 5; the higher, the longer the straight part.
        shoulder: the same above grey.
        inset: share of saturation taken before the curve; 0 to 0.5.
        outset: share of saturation given back after it; 0 to 0.5, `inset` for all of it.

    Returns:
        Display-linear light in 0..1.
    """
    work = at_least_single(image)
    black, white = constant(black, work), constant(white, work)
    drawn = work + constant(inset, work) * (_neutral(work) - work)
    stops = torch.log2(drawn.clamp_min(DARKEST) / MIDDLE_GREY)
    encoded = ((stops - black) / (white - black)).clamp(0.0, 1.0)
    curve = _sigmoid(encoded, -black / (white - black), contrast, toe, shoulder)
    display = curve.clamp(0.0, 1.0) ** DISPLAY_GAMMA
    neutral = _neutral(display)
    return (neutral + (display - neutral) / (1 - constant(outset, work))).clamp(0.0, 1.0).to(image.dtype)


def _neutral(image: Tensor) -> Tensor:
    """The weighted mean of the planes, ``(..., 1, H, W)``; of a grey that grey."""
    weights = constant(list(INSET_WEIGHTS), image)
    return (image * weights[:, None, None]).sum(-3, keepdim=True)


def _sigmoid(v: Tensor, pivot: Tensor, contrast: Scalar, toe: Scalar, shoulder: Scalar) -> Tensor:
    """From (0, 0) to (1, 1) through the pivot, where its slope is `contrast`."""
    slope, level = constant(contrast, v), MIDDLE_GREY ** (1 / DISPLAY_GAMMA)
    below = level - _branch(pivot - v, pivot, level, slope, constant(toe, v))
    above = level + _branch(v - pivot, 1 - pivot, 1 - level, slope, constant(shoulder, v))
    return torch.where(v < pivot, below, above)


def _branch(x: Tensor, width: Tensor, height: float, slope: Tensor, power: Tensor) -> Tensor:
    """``u / (1 + (u / scale)^power)^(1/power)`` with ``u = slope x``, and the scale that takes it to (width, height).

    Hence ``scale = (height^-power - (slope width)^-power)^(-1/power)``, which needs ``slope width > height``. Below 0
    it is 0.
    """
    inside = x > 0
    u = slope * torch.where(inside, x, width)
    share = (u / height) ** power - (u / (slope * width)) ** power
    return torch.where(inside, u * torch.exp2(-torch.log2(1 + share) / power), 0.0)
