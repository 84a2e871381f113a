"""How a network's numbers at a pixel change the start: as a local affine map, or as a difference."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Head = Literal["affine", "residual"]

HEADS = ("affine", "residual")


def numbers(head: Head, values: int, start: int) -> int:
    """How many numbers a pixel the head takes, for so many channels of values and of start."""
    return start * (values + 2) if head == "affine" else start


def apply(head: Head, given: Tensor, values: Tensor, start: Tensor) -> Tensor:
    """The result from the `given` numbers ``(..., P, n)``, all other tensors ``(..., P, C)``. Numbers of 0 keep `start`.

    ``affine`` is ``exp(gain) (start + matrix values) + offset``: an exposure is one constant gain, a colour matrix one
    constant matrix, and a curve or a table a slowly varying gain, with no bound on the values. After the local affine
    colour transforms of Gharbi et al., "Deep bilateral learning", SIGGRAPH 2017, section 3.2, with the gain apart.
    """
    if head == "residual":
        return start + given
    channels, count = start.shape[-1], values.shape[-1]
    gain, offset, matrix = given.split([channels, channels, channels * count], -1)
    mixed = (matrix.unflatten(-1, (channels, count)) * values.unsqueeze(-2)).sum(-1)
    return torch.exp(gain) * (start + mixed) + offset
