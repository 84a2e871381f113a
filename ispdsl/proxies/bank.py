"""A double of a stage that is a matter of blurs: fixed Gaussian means in front of a perceptron that sees one pixel.

Sharpening, texture, clarity and local contrast weigh differences of blurs. What a pixel's neighbourhood looks like at a
few scales is a fixed formula (a difference of Gaussians at each, Marr and Hildreth, "Theory of edge detection", 1980),
so it is computed once for each picture, and training is as cheap as that of a pointwise stage.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ispdsl.proxies import heads
from ispdsl.proxies.codec import Finish, Seen, Shape, compand
from ispdsl.proxies.mosaic import pad
from ispdsl.proxies.pointwise import Weighed

SIGMAS = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)
"""Standard deviations of the means in px; the last is the level that all is seen against."""

REACH = 12
"""Radius of the means in px: three of the largest standard deviation."""

FLOOR = 0.02
"""Of the level that differences are divided by, in parts of white."""


class Bank(nn.Module):
    """`depth` layers of `width` on the features of each pixel; what it adds is in parts of the local level."""

    radius = REACH

    def __init__(self, shape: Shape, width: int, depth: int) -> None:
        super().__init__()
        self.start = shape.start
        self.finish: Finish = shape.finish
        self.pixel = Weighed(count(shape.start), shape.condition, width, depth, shape.start)

    def forward(self, seen: Seen, condition: Tensor) -> Tensor:
        """Images ``(B, C, H, W)``; or what `prepared` made of some, also as rows ``(N, n)`` or scattered pixels."""
        values = seen.values if seen.values.shape[1] != self.start else prepared(seen.values)
        shape = values.shape[2:]
        flat = values.flatten(2).transpose(1, 2) if values.dim() == 4 else values
        start, shown = flat[..., : self.start], flat[..., self.start :]
        level = torch.exp2(4 * shown[..., -1:])
        given = heads.apply("residual", self.finish, level * self.pixel(shown, condition), start)
        return given.transpose(1, 2).unflatten(2, shape) if values.dim() == 4 else given


def count(channels: int) -> int:
    """How many features there are of so many channels."""
    return channels * (len(SIGMAS) + 1) + 1


def prepared(image: Tensor) -> Tensor:
    """An image ``(B, C, H, W)`` with its features behind it: ``(B, C + count(C), H, W)``.

    With w the widest mean and L the mean over the channels of ``|w|``, and `FLOOR`: ``(x - w) / L``, ``(G_i - w) / L``
    for the other means, w companded, and ``log2(L) / 4``.
    """
    kernels = gaussians().to(image)
    channels = image.shape[1]
    padded = pad(image, REACH, REACH, REACH, REACH)
    rows = F.conv2d(padded, kernels[:, None, :, None].repeat(channels, 1, 1, 1), groups=channels)
    means = F.conv2d(
        rows, kernels[:, None, None, :].repeat(channels, 1, 1, 1), groups=channels * len(SIGMAS)
    ).unflatten(1, (channels, len(SIGMAS)))
    widest = means[:, :, -1]
    level = widest.abs().mean(1, keepdim=True) + FLOOR
    steps = [(means[:, :, index] - widest) / level for index in range(len(SIGMAS) - 1)]
    return torch.cat([image, (image - widest) / level, *steps, compand(widest), torch.log2(level) / 4], 1)


def gaussians() -> Tensor:
    """The kernels ``(count, 2 REACH + 1)``, each of sum 1."""
    offsets = torch.arange(-REACH, REACH + 1).float()
    kernels = torch.stack([torch.exp(-0.5 * (offsets / sigma) ** 2) for sigma in SIGMAS])
    return kernels / kernels.sum(1, keepdim=True)
