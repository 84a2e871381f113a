"""Baseline JPEG (ITU-T T.81) as a differentiable stage: what a round trip through a file does to ``(..., 3, H, W)``."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ispdsl.programs.ops import Scalar, at_least_single, constant, matrix_multiply

Rounding = Callable[[Tensor], Tensor]

TIE = 2.0**-10
"""How near to a half a number counts as one. Flat areas make halves often; on which side of one rounding errors leave a
number must not decide over a whole block, lest every precision and every machine give another picture."""

TO_YCC = [
    [0.299, 0.587, 0.114],
    [-0.168735892, -0.331264108, 0.5],
    [0.5, -0.418687589, -0.081312411],
]
FROM_YCC = [[1.0, 0.0, 1.402], [1.0, -0.344136286, -0.714136286], [1.0, 1.772, 0.0]]
"""JFIF (ITU-T T.871), from the luma weights of ITU-R BT.601; Cb and Cr about 0."""

LUMA_TABLE: list[list[float]] = [
    [16, 11, 10, 16, 24, 40, 51, 61],
    [12, 12, 14, 19, 26, 58, 60, 55],
    [14, 13, 16, 24, 40, 57, 69, 56],
    [14, 17, 22, 29, 51, 87, 80, 62],
    [18, 22, 37, 56, 68, 109, 103, 77],
    [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101],
    [72, 92, 95, 98, 112, 100, 103, 99],
]
CHROMA_TABLE: list[list[float]] = [
    [17, 18, 24, 47, 99, 99, 99, 99],
    [18, 21, 26, 66, 99, 99, 99, 99],
    [24, 26, 56, 99, 99, 99, 99, 99],
    [47, 66, 99, 99, 99, 99, 99, 99],
    *[[99.0] * 8 for _ in range(4)],
]
"""Steps of the DCT coefficients at quality 50 (ITU-T T.81, tables K.1 and K.2); rows are vertical frequencies."""

DCT = [
    [(math.sqrt(0.125) if row == 0 else 0.5) * math.cos((2 * column + 1) * row * math.pi / 16) for column in range(8)]
    for row in range(8)
]
"""The orthonormal cosine transform of 8 samples (ITU-T T.81, A.3.3)."""


def jpeg(image: Tensor, *, quality: Scalar, subsampling: str, rounding: str, amount: Scalar) -> Tensor:
    """Encode as JPEG and decode again: blocks, ringing and loss of colour as at that quality.

    Full-range YCbCr (ITU-T T.871), 8x8 cosine transform, division by the tables of ITU-T T.81 annex K scaled by the
    formula of the Independent JPEG Group, rounding, and all the way back. What a block lacks at the lower and the right
    edge is the edge repeated. The entropy coder loses nothing and is left out. The result is limited to 0..1.

    Args:
        image: ``(..., 3, H, W)``, within 0..1, encoded for display.
        quality: 1 to 100.
        subsampling: ``s444``, or ``s420``: chroma averaged over 2x2 pixels and interpolated linearly.
        rounding: ``exact`` rounds samples, tables and coefficients to whole numbers as a codec does, and lets gradients
            straight through. ``cubic`` rounds coefficients alone, by ``r + (x - r)^3`` with r the nearest whole number
            (Shin and Song 2017, "JPEG-resistant adversarial images"), which jumps at halves. ``smooth`` takes
            ``x - sin(2 pi x) / (2 pi)`` in its place, which does not.
        amount: blend with the image, 0 (the identity) to 1.
    """
    work = at_least_single(image)
    exact = rounding == "exact"
    sample: Rounding = round_up if exact else _untouched
    coefficient = {"exact": round_away, "cubic": round_cubic, "smooth": round_smooth}[rounding]
    ycc = sample(matrix_multiply(constant(TO_YCC, work), sample(255 * work)) - _grey_level(work))
    tables = tuple(
        _scaled(constant(table, work), constant(quality, work), exact) for table in (LUMA_TABLE, CHROMA_TABLE)
    )
    luma, chroma = ycc[..., :1, :, :], ycc[..., 1:, :, :]
    height, width = image.shape[-2:]
    luma = sample(_coded(luma, tables[0], coefficient))
    if subsampling == "s420":
        small = sample(_halved(_extended(chroma, 16)))
        chroma = sample(_doubled(sample(_coded(small, tables[1], coefficient))))[..., :height, :width]
    else:
        chroma = sample(_coded(chroma, tables[1], coefficient))
    ycc = torch.cat([luma, chroma], -3) + _grey_level(work)
    decoded = (sample(matrix_multiply(constant(FROM_YCC, work), ycc)) / 255).clamp(0, 1)
    return (work + constant(amount, work) * (decoded - work)).to(image.dtype)


def round_up(x: Tensor) -> Tensor:
    """The nearest whole number, halves up, with the gradient of x itself."""
    return x + (torch.floor(x + 0.5 + TIE) - x).detach()


def round_away(x: Tensor) -> Tensor:
    """The nearest whole number, halves away from zero, with the gradient of x itself."""
    return x + (torch.sign(x) * torch.floor(x.abs() + 0.5 + TIE) - x).detach()


def round_cubic(x: Tensor) -> Tensor:
    """The nearest whole number plus the cube of what is left (Shin and Song 2017)."""
    whole = torch.floor(x.detach() + 0.5)
    return whole + (x - whole) ** 3


def round_smooth(x: Tensor) -> Tensor:
    """Towards the nearest whole number, without a jump: ``x - sin(2 pi x) / (2 pi)``."""
    return x - torch.sin(2 * math.pi * x) / (2 * math.pi)


def _untouched(x: Tensor) -> Tensor:
    return x


def _grey_level(like: Tensor) -> Tensor:
    """What is taken from luma before the transform, as ``(3, 1, 1)``; Cb and Cr are about 0 already."""
    return constant([128.0, 0.0, 0.0], like)[:, None, None]


def _scaled(table: Tensor, quality: Tensor, exact: bool) -> Tensor:
    """Steps ``(..., 1, 8, 1, 8)`` at a quality: the table times 5000 / q % below 50, 200 - 2 q % from there on.

    Whole numbers if `exact`; from 1 to 255.
    """
    quality = quality[..., None, None]
    if exact:
        quality = round_up(quality)
    percent = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)
    if not exact:
        return (table[:, None, :] * percent / 100).clamp(1, 255)
    percent = _floor_straight(percent)
    return _floor_straight((table[:, None, :] * percent + 50) / 100).clamp(1, 255)


def _floor_straight(x: Tensor) -> Tensor:
    return x + (torch.floor(x) - x).detach()


def _coded(planes: Tensor, table: Tensor, rounding: Rounding) -> Tensor:
    """Planes ``(..., C, H, W)`` to rounded coefficients of 8x8 blocks and back."""
    height, width = planes.shape[-2:]
    whole = _extended(planes, 8)
    blocks = whole.unflatten(-1, (-1, 8)).unflatten(-3, (-1, 8))
    transform = constant(DCT, planes)
    coefficients = torch.einsum("ui,...aibj,vj->...aubv", transform, blocks, transform)
    coefficients = rounding(coefficients / table) * table
    blocks = torch.einsum("ui,...aubv,vj->...aibj", transform, coefficients, transform)
    return blocks.flatten(-2).flatten(-3, -2)[..., :height, :width]


def _extended(planes: Tensor, multiple: int) -> Tensor:
    """Planes with their last row and column repeated up to a multiple of so many."""
    for axis in (-2, -1):
        size = planes.shape[axis]
        index = torch.arange(-(-size // multiple) * multiple, device=planes.device).clamp(max=size - 1)
        planes = planes.index_select(axis, index)
    return planes


def _halved(planes: Tensor) -> Tensor:
    """The mean of each 2x2 pixels of planes of even size."""
    return planes.unflatten(-1, (-1, 2)).unflatten(-3, (-1, 2)).mean((-3, -1))


def _doubled(planes: Tensor) -> Tensor:
    """Linear interpolation between the centres of 2x2 pixels, the border repeated."""
    for axis in (-2, -1):
        size = planes.shape[axis]
        pixel = torch.arange(2 * size, device=planes.device)
        near = pixel // 2
        far = (near + 2 * (pixel % 2) - 1).clamp(0, size - 1)
        planes = 0.75 * planes.index_select(axis, near) + 0.25 * planes.index_select(axis, far)
    return planes
