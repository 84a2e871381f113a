"""A grey box for mosaics: kernels of its own for every place, which a U-Net predicts, smooth what a program made.

Kernel prediction is Mildenhall et al., "Burst Denoising with Kernel Prediction Networks", CVPR 2018; kernels of 3x3 at
growing distances of a picture that is smoothed in between are the "à trous" wavelets of Dammertz et al., "Edge-Avoiding
À-Trous Wavelet Transform for fast Global Illumination Filtering", HPG 2010. A network that adds corrections has to
repeat the noise to take it away, number by number; one that says how far to smooth has not, and learns in minutes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ispdsl.proxies import heads
from ispdsl.proxies.codec import Finish, Seen, Shape, features
from ispdsl.proxies.mosaic import bilinear, pad
from ispdsl.proxies.unet import Hourglass

SCALES = 4
"""Distances of the neighbours of a kernel: 1, 2, 4 and 8 places, each of 2x2 px."""

AROUND = tuple((down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if (down, right) != (0, 0))
BINOMIAL = tuple((2 - abs(down)) * (2 - abs(right)) / 16 for down, right in AROUND)

OPPONENT = ((1 / 3, 1 / 3, 1 / 3), (1.0, -1.0, 0.0), (0.0, -1.0, 1.0))
"""From colours to lightness and two differences, which bear more smoothing: they have kernels of their own."""

COLOURS, SITES = 3, 4


class Kernels(nn.Module):
    """Colour ``(B, 12, h, w)`` that a program made of a mosaic, changed in four ways, each as far as the U-Net says.

    Towards the bilinear demosaic, whose noise is less; of the four px of a place towards their mean; towards neighbours
    at four distances; and by what the head adds, as in other grey boxes. All begin at 0, and none leaves -1..1: without
    that limit a single odd patch makes a training explode. The first three are linear in the light, so that the mean of
    what is noise stays.
    """

    def __init__(self, shape: Shape, width: int, levels: int, head: heads.Head) -> None:
        super().__init__()
        self.head: heads.Head = head
        self.finish: Finish = shape.finish
        self.radius = None
        own = heads.numbers(head, shape.start)
        self.counts = (shape.start, COLOURS * SITES, SCALES * len(AROUND) * 2, own)
        self.hourglass = Hourglass(shape.features, width, levels, shape.told, sum(self.counts), film=True)
        nn.init.zeros_(self.hourglass.last.weight)
        nn.init.zeros_(torch.as_tensor(self.hourglass.last.bias))

    def forward(self, seen: Seen, condition: Tensor) -> Tensor:
        """``(B, 12, h, w)`` with a condition ``(B or 1, k)``."""
        numbers = torch.tanh(self.hourglass(features(seen.values, seen.start, None, 1), condition))
        plainer, flatter, kernels, added = numbers.split(self.counts, 1)
        plain = F.pixel_unshuffle(bilinear(F.pixel_shuffle(seen.values[:, :SITES], 2)), 2)
        now = seen.start + plainer * (plain - seen.start)
        there = torch.tensor(OPPONENT, dtype=now.dtype, device=now.device)
        apart = torch.einsum("ij,bjphw->biphw", there, now.unflatten(1, (COLOURS, SITES)))
        mean = apart.mean(2)
        change = flatter.unflatten(1, (COLOURS, SITES)) * (apart - mean[:, :, None])
        change = change + smoothed(mean, kernels.unflatten(1, (SCALES, len(AROUND), 2)))[:, :, None]
        now = now + torch.einsum("ij,bjphw->biphw", torch.linalg.inv(there), change).flatten(1, 2)
        result = heads.apply(self.head, self.finish, added.movedim(1, -1), now.movedim(1, -1))
        return result.movedim(-1, 1)


def smoothed(image: Tensor, kernels: Tensor) -> Tensor:
    """What smoothing changes of an image.

    Args:
        image: ``(B, 3, h, w)``, lightness and two differences.
        kernels: weights of the neighbours at each distance, ``(B, SCALES, 8, 2, h, w)``: those of lightness, and those
            of both differences.
    """
    binomial = torch.tensor(BINOMIAL, dtype=image.dtype, device=image.device)
    total = torch.zeros_like(image)
    for scale in range(SCALES):
        around = neighbours(image, 2**scale)
        weights = kernels[:, scale][:, :, [0, 1, 1]]
        total = total + (weights * (around - image[:, None])).sum(1)
        image = image / 4 + torch.einsum("n,bnchw->bchw", binomial, around)
    return total


def neighbours(image: Tensor, distance: int) -> Tensor:
    """The eight places around each, ``(B, 8, C, h, w)``, beyond the borders mirrored."""
    height, width = image.shape[-2:]
    wide = pad(image, distance, distance, distance, distance)
    return torch.stack(
        [
            wide[..., distance * (1 + down) : distance * (1 + down) + height,
                 distance * (1 + right) : distance * (1 + right) + width]
            for down, right in AROUND
        ],
        1,
    )  # fmt: skip
