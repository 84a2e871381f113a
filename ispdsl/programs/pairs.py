"""Means over a window whose weights are the same both ways: each pair of pixels is compared once and counts twice.

Of the offsets to all neighbours, half are taken; each one stands for its opposite too. A pixel beyond the border, whose
partner lies inside, is compared as well.
"""

from __future__ import annotations

from torch import Tensor

Offset = tuple[int, int]


def offsets(reach: int) -> list[Offset]:
    """Rows down and columns right to half the neighbours in a square of `reach` px to each side: below, and right."""
    side = range(-reach, reach + 1)
    return [(down, right) for down in range(reach + 1) for right in side if down > 0 or right > 0]


def compared(padded: Tensor, reach: int, offset: Offset) -> tuple[Tensor, Tensor]:
    """The pixels of all pairs at an offset of which either lies in the image, and their partners.

    Args:
        padded: the image ``(..., H, W)`` extended by `reach` on all sides.
        reach: at least the offset.
        offset: one of `offsets`.

    Returns:
        Two views ``(..., H + down, W + |right|)``.
    """
    down, right = offset
    height, width = padded.shape[-2] - 2 * reach + down, padded.shape[-1] - 2 * reach + abs(right)
    top, left = reach - down, reach - max(right, 0)
    here = padded[..., top : top + height, left : left + width]
    return here, padded[..., reach : reach + height, left + right : left + right + width]


def shared(weight: Tensor, offset: Offset) -> tuple[tuple[Offset, Tensor], tuple[Offset, Tensor]]:
    """For each pixel ``(..., H, W)`` the weights of both its partners, at the offset and at its opposite.

    `weight` is that of the pairs in the order of `compared`.
    """
    down, right = offset
    height, width = weight.shape[-2] - down, weight.shape[-1] - abs(right)
    ahead, behind = max(right, 0), max(-right, 0)
    onward = weight[..., down:, ahead : ahead + width]
    return (offset, onward), ((-down, -right), weight[..., :height, behind : behind + width])
