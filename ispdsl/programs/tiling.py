"""What a program says of itself so that an image can be run through it in parts.

A program whose result depends on the place in the image takes a keyword `place`; one whose pattern repeats every few
pixels is marked with `repeats`; a statistic that follows from those of the parts of an image is marked with `joined`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

import torch
from torch import Tensor

from ispdsl.programs.cfa import COLOURS, LINEAR

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Place:
    """Where the image that a program is given lies in the whole one, in px.

    Attributes:
        top, left: of its first row and column.
        height, width: of the whole image.
    """

    top: int
    left: int
    height: int
    width: int

    @classmethod
    def whole(cls, image: Tensor) -> Place:
        """The place of an image ``(..., H, W)`` that is all of itself."""
        return cls(0, 0, image.shape[-2], image.shape[-1])


class Mean(StrEnum):
    """How the statistic of an image follows from those of its parts."""

    PIXELS = "pixels"
    """Their mean, weighed by pixels."""
    LOGARITHMS = "logarithms"
    """The mean of their logarithms, weighed by pixels."""
    COLOURS = "colours"
    """The mean for each colour, weighed by the sites of that colour."""


def joined(mean: Mean) -> Callable[[Function], Function]:
    """Mark a statistic as a mean of those of an image's parts, whatever the parts are."""

    def mark(function: Function) -> Function:
        vars(function)["joined"] = mean
        return function

    return mark


def repeats(every: int) -> Callable[[Function], Function]:
    """Mark a program whose result depends on where its image begins, but not on whole multiples of `every` px."""

    def mark(function: Function) -> Function:
        vars(function)["every"] = every
        return function

    return mark


def mean_of(function: Callable[..., Any]) -> Mean | None:
    """How the statistic that a program computes is joined; None where it needs the whole image."""
    return getattr(function, "joined", None)


def period(function: Callable[..., Any]) -> int:
    """Multiples of how many px a program's image may begin at and give the same."""
    return getattr(function, "every", 1)


def weight(mean: Mean, image: Tensor, cfa: str = LINEAR) -> Tensor:
    """How much a part ``(..., C, H, W)`` counts: its pixels ``()``, or its sites of each colour ``(3,)``, float64."""
    height, width = image.shape[-2:]
    if mean is not Mean.COLOURS or cfa == LINEAR:
        return torch.tensor(float(height * width), dtype=torch.float64, device=image.device)
    rows, columns = ((height + 1) // 2, height // 2), ((width + 1) // 2, width // 2)
    counts = [0.0, 0.0, 0.0]
    for site, colour in enumerate(COLOURS[cfa]):
        counts[colour] += rows[site // 2] * columns[site % 2]
    return torch.tensor(counts, dtype=torch.float64, device=image.device)


def join(mean: Mean, parts: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """The statistic of an image from those of its parts and their weights; sums in float64, in the order given."""
    logarithmic = mean is Mean.LOGARITHMS
    total, weights = torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    for value, share in parts:
        seen = share > 0  # a part without a site of a colour has no mean of it
        wide = torch.where(seen, value.double(), 1.0)
        total = total.to(wide) + share * (wide.log2() if logarithmic else wide)
        weights = weights.to(wide) + share
    result = total / weights
    return (result.exp2() if logarithmic else result).to(parts[0][0])
