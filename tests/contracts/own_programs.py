"""Programs that the stages of these tests name."""

from __future__ import annotations

from torch import Tensor


def same(*images: Tensor, **_: object) -> Tensor:
    """The first image as it is."""
    return images[0] + 0


def gain(image: Tensor, *, ev: Tensor | float) -> Tensor:
    """So many stops brighter."""
    return image * 2**ev


def clamped_gain(image: Tensor, *, ev: Tensor | float) -> Tensor:
    """So many stops brighter, and nothing above white: a fault."""
    return gain(image, ev=ev).clamp(max=1)
