"""A double of a pointwise stage: a small perceptron on colour and condition, after Neural Photo-Finishing.

Tseng et al., "Neural Photo-Finishing", SIGGRAPH Asia 2022, section 3.2: a three-layer perceptron on the RGB cube times
the sliders. Here with SiLU, behind a linear front, on companded colours, and with a head that begins as the identity.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ispdsl.proxies import heads
from ispdsl.proxies.codec import Finish, Seen, Shape, features

WEIGHING = 16
"""Width of the layer that says from the condition how much each of the last hidden units counts."""

BLOCK = 1 << 14
"""Pixels that are worked on at once where no gradient is asked for: they stay in the processor's cache."""


class Weighed(nn.Module):
    """`depth` layers of `width` with SiLU on features and condition; the last hidden one is weighed by the condition.

    The weights let a whole change grow with a slider: 3 to 6 dB for tables and curves that are mixed in.
    """

    def __init__(self, features: int, condition: int, width: int, depth: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Linear(features, width)
        self.condition = nn.Linear(max(condition, 1), width, bias=False)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth - 1))
        self.weighing = nn.ModuleList()
        if condition:
            self.weighing.extend([nn.Linear(condition, WEIGHING), nn.Linear(WEIGHING, width)])
        self.last = nn.Linear(width, outputs)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, shown: Tensor, condition: Tensor) -> Tensor:
        """Features ``(B, P, n)`` with a condition ``(B or 1, k)``, or rows ``(N, n)`` with ``(N or 1, k)``."""
        images = shown.dim() == 3
        told = self.condition(condition)
        now = self.first(shown) + (told[:, None] if images else told)
        for layer in self.hidden:
            now = layer(F.silu(now))
        now = F.silu(now)
        if self.weighing:
            weight = self.weighing[1](F.silu(self.weighing[0](condition)))
            now = now * (weight[:, None] if images else weight)
        return self.last(now)


class Pointwise(nn.Module):
    """A perceptron (`Weighed`) between a front and a head."""

    radius = 0

    def __init__(self, shape: Shape, width: int, depth: int, head: heads.Head) -> None:
        super().__init__()
        self.head: heads.Head = head
        self.finish: Finish = shape.finish
        self.front = heads.Front(shape)
        self.pixel = Weighed(shape.features, shape.condition, width, depth, heads.numbers(head, shape.start))

    def forward(self, seen: Seen, condition: Tensor) -> Tensor:
        """``(B, n, H, W)`` with a condition ``(B or 1, k)``, or rows ``(N, n)`` with ``(N or 1, k)``."""
        values, start, sites = heads.rows(seen)
        if values.dim() == 2:
            return self.pixels(values, start, sites, condition)
        return self._blocks(values, start, sites, condition).transpose(1, 2).unflatten(2, seen.values.shape[-2:])

    def _blocks(self, values: Tensor, start: Tensor, sites: Tensor | None, condition: Tensor) -> Tensor:
        """All pixels ``(B, P, n)``, block by block where that is faster."""
        count = values.shape[1]
        if torch.is_grad_enabled() or torch.compiler.is_compiling() or count <= BLOCK:
            return self.pixels(values, start, sites, condition)
        places = [slice(first, first + BLOCK) for first in range(0, count, BLOCK)]
        parts = [(values[:, at], start[:, at], sites if sites is None else sites[:, at]) for at in places]
        return torch.cat([self.pixels(*part, condition) for part in parts], 1)

    def pixels(self, values: Tensor, start: Tensor, sites: Tensor | None, condition: Tensor) -> Tensor:
        """Pixels ``(B, P, n)`` or rows ``(N, n)``."""
        start = self.front(values, start, sites, condition)
        given = self.pixel(features(values, start, sites, -1), condition)
        return heads.apply(self.head, self.finish, given, start)
