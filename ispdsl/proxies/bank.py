"""A double of a stage that is a matter of blurs: fixed Gaussian means in front of a perceptron that sees one pixel.

Sharpening, texture, clarity and local contrast weigh differences of blurs. What a pixel's neighbourhood looks like at a
few scales is a fixed formula (a difference of Gaussians at each, Marr and Hildreth, "Theory of edge detection", 1980),
so it is computed once for each picture, and training is as cheap as that of a pointwise stage.

Denoising keeps a difference where there is much of it round about, and drops it where there is little (coring;
Simoncelli and Adelson, "Noise removal via Bayesian wavelet coring", ICIP 1996). So a bank may also be shown how much.
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

    def __init__(self, shape: Shape, width: int, depth: int, *, power: bool) -> None:
        super().__init__()
        self.start = shape.start
        self.finish: Finish = shape.finish
        self.radius = 2 * REACH if power else REACH
        self._prepared = prepared_with_power if power else prepared
        features = count(shape.start) + (len(SIGMAS) * shape.start if power else 0)
        self.pixel = Weighed(features, shape.condition, width, depth, shape.start)

    def forward(self, seen: Seen, condition: Tensor) -> Tensor:
        """Images ``(B, C, H, W)``; or their features behind them, also as rows ``(N, n)`` or scattered pixels."""
        values = seen.values if seen.values.shape[1] != self.start else self._prepared(seen.values)
        shape = values.shape[2:]
        flat = values.flatten(2).transpose(1, 2) if values.dim() == 4 else values
        start, shown = flat[..., : self.start], flat[..., self.start :]
        last = count(self.start)
        level = torch.exp2(4 * shown[..., last - 1 : last])
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
    return _features(image, _means(image, gaussians()))


def prepared_with_power(image: Tensor) -> Tensor:
    """As `prepared`, and behind it how much there is of each difference of neighbouring means: ``(B, 7 C, H, W)``.

    ``log2(G_7 (G_i - G_i+1)^2 + 1e-7) / 8 + 1.5`` with the widest Gaussian G_7, and the image itself as G_0.
    """
    kernels = gaussians()
    means = _means(image, kernels)
    ladder = torch.cat([image[:, :, None], means], 2)
    square = (ladder[:, :, :-1] - ladder[:, :, 1:]).square().flatten(1, 2)
    power = _means(square, kernels[-1:])[:, :, 0].clamp_min(0)
    return torch.cat([_features(image, means), torch.log2(power + 1e-7) / 8 + 1.5], 1)


def _means(image: Tensor, kernels: Tensor) -> Tensor:
    """Of every channel by every kernel: ``(B, C, kernels, H, W)``, with mirrored borders."""
    channels, count = image.shape[1], len(kernels)
    kernels = kernels.to(image)
    padded = pad(image, REACH, REACH, REACH, REACH)
    rows = F.conv2d(padded, kernels[:, None, :, None].repeat(channels, 1, 1, 1), groups=channels)
    means = F.conv2d(rows, kernels[:, None, None, :].repeat(channels, 1, 1, 1), groups=channels * count)
    return means.unflatten(1, (channels, count))


def _features(image: Tensor, means: Tensor) -> Tensor:
    widest = means[:, :, -1]
    level = widest.abs().mean(1, keepdim=True) + FLOOR
    steps = [(means[:, :, index] - widest) / level for index in range(len(SIGMAS) - 1)]
    return torch.cat([image, (image - widest) / level, *steps, compand(widest), torch.log2(level) / 4], 1)


def gaussians() -> Tensor:
    """The kernels ``(count, 2 REACH + 1)``, each of sum 1."""
    offsets = torch.arange(-REACH, REACH + 1).float()
    kernels = torch.stack([torch.exp(-0.5 * (offsets / sigma) ** 2) for sigma in SIGMAS])
    return kernels / kernels.sum(1, keepdim=True)
