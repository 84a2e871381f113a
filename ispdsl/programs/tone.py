"""Tone: exposure, highlights and shadows, contrast, curves. Images are ``(..., 3, H, W)``."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ispdsl.programs.ops import Scalar, at_least_single, constant, luma, piecewise_linear


@dataclass(frozen=True, slots=True)
class Region:
    """The bright or the dark end of the tone scale.

    Its edge lies half way, in stops, between a quantile of the scene's luma and a fixed anchor; `reach` is its gain at
    100 % and `width` the width of its logistic edge, both in stops.
    """

    quantile: float
    anchor: float
    reach: float
    width: float


HIGHLIGHTS = Region(quantile=0.9, anchor=0.5, reach=0.7, width=0.8)
SHADOWS = Region(quantile=0.25, anchor=0.06, reach=1.2, width=0.9)

OVER_WHITE_REACH = 0.4
OVER_WHITE_WIDTH = 0.5
"""Stops taken from each stop above 1 at -100 % highlights, and the width of that knee in stops.

The three steepest slopes, 0.7 / (4 * 0.8), 1.2 / (4 * 0.9) and 0.4, add up to less than one stop a stop, which is what
keeps the tone map monotone at every setting."""

DARKEST = 2.0**-12
"""Luma below which the tone map stops telling dark from darker."""

QUANTILE_SOFTNESS = 0.02
"""Width in probability of the step that counts a histogram bin as below a quantile."""

CONTRAST_STRENGTH = 0.6
CONTRAST_WIDTH_BELOW = 3.0
CONTRAST_WIDTH_ABOVE = 1.25
"""Slope that 100 % adds at the pivot, and the widths of the toe and of the shoulder in stops."""

GAMMA_GUARD = 1e-4
"""Value below which a power curve turns into a straight line, so that its slope at zero stays finite."""


def exposure(image: Tensor, *, ev: Scalar, bias: Scalar = 0.0) -> Tensor:
    """Scale light by ``2 ** (ev + bias)``: the definition of a stop (ISO 2721), DNG BaselineExposure as `bias`."""
    work = at_least_single(image)
    return (work * torch.exp2(constant(ev, work) + constant(bias, work))).to(image.dtype)


def tone_map(image: Tensor, *, hist: Tensor, highlights: Scalar, shadows: Scalar, space: str) -> Tensor:
    """Compress or lift the scene's highlights and shadows by a gain that depends on a pixel's luma alone.

    ``out = image * 2 ** (shadows * s(l) + highlights * h(l))`` with ``l`` the luma in stops, ``s`` and ``h`` logistic
    weights around a low and a high quantile of the histogram. Above 1, `highlights` bends the curve as well: at -1 it
    takes 0.4 stops from each stop over white. Chromaticity stays; luma out rises with luma in at every setting; both
    sliders at 0 give the image itself. Negative lumas mirror positive ones.

    Args:
        image: ``(..., 3, H, W)``, scene-linear, any range.
        hist: ``(..., N)`` counts of luma in N equal bins on [0, 1], the last one collecting all above; any total.
        highlights: -1 darkens, 1 brightens.
        shadows: -1 darkens, 1 brightens.
        space: colour space that gives the weights of luma.
    """
    work = at_least_single(image)
    stops = 0.5 * torch.log2(luma(work, space).square() + DARKEST**2)
    hist = constant(hist, work)
    dark = SHADOWS.reach * torch.sigmoid((_edge(hist, SHADOWS) - stops) / SHADOWS.width)
    bright = HIGHLIGHTS.reach * torch.sigmoid((stops - _edge(hist, HIGHLIGHTS)) / HIGHLIGHTS.width)
    over_white = OVER_WHITE_WIDTH * torch.nn.functional.softplus(stops / OVER_WHITE_WIDTH)
    bright = bright + OVER_WHITE_REACH * over_white
    return (work * torch.exp2(constant(shadows, work) * dark + constant(highlights, work) * bright)).to(image.dtype)


def _edge(hist: Tensor, region: Region) -> Tensor:
    """Where the edge of a region lies in the scene, in stops, as ``(..., 1, 1, 1)``."""
    stops = 0.5 * (torch.log2(soft_quantile(hist, region.quantile) + DARKEST) + math.log2(region.anchor))
    return stops[..., None, None, None]


def soft_quantile(hist: Tensor, probability: float) -> Tensor:
    """The quantile of a histogram ``(..., N)`` over [0, 1], smooth in every count, as ``(...)``.

    A quantile is the length of the interval on which the cumulated distribution stays below `probability`; here the
    step at the crossing is a logistic one, so that all bins near the crossing carry gradient and not one alone.
    """
    share = hist / (hist.sum(-1, keepdim=True) + torch.finfo(hist.dtype).tiny)
    centre = torch.cumsum(share, -1) - 0.5 * share
    return torch.sigmoid((probability - centre) / QUANTILE_SOFTNESS).mean(-1)


def contrast(image: Tensor, *, amount: Scalar, pivot: Scalar) -> Tensor:
    """An S-curve about `pivot`, each plane alone: a power law at the pivot that fades in deep shadows and above white.

    With ``u = log2(x / pivot)`` the curve adds ``0.6 * amount * u * exp(-u^2 / 2 w^2)`` stops, ``w`` = 3 below the
    pivot and 1.25 above. It is twice continuously differentiable, keeps the pivot, rises everywhere for amounts in
    -1..1, and tends to the identity at 0 and at infinity; zero and negative values stay as they are.

    Args:
        image: ``(..., C, H, W)``, any range.
        amount: -1..1; 0 is the identity.
        pivot: the value that stays, above 0; 0.18 is scene-linear middle grey.
    """
    work = at_least_single(image)
    positive = work > 1e-10
    stops = torch.log2(torch.where(positive, work, 1e-10) / constant(pivot, work))
    width = torch.where(stops < 0, CONTRAST_WIDTH_BELOW, CONTRAST_WIDTH_ABOVE)
    bend = stops * torch.exp(-0.5 * (stops / width).square())
    gain = torch.exp2(CONTRAST_STRENGTH * constant(amount, work) * bend)
    return (work * torch.where(positive, gain, 1.0)).to(image.dtype)


def tone_curve(image: Tensor, *, points: Tensor) -> Tensor:
    """Map each plane through the piecewise linear curve with values `points` ``(..., N)`` at equal steps on [0, 1].

    The first and the last segment go on in a straight line outside [0, 1].
    """
    work = at_least_single(image)
    return piecewise_linear(work, constant(points, work)).to(image.dtype)


def gamma(image: Tensor, *, gamma: Scalar) -> Tensor:
    """The power law ``x ** gamma``, odd in x; gamma below 1 brightens, 1 is the identity.

    Computed as ``x * (x^2 + 1e-8) ** ((gamma - 1) / 2)``: within 1e-4 of the power law from x = 0.01 up for gammas up
    to 2, rising everywhere, and of finite slope at 0.
    """
    if not isinstance(gamma, Tensor) and gamma == 1:
        return image
    work = at_least_single(image)
    exponent = 0.5 * (constant(gamma, work) - 1.0)
    return (work * torch.exp2(exponent * torch.log2(work.square() + GAMMA_GUARD**2))).to(image.dtype)


def clip(image: Tensor) -> Tensor:
    """Limit every value to 0..1. No gradient passes where a value is cut off."""
    return image.clamp(0.0, 1.0)
