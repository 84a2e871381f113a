"""A double of a pointwise stage: a small perceptron on colour and condition, after Neural Photo-Finishing.

Tseng et al., "Neural Photo-Finishing", SIGGRAPH Asia 2022, section 3.2: a three-layer perceptron on the RGB cube times
the sliders. Here with SiLU, on values as they are and companded, and with a head that begins as the identity.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ispdsl.proxies import heads
from ispdsl.proxies.codec import Seen, Shape

BLOCK = 1 << 14
"""Pixels that are worked on at once where no gradient is asked for: they stay in the processor's cache."""


class Pointwise(nn.Module):
    """`depth` layers of `width` with SiLU. Zero-initialised at the end: it begins as its start."""

    radius = 0

    def __init__(self, shape: Shape, width: int, depth: int, head: heads.Head) -> None:
        super().__init__()
        self.head: heads.Head = head
        self.first = nn.Linear(2 * shape.values + shape.sites, width)
        self.condition = nn.Linear(shape.condition, width, bias=False)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth - 1))
        self.last = nn.Linear(width, heads.numbers(head, shape.values, shape.start))
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, seen: Seen, condition: Tensor) -> Tensor:
        """``(B, n, H, W)`` with a condition ``(B or 1, k)``, or rows ``(N, n)`` with ``(N or 1, k)``."""
        told = self.condition(condition)
        if seen.values.dim() == 2:
            return self.pixels(seen.features, seen.values, seen.start, told)
        rows = [each.flatten(2).transpose(1, 2) for each in (seen.features, seen.values, seen.start)]
        return self._blocks(*rows, told[:, None]).transpose(1, 2).unflatten(2, seen.values.shape[-2:])

    def _blocks(self, features: Tensor, values: Tensor, start: Tensor, told: Tensor) -> Tensor:
        """All pixels ``(B, P, n)``, block by block where that is faster."""
        if torch.is_grad_enabled() or torch.compiler.is_compiling() or features.shape[1] <= BLOCK:
            return self.pixels(features, values, start, told)
        blocks = zip(features.split(BLOCK, 1), values.split(BLOCK, 1), start.split(BLOCK, 1), strict=True)
        return torch.cat([self.pixels(*block, told) for block in blocks], 1)

    def pixels(self, features: Tensor, values: Tensor, start: Tensor, told: Tensor) -> Tensor:
        """Pixels ``(..., P, n)``; `told` is the condition's part of the first layer."""
        now = F.silu(self.first(features) + told)
        for layer in self.hidden:
            now = F.silu(layer(now))
        return heads.apply(self.head, self.last(now), values, start)
