"""Light in stops, and a fixed grid of samples on that scale for methods that interpolate between fixed intensities."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ispdsl.programs.ops import constant

BLACK = -12.0
"""Where the scale of stops ends below: 1/4096 of white."""

TOGETHER = 2**26
"""Pixels that samples may make of one image at a time."""


def stops(light: Tensor) -> Tensor:
    """Light on a logarithmic scale, ``log2(sqrt(x^2 + 2^-24))``: white is 0, black -12, negative light as positive."""
    return 0.5 * torch.log2(light.square() + 2 ** (2 * BLACK))


@dataclass(frozen=True, slots=True)
class Grid:
    """`count` samples, the first at `low`, `step` stops apart."""

    low: float
    step: float
    count: int

    def samples(self, image: Tensor, together: int = TOGETHER) -> list[Tensor]:
        """Where the samples lie, in stops, as ``(n, 1, 1)``: an image ``(..., 1, H, W)`` meets n of them at once.

        On a large image n is small, so that no more than `together` pixels are made at a time.
        """
        places = [self.low + self.step * index for index in range(self.count)]
        most = max(1, together // (image.shape[-2] * image.shape[-1]))
        return list(constant(places, image)[:, None, None].split(most))

    def limit(self, value: Tensor) -> Tensor:
        """The value, or the nearer end of the grid where it lies beyond."""
        return value.clamp(self.low, self.low + self.step * (self.count - 1))

    def weight(self, value: Tensor, samples: Tensor) -> Tensor:
        """Weights of samples in linear interpolation at `value`; beyond the grid its end has all the weight.

        A value on a sample, as white often is, has the slope of the interval above and not of both.
        """
        offset = (self.limit(value) - samples) / self.step
        return torch.where((offset >= -1) & (offset < 1), 1 - torch.where(offset < 0, -offset, offset), 0.0)
