"""The same pictures and mosaics, seen a little differently: mirrored and shifted, each by itself.

A mosaic keeps the phase of its colour filter: it is shifted by whole tiles, and what is mirrored is moved by the one
pixel that puts every colour back in its place.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def mirrored(images: Tensor, generator: torch.Generator, *, mosaic: bool = False) -> Tensor:
    """About half of images ``(B, C, H, W)`` with left and right exchanged; of a mosaic W is even."""
    chosen = torch.rand(len(images), generator=generator) < 0.5
    other = mirror_mosaic(images) if mosaic else images.flip(-1)
    return torch.where(chosen.to(images.device)[:, None, None, None], other, images)


def mirror_mosaic(mosaics: Tensor) -> Tensor:
    """Mosaics ``(..., H, W)`` of a 2x2 filter array with left and right exchanged, every colour in its place.

    Mirroring an even number of columns puts odd ones in even places; one column further they are right again. The last
    column is then that of two before, as a mirror at the border gives it.

    Raises:
        ValueError: W is odd.
    """
    if mosaics.shape[-1] % 2:
        raise ValueError(f"a mosaic of {mosaics.shape[-1]} columns has no whole tiles")
    flipped = mosaics.flip(-1)
    return torch.cat([flipped[..., 1:], flipped[..., -2:-1]], dim=-1)


def shifted(images: Tensor, most: int, generator: torch.Generator, *, tile: int = 1) -> Tensor:
    """Images ``(B, C, H, W)``, each moved by up to `most` px along and across in steps of `tile`; borders are mirrored.

    Raises:
        ValueError: `most` is no multiple of `tile`.
    """
    if most % tile:
        raise ValueError(f"a shift of {most} px is no multiple of {tile}")
    if not most:
        return images
    height, width = images.shape[-2:]
    padded = F.pad(images, (most,) * 4, mode="reflect")
    places = torch.randint(0, 2 * most // tile + 1, (len(images), 2), generator=generator) * tile
    rows = (places[:, :1] + torch.arange(height)).to(images.device)
    columns = (places[:, 1:] + torch.arange(width)).to(images.device)
    across = padded.gather(2, rows[:, None, :, None].expand(-1, images.shape[1], -1, padded.shape[-1]))
    return across.gather(3, columns[:, None, None, :].expand(-1, images.shape[1], height, -1))
