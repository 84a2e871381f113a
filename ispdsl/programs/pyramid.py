"""Image pyramids of ``(..., C, H, W)`` at any size, exactly invertible and symmetric.

The Gaussian and the Laplacian pyramid (Burt and Adelson 1983, "The Laplacian pyramid as a compact image code") with one
change: where their samples lie depends on the parity of a size. An odd size keeps its samples 0, 2, 4, ... up to the
last one, under their five-tap kernel with a = 3/8; an even size takes one sample between each pair, under the four-tap
binomial kernel. Either grid lies symmetrically in the image, so that building and collapsing commute with reflections
and transposition at every size, which the usual choice of the even samples breaks at even sizes.

The undecimated pyramid is the à-trous transform of Starck, Murtagh and Bijaoui 1998 ("Image processing and data
analysis", sec. 1.4): the cubic B-spline kernel with holes.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from ispdsl.programs.ops import extend, weighted_sum

SPLINE = (1 / 16, 1 / 4, 3 / 8, 1 / 4, 1 / 16)
"""The cubic B-spline, and Burt and Adelson's generating kernel with a = 3/8."""

BETWEEN = (1 / 8, 3 / 8, 3 / 8, 1 / 8)
"""The binomial kernel about the middle between two samples."""


def depth(height: int, width: int, most: int = 16) -> int:
    """How many times an image can be reduced until its shorter side is one sample, at most `most`."""
    side, count = min(height, width), 0
    while side > 1 and count < most:
        side, count = (side + 1) // 2, count + 1
    return count


def reduce(image: Tensor) -> Tensor:
    """Low-pass filter and halve: ``(..., H, W)`` to ``(..., ceil(H/2), ceil(W/2))``; flat areas stay as they are."""
    return _reduce_axis(_reduce_axis(image, -2), -1)


def expand(small: Tensor, height: int, width: int) -> Tensor:
    """Interpolate what `reduce` made of an image of ``height`` x ``width`` back to that size."""
    return _expand_axis(_expand_axis(small, height, -2), width, -1)


def gaussian_pyramid(image: Tensor, count: int) -> list[Tensor]:
    """The image and its `count` successive reductions, the largest first."""
    levels = [image]
    for _ in range(count):
        levels.append(reduce(levels[-1]))
    return levels


def laplacian_pyramid(image: Tensor, count: int) -> list[Tensor]:
    """`count` bands, the finest first, and the residual: each level less the expansion of the next one."""
    levels = gaussian_pyramid(image, count)
    bands = [fine - expand(coarse, *fine.shape[-2:]) for fine, coarse in pairwise(levels)]
    return [*bands, levels[-1]]


def collapse(bands: list[Tensor]) -> Tensor:
    """The image of a Laplacian pyramid: ``collapse(laplacian_pyramid(x, n))`` is x."""
    image = bands[-1]
    for band in reversed(bands[:-1]):
        image = band + expand(image, *band.shape[-2:])
    return image


def a_trous(image: Tensor, count: int) -> list[Tensor]:
    """`count` bands of full size, the finest first, and the residual; their sum is the image.

    Band j is the difference of blurs whose kernels reach 2 (2^j - 1) and 2 (2^(j+1) - 1) px. The image is mirrored
    about the outer edges of its border pixels: that keeps the mean of every level, so each band's mean is zero.
    """
    bands: list[Tensor] = []
    for level in range(count):
        smooth = _holed(_holed(image, 2**level, -2), 2**level, -1)
        bands.append(image - smooth)
        image = smooth
    return [*bands, image]


def _reduce_axis(image: Tensor, axis: int) -> Tensor:
    size = image.shape[axis]
    kernel, before = (SPLINE, 2) if size % 2 else (BETWEEN, 1)
    padded = extend(image, axis, before, before)
    starts = torch.arange(0, size, 2, device=image.device)
    return weighted_sum(kernel, [padded.index_select(axis, starts + tap) for tap in range(len(kernel))])


def _expand_axis(small: Tensor, size: int, axis: int) -> Tensor:
    count = small.shape[axis]
    padded = extend(small, axis, 1, 1)
    before, after = padded.narrow(axis, 0, count), padded.narrow(axis, 2, count)
    if size % 2:
        pair = 0.75 * small + 0.125 * (before + after), 0.5 * (small + after)
    else:
        pair = 0.75 * small + 0.25 * before, 0.75 * small + 0.25 * after
    return torch.stack(pair, axis).flatten(axis - 1, axis).narrow(axis, 0, size)


def _holed(image: Tensor, step: int, axis: int) -> Tensor:
    """The B-spline blur of one axis with its taps `step` px apart."""
    size = image.shape[axis]
    index = torch.remainder(torch.arange(-2 * step, size + 2 * step, device=image.device), 2 * size)
    padded = image.index_select(axis, torch.where(index < size, index, 2 * size - 1 - index))
    return weighted_sum(SPLINE, [padded.narrow(axis, tap * step, size) for tap in range(len(SPLINE))])
