"""Statistics of the colours of a mosaic, ``(..., 3)``: red, green and blue. Sums are taken in float64."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ispdsl.programs.cfa import LINEAR
from ispdsl.programs.highlights import colour_masks
from ispdsl.programs.ops import Scalar, constant, pad_mirror, shift
from ispdsl.programs.tiling import Mean, joined


@joined(Mean.COLOURS)
def raw_mean(mosaic: Tensor, *, cfa: str) -> Tensor:
    """The mean of each colour's samples."""
    return colour_mean(mosaic, mosaic, cfa)


@joined(Mean.COLOURS)
def raw_saturated(mosaic: Tensor, *, threshold: Scalar, softness: Scalar, cfa: str) -> Tensor:
    """The share of each colour's samples above `threshold`, each counted by a sigmoid about it of width `softness`."""
    work = mosaic.double()
    share = torch.sigmoid((work - constant(threshold, work)) / constant(softness, work))
    return colour_mean(share, mosaic, cfa)


def noise_estimate(mosaic: Tensor, *, cfa: str) -> Tensor:
    """The standard deviation of each colour's noise: the mean size of what a mask blind to slopes finds.

    Immerkær, "Fast noise variance estimation", CVIU 64(2), 1996: ``sqrt(pi / 2) / 6 * mean |N * x|`` with ``N = [1 -2
    1; -2 4 -2; 1 -2 1]``, here on the samples of a site's own kind, with mirrored borders.
    """
    step = 1 if cfa == LINEAR else 2
    curvature = mosaic.double()
    for down, right in ((step, 0), (0, step)):
        padded = pad_mirror(curvature, step)
        curvature = shift(padded, step, -down, -right) - 2 * curvature + shift(padded, step, down, right)
    return math.sqrt(math.pi / 2) / 6 * colour_mean(curvature.abs(), mosaic, cfa)


def colour_mean(values: Tensor, like: Tensor, cfa: str) -> Tensor:
    """The mean of `values` over the sites of each colour, in the dtype of `like`."""
    values = values.double()
    means = []
    for mask in colour_masks(values, cfa):
        full = mask + torch.zeros_like(values)
        means.append((mask * values).sum((-3, -2, -1)) / full.sum((-3, -2, -1)))
    return torch.stack(means, -1).to(like)
