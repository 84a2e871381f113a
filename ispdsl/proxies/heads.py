"""How a network changes its start: first with one affine map for the whole image, in the end pixel by pixel.

All of them begin as the identity, bit for bit, and none bounds the values.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ispdsl.proxies.codec import COMPANDING, SLOPE, Finish, Seen, Shape, compand

Head = Literal["companded", "affine", "residual"]

HEADS = ("companded", "affine", "residual")

KNEE = 0.05
"""Scale of the logarithm by which values of the type 0..1 go on beyond it."""

HIDDEN = 32
"""Width of the two layers that make the front from the condition."""


class Front(nn.Module):
    """``exp(gain) (start + matrix values)`` with gain and matrix from the condition alone: what is linear in a stage.

    Exposure, white balance and colour matrices are done here at any value; the network has the rest. A mosaic has a
    gain for each of its four sites.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.start, self.values, self.sites = shape.start, shape.values, shape.sites
        self.gains = shape.sites or 1
        self.hidden = nn.ModuleList([nn.Linear(shape.told, HIDDEN), nn.Linear(HIDDEN, HIDDEN)])
        self.last = nn.Linear(HIDDEN, self.gains + shape.start * shape.values)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, values: Tensor, start: Tensor, sites: Tensor | None, condition: Tensor) -> Tensor:
        """Images ``(B, P, n)`` with a condition ``(B or 1, k)``, or rows ``(N, n)`` with ``(N or 1, k)``."""
        now = condition
        for layer in self.hidden:
            now = F.silu(layer(now))
        gain, matrix = self.last(now).split([self.gains, self.start * self.values], -1)
        matrix = matrix.unflatten(-1, (self.start, self.values))
        if values.dim() == 3:
            gain, mixed = gain[:, None], values @ matrix.transpose(1, 2)
        else:
            mixed = (matrix * values[:, None]).sum(-1)
        if sites is not None:
            gain = (gain * sites).sum(-1, keepdim=True)
        return torch.exp(gain) * (start + mixed)


def numbers(head: Head, channels: int) -> int:
    """How many numbers a pixel the head takes."""
    return channels * (channels + 2) if head == "affine" else channels


def apply(head: Head, finish: Finish, given: Tensor, start: Tensor) -> Tensor:
    """The result from the `given` numbers ``(..., P, n)`` and the start ``(..., P, C)``. Numbers of 0 keep it.

    ``companded`` adds to the companded value: ``sinh(asinh(x / a) + r)`` is ``x cosh(r) + sqrt(a^2 + x^2) sinh(r)``,
    a gain of exp(r) for large values and an offset for small ones, so that errors are relative in the light and
    absolute in the dark. ``affine`` is ``exp(gain) (x + matrix x) + offset``, after the local affine colour transforms
    of Gharbi et al., "Deep bilateral learning", SIGGRAPH 2017, section 3.2. ``residual`` is ``x + r``.

    What is not ``free`` but of the type 0..1 is brought there first, and companded if it is ``encoded`` for a display.
    """
    if finish != "free":
        start = settled(compand(start) if finish == "encoded" else start)
    if head == "residual" or (head == "companded" and finish != "free"):
        return start + given
    if head == "companded":
        turn = SLOPE * given
        return start * torch.cosh(turn) + torch.sqrt(start * start + COMPANDING**2) * torch.sinh(turn)
    channels = start.shape[-1]
    gain, offset, matrix = given.split([channels, channels, channels * channels], -1)
    mixed = (matrix.unflatten(-1, (channels, channels)) * start.unsqueeze(-2)).sum(-1)
    return torch.exp(gain) * (start + mixed) + offset


def settled(values: Tensor) -> Tensor:
    """Values within 0..1 as they are, those beyond with a logarithm of what they are beyond: smooth, never flat."""
    beyond = F.relu(values - 1) - F.relu(-values)
    return values - beyond + KNEE * torch.asinh(beyond / KNEE)


def rows(seen: Seen) -> tuple[Tensor, Tensor, Tensor | None]:
    """Values, start and sites with the channels last: ``(B, P, n)`` of images; rows ``(N, n)`` as they are."""
    found = (seen.values, seen.start, seen.sites)
    if seen.values.dim() == 2:
        return found
    values, start, sites = (each if each is None else each.flatten(2).transpose(1, 2) for each in found)
    assert values is not None
    assert start is not None
    return values, start, sites
