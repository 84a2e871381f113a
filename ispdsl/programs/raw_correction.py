"""Corrections of a mosaic that move no sample. Bayer ones are ``(..., 1, H, W)``, `linear` ones ``(..., 3, H, W)``."""

from __future__ import annotations

import torch
from torch import Tensor

from ispdsl.programs.cfa import COLOURS, LINEAR, parities
from ispdsl.programs.ops import Scalar, at_least_single, constant, pad_mirror, piecewise_linear, shift, sum_terms
from ispdsl.programs.tiling import Place

LARGEST_CODE = 65535.0
"""The largest 16-bit code, which a linearisation curve reaches at 1."""

SMALLEST_GAIN = 1e-3
SMALLEST_FLAT = 0.01
GREEN_FLOOR = 0.01
"""Green, in units of white, below which the threshold of `green_equalise` no longer falls with the light."""

DIAGONAL = ((-1, -1), (-1, 1), (1, -1), (1, 1))
SAME_KIND = ((-2, 0), (2, 0), (0, -2), (0, 2))


def linearise(codes: Tensor, *, table: Tensor, stored: Scalar = LARGEST_CODE) -> Tensor:
    """Undo a sensor's non-linear coding: each stored code becomes a linear 16-bit one (DNG 1.7.1, LinearizationTable).

    `table` ``(..., N)`` is the curve from 0 to 1 at N equal steps of the stored codes 0 to `stored`, linear between;
    1 stands for 65535. As in DNG, codes above `stored` count as `stored`; codes below 0 count as 0. The result is not
    rounded to whole codes.
    """
    work = at_least_single(codes)
    position = (work / constant(stored, work)).clamp(0, 1)
    return (LARGEST_CODE * piecewise_linear(position, constant(table, work))).to(codes.dtype)


def digital_gain(mosaic: Tensor, *, gain: Scalar) -> Tensor:
    """Multiply by ``10 ** (gain / 20)``, `gain` in dB (level of a field quantity, IEC 60027-3)."""
    return mosaic * torch.pow(10.0, constant(gain, mosaic) / 20)


def lens_shading_radial(
    mosaic: Tensor,
    *,
    k0: Scalar,
    k1: Scalar,
    k2: Scalar,
    k3: Scalar,
    k4: Scalar,
    centre_x: Scalar,
    centre_y: Scalar,
    strength: Scalar,
    place: Place | None = None,
) -> Tensor:
    """Multiply by ``(1 + k0 r^2 + k1 r^4 + k2 r^6 + k3 r^8 + k4 r^10) ** strength`` (DNG 1.7.1, FixVignetteRadial).

    `r` is the distance from the optical centre, 1 at the corner farthest from it. `centre_x` and `centre_y` are the
    optical centre as shares of the way from the first to the last column and row. Gains below 1e-3 count as 1e-3, so
    that `strength` -s undoes s. `place` says where the mosaic lies where it is a part of a frame.
    """
    work, where = at_least_single(mosaic), place or Place.whole(mosaic)
    across, down = from_centre(work, centre_x, centre_y, where)
    farthest = _farthest(centre_x, where.width, work).square() + _farthest(centre_y, where.height, work).square()
    square = (across.square() + down.square()) / farthest
    gain = torch.zeros_like(square)
    for coefficient in (k4, k3, k2, k1, k0):
        gain = (gain + constant(coefficient, work)) * square
    gain = (1 + gain).clamp(min=SMALLEST_GAIN)
    return (work * torch.exp2(constant(strength, work) * torch.log2(gain))).to(mosaic.dtype)


def from_centre(image: Tensor, centre_x: Scalar, centre_y: Scalar, place: Place) -> tuple[Tensor, Tensor]:
    """Signed px from the optical centre: of the columns ``(..., 1, W)`` and of the rows ``(..., H, 1)``."""
    height, width = image.shape[-2:]
    rows, columns = (torch.arange(size, dtype=image.dtype, device=image.device) for size in (height, width))
    across = columns + place.left - constant(centre_x, image) * (place.width - 1)
    down = rows[:, None] + place.top - constant(centre_y, image) * (place.height - 1)
    return across, down


def _farthest(centre: Scalar, size: int, like: Tensor) -> Tensor:
    """Px from the optical centre to the farther end of an axis."""
    before = constant(centre, like) * (size - 1)
    return torch.maximum(before.abs(), (size - 1 - before).abs())


def dark_frame(mosaic: Tensor, dark: Tensor, *, amount: Scalar) -> Tensor:
    """Subtract `amount` times a frame that was taken without light, of the same size."""
    return mosaic - constant(amount, mosaic) * dark


def flat_field(mosaic: Tensor, flat: Tensor, *, strength: Scalar) -> Tensor:
    """Divide by ``flat ** strength``, `flat` being a frame of an evenly lit field of the same size, 1 where it is full.

    Values of `flat` below 0.01 count as 0.01, so that `strength` -s undoes s.
    """
    work = at_least_single(mosaic)
    stops = torch.log2(flat.to(work).clamp(min=SMALLEST_FLAT))
    return (work * torch.exp2(-constant(strength, work) * stops)).to(mosaic.dtype)


def green_equalise(mosaic: Tensor, *, threshold: Scalar, strength: Scalar, cfa: str) -> Tensor:
    """Bring the greens of red rows and of blue rows to their local mean, where they differ little and nothing else is.

    At a green site ``d`` is the mean of the four diagonal neighbours, which are of the other kind, less the mean of the
    own kind: half the site itself and half its four next of that kind, so that ``d`` is 0 on any quadratic surface.
    The site rises by ``strength / 2 * w * d`` with ``w = exp(-(d^2 + v) / (2 s^2))``, where ``v`` is the variance
    within both kinds, and ``s`` is `threshold` times the local root mean square of green, at least of 1 % of white. So
    edges and texture stay. Red and blue stay, and a frame that has all colours at every site.
    """
    if cfa == LINEAR:
        return mosaic
    work = at_least_single(mosaic)
    padded = pad_mirror(work, 2)
    other = [shift(padded, 2, down, right) for down, right in DIAGONAL]
    same = [shift(padded, 2, down, right) for down, right in SAME_KIND]
    other_mean, same_mean = sum_terms(other) / 4, work / 2 + sum_terms(same) / 8
    difference = other_mean - same_mean
    spread = sum_terms([(value - other_mean).square() for value in other]) / 4
    spread = spread + (work - same_mean).square() / 2 + sum_terms([(value - same_mean).square() for value in same]) / 8
    light = (other_mean.square() + same_mean.square()) / 2 + GREEN_FLOOR**2
    excess = (difference.square() + spread) / (light * constant(threshold, work).square())
    rise = constant(strength, work) / 2 * torch.exp(-excess / 2) * difference
    return (work + torch.where(green_sites(work, cfa), rise, torch.zeros_like(rise))).to(mosaic.dtype)


def green_sites(mosaic: Tensor, cfa: str) -> Tensor:
    """A mask ``(H, W)`` of the sites of a Bayer mosaic that sample green."""
    even_row, even_column = parities(mosaic)
    on_diagonal = even_row == even_column
    return on_diagonal if COLOURS[cfa][0] == 1 else ~on_diagonal
