"""Programs that the stages of these tests name."""

from __future__ import annotations

from torch import Tensor


def same(*images: Tensor, **_: object) -> Tensor:
    """The first image as it is."""
    return images[0] + 0
