"""A double of a whole pipeline: the U-Net of Tseng et al.

"Hyperparameter optimization in black-box image processing using differentiable proxies", SIGGRAPH 2019, section 4.3:
32, 64, 128, 256 and 512 channels; every setting is a plane, put beside the input and beside every downsampled layer; a
raw comes in as four planes at half size, and twelve planes leave, which a pixel shuffle makes colour. The block of two
3x3 convolutions, the pooling and the way up are those of Ronneberger et al., "U-Net", MICCAI 2015.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ispdsl.proxies import heads
from ispdsl.proxies.areawise import Film
from ispdsl.proxies.codec import Finish, Seen, Shape, features
from ispdsl.proxies.mosaic import pad


class Block(nn.Module):
    """Two 3x3 convolutions with mirrored borders, conditioned by planes beside what comes in, or by FiLM."""

    def __init__(self, seen: int, width: int, condition: int, *, film: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(seen + (0 if film else condition), width, 3)
        self.second = nn.Conv2d(width, width, 3)
        self.films = nn.ModuleList(Film(condition, width) for _ in range(2 if film else 0))

    def forward(self, image: Tensor, condition: Tensor) -> Tensor:
        """`image` ``(B, C, h, w)``, `condition` ``(B or 1, k)``."""
        if not self.films:
            shape = (image.shape[0], condition.shape[1], *image.shape[-2:])
            image = torch.cat([image, condition[..., None, None].expand(shape)], 1)
            now = F.silu(self.first(pad(image, 1, 1, 1, 1)))
            return F.silu(self.second(pad(now, 1, 1, 1, 1)))
        now = F.silu(self.films[0](self.first(pad(image, 1, 1, 1, 1)), condition))
        return F.silu(self.films[1](self.second(pad(now, 1, 1, 1, 1)), condition))


class Hourglass(nn.Module):
    """Down to `levels` sizes, `width` channels at the finest and twice as many at each next, and up again."""

    def __init__(self, seen: int, width: int, levels: int, condition: int, numbers: int, *, film: bool) -> None:
        super().__init__()
        self.step = 2 ** (levels - 1)
        widths = [width * 2**level for level in range(levels)]
        channels = [seen, *widths]
        self.down = nn.ModuleList(Block(a, b, condition, film=film) for a, b in zip(channels, widths, strict=False))
        self.up = nn.ModuleList(Block(a + b, a, condition, film=film) for a, b in pairwise(widths))
        self.last = nn.Conv2d(width, numbers, 1)

    def forward(self, image: Tensor, condition: Tensor) -> Tensor:
        """``(B, numbers, h, w)`` of ``(B, seen, h, w)``: sizes are brought to whole steps by mirroring behind."""
        height, width = image.shape[-2:]
        now = pad(image, 0, -height % self.step, 0, -width % self.step)
        beside: list[Tensor] = []
        for level, block in enumerate(self.down):
            now = block(F.max_pool2d(now, 2) if level else now, condition)
            beside.append(now)
        for level in reversed(range(len(self.up))):
            wide = F.interpolate(now, scale_factor=2.0, mode="nearest")
            now = self.up[level](torch.cat([beside[level], wide], 1), condition)
        return self.last(now)[..., :height, :width]


class Unet(nn.Module):
    """An hourglass between images.

    Without `skip` it is the paper's and makes its output of nothing; with it, it changes its start (of a raw: the
    bilinear demosaic) behind a linear front, and begins as that.
    """

    def __init__(self, shape: Shape, width: int, levels: int, *, skip: bool, film: bool) -> None:
        super().__init__()
        self.finish: Finish = shape.finish
        self.radius: int | None = None if levels > 1 else shape.radius(2)
        self.front = heads.Front(shape) if skip else None
        seen = shape.features if skip else shape.values
        self.hourglass = Hourglass(seen, width, levels, shape.told, shape.start, film=film)
        if skip:
            nn.init.zeros_(self.hourglass.last.weight)
            nn.init.zeros_(torch.as_tensor(self.hourglass.last.bias))

    def forward(self, seen: Seen, condition: Tensor) -> Tensor:
        """``(B, n, h, w)`` with a condition ``(B or 1, k)``."""
        if self.front is None:
            return self.hourglass(seen.values, condition)
        start = self.front(*heads.rows(seen), condition).transpose(1, 2).unflatten(2, seen.start.shape[-2:])
        given = self.hourglass(features(seen.values, start, None, 1), condition)
        result = heads.apply("companded", self.finish, given.movedim(1, -1), start.movedim(1, -1))
        return result.movedim(-1, 1)
