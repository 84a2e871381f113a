"""Edge enhancement as camera hardware does it: along the gradient, gated, cored and limited. Mirrored borders."""

from __future__ import annotations

import torch
from torch import Tensor

from ispdsl.programs.detail import soft_threshold
from ispdsl.programs.ops import Scalar, at_least_single, constant, luma, pad_mirror, shift

DIRECTIONS = ((0, 1, 1.0), (1, 0, 1.0), (1, 1, 2.0), (1, -1, 2.0))
"""Offset (down, right) of the neighbour on one side, and the square of its distance in px."""


def edge_enhance(
    image: Tensor, *, amount: Scalar, threshold: Scalar, coring: Scalar, overshoot: Scalar, space: str
) -> Tensor:
    """Steepen edges of luma, not noise, and limit how far they overshoot; the planes get the same, so that hue stays.

    The second difference of luma across each of four directions (0, 45, 90, 135 degrees) is weighted by the energy
    ``e`` of the first differences in that direction, ``e / (sum of e + threshold^2)``: the high-pass works across an
    edge, not along it, and fades where there is none. `coring` pulls it towards zero (Donoho 1995). The result
    stays within the range of luma in the 3x3 neighbourhood, widened on both sides by `overshoot` times that range.

    Args:
        image: ``(..., 3, H, W)``, any range.
        amount: 0 (the identity) to 4.
        threshold: difference between neighbours at which the gate is half open, 0.001 to 0.2 of white.
        coring: high-pass below which nothing is done, 0 to 0.1 of white.
        overshoot: share of the local range, 0 (no halo) to 1.
        space: colour space that gives the weights of luma.
    """
    work = at_least_single(image)
    light = luma(work, space)
    padded = pad_mirror(light, 1)
    across = soft_threshold(_across(light, padded, constant(threshold, work)), coring)
    low, high = _extremes(padded)
    room = constant(overshoot, work) * (high - low)
    sharp = light + constant(amount, work) * across
    limited = torch.minimum(torch.maximum(sharp, low - room), high + room)
    return (work + (limited - light)).to(image.dtype)


def _across(light: Tensor, padded: Tensor, threshold: Tensor) -> Tensor:
    """The second difference of luma across its edges, gated by their strength."""
    total, energies = torch.zeros_like(light), torch.zeros_like(light)
    for down, right, square in DIRECTIONS:
        ahead, behind = shift(padded, 1, down, right) - light, shift(padded, 1, -down, -right) - light
        energy = 0.5 * (ahead.square() + behind.square()) / square
        total = total - energy * 0.5 * (ahead + behind) / square
        energies = energies + energy
    return total / (energies + threshold.square())


def _extremes(padded: Tensor) -> tuple[Tensor, Tensor]:
    """The lowest and the highest value of the 3x3 neighbourhood."""
    low = high = shift(padded, 1, 0, 0)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            neighbour = shift(padded, 1, down, right)
            low, high = torch.minimum(low, neighbour), torch.maximum(high, neighbour)
    return low, high
