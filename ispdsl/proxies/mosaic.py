"""Mosaics as planes: any Bayer phase becomes R G G B at half size, so that one network serves all four.

A phase other than ``rggb`` is reached by one mirrored row or column in front (reflect-101 keeps the parity of sites),
so that a pixel stays where it is in the scene. Sizes are made even by the same mirror behind.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

PHASE = {"rggb": (0, 0), "grbg": (0, 1), "gbrg": (1, 0), "bggr": (1, 1)}
"""Row and column of the red site: as many mirrored rows and columns in front give ``rggb``."""

BY_SITE = ("black_level", "gain_map")
"""Metadata with one value (or plane) for each of the 2x2 sites in reading order."""


def in_order(name: str, rows: Tensor, cfa: str | None) -> Tensor:
    """Metadata ``(B, n)`` that has one part a site, from reading order to R G G B; other metadata as it is."""
    if cfa not in PHASE or not name.endswith(BY_SITE) or rows.shape[1] % 4:
        return rows
    down, right = PHASE[cfa]
    order = [2 * ((row + down) % 2) + (column + right) % 2 for row in range(2) for column in range(2)]
    return rows.unflatten(1, (4, -1))[:, order].flatten(1)


def mirror_index(size: int, before: int, after: int, device: torch.device) -> Tensor:
    """Indices that extend an axis by reflection about its end samples, at any size (reflect-101)."""
    index = torch.arange(-before, size + after, device=device)
    if size == 1:
        return torch.zeros_like(index)
    index = torch.remainder(index, 2 * (size - 1))
    return torch.where(index < size, index, 2 * (size - 1) - index)


def pad(image: Tensor, top: int, bottom: int, left: int, right: int) -> Tensor:
    """``(..., H, W)`` extended by reflection, at any size."""
    if top or bottom:
        image = image.index_select(-2, mirror_index(image.shape[-2], top, bottom, image.device))
    if left or right:
        image = image.index_select(-1, mirror_index(image.shape[-1], left, right, image.device))
    return image


def pack(image: Tensor, phase: tuple[int, int]) -> Tensor:
    """``(B, C, H, W)`` to ``(B, 4C, h, w)`` at half size: the sites of each channel in the order R G G B."""
    return F.pixel_unshuffle(aligned(image, phase), 2)


def aligned(image: Tensor, phase: tuple[int, int]) -> Tensor:
    """The image extended so that it starts at a red site and has even sizes."""
    down, right = phase
    height, width = image.shape[-2:]
    return pad(image, down, (height + down) % 2, right, (width + right) % 2)


def unpack(planes: Tensor, phase: tuple[int, int], height: int, width: int) -> Tensor:
    """The inverse of `pack`: ``(B, 4C, h, w)`` to ``(B, C, height, width)``."""
    down, right = phase
    return F.pixel_shuffle(planes, 2)[..., down : down + height, right : right + width]


def sites(height: int, width: int, cfa: str, like: Tensor) -> Tensor:
    """One-hot planes ``(1, 4, H, W)`` that say which of R G G B a pixel is."""
    down, right = PHASE[cfa]
    rows = (torch.arange(height, device=like.device) + down) % 2
    columns = (torch.arange(width, device=like.device) + right) % 2
    index = 2 * rows[:, None] + columns
    return torch.stack([index == site for site in range(4)]).to(like.dtype)[None]


def bilinear(mosaic: Tensor) -> Tensor:
    """Colour ``(B, 3, H, W)`` from an ``rggb`` mosaic ``(B, 1, H, W)`` of even sizes: the mean of the nearest sites."""
    height, width = mosaic.shape[-2:]
    at = sites(height, width, "rggb", mosaic)
    colours = torch.cat([at[:, :1], at[:, 1:2] + at[:, 2:3], at[:, 3:]], 1) * mosaic
    cross = torch.tensor([[0.0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 4
    square = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]) / 4
    kernel = torch.stack([square, cross, square])[:, None].to(mosaic)
    return F.conv2d(pad(colours, 1, 1, 1, 1), kernel, groups=3)
