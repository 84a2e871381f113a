"""The median of a 3x3 neighbourhood by comparisons alone, without sorting nine copies of an image.

Sort each column, then the rows of the sorted columns; the median of nine is the median of the greatest of the lows,
the median of the middles and the least of the highs (Paeth, "Median finding on a 3x3 grid", Graphics Gems, 1990).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ispdsl.programs.ops import pad_mirror


def middle(one: Tensor, two: Tensor, three: Tensor) -> Tensor:
    """The median of three, value by value."""
    low, high = torch.minimum(one, two), torch.maximum(one, two)
    return torch.maximum(low, torch.minimum(high, three))


def median3x3(image: Tensor) -> Tensor:
    """The median of the 3x3 neighbourhood of every pixel of ``(..., H, W)``; borders are mirrored."""
    height, width = image.shape[-2:]
    padded = pad_mirror(image, 1)
    rows = [padded[..., k : k + height, :] for k in range(3)]
    low, high = torch.minimum(rows[0], rows[1]), torch.maximum(rows[0], rows[1])
    low, high = torch.minimum(low, rows[2]), torch.maximum(high, rows[2])
    planes = (low, middle(*rows), high)
    lows, middles, highs = ([plane[..., k : k + width] for k in range(3)] for plane in planes)
    return middle(
        torch.maximum(torch.maximum(lows[0], lows[1]), lows[2]),
        middle(middles[0], middles[1], middles[2]),
        torch.minimum(torch.minimum(highs[0], highs[1]), highs[2]),
    )
