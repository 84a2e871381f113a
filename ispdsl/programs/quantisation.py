"""Integer codes: rounding to so many bits, and values of 0..1 as codes and back. Images are ``(..., C, H, W)``."""

from __future__ import annotations

import torch
from torch import Tensor

from ispdsl.programs.ops import Scalar, at_least_single, constant


def quantise(image: Tensor, *, bits: Scalar) -> Tensor:
    """Round to the nearest of the ``2 ** bits`` equal steps from 0 to 1, halves up, and limit to these.

    ``floor(n x + 1/2) / n`` with n = 2^bits - 1 rounded to a whole number, as full-range codes have it (ITU-R BT.2100,
    table 9). The gradient goes straight through the rounding, as if it were not there (Bengio, Léonard and Courville
    2013, "Estimating or propagating gradients through stochastic neurons for conditional computation"), and ends where
    values are limited; that to `bits` is 0.

    Args:
        image: ``(..., C, H, W)``, any range.
        bits: 1 to 16; between whole numbers n still is one.
    """
    work = at_least_single(image)
    steps = torch.floor(torch.exp2(constant(bits, work).detach()) + 0.5) - 1
    return (round_straight(work.clamp(0, 1) * steps + TIE) / steps).to(image.dtype)


def to_u8(image: Tensor) -> Tensor:
    """Values of 0..1 as codes of 8 bits, held in floats: ``floor(255 x + 1/2)``; the gradient goes straight through."""
    return round_straight(at_least_single(image) * 255.0).to(image.dtype)


def to_u10(image: Tensor) -> Tensor:
    """Values of 0..1 as codes of 10 bits: ``floor(1023 x + 1/2)``; see `to_u8`. bfloat16 holds every fourth only."""
    return round_straight(at_least_single(image) * 1023.0).to(image.dtype)


def from_u8(codes: Tensor) -> Tensor:
    """Codes of 8 bits as values of 0..1."""
    return codes / 255.0


def from_u10(codes: Tensor) -> Tensor:
    """Codes of 10 bits as values of 0..1."""
    return codes / 1023.0


TIE = 2.0**-12
"""Of a code: what lies so near below the middle of two codes goes up, so that float32 and float64 agree on ties."""


def round_straight(x: Tensor) -> Tensor:
    """The nearest whole number, halves up, with the gradient of x itself."""
    return x + (torch.floor(x + 0.5) - x).detach()
