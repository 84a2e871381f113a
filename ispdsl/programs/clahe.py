"""Contrast limited adaptive histogram equalisation of luma ``(..., 1, H, W)``."""

from __future__ import annotations

import torch
from torch import Tensor

from ispdsl.programs.ops import Scalar, at_least_single, constant

BINS = 256
"""Bins of the histogram of a tile on 0..1 (Zuiderveld 1994 uses as many for images of eight bits)."""

TILES = {"one": 1, "two": 2, "four": 4, "eight": 8}
"""Tiles along each axis; an axis of fewer pixels has as many tiles as pixels."""


def clahe(image: Tensor, *, amount: Scalar, limit: Scalar, tiles: str) -> Tensor:
    """Contrast limited adaptive histogram equalisation (Zuiderveld 1994, Graphics Gems IV, VIII.5), differentiable.

    Each tile maps values by its own cumulated histogram, whose bins are cut at `limit` times their mean and the excess
    is spread over all bins alike, once; a pixel's result is interpolated linearly between the mappings of the four
    nearest tiles. Values are shared linearly between the two nearest bins, and pixels between the tiles that they
    overlap, so that gradients exist and tiles lie symmetrically at every size. Values beyond 0..1 count in the
    outermost bins and stay as they are.

    Args:
        image: ``(..., 1, H, W)``, any range; what lies in 0..1 is equalised and stays in it.
        amount: 0 is the identity, 1 the equalised image.
        limit: 1 or more; the steepest slope of a mapping is nearly this.
        tiles: ``one``, ``two``, ``four`` or ``eight`` along each axis.
    """
    work = at_least_single(image)
    inside = work.clamp(0, 1)
    curves = mappings(histograms(inside, TILES[tiles]), constant(limit, work).double()).to(work)
    return (work + constant(amount, work) * (blended(curves, inside) - inside)).to(image.dtype)


def histograms(image: Tensor, tiles: int) -> Tensor:
    """Soft histograms ``(..., rows, columns, BINS)`` of tiles of equal area, in float64, each with a mean bin of 1."""
    height, width = image.shape[-2:]
    rows, columns = min(tiles, height), min(tiles, width)
    position = (image * BINS - 0.5).clamp(0, BINS - 1).flatten(-3)
    left = position.detach().floor().clamp(max=BINS - 2).long()
    upper = (position - left).double()
    counts = upper.new_zeros(*upper.shape[:-1], rows * columns * BINS)
    for tile_y, share_y in _overlaps(height, rows, image.device):
        for tile_x, share_x in _overlaps(width, columns, image.device):
            first = ((tile_y[:, None] * columns + tile_x) * BINS).flatten() + left
            share = (share_y[:, None] * share_x).flatten()
            counts = counts.scatter_add(-1, first, share * (1 - upper)).scatter_add(-1, first + 1, share * upper)
    area = height * width / (rows * columns)
    return (counts * (BINS / area)).unflatten(-1, (rows, columns, BINS))


def mappings(histogram: Tensor, limit: Tensor) -> Tensor:
    """The curve ``(..., rows, columns, BINS + 1)`` of each tile at equal steps of 0..1; it rises from 0 to 1."""
    cut = torch.minimum(histogram, limit)
    shared = cut + (histogram - cut).mean(-1, keepdim=True)
    return torch.nn.functional.pad(torch.cumsum(shared, -1) / BINS, (1, 0))


def blended(curves: Tensor, image: Tensor) -> Tensor:
    """Every pixel of ``(..., 1, H, W)``, 0..1, through the curves of its four tiles, interpolated linearly."""
    rows, columns, knots = curves.shape[-3:]
    height, width = image.shape[-2:]
    position = (image * (knots - 1)).flatten(-3)
    left = position.detach().floor().clamp(max=knots - 2).long()
    upper = position - left
    table = curves.flatten(-3)
    result = torch.zeros_like(position)
    for tile_y, share_y in _neighbours(height, rows, image):
        for tile_x, share_x in _neighbours(width, columns, image):
            first = ((tile_y[:, None] * columns + tile_x) * knots).flatten() + left
            low, high = table.gather(-1, first), table.gather(-1, first + 1)
            result = result + (share_y[:, None] * share_x).flatten() * (low + upper * (high - low))
    return result.reshape(image.shape)


def _overlaps(size: int, tiles: int, device: torch.device) -> list[tuple[Tensor, Tensor]]:
    """The two tiles that each pixel of an axis may overlap, and what part of the pixel lies in each."""
    pixel = torch.arange(size, device=device)
    first = pixel * tiles // size
    share = (((first + 1) * size - pixel * tiles).double() / tiles).clamp(max=1)
    return [(first, share), ((first + 1).clamp(max=tiles - 1), 1 - share)]


def _neighbours(size: int, tiles: int, like: Tensor) -> list[tuple[Tensor, Tensor]]:
    """The two tiles between whose centres each pixel of an axis lies, and the weight of each."""
    position = (2 * torch.arange(size, device=like.device) + 1).double() * tiles / (2 * size) - 0.5
    first = position.floor()
    share = (position - first).to(like)
    before, after = ((first + offset).long().clamp(0, tiles - 1) for offset in (0, 1))
    return [(before, 1 - share), (after, share)]
