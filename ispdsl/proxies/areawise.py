"""A double of a stage that looks at a neighbourhood: a cascade of 3x3 convolutions.

The cascade is that of Tseng et al., "Neural Photo-Finishing", SIGGRAPH Asia 2022, section 3.2, conditioned by FiLM
(Perez et al., "FiLM: visual reasoning with a general conditioning layer", AAAI 2018, eq. 2) instead of by planes.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ispdsl.proxies import heads
from ispdsl.proxies.codec import Finish, Seen, Shape, features
from ispdsl.proxies.mosaic import pad


class Film(nn.Module):
    """``(1 + scale) x + shift``, both linear in the condition, and 0 at the start."""

    def __init__(self, condition: int, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(condition, 2 * channels)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, planes: Tensor, condition: Tensor) -> Tensor:
        """`planes` ``(B, C, H, W)``, `condition` ``(B or 1, k)``."""
        scale, shift = self.linear(condition)[..., None, None].chunk(2, 1)
        return planes * (1 + scale) + shift


class Areawise(nn.Module):
    """`depth` convolutions of `width` channels with FiLM and SiLU, then one 1x1 to the head's numbers.

    Mirrored borders go once around the input, so that the answer at a place is the same wherever a crop is cut that has
    `radius` pixels around it.
    """

    def __init__(self, shape: Shape, width: int, depth: int, head: heads.Head) -> None:
        super().__init__()
        self.head: heads.Head = head
        self.finish: Finish = shape.finish
        self.margin = depth
        self.radius = shape.radius(depth)
        channels = [shape.features, *[width] * depth]
        self.front = heads.Front(shape)
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 3) for a, b in pairwise(channels))
        self.films = nn.ModuleList(Film(shape.told, width) for _ in range(depth))
        self.last = nn.Conv2d(width, heads.numbers(head, shape.start), 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(torch.as_tensor(self.last.bias))

    def forward(self, seen: Seen, condition: Tensor) -> Tensor:
        """``(B, n, h, w)`` with a condition ``(B or 1, k)``."""
        m = self.margin
        start = self.front(*heads.rows(seen), condition).transpose(1, 2).unflatten(2, seen.start.shape[-2:])
        shown = features(seen.values, start, None, 1)
        now = pad(shown, m, m, m, m)
        for layer, film in zip(self.layers, self.films, strict=True):
            now = F.silu(film(layer(now), condition))
        given = self.last(now).movedim(1, -1)
        return heads.apply(self.head, self.finish, given, start.movedim(1, -1)).movedim(-1, 1)
