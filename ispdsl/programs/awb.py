"""Estimates of the illuminant's colour, and white balance by them.

An estimate is ``(3,)``, of a batch ``(B, 3)``: the colour of the light, green = 1, no plane less than a thousandth of
the strongest; of an image without light it is (1, 1, 1). Sums are taken in float64.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ispdsl.programs.ops import Scalar, at_least_single, constant, pad_mirror, shift, sum_terms

FAINTEST = 1e-3
"""What a plane counts at least, relative to the strongest."""

DARKEST = 1e-30
"""Light below this is none: float32 ends near it."""

CANCELLED = 1e-6
"""A mean below this share of the mean size is what rounding to float32 leaves of noise about black: no light."""

DARKEST_WHITE = 1e-4
"""Below this a plane of a white counts as this, for the gain is its reciprocal."""

EDGE_RADIUS = 9
"""Radius in px of the Gaussian derivative: three standard deviations at most."""


def grey_world(image: Tensor) -> Tensor:
    """The mean of each plane (Buchsbaum, "A spatial processor model for object colour perception", 1980)."""
    values = image.double()
    levels, seen = values.mean((-2, -1)), values.abs().mean((-2, -1))
    return _estimate(torch.where(levels.abs() > CANCELLED * seen, levels, 0.0), image)


def white_patch(image: Tensor, *, percentile: Scalar) -> Tensor:
    """The quantile of each plane at `percentile` (1: its maximum), linear between neighbours in rank.

    Source: Land and McCann, "Lightness and Retinex theory", JOSA 61(1), 1971, as an estimator of the illuminant; the
    percentile is the usual guard against clipped and defective pixels.
    """
    ranked = image.double().flatten(-2).sort(-1).values
    last = ranked.shape[-1] - 1
    position = _column(percentile, ranked) * last
    left = position.detach().floor().clamp(0, max(last - 1, 0)).long().expand(*ranked.shape[:-1], 1)
    low, high = ranked.gather(-1, left), ranked.gather(-1, (left + 1).clamp(max=last))
    return _estimate((low + (high - low) * (position - left))[..., 0], image)


def shades_of_grey(image: Tensor, *, p: Scalar) -> Tensor:
    """The Minkowski mean of order `p` of each plane; values below 0 count as 0.

    Source: Finlayson and Trezzi, "Shades of gray and colour constancy", Color Imaging Conference 2004.
    """
    return _minkowski(image.double().clamp(min=0.0), p, image)


def grey_edge(image: Tensor, *, sigma: Scalar, p: Scalar) -> Tensor:
    """The Minkowski mean of order `p` of each plane's gradient magnitude, by Gaussian derivatives of `sigma` px.

    Source: van de Weijer, Gevers and Gijsenij, "Edge-based color constancy", IEEE Trans. Image Processing 16(9), 2007,
    with n = 1. The windows end at 9 px, borders are mirrored.
    """
    values = image.double()
    sigma = constant(sigma, values)
    window = [torch.exp(-0.5 * (offset / sigma) ** 2) for offset in range(EDGE_RADIUS + 1)]
    total = window[0] + 2.0 * sum_terms(window[1:])
    slopes = [offset * weight / (total * sigma**2) for offset, weight in enumerate(window)]
    weights = [weight / total for weight in window]
    padded = pad_mirror(values, EDGE_RADIUS)
    across = _smooth(_derive(padded, slopes, _across), weights, _down)
    down = _smooth(_derive(padded, slopes, _down), weights, _across)
    square = across.square() + down.square()
    edge = square > 0
    return _minkowski(torch.where(edge, torch.where(edge, square, 1.0).sqrt(), 0.0), p, image)


Step = Callable[[Tensor, int], Tensor]


def _across(padded: Tensor, offset: int) -> Tensor:
    return shift(padded, EDGE_RADIUS, 0, offset)


def _down(padded: Tensor, offset: int) -> Tensor:
    return shift(padded, EDGE_RADIUS, offset, 0)


def _derive(padded: Tensor, slopes: list[Tensor], step: Step) -> Tensor:
    """The derivative of the Gaussian along one axis, by differences of pairs: exactly 0 where the image is even."""
    offsets = range(1, EDGE_RADIUS + 1)
    return sum_terms([slopes[o] * (step(padded, o) - step(padded, -o)) for o in offsets])


def _smooth(values: Tensor, weights: list[Tensor], step: Step) -> Tensor:
    """The Gaussian along one axis."""
    padded = pad_mirror(values, EDGE_RADIUS)
    offsets = range(1, EDGE_RADIUS + 1)
    return weights[0] * values + sum_terms([weights[o] * (step(padded, o) + step(padded, -o)) for o in offsets])


def auto_white_balance(image: Tensor, *, white: Tensor, strength: Scalar) -> Tensor:
    """Multiply each plane by ``(green / white)^strength``: at 1 `white` becomes grey, 0 is the identity.

    Args:
        image: ``(..., 3, H, W)``, any range.
        white: ``(..., 3)`` the colour of the light; below 1e-4 a plane counts as 1e-4.
        strength: share of the correction in stops.
    """
    values = at_least_single(image)
    light = constant(white, values).clamp(min=DARKEST_WHITE).log2()[..., :, None, None]
    stops = light[..., 1:2, :, :] - light
    return (values * torch.exp2(constant(strength, values) * stops)).to(image)


def _minkowski(values: Tensor, p: Scalar, image: Tensor) -> Tensor:
    """``mean(values^p)^(1/p)`` of planes of values from 0 up, relative to the largest so that no power overflows."""
    p = constant(p, values)
    peak = values.amax((-3, -2, -1), keepdim=True).detach()
    positive = values > 0
    relative = torch.where(positive, values, 1.0) / torch.where(peak > 0, peak, 1.0)
    mean = torch.where(positive, torch.exp2(p * torch.log2(relative)), 0.0).mean((-2, -1), keepdim=True)
    lit = mean > 0
    root = torch.where(lit, torch.exp2(torch.log2(torch.where(lit, mean, 1.0)) / p), 0.0)
    return _estimate((root * peak)[..., 0, 0], image)


def _estimate(levels: Tensor, image: Tensor) -> Tensor:
    """Levels of the three planes ``(..., 3)`` as a white of green 1."""
    peak = levels.amax(-1, keepdim=True)
    bounded = torch.where(peak > DARKEST, torch.maximum(levels, FAINTEST * peak), 1.0)
    return (bounded / bounded[..., 1:2]).to(image)


def _column(value: Scalar, like: Tensor) -> Tensor:
    """A setting ``()`` or ``(B, 1, 1, 1)`` as ``()`` or ``(B, 1, 1)``, against planes without their columns."""
    setting = constant(value, like)
    return setting[..., 0] if setting.dim() >= 3 else setting
