"""The baseline: SRCNN with the settings as planes, as ReconfigISP uses it for the modules of a pipeline.

Yu et al., "ReconfigISP: reconfigurable camera image processing pipeline", ICCV 2021; the network is that of Dong et
al., "Learning a deep convolutional network for image super-resolution", ECCV 2014, section 3: 9x9, 1x1 and 5x5
convolutions of 64 and 32 channels with ReLU. It knows no start and no front, and does not begin as the identity.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ispdsl.proxies.codec import Seen, Shape
from ispdsl.proxies.mosaic import pad

RADIUS = 4 + 2


class Srcnn(nn.Module):
    """Three convolutions; `width` channels behind the first, half as many behind the second."""

    def __init__(self, shape: Shape, width: int) -> None:
        super().__init__()
        self.radius = shape.radius(RADIUS)
        self.first = nn.Conv2d(shape.values + shape.told, width, 9)
        self.second = nn.Conv2d(width, max(width // 2, 1), 1)
        self.third = nn.Conv2d(max(width // 2, 1), shape.start, 5)

    def forward(self, seen: Seen, condition: Tensor) -> Tensor:
        """``(B, n, h, w)`` with a condition ``(B or 1, k)``."""
        image = pad(seen.values, RADIUS, RADIUS, RADIUS, RADIUS)
        planes = condition[..., None, None].expand(image.shape[0], condition.shape[1], *image.shape[-2:])
        now = F.relu(self.first(torch.cat([image, planes], 1)))
        return self.third(F.relu(self.second(now)))
