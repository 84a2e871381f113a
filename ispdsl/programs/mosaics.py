"""A Bayer mosaic as one full-size plane with masks: for methods that treat rows and columns alike at every site.

The plane is extended on every side by an even margin, so that its top-left site is the red one whatever the CFA. All
steps of a method then keep that size: what the outermost sites read from the other side is cut off with the margin,
which has to be wider than the reach of the method.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ispdsl.programs.cfa import red_site
from ispdsl.programs.ops import mirror, reflected, sum_terms


@dataclass(frozen=True, slots=True)
class Sites:
    """A mosaic ``(..., 1, h, w)`` whose top-left site is red, its masks ``(h, w)``, and how to cut the margin off."""

    mosaic: Tensor
    red: Tensor
    blue: Tensor
    red_rows: Tensor
    rows: slice
    columns: slice

    @property
    def green(self) -> Tensor:
        """Mask of the green sites."""
        return ~(self.red | self.blue)

    def crop(self, planes: Tensor) -> Tensor:
        """Planes ``(..., C, h, w)`` without the margin."""
        return planes[..., self.rows, self.columns]


def extend(mosaic: Tensor, cfa: str, margin: int) -> Sites:
    """Extend a Bayer mosaic ``(..., 1, H, W)`` by at least `margin` sites, mirrored about the outermost samples."""
    margin += margin % 2
    top, left = red_site(cfa)
    height, width = mosaic.shape[-2:]
    rows = mirror(height, margin + top, margin, mosaic.device)
    columns = mirror(width, margin + left, margin, mosaic.device)
    plane = reflected(mosaic, (margin + top, margin), (margin + left, margin))
    red_rows, red_columns = (torch.arange(len(index), device=mosaic.device) % 2 == 0 for index in (rows, columns))
    return Sites(
        mosaic=plane,
        red=red_rows[:, None] & red_columns,
        blue=~red_rows[:, None] & ~red_columns,
        red_rows=red_rows[:, None],
        rows=slice(margin + top, margin + top + height),
        columns=slice(margin + left, margin + left + width),
    )


def at(plane: Tensor, down: int, right: int) -> Tensor:
    """The neighbour ``[y + down, x + right]`` of every site; the outermost sites read from the other side."""
    return torch.roll(plane, (-down, -right), (-2, -1)) if down or right else plane


def pair(plane: Tensor, down: int, right: int) -> Tensor:
    """The sum of the two neighbours on either side of every site."""
    return at(plane, -down, -right) + at(plane, down, right)


def box(plane: Tensor) -> Tensor:
    """The sum of the 3x3 neighbourhood of every site."""
    lines = sum_terms([plane, pair(plane, 1, 0)])
    return sum_terms([lines, pair(lines, 0, 1)])
