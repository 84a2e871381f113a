"""Noise reduction and the change of resolution that goes with it. Images are ``(..., C, H, W)``, borders mirrored."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ispdsl.programs.ops import Scalar, constant, mirror, pad_mirror, shift, triweight
from ispdsl.programs.ops import luma as luma_of

WIDEST_RADIUS = 7.0
"""Hard upper limit of the bilateral radius in px: the window that a free radius gets."""

GUIDED_RADIUS = 2
"""Half the window of the guided filter, in samples of the chroma that is brought up."""


def bilateral(image: Tensor, *, strength: Scalar, radius: Scalar, contrast: Scalar) -> Tensor:
    """Bilateral filter (Tomasi and Manduchi 1998, eq. 7): the mean of the neighbours that look alike.

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
    strength = constant(strength, image)
    precision = 0.5 / constant(contrast, image) ** 2
    window = math.ceil(WIDEST_RADIUS if isinstance(radius, Tensor) else radius)
    offsets = range(-window, window + 1)
    near = [triweight(float(offset), radius + 1) for offset in offsets]
    padded = pad_mirror(image, window)
    result, total = image, torch.ones_like(image[..., :1, :, :])
    for down, near_down in zip(offsets, near, strict=True):
        row = strength * near_down
        for right, near_right in zip(offsets, near, strict=True):
            if down == right == 0:
                continue
            neighbour = shift(padded, window, down, right)
            distance = (neighbour - image).square().sum(-3, keepdim=True)
            weight = row * near_right * torch.exp(-precision * distance)
            result = result + weight * neighbour
            total = total + weight
    return result / total


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
    light = luma_of(image, space)
    difference = image - light
    clean_light = bilateral(light, strength=luma, radius=radius, contrast=contrast)
    clean_difference = bilateral(difference, strength=chroma, radius=radius, contrast=contrast)
    return image + (clean_light - light) + (clean_difference - difference)  # in this order both at 0 give the same bits


def half(image: Tensor) -> Tensor:
    """Halve the resolution: the mean of each 2x2 cell, ``(..., C, H, W)`` to ``(..., C, ceil(H/2), ceil(W/2))``.

    At an odd size the last cell takes its missing row or column from the mirror image.
    """
    return _pairs(_pairs(image, -2), -1)


def guided_upsample(chroma: Tensor, luma: Tensor, *, contrast: Scalar) -> Tensor:
    """Bring chroma that `half` made small up to the size of luma, along luma's edges.

    The fast guided filter (He and Sun 2015, algorithm 2; He, Sun and Tang 2010, eq. 5, 6 and 8): chroma is taken as
    ``a * luma + b`` in every window of 5x5 small samples, ``a`` and ``b`` are averaged and interpolated linearly.

    Args:
        chroma: ``(..., C, h, w)``, luma's size halved any number of times.
        luma: ``(..., 1, H, W)``, the guide.
        contrast: luma's standard deviation from which on its edges count as chroma's, 0.01 to 1 of white.

    Raises:
        ValueError: no number of halvings brings luma's size to that of chroma.
    """
    guides = _guides(luma, chroma)
    guide = guides[-1]
    mean_guide, mean_chroma = _box(guide), _box(chroma)
    variance = _box(guide * guide) - mean_guide.square()
    covariance = _box(guide * chroma) - mean_guide * mean_chroma
    slope = covariance / (variance + constant(contrast, luma) ** 2)
    offset = mean_chroma - slope * mean_guide
    slope, offset = _box(slope), _box(offset)
    for larger in reversed(guides[:-1]):
        slope, offset = _double(slope, larger), _double(offset, larger)
    return slope * luma + offset


def _pairs(image: Tensor, axis: int) -> Tensor:
    """The mean of samples 0 and 1, 2 and 3, ... along an axis."""
    size = image.shape[axis]
    padded = image.index_select(axis, mirror(size, 0, 1, image.device))
    first = torch.arange(0, size, 2, device=image.device)
    return 0.5 * (padded.index_select(axis, first) + padded.index_select(axis, first + 1))


def _guides(luma: Tensor, chroma: Tensor) -> list[Tensor]:
    """Luma halved until it has the size of chroma, the largest first."""
    guides = [luma]
    while guides[-1].shape[-2:] != chroma.shape[-2:]:
        height, width = guides[-1].shape[-2:]
        if height < chroma.shape[-2] or width < chroma.shape[-1] or height == width == 1:
            small, large = ("x".join(map(str, image.shape[-2:])) for image in (chroma, luma))
            raise ValueError(f"chroma of {small} is not luma of {large} halved: give it what `half` makes of that size")
        guides.append(half(guides[-1]))
    return guides


def _box(image: Tensor) -> Tensor:
    """The mean of a square window of GUIDED_RADIUS samples to each side."""
    return _box_axis(_box_axis(image, -2), -1)


def _box_axis(image: Tensor, axis: int) -> Tensor:
    size = image.shape[axis]
    padded = image.index_select(axis, mirror(size, GUIDED_RADIUS, GUIDED_RADIUS, image.device))
    total = image
    for offset in range(1, GUIDED_RADIUS + 1):
        total = total + padded.narrow(axis, GUIDED_RADIUS - offset, size)
        total = total + padded.narrow(axis, GUIDED_RADIUS + offset, size)
    return total / (2 * GUIDED_RADIUS + 1)


def _double(image: Tensor, like: Tensor) -> Tensor:
    """Linear interpolation from the centres of 2x2 cells to their pixels, at the size of `like`."""
    return _double_axis(_double_axis(image, like.shape[-2], -2), like.shape[-1], -1)


def _double_axis(image: Tensor, size: int, axis: int) -> Tensor:
    pixel = torch.arange(size, device=image.device)
    near = pixel // 2
    far = (near + 2 * (pixel % 2) - 1).clamp(0, image.shape[axis] - 1)
    return 0.75 * image.index_select(axis, near) + 0.25 * image.index_select(axis, far)
