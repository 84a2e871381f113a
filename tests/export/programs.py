"""Programs of the stages of these tests."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def coded(image: Tensor, *, ev: Any, amount: Any, bias: Any) -> Tensor:
    """Light and a little of its square."""
    lit = image * torch.exp2(torch.as_tensor(ev + bias))
    return lit + amount * lit.square()


def placed(image: Tensor) -> Tensor:
    """Each pixel by its column: pointwise, and not the same everywhere."""
    return image * torch.linspace(0.5, 1.0, image.shape[-1])


def sized(image: Tensor) -> Tensor:
    """What is written for one width at a time."""
    return image * int(image.shape[-1])


def untold(image: Tensor) -> Tensor:
    """What ONNX has no words for."""
    return torch.special.bessel_j0(image)


def looks(image: Tensor) -> Tensor:
    """What no trace follows: it decides by the data."""
    return image * 2 if float(image.mean().sqrt()) > 0.1 else image


def brighter(image: Tensor) -> Tensor:
    """Something for images of any size."""
    return image * 1.5


def halves(image: Tensor) -> Tensor:
    """Each two rows and columns by themselves, as the cells of a mosaic: odd sides do not fit."""
    cells = image.unflatten(-1, (-1, 2)).unflatten(-3, (-1, 2))
    return (cells * 1.5).flatten(-4, -3).flatten(-2, -1)
