"""Numbers that descend within 0..1: a limit that lets a gradient lead back in."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def limited(x: Tensor) -> Tensor:
    """Numbers held to 0..1. Slopes pass inside, and outside where a step down them leads back in."""
    return _Limited.apply(x)  # pyright: ignore[reportReturnType]


class _Limited(torch.autograd.Function):
    """Torch's own way to say what a backward pass is; there is no function for it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(0, 1)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Tensor:
        (x,), slope = ctx.saved_tensors, slopes[0]
        return slope.masked_fill(((x <= 0) & (slope > 0)) | ((x >= 1) & (slope < 0)), 0.0)
