"""Looks by hue and by tone: adjustments of bands of hues, and tints for shadows and highlights."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ispdsl.programs.ops import Scalar, at_least_single, constant, luma, sum_terms

BANDS = (0.0, 30.0, 60.0, 120.0, 180.0, 240.0, 270.0, 300.0)
"""Hues in degrees of red, orange, yellow, green, aqua, blue, purple and magenta."""

COLOURFUL = 8.0
"""How fast brightness by hue takes hold as colours leave grey."""


def hsl_bands(image: Tensor, *, hue: Tensor, saturation: Tensor, luminance: Tensor, space: str) -> Tensor:
    """Turn the hue, scale the saturation and the brightness of eight bands of hues.

    A pixel's hue is its angle in the plane across the grey axis, of ``(2R - G - B, sqrt(3) (G - B))``. Between the
    centres of two bands their settings blend by a raised cosine. Turning is a rotation about the grey axis after which
    the luma is put back; saturation scales the distance from the grey of the luma; brightness takes hold with
    colourfulness, ``1 - exp(-8 |rgb - mean|^2 / |rgb|^2)``, so that grey stays.

    Args:
        image: ``(..., 3, H, W)``, any range.
        hue: ``(..., 8)`` degrees, positive from red towards yellow.
        saturation: ``(..., 8)``: -1 is grey, 0 no change, 1 twice the distance.
        luminance: ``(..., 8)`` stops.
        space: colour space of `image`, for its luma.
    """
    values = at_least_single(image)
    red, green, blue = values.split(1, -3)
    mean = (red + green + blue) / 3.0
    weights = _band_weights(2.0 * red - green - blue, math.sqrt(3.0) * (green - blue))
    turn = _blend(hue, weights) * (math.pi / 180.0)
    more, stops = _blend(saturation, weights), _blend(luminance, weights)
    aside = torch.cat([blue - green, red - blue, green - red], -3) / math.sqrt(3.0)
    turned = torch.sin(turn) * aside + (1.0 - torch.cos(turn)) * (mean - values)
    turned = turned - luma(turned, space)
    change = turned + more * (values - luma(values, space) + turned)
    total = values.square().sum(-3, keepdim=True)
    relative = (values - mean).square().sum(-3, keepdim=True) / torch.where(total > 0, total, 1.0)
    gain = torch.exp2(stops * (1.0 - torch.exp(-COLOURFUL * relative)))
    return (gain * (values + change)).to(image)


def _band_weights(x: Tensor, y: Tensor) -> list[Tensor]:
    """The share of each band in the hue of the angle of (x, y); they sum to 1. Grey counts as red."""
    grey = (x == 0) & (y == 0)
    angle = torch.atan2(torch.where(grey, 0.0, y), torch.where(grey, 1.0, x)) * (180.0 / math.pi)
    weights: list[Tensor] = []
    for index, centre in enumerate(BANDS):
        after = (BANDS[(index + 1) % len(BANDS)] - centre) % 360.0
        before = (centre - BANDS[index - 1]) % 360.0
        away = torch.remainder(angle - centre + 180.0, 360.0) - 180.0
        relative = torch.where(away >= 0, away / after, -away / before).clamp(max=1.0)
        weights.append(0.5 + 0.5 * torch.cos(math.pi * relative))
    return weights


def _blend(settings: Tensor, weights: list[Tensor]) -> Tensor:
    """The settings ``(..., 8)`` of the bands at the hue of every pixel."""
    values = constant(settings, weights[0])
    return sum_terms([values[..., i, None, None, None] * weight for i, weight in enumerate(weights)])


def split_toning(
    image: Tensor,
    *,
    shadows: Scalar,
    shadows_hue: Scalar,
    highlights: Scalar,
    highlights_hue: Scalar,
    balance: Scalar,
    space: str,
) -> Tensor:
    """Tint shadows and highlights by a hue each; the luma stays, black stays black.

    Adds ``Y (shadows (1 - w) t(shadows_hue) + highlights w t(highlights_hue))`` with ``w = Y / (Y + balance)`` and t
    the direction of a hue across the grey axis less its own luma. Where the luma Y is below 0 nothing is added.

    Args:
        image: ``(..., 3, H, W)``, any range.
        shadows: strength of the shadows' tint, from 0.
        shadows_hue: degrees; 0 is red, 120 green.
        highlights: strength of the highlights' tint, from 0.
        highlights_hue: degrees.
        balance: the luma, above 0, at which both count alike.
        space: colour space of `image`, for its luma.
    """
    values = at_least_single(image)
    y = luma(values, space).clamp(min=0.0)
    bright = y / (y + constant(balance, values))
    dark_tint = constant(shadows, values) * _tint(shadows_hue, values, space)
    bright_tint = constant(highlights, values) * _tint(highlights_hue, values, space)
    return (values + y * (dark_tint + bright * (bright_tint - dark_tint))).to(image)


def _tint(hue: Scalar, like: Tensor, space: str) -> Tensor:
    """A direction ``(..., 3, 1, 1)`` of luma 0, half as long as a pure colour is from grey."""
    thirds = constant([0.0, 120.0, 240.0], like)[:, None, None]
    cosine = torch.cos((constant(hue, like) - thirds) * (math.pi / 180.0)) / 3.0
    return cosine - luma(cosine, space)
