"""Settings as a module that descends: numbers of the unit cube within the ranges of a pipeline, shared or per image."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from ispdsl.errors import RunError
from ispdsl.learned.limits import limited
from ispdsl.optimise.box import Box
from ispdsl.runtime.values import Settings
from ispdsl.runtime.vector import Vector


class Bounds(nn.Module):
    """Where settings may be, and where they start.

    Numbers are those of `vector` in the unit face of the hard ranges, ``(N,)``.
    """

    low: Tensor
    width: Tensor
    start: Tensor

    def __init__(self, vector: Vector, settings: Settings, hard: bool = False) -> None:
        """Bounds around the values that `settings` has.

        Args:
            vector: what is free, in the unit face.
            settings: the start.
            hard: search all of the hard ranges; else the soft ones, widened to hold the start.

        Raises:
            RunError: nothing is free.
        """
        super().__init__()
        if not vector.slots:
            raise RunError("nothing of the pipeline is free", "name numbers that are, or take `fixed` off them")
        box = Box.around(vector, settings)
        start = torch.tensor(vector.to_vector(settings), dtype=torch.float32)
        low, width = torch.from_numpy(box.low).float(), torch.from_numpy(box.width).float()
        self.vector = vector
        self.register_buffer("low", torch.zeros_like(low) if hard else low)
        self.register_buffer("width", torch.ones_like(width) if hard else width)
        self.register_buffer("start", (start - self.low) / self.width.clamp_min(1e-12))

    def forward(self, moved: Tensor) -> Tensor:
        """Numbers ``(..., N)`` of the unit cube, so far from the start in parts of the ranges, held to them."""
        return (self.low + limited(self.start + moved) * self.width).clamp(0, 1)


class Shared(nn.Module):
    """One answer for all images; it begins at the start exactly."""

    def __init__(self, bounds: Bounds, pace: float = 1.0) -> None:
        """Numbers that begin at the start.

        Args:
            bounds: of the numbers.
            pace: how far they go where weights beside them go by 1; with Adam, how many times its rate.
        """
        super().__init__()
        self.bounds, self.pace = bounds, pace
        self.moved = nn.Parameter(torch.zeros_like(bounds.start))

    def forward(self, images: Tensor) -> Tensor:
        """The numbers ``(B, N)`` in the unit cube, the same for each of images ``(B, C, H, W)``."""
        return self.bounds(self.pace * self.moved).expand(len(images), -1)

    @torch.no_grad()
    def settings(self, others: Settings) -> Settings:
        """The answer; what is not free is as in `others`."""
        numbers = self.bounds(self.pace * self.moved).double().cpu().tolist()
        return replace(self.bounds.vector, settings=others).from_vector(numbers)
