"""Filters of a fixed neighbourhood: bilateral, median, half resolution. ``(..., C, H, W)``, borders mirrored."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ispdsl.programs.ops import (
    Scalar,
    at_least_single,
    constant,
    extend,
    pad_mirror,
    plus,
    shift,
    squared_length,
    triweight,
)
from ispdsl.programs.ops import luma as luma_of
from ispdsl.programs.pairs import compared, offsets, shared

WIDEST_RADIUS = 7.0
"""Hard upper limit of the bilateral radius in px: the window that a free radius gets."""


def bilateral(image: Tensor, *, strength: Scalar, radius: Scalar, contrast: Scalar) -> Tensor:
    """Bilateral filter (Tomasi and Manduchi 1998): the mean of the neighbours that look alike.

    A neighbour at distance d whose planes differ by a vector v from the pixel's counts ``strength * g(d) *
    exp(-|v|^2 / (2 contrast^2))``, the pixel itself counts 1. So `strength` 0 is the identity with a gradient, 1 is the
    filter in full. ``g`` falls to zero one pixel beyond `radius` along both axes. The planes share their weights.

    A fixed radius takes ``(2 ceil(radius) + 1)^2`` shifts of the image, a free one always 225: fix it on large images.

    Args:
        image: ``(..., C, H, W)``, any range.
        strength: 0 to 1.
        radius: px, 1 to 7.
        contrast: standard deviation of the range kernel, 0.001 to 1 of white; differences well above it stay.
    """
    wide = at_least_single(image)
    strength = constant(strength, wide)
    decay = -0.5 / constant(contrast, wide) ** 2
    window = math.ceil(WIDEST_RADIUS if isinstance(radius, Tensor) else radius)
    reach = constant(radius, wide) + 1
    near = [triweight(float(distance), reach) for distance in range(window + 1)]
    padded = pad_mirror(wide, window)
    result, total = wide, torch.ones_like(wide[..., :1, :, :])
    for offset in offsets(window):
        pixels, partners = compared(padded, window, offset)
        distance = squared_length(partners - pixels)
        weight = strength * near[offset[0]] * near[abs(offset[1])] * torch.exp(decay * distance)
        for (down, right), share in shared(weight, offset):
            result = plus(result, share, shift(padded, window, down, right))
            total = total + share
    return (result / total).to(image.dtype)


def denoise(image: Tensor, *, luma: Scalar, chroma: Scalar, radius: Scalar, contrast: Scalar, space: str) -> Tensor:
    """Bilateral filters of different strength for luma and for what is left of the planes without it.

    The colour differences ``image - luma`` share their weights, so filtering them changes no luma.

    Args:
        image: ``(..., 3, H, W)``, any range.
        luma: strength of the filter of luma, 0 to 1.
        chroma: strength of the filter of colour differences, 0 to 1.
        radius: px, 1 to 7, for both.
        contrast: standard deviation of both range kernels, 0.001 to 1 of white.
        space: colour space that gives the weights of luma.
    """
    wide = at_least_single(image)
    light = luma_of(wide, space)
    difference = wide - light
    clean_light = bilateral(light, strength=luma, radius=radius, contrast=contrast)
    clean_difference = bilateral(difference, strength=chroma, radius=radius, contrast=contrast)
    # In this order both at 0 give the same bits.
    result = wide + (clean_light - light) + (clean_difference - difference)
    return result.to(image.dtype)


def median(image: Tensor, *, strength: Scalar) -> Tensor:
    """Median of each 3x3 window, each plane alone (Tukey 1977): impulses go, straight edges stay.

    Columns of three are sorted once and shared by the windows that they lie in; the median of nine is then that of the
    largest low, the median middle and the smallest high (Paeth 1990, "Median finding on a 3x3 grid").

    Args:
        image: ``(..., C, H, W)``, any range.
        strength: 0 leaves the image as it is, 1 gives the median.
    """
    height, width = image.shape[-2:]
    padded = pad_mirror(image, 1)
    columns = _sorted(*(padded[..., row : row + height, :] for row in range(3)))
    low, middle, high = ([plane[..., column : column + width] for column in range(3)] for plane in columns)
    largest_low = torch.maximum(torch.maximum(low[0], low[1]), low[2])
    smallest_high = torch.minimum(torch.minimum(high[0], high[1]), high[2])
    found = _sorted(largest_low, _sorted(*middle)[1], smallest_high)[1]
    return image + constant(strength, image) * (found - image)


def _sorted(first: Tensor, second: Tensor, third: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Three images in rising order at each pixel."""
    low, high = torch.minimum(first, second), torch.maximum(first, second)
    middle = torch.maximum(low, third)
    return torch.minimum(low, third), torch.minimum(middle, high), torch.maximum(middle, high)


def half(image: Tensor) -> Tensor:
    """Halve the resolution: the mean of each 2x2 cell, ``(..., C, H, W)`` to ``(..., C, ceil(H/2), ceil(W/2))``.

    At an odd size the last cell takes its missing row or column from the mirror image.
    """
    return _pairs(_pairs(image, -2), -1)


def _pairs(image: Tensor, axis: int) -> Tensor:
    """The mean of samples 0 and 1, 2 and 3, ... along an axis."""
    size = image.shape[axis]
    padded = extend(image, axis, 0, 1)
    first = torch.arange(0, size, 2, device=image.device)
    return 0.5 * (padded.index_select(axis, first) + padded.index_select(axis, first + 1))
