"""Film grain: noise from a hash of the place, the same each time, on images ``(..., 3, H, W)``."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ispdsl.programs.ops import Scalar, at_least_single, constant, luma, triweight
from ispdsl.programs.tiling import Place

WIDEST_GRAIN = 2.0
"""Hard upper limit of the size in px: the window that a free size gets."""

SEED = 1839
"""Where the sequence of hashes starts."""

WORD = 0xFFFFFFFF

FLOOR = 1e-4
"""Variance below which the square root turns straight, so that its slope at black and at white stays finite."""


def grain(
    image: Tensor, *, amount: Scalar, size: Scalar, colour: bool, space: str, place: Place | None = None
) -> Tensor:
    """Add a fixed field of grain, strongest at half of white and none at black and from white up.

    A medium of opaque and clear spots of which a share p is clear has the variance p (1 - p) (the binary model of
    Dainty and Shaw 1974, Image Science): the field, of variance 1, is scaled by ``2 amount sqrt(p (1 - p))``
    with p luma, or each plane where `colour`, within 0..1. It is a sum of four bytes of a hash at each place
    (PCG-RXS-M-XS, O'Neill 2014), made coarse by a blur of standard deviation `size` and brought back to
    variance 1.

    Args:
        image: ``(..., 3, H, W)``, any range.
        amount: standard deviation at half of white, 0 (the identity) to 0.2.
        size: px, 0.3 (single pixels) to 2.
        colour: whether the three planes have fields of their own.
        space: colour space that gives the weights of luma.
        place: where `image` lies where it is a part of a larger one.
    """
    work = at_least_single(image)
    share = (work if colour else luma(work, space)).clamp(0, 1)
    deviation = 2 * (torch.sqrt(share * (1 - share) + FLOOR) - math.sqrt(FLOOR))
    field = _coarse(work, size, 3 if colour else 1, place or Place.whole(work))
    return (work + constant(amount, work) * deviation * field).to(image.dtype)


def _coarse(like: Tensor, size: Scalar, planes: int, place: Place) -> Tensor:
    """Grain of a size as ``(..., planes, H, W)``, variance 1, for an image such as `like`; it has no border."""
    reach = 3 * size
    window = math.ceil(3 * (WIDEST_GRAIN if isinstance(size, Tensor) else size)) - 1
    height, width = like.shape[-2:]
    rows = place.top - window, place.top + height + window
    columns = place.left - window, place.left + width + window
    field = noise(planes, rows, columns, like)
    weights = [triweight(float(offset), reach) for offset in range(-window, window + 1)]
    for axis, count in ((-2, height), (-1, width)):
        field = sum((w * field.narrow(axis, k, count) for k, w in enumerate(weights)), start=constant(0.0, like))
    power = sum((constant(w, like) ** 2 for w in weights), start=constant(0.0, like))
    return field / power


def noise(planes: int, rows: tuple[int, int], columns: tuple[int, int], like: Tensor) -> Tensor:
    """Independent values ``(planes, H, W)`` of mean 0 and variance 1 at places: sums of four bytes, nearly normal.

    Rows and columns are the first and the one after the last. Not ranges, which would hold an exported program to the
    size that it was traced at.
    """
    places = ((0, planes), rows, columns)
    plane, row, column = (torch.arange(start, stop, device=like.device) & WORD for start, stop in places)
    word = scramble(column + scramble(row[:, None] + scramble(plane[:, None, None] + SEED)))
    total = sum(((word >> (8 * byte)) & 0xFF for byte in range(4)), start=torch.zeros_like(word))
    return (total.to(like.dtype) - 4 * 127.5) / math.sqrt(4 * (256**2 - 1) / 12)


def scramble(state: Tensor) -> Tensor:
    """A hash of 32-bit words held in int64: a step of a linear congruence, then the permutation RXS-M-XS."""
    state = (state * 747796405 + 2891336453) & WORD
    word = (((state >> ((state >> 28) + 4)) ^ state) * 277803737) & WORD
    return (word >> 22) ^ word
