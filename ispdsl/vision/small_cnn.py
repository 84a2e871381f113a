"""A small convolutional classifier that two cores train in a minute.

As in the guide "Learned ISP for Object Detection" of datarax: 3x3 convolutions to 32, 64, 128 and 256 planes, each with
batch normalisation and ReLU, pooling between them, the mean over the picture, and a linear layer.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PLANES = (3, 32, 64, 128, 256)

MIDDLE, SPREAD = 0.5, 0.25
"""What a picture's numbers have taken off, and what they are divided by."""


class SmallCNN(nn.Module):
    """Pictures ``(B, 3, H, W)``, sRGB in 0..1, at least 8 px a side, to logits ``(B, classes)``."""

    def __init__(self, classes: int = 10) -> None:
        """Make a network with random weights.

        Raises:
            ValueError: there are fewer than two classes.
        """
        super().__init__()
        if classes < 2:
            raise ValueError(f"{classes} classes leave nothing to tell apart")
        # What follows takes the mean away, so that a bias would do nothing.
        self.convolutions = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1, bias=False) for a, b in pairwise(PLANES))
        self.normalisations = nn.ModuleList(nn.BatchNorm2d(planes) for planes in PLANES[1:])
        self.linear = nn.Linear(PLANES[-1], classes)

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits ``(B, classes)``."""
        return self.decide(self.features(pictures))

    def decide(self, features: tuple[Tensor, ...]) -> Tensor:
        """Logits ``(B, classes)`` of what `features` gave."""
        return self.linear(features[-1].mean((-2, -1)))

    def features(self, pictures: Tensor) -> tuple[Tensor, ...]:
        """What each convolution makes of pictures: ``(B, 32, H, W)``, ``(B, 64, H/2, W/2)`` and so on, at least 0."""
        found: list[Tensor] = []
        # Pooling and convolutions read all planes of a place at once: on a CPU they want them side by side.
        x = ((pictures - MIDDLE) / SPREAD).contiguous(memory_format=torch.channels_last)
        for index, (convolution, normalisation) in enumerate(zip(self.convolutions, self.normalisations, strict=True)):
            x = F.relu(normalisation(convolution(F.max_pool2d(x, 2) if index else x)))
            found.append(x)
        return tuple(found)
