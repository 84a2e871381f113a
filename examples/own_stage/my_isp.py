"""The programs of our own stages."""

from __future__ import annotations

from torch import Tensor


def fade(image: Tensor, *, lift: Tensor | float) -> Tensor:
    """Lift the blacks of an image ``(..., 3, H, W)`` by `lift` and keep white."""
    return lift + (1 - lift) * image
