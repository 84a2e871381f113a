"""The convolutions of ShuffleNet V2 (Ma, Zhang, Zheng and Sun, ECCV 2018), without its last layer and classifier.

Section 3.2 and figure 3 (c, d): a block either works on half of the planes and passes the others on, or, at half the
size, works on all of them twice. Which half goes where is the order of the published weights: planes with even numbers
are passed on, those with odd numbers are worked on.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

REPEATS = (4, 8, 4)
"""Blocks of the three stages (table 5 of the paper)."""

FIRST = 24
"""Planes after the first convolution."""


class Shuffle(nn.Module):
    """A block. Its two branches are named as in published weights."""

    def __init__(self, inputs: int, outputs: int, *, halves: bool) -> None:
        """Make a block; one that `halves` the size sees all planes in both branches."""
        super().__init__()
        self.halves = halves
        seen = inputs if halves else inputs // 2
        step, width = (2, outputs // 2) if halves else (1, outputs - seen)
        kept = inputs if halves else seen
        self.branch_main = nn.Sequential(
            *pointwise(seen, width), nn.ReLU(), *depthwise(width, 3, step), *pointwise(width, outputs - kept), nn.ReLU()
        )
        if halves:
            self.branch_proj = nn.Sequential(*depthwise(inputs, 3, 2), *pointwise(inputs, inputs), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, H, W)`` to ``(B, outputs, H, W)``, or at half the size."""
        if self.halves:
            return torch.cat([self.branch_proj(x), self.branch_main(x)], 1)
        return torch.cat([x[:, ::2], self.branch_main(x[:, 1::2])], 1)


def pointwise(inputs: int, outputs: int) -> tuple[nn.Module, nn.Module]:
    """A 1x1 convolution, normalised."""
    return nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs)


def depthwise(planes: int, size: int, step: int = 1) -> tuple[nn.Module, nn.Module]:
    """A convolution of each plane alone, normalised."""
    return nn.Conv2d(planes, planes, size, step, size // 2, groups=planes, bias=False), nn.BatchNorm2d(planes)


class ShuffleNet(nn.Module):
    """Pictures ``(B, 3, H, W)`` to features at an 8th, a 16th and a 32nd of the size."""

    def __init__(self, planes: tuple[int, int, int] = (48, 96, 192)) -> None:
        super().__init__()
        self.first_conv = nn.Sequential(nn.Conv2d(3, FIRST, 3, 2, 1, bias=False), nn.BatchNorm2d(FIRST), nn.ReLU())
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        before = (FIRST, *planes[:-1])
        self.stage2, self.stage3, self.stage4 = (
            nn.Sequential(
                Shuffle(inputs, outputs, halves=True),
                *(Shuffle(outputs, outputs, halves=False) for _ in range(repeats - 1)),
            )
            for inputs, outputs, repeats in zip(before, planes, REPEATS, strict=True)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features ``(B, 48, H/8, W/8)``, ``(B, 96, H/16, W/16)`` and ``(B, 192, H/32, W/32)``."""
        eighth = self.stage2(self.maxpool(self.first_conv(x)))
        sixteenth = self.stage3(eighth)
        return eighth, sixteenth, self.stage4(sixteenth)
