"""Thresholds in an undecimated wavelet transform, for luma and colour apart. Borders mirrored."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ispdsl.programs.ops import LUMA_WEIGHTS, Scalar, at_least_single, constant, extend, plus
from ispdsl.programs.ops import luma as luma_of

LEVELS = {"l1": 1, "l2": 2, "l3": 3, "l4": 4}
"""Number of scales that are thresholded."""

SPREAD = (0.8908, 0.2007, 0.0855, 0.0412)
"""Standard deviation at each scale of white noise of standard deviation 1: the norms of the wavelets."""

B3_SPLINE = (0.0625, 0.25, 0.375, 0.25, 0.0625)


def wavelet_denoise(image: Tensor, *, luma: Scalar, chroma: Scalar, noise: Scalar, levels: str, space: str) -> Tensor:
    """Soft thresholds (Donoho 1995) in the a trous B3-spline transform (Starck, Murtagh and Bijaoui 1998).

    Luma and the planes' differences from it are transformed. At scale j a coefficient within ``k * sigma_j`` goes, a
    larger one shrinks by that much; ``sigma_j`` is what the noise has there. What is taken off the differences has no
    luma of its own, so `chroma` alone changes no luma. With both thresholds at 0 the image stays as it is.

    Args:
        image: ``(..., 3, H, W)``, any range.
        luma: threshold k of luma, from 0 up.
        chroma: threshold k of the differences, from 0 up.
        noise: standard deviation of white noise in each plane of the image, of white.
        levels: number of scales, a key of LEVELS.
        space: colour space that gives the weights of luma.
    """
    wide = at_least_single(image)
    noise = constant(noise, wide)
    weights = LUMA_WEIGHTS.get(space, (1 / 3, 1 / 3, 1 / 3))
    power = sum(weight**2 for weight in weights)
    spreads = constant([math.sqrt(1 - 2 * weight + power) for weight in weights], wide)[:, None, None]
    light = luma_of(wide, space)
    dim = _below(light, constant(luma, wide) * noise * math.sqrt(power), LEVELS[levels])
    faint = _below(wide - light, constant(chroma, wide) * noise * spreads, LEVELS[levels])
    return (wide - dim - (faint - luma_of(faint, space))).to(image.dtype)


def wavelet_threshold(image: Tensor, *, threshold: Scalar, noise: Scalar, levels: str) -> Tensor:
    """The same thresholds on each plane alone.

    Args:
        image: ``(..., C, H, W)``, any range.
        threshold: k in units of what the noise has at a scale, from 0 up; 0 is the identity.
        noise: standard deviation of white noise in each plane, of white.
        levels: number of scales, a key of LEVELS.
    """
    wide = at_least_single(image)
    return (wide - _below(wide, constant(threshold, wide) * constant(noise, wide), LEVELS[levels])).to(image.dtype)


def _below(image: Tensor, threshold: Tensor, levels: int) -> Tensor:
    """What soft thresholds take away: the coefficients of all scales, limited to the threshold of their scale."""
    removed = torch.zeros_like(image)
    for level, spread in enumerate(SPREAD[:levels]):
        smooth = _smooth(_smooth(image, 2**level, -2), 2**level, -1)
        limit = threshold * spread
        removed = removed + torch.minimum(torch.maximum(image - smooth, -limit), limit)
        image = smooth
    return removed


def _smooth(image: Tensor, gap: int, axis: int) -> Tensor:
    """The B3 spline along an axis, its taps `gap` samples apart."""
    size = image.shape[axis]
    padded = extend(image, axis, 2 * gap, 2 * gap)
    total = B3_SPLINE[0] * padded.narrow(axis, 0, size)
    for tap, weight in enumerate(B3_SPLINE[1:], start=1):
        total = plus(total, weight, padded.narrow(axis, tap * gap, size))
    return total
