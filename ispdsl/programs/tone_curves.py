"""Tone curves that never turn tones round, whatever their settings. Each plane alone, ``(..., C, H, W)``."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor

from ispdsl.programs.ops import Scalar, at_least_single, constant, gather_last
from ispdsl.programs.tone import gamma

REGION_REACH = 0.3
"""How far a region's slider moves its middle, in widths of the region. From 1/3 on, neighbours could turn tones round:
the steepest slope of a smoothstep is 1.5, and two of them share the half widths between two middles."""


def levels(image: Tensor, *, black: Scalar, mid: Scalar, white: Scalar) -> Tensor:
    """Stretch `black`..`white` to 0..1, and bend so that what lies at the share `mid` between them becomes 0.5.

    ``y = (x - black) / (white - black)``, then the power law ``y^(log 0.5 / log mid)``, odd in y (see `gamma`).

    Args:
        image: ``(..., C, H, W)``, any range.
        black: the value that becomes 0; below `white`.
        mid: 0.1 to 0.9; 0.5 bends nothing, lower values brighten.
        white: the value that becomes 1.
    """
    work = at_least_single(image)
    low, high = constant(black, work), constant(white, work)
    exponent = -1 / torch.log2(mid) if isinstance(mid, Tensor) else -1 / math.log2(mid)
    return gamma((work - low) / (high - low), gamma=exponent).to(image.dtype)


def parametric_curve(
    image: Tensor,
    *,
    shadows: Scalar,
    darks: Scalar,
    lights: Scalar,
    highlights: Scalar,
    split_dark: Scalar,
    split_mid: Scalar,
    split_light: Scalar,
) -> Tensor:
    """Raise or lower four regions of the scale 0..1, which the three splits divide.

    ``y = x + sum of 0.3 * slider * width * bump``: each bump is 1 in the middle of its region and falls to 0 in the
    middles of its neighbours, or at 0 and 1, by a smoothstep. So the curve has a continuous slope between 0.1 and 1.9,
    and rises with every slider. Below 0 and above 1 it is the identity.

    Args:
        image: ``(..., C, H, W)``, any range.
        shadows: how much to raise the lowest region, -1 to 1; all four at 0 are the identity.
        darks: the second, -1 to 1.
        lights: the third, -1 to 1.
        highlights: the uppermost, -1 to 1.
        split_dark: between shadows and darks; the splits rise within 0..1.
        split_mid: between darks and lights.
        split_light: between lights and highlights.
    """
    work = at_least_single(image)
    edges = [constant(v, work) for v in (0.0, split_dark, split_mid, split_light, 1.0)]
    middles = [edges[0], *(0.5 * (low + high) for low, high in pairwise(edges)), edges[-1]]
    result = work
    for index, slider in enumerate((shadows, darks, lights, highlights)):
        before, middle, after = middles[index : index + 3]
        bump = _smoothstep((work - before) / (middle - before)) * _smoothstep((after - work) / (after - middle))
        width = edges[index + 1] - edges[index]
        result = result + REGION_REACH * constant(slider, work) * width * bump
    return result.to(image.dtype)


def _smoothstep(t: Tensor) -> Tensor:
    """From 0 at 0 to 1 at 1 by the cubic Hermite polynomial with slope 0 at both; constant beyond."""
    t = t.clamp(0.0, 1.0)
    return t.square() * (3 - 2 * t)


def monotone_curve(image: Tensor, *, rises: Tensor) -> Tensor:
    """A smooth curve from (0, 0) to (1, 1) through N - 1 points at equal steps, whose heights are cumulated `rises`.

    The rise over step k is ``rises[k] / sum(rises)``, so that every setting gives a rising curve. Between the points it
    is a cubic Hermite polynomial; the slope at a point is the harmonic mean of the slopes of both steps (Fritsch and
    Butland 1984, whose mean at equal steps is that one), within the region in which Fritsch and Carlson 1980 prove it
    monotone. Below 0 and above 1 it goes on in a straight line.

    Args:
        image: ``(..., C, H, W)``, any range.
        rises: ``(..., N)``, N at least 2, above 0; all alike is the identity.
    """
    work = at_least_single(image)
    rises = constant(rises, work)
    count = rises.shape[-1]
    secants = count * rises / rises.sum(-1, keepdim=True)
    inner = 2 * secants[..., 1:] * secants[..., :-1] / (secants[..., 1:] + secants[..., :-1])
    slopes = torch.cat([secants[..., :1], inner, secants[..., -1:]], -1)
    start = torch.cumsum(secants, -1) - secants  # heights in steps of the abscissa
    position = work * count
    step = position.detach().floor().clamp(0, count - 1).long()
    t = position - step
    inside = t.clamp(0.0, 1.0)
    left, right, secant = (gather_last(values, step) for values in (slopes[..., :-1], slopes[..., 1:], secants))
    bend = inside * (1 - inside) * ((1 - inside) * (left - secant) - inside * (right - secant))
    beyond = (t - inside) * (torch.where(t < 0, left, right) - secant)
    return ((gather_last(start, step) + secant * t + bend + beyond) / count).to(image.dtype)
