"""Compression of the range by a bilateral base layer. Images are ``(..., 3, H, W)``."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ispdsl.programs.ops import Scalar, at_least_single, constant, gaussian_blur, luma
from ispdsl.programs.pyramid import expand, gaussian_pyramid
from ispdsl.programs.stops import BLACK, Grid, stops

EXTENT = 0.02
"""Standard deviation of the spatial kernel as a share of the longer side (Durand and Dorsey 2002, sec. 6)."""

GRID = Grid(BLACK, 1.0, 21)
"""Fixed values, from 1/4096 to 256 times white, for which the image is blurred."""

COARSE_SIGMA = 2.0
"""Standard deviation in px of that kernel once the image is reduced so far that it becomes small."""

EMPTY = 1e-10
"""Added to the sum of weights, so that a sample that no pixel is near gives itself."""


def hdr_compress(image: Tensor, *, compression: Scalar, edge: Scalar, pivot: Scalar, space: str) -> Tensor:
    """Scale the contrast of a bilateral base of luma in stops and keep the detail (Durand and Dorsey 2002, sec. 6).

    ``log out = detail + compression * base``, about the pivot; the ratios of the planes stay. The bilateral filter is
    their piecewise linear approximation on a reduced image (sec. 5): blurs for fixed values one stop apart, between
    which the result is interpolated. Luma above 256 counts for the base as 256.

    Args:
        image: ``(..., 3, H, W)``, any range; negative luma counts as its absolute value.
        compression: above 0; 1 is the identity, 0.5 halves the range of the base in stops.
        edge: stops, 1/2 or more; the standard deviation of the range weight (the paper's 0.4 decades are 1.33 stops).
        pivot: the luma, above 0, that stays.
        space: colour space that gives the weights of luma.
    """
    work = at_least_single(image)
    base = bilateral_base(GRID.limit(stops(luma(work, space))), constant(edge, work))
    moved = (constant(compression, work) - 1) * (base - torch.log2(constant(pivot, work)))
    return (work * torch.exp2(moved)).to(image.dtype)


def bilateral_base(light: Tensor, edge: Tensor) -> Tensor:
    """Fast bilateral filter of luma in stops ``(..., 1, H, W)`` (Durand and Dorsey 2002, sec. 5)."""
    base = torch.zeros_like(light)
    for samples in GRID.samples(light):
        distance = light - samples
        weight = torch.exp(-0.5 * (distance / edge).square())
        mean = samples + wide_blur(weight * distance) / (wide_blur(weight) + EMPTY)
        base = base + (GRID.weight(light, samples) * mean).sum(-3, keepdim=True)
    return base


def wide_blur(image: Tensor) -> Tensor:
    """A Gaussian of EXTENT of the longer side, one pixel at least, taken on a reduced image where it is wide."""
    sigma = max(EXTENT * max(image.shape[-2:]), 1.0)
    halvings = max(0, math.floor(math.log2(sigma / COARSE_SIGMA)))
    levels = gaussian_pyramid(image, halvings)
    sigma = sigma / 2**halvings
    blurred = gaussian_blur(levels[-1], sigma, math.ceil(3 * sigma))
    for level in reversed(levels[:-1]):
        blurred = expand(blurred, *level.shape[-2:])
    return blurred
