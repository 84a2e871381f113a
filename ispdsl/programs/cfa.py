"""Colour filter arrays: which colour each site of a mosaic samples, and a mosaic as planes of one site each.

A Bayer mosaic is ``(..., 1, H, W)``; its CFA is named by the colours of the top-left 2x2 sites in reading order. The
CFA `linear` is a LinearRaw frame ``(..., 3, H, W)`` that has all three colours at every site.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ispdsl.programs.ops import mirror, shift

LINEAR = "linear"
"""The CFA of a frame with three samples at every site."""

COLOURS: dict[str, tuple[int, ...]] = {
    "rggb": (0, 1, 1, 2),
    "bggr": (2, 1, 1, 0),
    "grbg": (1, 0, 2, 1),
    "gbrg": (1, 2, 0, 1),
    LINEAR: (0, 1, 2),
}
"""The colour (0 red, 1 green, 2 blue) of each site in reading order, or of each plane of a `linear` frame."""


def site_values(values: list[Tensor], like: Tensor, cfa: str) -> Tensor:
    """Lay one value for each site, in reading order, over the mosaic `like` so that it broadcasts against it.

    Each value is ``(..., 1, 1, 1)`` or ``()``. For `linear` the first three values belong to the three planes.
    """
    if cfa == LINEAR:
        return torch.cat([value.reshape(*value.shape[:-3], 1, 1, 1) for value in values[:3]], -3)
    even_row, even_column = parities(like)
    top = torch.where(even_column, values[0], values[1])
    bottom = torch.where(even_column, values[2], values[3])
    return torch.where(even_row, top, bottom)


def parities(like: Tensor) -> tuple[Tensor, Tensor]:
    """Masks of the even rows ``(H, 1)`` and of the even columns ``(W,)``."""
    height, width = like.shape[-2:]
    rows, columns = (torch.arange(size, device=like.device) % 2 == 0 for size in (height, width))
    return rows[:, None], columns


def elements(vector: Tensor) -> list[Tensor]:
    """The elements of a vector ``(..., N)``, each ``(..., 1, 1, 1)`` so that it broadcasts against images."""
    return [vector[..., index, None, None, None] for index in range(vector.shape[-1])]


def cells(mosaic: Tensor, cfa: str, margin: int) -> Tensor:
    """Split a Bayer mosaic ``(..., 1, H, W)`` into planes of one site each.

    They are red, green on red rows, green on blue rows and blue. The planes ``(..., 4, h + 2m, w + 2m)``, m being the
    `margin`, are those of the 2x2 cells whose top-left site is red, with m cells more on every side. What lies outside
    the mosaic is its mirror image about the outermost samples, which keeps every site's colour.
    """
    top, left = red_site(cfa)
    rows = paired(mosaic.shape[-2], top, margin, mosaic.device)
    columns = paired(mosaic.shape[-1], left, margin, mosaic.device)
    lines = [mosaic.index_select(-2, index) for index in rows.unbind()]
    return torch.cat([line.index_select(-1, index) for line in lines for index in columns.unbind()], -3)


def paired(size: int, offset: int, margin: int, device: torch.device) -> Tensor:
    """Mirrored indices ``(2, n)`` of the first and of the second sites of the cells along an axis of `size` samples.

    The first whole cell begins `offset` (0 or 1) samples before the axis does.
    """
    count = (size + offset + 1) // 2 + 2 * margin
    before = 2 * margin + offset
    return mirror(size, before, 2 * count - before - size, device).reshape(count, 2).T


def uncells(planes: Tensor, cfa: str, height: int, width: int) -> Tensor:
    """Put planes ``(..., 4 * C, h, w)``, four sites a colour, together as an image ``(..., C, H, W)``."""
    top, left = red_site(cfa)
    return F.pixel_shuffle(planes, 2)[..., top : top + height, left : left + width]


def red_site(cfa: str) -> tuple[int, int]:
    """Row and column of the red site among the top-left 2x2."""
    return divmod(COLOURS[cfa].index(0), 2)


def neighbour(planes: Tensor | dict[int, Tensor], site: int, down: int, right: int) -> Tensor:
    """What lies `down` rows and `right` columns (-2..2) of a site (0..3), in every cell but the outermost.

    `planes` are the four site planes of `cells`, or those of some sites by their number; the result has one cell less
    on every side than they.
    """
    row, column = site // 2 + down, site % 2 + right
    index = 2 * (row % 2) + column % 2
    plane = planes[index] if isinstance(planes, dict) else planes[..., index, :, :]
    return shift(plane, 1, row // 2, column // 2)
