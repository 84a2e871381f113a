"""Lateral chromatic aberration of a mosaic: its red and its blue are magnified about the optical centre."""

from __future__ import annotations

import torch
from torch import Tensor

from ispdsl.programs.cfa import COLOURS, LINEAR, parities
from ispdsl.programs.ops import Scalar, at_least_single, broadcast_shapes, constant, sum_terms
from ispdsl.programs.raw_correction import from_centre
from ispdsl.programs.tiling import Place


def raw_ca(mosaic: Tensor, *, red: Scalar, blue: Scalar, centre_x: Scalar, centre_y: Scalar, cfa: str) -> Tensor:
    """Resample the red and the blue sites about the optical centre; green stays.

    A red site at a place p away from the centre takes what red is at ``(1 + red) p`` (DNG 1.7.1, WarpRectilinear of
    one plane with kr0 = 1 + red and no other term), and blue alike. Between the sites of a colour it is interpolated
    along rows and columns by cubic convolution (Keys 1981, "Cubic convolution interpolation for digital image
    processing", IEEE Trans. ASSP 29(6), a = -1/2). Beyond the frame lies its mirror image.

    Args:
        mosaic: ``(..., 1, H, W)``, or ``(..., 3, H, W)`` for the CFA `linear`.
        red: relative magnification; 0 leaves red alone.
        blue: the same for blue.
        centre_x: share of the way from the first to the last column.
        centre_y: share of the way from the first to the last row.
        cfa: name of the CFA.
    """
    work = at_least_single(mosaic)
    across, down = from_centre(work, centre_x, centre_y, Place.whole(work))
    step = 1 if cfa == LINEAR else 2
    planes = work.split(1, -3) if cfa == LINEAR else [work] * 3
    result = list(planes)
    for colour, scale in ((0, red), (2, blue)):
        moved = constant(scale, work)
        lines = resample(planes[colour], moved * down / step, step, -2)
        result[colour] = resample(lines, moved * across / step, step, -1)
    if cfa == LINEAR:
        return torch.cat(torch.broadcast_tensors(*result), -3).to(mosaic.dtype)
    is_red, is_blue = (sites(work, cfa, colour) for colour in (0, 2))
    return torch.where(is_red, result[0], torch.where(is_blue, result[2], work)).to(mosaic.dtype)


def sites(mosaic: Tensor, cfa: str, colour: int) -> Tensor:
    """A mask ``(H, W)`` of the sites of a Bayer mosaic that sample red (0) or blue (2)."""
    even_row, even_column = parities(mosaic)
    row, column = divmod(COLOURS[cfa].index(colour), 2)
    return (even_row == (row == 0)) & (even_column == (column == 0))


def resample(image: Tensor, offset: Tensor, step: int, axis: int) -> Tensor:
    """Read the image at `offset` samples (each `step` px) beyond every pixel along an axis, by cubic convolution."""
    size = image.shape[axis]
    shape = broadcast_shapes(image.shape, offset.shape)
    image, offset = image.expand(shape), offset.expand(shape)
    whole = offset.detach().floor()
    part = offset - whole
    pixel = torch.arange(size, device=image.device).reshape((-1, 1) if axis == -2 else (1, -1))
    first = pixel + step * whole.long()
    weights = keys(part)
    terms = [
        weight * image.gather(axis, reflect(first + step * tap, size))
        for tap, weight in zip(range(-1, 3), weights, strict=True)
    ]
    return sum_terms(terms)


def keys(part: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Weights of the samples -1, 0, 1 and 2 for a place `part` (0..1) of the way from sample 0 to 1."""
    square = part * part
    cube = square * part
    return (
        (-cube + 2 * square - part) / 2,
        (3 * cube - 5 * square + 2) / 2,
        (-3 * cube + 4 * square + part) / 2,
        (cube - square) / 2,
    )


def reflect(index: Tensor, size: int) -> Tensor:
    """Indices mirrored about the end samples of an axis of `size` samples (2 or more), which keeps their parity."""
    period = 2 * (size - 1)
    index = torch.remainder(index, period)
    return torch.where(index < size, index, period - index)
