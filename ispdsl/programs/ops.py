"""Small operations that the programs share. Every one works on ``(..., C, H, W)`` with any leading batch dimensions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Scalar = Tensor | float
"""A parameter: a Python float, or a tensor that broadcasts against ``(..., C, H, W)``."""

LUMA_WEIGHTS: dict[str, tuple[float, float, float]] = {
    "linear_srgb": (0.2126, 0.7152, 0.0722),  # IEC 61966-2-1 / ITU-R BT.709
    "srgb": (0.2126, 0.7152, 0.0722),
    "rec709": (0.2126, 0.7152, 0.0722),
    "linear_rec2020": (0.2627, 0.6780, 0.0593),  # ITU-R BT.2020
    "rec2020": (0.2627, 0.6780, 0.0593),
    "linear_prophoto": (0.2880402, 0.7118741, 0.0000857),  # ISO 22028-2 (ROMM RGB)
    "prophoto": (0.2880402, 0.7118741, 0.0000857),
}
"""Weights of relative luminance by colour space; a space without a standard (camera) takes the mean of its planes."""


def constant(value: Tensor | float | list[float] | list[list[float]], like: Tensor) -> Tensor:
    """`value` as a tensor of the dtype and device of `like`; gradients pass through where it is one already."""
    if isinstance(value, Tensor):
        return value.to(like)
    return torch.tensor(value, dtype=like.dtype, device=like.device)


def broadcast_shapes(*shapes: Sequence[int]) -> torch.Size:
    """As torch's own, which the first time imports sympy: as long as the development of a small raw takes.

    Raises:
        RuntimeError: the shapes do not go together.
    """
    if torch.compiler.is_compiling() or not all(type(size) is int for shape in shapes for size in shape):
        return torch.broadcast_shapes(*shapes)
    try:
        return torch.Size(np.broadcast_shapes(*map(tuple, shapes)))
    except ValueError as error:
        raise RuntimeError(str(error)) from None


def at_least_single(image: Tensor) -> Tensor:
    """The image in float32 if it comes in a half precision (float16, bfloat16), else as it is: room for sums."""
    return image.float() if image.dtype in (torch.float16, torch.bfloat16) else image


def luma(image: Tensor, space: str) -> Tensor:
    """Relative luminance ``(..., 1, H, W)`` of a colour image ``(..., 3, H, W)`` in colour space `space`."""
    weights = constant(list(LUMA_WEIGHTS.get(space, (1 / 3, 1 / 3, 1 / 3))), image)
    return (image * weights[:, None, None]).sum(-3, keepdim=True)


def matrix_multiply(matrix: Tensor, image: Tensor) -> Tensor:
    """Apply a colour matrix ``(..., R, C)`` to every pixel of ``(..., C, H, W)``."""
    return torch.einsum("...ij,...jhw->...ihw", matrix, image)


def mirror(size: int, before: int, after: int, device: torch.device) -> Tensor:
    """Indices that extend an axis of `size` samples by reflection about its end samples, at any size (reflect-101)."""
    index = torch.arange(-before, size + after, device=device)
    if size == 1:
        return torch.zeros_like(index)
    period = 2 * (size - 1)
    index = torch.remainder(index, period)
    return torch.where(index < size, index, period - index)


def extend(image: Tensor, axis: int, before: int, after: int) -> Tensor:
    """Extend ``(..., H, W)`` along an axis, -2 or -1, by its reflection about the end samples, at any size."""
    rows, columns = ((before, after), (0, 0)) if axis == -2 else ((0, 0), (before, after))
    return reflected(image, rows, columns)


def pad_mirror(image: Tensor, radius: int) -> Tensor:
    """Extend ``(..., H, W)`` by `radius` samples on all sides by reflection; unlike `F.pad`, at any size."""
    return reflected(image, (radius, radius), (radius, radius))


def reflected(image: Tensor, rows: tuple[int, int], columns: tuple[int, int]) -> Tensor:
    """By torch's own padding where it can, which takes a tenth of the time of picking columns one by one.

    A compiler is given indices: it makes the same code of both, and no size has to be known.
    """
    height, width = image.shape[-2:]
    if torch.compiler.is_compiling() or max(rows) >= height or max(columns) >= width or image.dim() not in (3, 4):
        for axis, (before, after) in ((-2, rows), (-1, columns)):
            if before or after:
                image = image.index_select(axis, mirror(image.shape[axis], before, after, image.device))
        return image
    return F.pad(image, (*columns, *rows), mode="reflect")


def shift(padded: Tensor, radius: int, down: int, right: int) -> Tensor:
    """The neighbour ``[y + down, x + right]`` of every pixel of an image that `pad_mirror` extended by `radius`."""
    height, width = padded.shape[-2] - 2 * radius, padded.shape[-1] - 2 * radius
    top, left = radius + down, radius + right
    return padded[..., top : top + height, left : left + width]


def gaussian_blur(image: Tensor, sigma: Scalar, radius: int) -> Tensor:
    """Separable Gaussian of standard deviation `sigma` px, cut off at `radius` px, with mirrored borders.

    `sigma` may be a float, or a tensor ``()`` or ``(B, 1, 1, 1)``; gradients with respect to it are exact.
    """
    sigma = constant(sigma, image)
    offsets = range(-radius, radius + 1)
    weights = [torch.exp(-0.5 * (offset / sigma) ** 2) for offset in offsets]
    total = torch.stack(weights).sum(0)
    rows = extend(image, -2, radius, radius)
    height, width = image.shape[-2:]
    blurred = weighted_sum(weights, [rows[..., k : k + height, :] for k in range(len(weights))]) / total
    columns = extend(blurred, -1, radius, radius)
    return weighted_sum(weights, [columns[..., k : k + width] for k in range(len(weights))]) / total


def weighted_sum(weights: Sequence[Scalar], terms: Sequence[Tensor]) -> Tensor:
    """Each term times its weight, summed from left to right: one fixed order, so that results repeat bit for bit."""
    total = weights[0] * terms[0]
    for weight, term in zip(weights[1:], terms[1:], strict=True):
        total = plus(total, weight, term)
    return total


def sum_terms(terms: list[Tensor]) -> Tensor:
    """Sum from left to right: one fixed order, so that results repeat bit for bit."""
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def plus(total: Tensor, weight: Scalar, term: Tensor) -> Tensor:
    """``total + weight * term`` in one pass over memory; the three broadcast against each other."""
    return torch.addcmul(total, weight, term) if isinstance(weight, Tensor) else torch.add(total, term, alpha=weight)


def squared_length(vectors: Tensor) -> Tensor:
    """The sum of the squares of the planes of ``(..., C, H, W)``, from the first to the last: ``(..., 1, H, W)``."""
    first, *others = vectors.split(1, -3)
    total = first.square()
    for plane in others:
        total = torch.addcmul(total, plane, plane)
    return total


def piecewise_linear(x: Tensor, values: Tensor) -> Tensor:
    """Interpolate the curve with `values` ``(..., N)`` at equally spaced knots on [0, 1]; extended linearly outside.

    `x` is ``(..., C, H, W)``; leading dimensions of `values`, if any, are the batch's. By gather, so that forward- and
    reverse-mode derivatives exist with respect to both.
    """
    count = values.shape[-1]
    position = x * (count - 1)
    left = position.detach().floor().clamp(0, count - 2).long()
    low, high = gather_last(values, left), gather_last(values, left + 1)
    return low + (high - low) * (position - left)


def gather_last(values: Tensor, index: Tensor) -> Tensor:
    """``values[..., index]`` for `values` ``(..., N)`` and `index` ``(..., C, H, W)`` that share leading dimensions."""
    if values.dim() == 1:
        return values[index]
    flat = index.reshape(*index.shape[:-3], -1)
    return torch.gather(values.expand(*flat.shape[:-1], values.shape[-1]), -1, flat).reshape(index.shape)


def triweight(offset: float, reach: Scalar) -> Scalar:
    """The triweight kernel ``max(0, 1 - (offset / reach)^2)^3``: nearly a Gaussian of standard deviation ``reach / 3``.

    It ends at `reach`, with two continuous derivatives. So a window may be wider than the reach and change nothing, and
    a free reach moves through whole pixels without a jump.
    """
    inside = 1 - (offset / reach) ** 2
    return (inside.clamp(min=0) if isinstance(inside, Tensor) else max(inside, 0.0)) ** 3
