"""Looks by table: hue and saturation maps of camera profiles, and 3D tables. Lookups are gathers, with gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from ispdsl.programs.colour import srgb_decode, srgb_encode_unbounded
from ispdsl.programs.ops import Scalar, at_least_single, broadcast_shapes, constant

LINEAR_SPACES = ("camera", "xyz", "linear_srgb", "linear_prophoto", "linear_rec2020")
"""Spaces whose values a look encodes before it looks them up; all others are encoded already."""


def look_table(image: Tensor, *, table: Tensor, amount: Scalar, space: str) -> Tensor:
    """Apply a 3D table by trilinear interpolation, as files in the Cube format mean it.

    The table maps display-encoded colour to display-encoded colour. Scene-linear images are encoded with the sRGB curve
    (IEC 61966-2-1, without limits) before and decoded after; images of an encoded space are looked up as they are.
    A colour outside 0..1 (encoded) gets the change of the nearest colour inside, added to itself, so that highlights
    above white keep their differences and their gradients. An identity table gives back the image exactly.

    Args:
        image: ``(..., 3, H, W)``, any range.
        table: ``(..., R, G, B, 3)``, the colours at equal steps from 0 to 1 of red, green, blue; any sizes from 2.
        amount: share of the change, in the encoded domain; 0 is the identity, 1 the look.
        space: colour space of `image`.
    """
    linear, values = space in LINEAR_SPACES, at_least_single(image)
    encoded = srgb_encode_unbounded(values) if linear else values
    offsets = constant(table, values) - identity_table(table).to(values)
    change = _interpolate(offsets, encoded.unbind(-3), circular=False) * constant(amount, values)
    changed = encoded + change
    return (values + (srgb_decode(changed) - srgb_decode(encoded)) if linear else changed).to(image)


def identity_table(like: Tensor) -> Tensor:
    """The 3D table of the shape of `like` that maps every colour to itself, float64."""
    axes = [torch.linspace(0.0, 1.0, size, dtype=torch.float64, device=like.device) for size in like.shape[-4:-1]]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)


def hsv_table(image: Tensor, *, table: Tensor, amount: Scalar) -> Tensor:
    """Shift hue, scale saturation and value by a table over hue, saturation and value (DNG 1.4, chapter 6).

    Trilinear interpolation, circular in hue; saturation and value beyond 0..1 read the table's edge. Saturation and
    value are not limited after the scaling, so that light above white and colours out of gamut survive. Pixels without
    a positive plane stay as they are. A table of zero shifts and unit scales gives back the image exactly.

    Args:
        image: ``(..., 3, H, W)``, linear, any range.
        table: ``(..., H, S, V, 3)``: hue shift in degrees, factor of saturation, factor of value; hues at
            360 / H degrees from red on, saturations and values at equal steps from 0 to 1; any sizes from 1.
        amount: share of the change; 0 is the identity, 1 the whole table.
    """
    pixels = at_least_single(image)
    hue, chroma, value = _hue_chroma_value(pixels)
    colourful = value > 0
    saturation = torch.where(colourful, chroma, 0.0) / torch.where(colourful, value, 1.0)
    position = tuple(plane.squeeze(-3) for plane in (hue / 360.0, saturation, value))
    # Interpolated as differences from the neutral entry, so that a neutral table changes nothing, not even by rounding.
    entries = _interpolate(constant(table, pixels) - constant([0.0, 1.0, 1.0], pixels), position, circular=True)
    shift, more_saturation, more_value = entries.split(1, -3)
    turned = value - (1.0 + more_saturation) * chroma * _primaries(hue + shift)
    change = (1.0 + more_value) * turned - (value - chroma * _primaries(hue))
    return (pixels + constant(amount, pixels) * torch.where(colourful, change, 0.0)).to(image)


def _hue_chroma_value(image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue in degrees on [0, 360), chroma (largest less smallest plane) and value (largest), ``(..., 1, H, W)`` each.

    Grey has hue 0; its derivatives are finite.
    """
    red, green, blue = image.split(1, -3)
    value = image.amax(-3, keepdim=True)
    chroma = value - image.amin(-3, keepdim=True)
    divisor = torch.where(chroma > 0, chroma, 1.0)
    from_red = torch.remainder((green - blue) / divisor, 6.0)
    from_green = (blue - red) / divisor + 2.0
    from_blue = (red - green) / divisor + 4.0
    sextant = torch.where(value == red, from_red, torch.where(value == green, from_green, from_blue))
    return 60.0 * sextant, chroma, value


def _primaries(hue: Tensor) -> Tensor:
    """How far below the largest plane red, green and blue of a full colour of `hue` lie, ``(..., 3, H, W)``."""
    offsets = constant([5.0, 3.0, 1.0], hue)[:, None, None]
    k = torch.remainder(offsets + hue / 60.0, 6.0)
    return torch.minimum(k, 4.0 - k).clamp(0.0, 1.0)


def _interpolate(table: Tensor, position: tuple[Tensor, ...], *, circular: bool) -> Tensor:
    """Trilinear interpolation of `table` ``(..., N0, N1, N2, 3)`` at three relative positions ``(..., H, W)``.

    Positions 0 and 1 are the first and the last entry of an axis, and are limited to that; with `circular` the first
    axis goes round instead, and 1 is its first entry again. Gives ``(..., 3, H, W)``.
    """
    sizes = table.shape[-4:-1]
    places = [
        _place(p, size, circular and axis == 0) for axis, (p, size) in enumerate(zip(position, sizes, strict=True))
    ]
    (first, across), (second, down), (third, along) = places
    # With one more entry on each axis the eight corners lie at the same distances from the lowest, wherever that is.
    larger = _with_next(_with_next(_with_next(table, -4, circular), -3, False), -2, False)
    rows, columns = larger.shape[-3:-1]
    lowest = (first * rows + second) * columns + third
    planes = larger.flatten(-4, -2).movedim(-1, -2).contiguous()  # entries of a plane side by side: read faster

    def line(offset: int) -> Tensor:
        low, high = (_entries(planes[..., start:], lowest) for start in (offset, offset + 1))
        return torch.lerp(low, high, along.unsqueeze(-3))

    def face(offset: int) -> Tensor:
        return torch.lerp(line(offset), line(offset + columns), down.unsqueeze(-3))

    return torch.lerp(face(0), face(rows * columns), across.unsqueeze(-3))


def _place(position: Tensor, size: int, circular: bool) -> tuple[Tensor, Tensor]:
    """The number of the entry below a relative position, and the share of the way from there to the next."""
    scaled = position * size if circular else position.clamp(0.0, 1.0) * (size - 1)
    below = scaled.detach().floor()
    if not circular:
        below = below.clamp(max=max(size - 2, 0))
    number = torch.remainder(below, size) if circular else below
    return number.long().clamp(0, size - 1), scaled - below  # what is not a number has a place, too


def _with_next(table: Tensor, axis: int, circular: bool) -> Tensor:
    """A table whose last entry along an axis has a next one: the first where the axis goes round, else itself."""
    size = table.shape[axis]
    return torch.cat((table, table.narrow(axis, 0 if circular else size - 1, 1)), axis)


def _entries(planes: Tensor, index: Tensor) -> Tensor:
    """``planes[..., c, index]`` for `planes` ``(..., 3, N)`` and `index` ``(..., H, W)``, batches broadcast."""
    if planes.dim() == 2:  # one table for all: half the time
        return planes.index_select(1, index.flatten()).unflatten(1, index.shape).movedim(0, -3)
    batch = broadcast_shapes(planes.shape[:-2], index.shape[:-2])
    flat = index.flatten(-2).unsqueeze(-2).expand(*batch, 3, -1)
    return torch.gather(planes.expand(*batch, -1, -1), -1, flat).unflatten(-1, index.shape[-2:])
