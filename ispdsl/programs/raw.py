"""What happens to a mosaic before demosaicing. Bayer ones are ``(..., 1, H, W)``, `linear` ones ``(..., 3, H, W)``."""

from __future__ import annotations

import torch
from torch import Tensor

from ispdsl.programs.cfa import COLOURS, LINEAR, elements, parities, site_values
from ispdsl.programs.ops import Scalar, constant, pad_mirror, shift
from ispdsl.programs.tiling import Place

NEIGHBOURS = tuple((down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if down or right)
SMALLEST_GAIN = 1e-6


def black_white(mosaic: Tensor, *, black_level: Tensor, white_level: Scalar, offset: Scalar = 0.0, cfa: str) -> Tensor:
    """Scale sensor codes so that each site's black becomes 0 and white 1; nothing is clipped.

    `black_level` ``(..., 4)`` are the codes of the 2x2 sites in reading order (red, green, blue, green for `linear`).
    `offset` raises the black, as a fraction of the span from black to white; white stays 1.
    """
    white = constant(white_level, mosaic)
    shifted = [black + constant(offset, mosaic) * (white - black) for black in elements(constant(black_level, mosaic))]
    black = site_values(shifted, mosaic, cfa)
    return (mosaic - black) / (white - black)


def defect_pixels(mosaic: Tensor, *, threshold: Scalar, strength: Scalar, cfa: str) -> Tensor:
    """Replace isolated outliers by the median of their eight next neighbours of the same colour.

    How far a site lies outside the neighbours, the outermost on either side left out so that a second defect nearby
    does not hide it, less the span of those neighbours (so that texture is spared), is its excess, in units of white.
    With ``r = max(excess, 0) / threshold`` a site is replaced by the share ``strength * r^4 / (1 + r^4)``: half at
    `threshold`, which must be above 0, and not at all where there is no excess.
    """
    threshold, strength = constant(threshold, mosaic), constant(strength, mosaic)
    step = 1 if cfa == LINEAR else 2
    padded = pad_mirror(mosaic, step)
    ranked = sort([shift(padded, step, step * down, step * right) for down, right in NEIGHBOURS])
    low, high = ranked[1], ranked[6]
    median = (ranked[3] + ranked[4]) / 2
    excess = torch.maximum(mosaic - high, low - mosaic) - (high - low)
    ratio = (excess.clamp(min=0) / threshold).square().square()
    share = strength * ratio / (1 + ratio)
    return mosaic + share * (median - mosaic)


def sort(values: list[Tensor]) -> list[Tensor]:
    """Sort element by element, smallest first, by minima and maxima alone.

    Batcher's odd-even merge sort (AFIPS 1968), for a count that is a power of two.
    """
    count = len(values)
    ranked = list(values)
    block = 1
    while block < count:
        distance = block
        while distance:
            for start in range(distance % block, count - distance, 2 * distance):
                for left in range(start, min(start + distance, count - distance)):
                    right = left + distance
                    if left // (2 * block) == right // (2 * block):
                        one, other = ranked[left], ranked[right]
                        ranked[left], ranked[right] = torch.minimum(one, other), torch.maximum(one, other)
            distance //= 2
        block *= 2
    return ranked


def lens_shading(
    mosaic: Tensor, *, gain_map: Tensor | float, strength: Scalar, cfa: str, place: Place | None = None
) -> Tensor:
    """Multiply by ``gain ** strength``: 0 leaves the mosaic as it is, 1 corrects it fully, -s undoes s.

    `gain_map` ``(..., 4, rows, columns)`` has a plane for each of the 2x2 sites in reading order (red, green, blue,
    green for `linear`) and spans the frame from edge to edge; between its samples the gain is interpolated bilinearly
    (DNG 1.7.1, opcode GainMap). One plane serves all sites; a single number is a uniform gain. Gains below 1e-6 count
    as 1e-6. `place` says where the mosaic lies where it is a part of a frame, whose rows and columns it begins at even
    numbers of.
    """
    gain = constant(gain_map, mosaic)
    if gain.dim() >= 3:
        gain = spread(gain.expand(*gain.shape[:-3], 4, *gain.shape[-2:]), mosaic, cfa, place or Place.whole(mosaic))
    return mosaic * torch.exp2(constant(strength, mosaic) * torch.log2(gain.clamp(min=SMALLEST_GAIN)))


def spread(gain: Tensor, mosaic: Tensor, cfa: str, place: Place) -> Tensor:
    """A gain map ``(..., 4, rows, columns)`` interpolated to the sites of the mosaic."""
    height, width = mosaic.shape[-2:]
    by_row = hats(place.top, height, place.height, gain.shape[-2], mosaic)
    by_column = hats(place.left, width, place.width, gain.shape[-1], mosaic).mT
    lines = by_row @ gain
    if cfa == LINEAR:
        return lines[..., :3, :, :] @ by_column
    even_row, even_column = parities(mosaic)
    on_even_columns = torch.where(even_row, lines[..., 0, :, :], lines[..., 2, :, :])
    on_odd_columns = torch.where(even_row, lines[..., 1, :, :], lines[..., 3, :, :])
    weights = torch.cat([by_column * even_column, by_column * ~even_column])
    return (torch.cat([on_even_columns, on_odd_columns], -1) @ weights).unsqueeze(-3)


def hats(first: int, count: int, size: int, knots: int, like: Tensor) -> Tensor:
    """Weights ``(count, knots)`` of linear interpolation between knots that span an axis of `size` samples.

    Of samples from `first` on. Not a range, which would hold an exported program to the size that it was traced at.
    """
    sample = torch.arange(first, first + count, dtype=like.dtype, device=like.device)
    knot = torch.arange(knots, dtype=like.dtype, device=like.device)
    position = sample * (knots - 1) / max(size - 1, 1)
    return (1 - (position[:, None] - knot).abs()).clamp(min=0)


def white_balance(mosaic: Tensor, *, neutral: Tensor, red: Scalar = 1.0, blue: Scalar = 1.0, cfa: str) -> Tensor:
    """Multiply each colour by the gain that makes `neutral` ``(..., 3)``, the camera's RGB of a neutral, grey.

    Gains are normalised so that the smallest is 1: what is clipped at white stays at or above it in every colour.
    `red` and `blue` multiply the gains of their colour besides.
    """
    white = constant(neutral, mosaic)
    gains = elements(white.amax(-1, keepdim=True) / white)
    gains = [gains[0] * constant(red, mosaic), gains[1], gains[2] * constant(blue, mosaic)]
    return mosaic * site_values([gains[colour] for colour in COLOURS[cfa]], mosaic, cfa)


def clip_white(mosaic: Tensor, *, level: Scalar = 1.0) -> Tensor:
    """Scale so that `level` becomes 1 and clip to 0..1, so that highlights clipped in any colour come out neutral."""
    return (mosaic / constant(level, mosaic)).clamp(0, 1)
