"""Geometry about the centre of the image: lens distortion and vignette. Images are ``(..., C, H, W)``.

Places are measured in half diagonals from the centre: corners lie at radius 1, pixels are square.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ispdsl.programs.ops import Scalar, at_least_single, broadcast_shapes, constant
from ispdsl.programs.tiling import Place

STEPS = {"bilinear": (0, 1), "bicubic": (-1, 0, 1, 2)}
"""Samples that each interpolation reads, counted from the one before the place."""


def lens_distortion(image: Tensor, *, k1: Scalar, k2: Scalar, p1: Scalar, p2: Scalar, interpolation: str) -> Tensor:
    """Sample each pixel where the lens put it: the distortion of Brown 1966, "Decentering distortion of lenses".

    With (x, y) the place of an output pixel and ``r^2 = x^2 + y^2`` it shows the image at
    ``x (1 + k1 r^2 + k2 r^4) + 2 p1 x y + p2 (r^2 + 2 x^2)``, and y likewise with p1 and p2 changed about. Barrel
    distortion is undone by a negative k1, which spreads the corners out. Beyond its border the image is mirrored.
    Bicubic is Keys 1981, a = -1/2; its gradient is continuous, also where nothing moves, which that of bilinear is not.

    Args:
        image: ``(..., C, H, W)``, any range.
        k1: radial, -0.5 to 0.5; 0.1 fetches the corners from a tenth of the half diagonal farther out.
        k2: radial of the fourth order, -0.5 to 0.5.
        p1: tangential along y, -0.1 to 0.1.
        p2: tangential along x, -0.1 to 0.1.
        interpolation: ``bilinear`` or ``bicubic``.
    """
    work = at_least_single(image)
    whole = Place.whole(work)
    x, y = _places(work, whole)
    k1, k2, p1, p2 = (constant(value, work) for value in (k1, k2, p1, p2))
    square = x.square() + y.square()
    stretch = square * (k1 + k2 * square)
    right = x * stretch + 2 * p1 * x * y + p2 * (square + 2 * x.square())
    down = y * stretch + p1 * (square + 2 * y.square()) + 2 * p2 * x * y
    unit = _half_diagonal(work, whole)
    return _displaced(work, down * unit, right * unit, interpolation).to(image.dtype)


def vignette(image: Tensor, *, amount: Scalar, midpoint: Scalar, feather: Scalar, place: Place | None = None) -> Tensor:
    """Darken or brighten towards the corners by a gain of ``2 ** (amount * s(r))``.

    s rises from 0 to 1 about the radius `midpoint`, over a width of `feather`, by the cubic ``3 t^2 - 2 t^3``. Circles
    about the centre get the same gain; the corners, at radius 1, are not forced to the gain in full.

    Args:
        image: ``(..., C, H, W)``, any range.
        amount: stops beyond the edge, -4 to 4; negative darkens, 0 is the identity.
        midpoint: radius at which half the stops are reached, 0 to 1 half diagonals.
        feather: width of the edge, 0.05 to 2 half diagonals.
        place: where `image` lies where it is a part of a larger one.
    """
    work = at_least_single(image)
    x, y = _places(work, place or Place.whole(work))
    radius = torch.sqrt(x.square() + y.square())
    ramp = ((radius - constant(midpoint, work)) / constant(feather, work) + 0.5).clamp(0, 1)
    return (work * torch.exp2(constant(amount, work) * ramp.square() * (3 - 2 * ramp))).to(image.dtype)


def _half_diagonal(like: Tensor, place: Place) -> Tensor:
    """Distance in px ``()`` from the centre of the whole image to that of a corner pixel; 1 for a single pixel.

    By torch: a number of Python would hold an exported program to the size that it was traced at.
    """
    down, right = (
        torch.scalar_tensor(size - 1, dtype=like.dtype, device=like.device) for size in (place.height, place.width)
    )
    far = 0.5 * torch.sqrt(down.square() + right.square())
    return torch.where(far > 0, far, 1.0)


def _places(image: Tensor, place: Place) -> tuple[Tensor, Tensor]:
    """Distances to the right of the whole image's centre ``(W,)`` and below it ``(H, 1)``."""
    unit = _half_diagonal(image, place)
    rows, columns = (torch.arange(size, dtype=image.dtype, device=image.device) for size in image.shape[-2:])
    x = (columns + (place.left - 0.5 * (place.width - 1))) / unit
    y = (rows + (place.top - 0.5 * (place.height - 1))) / unit
    return x, y[:, None]


def _displaced(image: Tensor, down: Tensor, right: Tensor, interpolation: str) -> Tensor:
    """The image sampled `down` and `right` px from each pixel."""
    rows, above = _split(down, -2, image)
    columns, before = _split(right, -1, image)
    flat = image.flatten(-2)
    result = torch.zeros_like(image)
    for step_down in STEPS[interpolation]:
        row = _folded(rows + step_down, image.shape[-2])
        weight_down = _weight(above - step_down, interpolation)
        for step_right in STEPS[interpolation]:
            place = row * image.shape[-1] + _folded(columns + step_right, image.shape[-1])
            weight = weight_down * _weight(before - step_right, interpolation)
            result = result + weight * _gather(flat, place)
    return result


def _split(shift: Tensor, axis: int, image: Tensor) -> tuple[Tensor, Tensor]:
    """Index of the sample before each displaced place along an axis, and the distance of the place from it."""
    whole = torch.floor(shift.detach())
    count = image.shape[axis]
    index = torch.arange(count, device=image.device)
    return whole.long() + (index[:, None] if axis == -2 else index), shift - whole


def _folded(index: Tensor, size: int) -> Tensor:
    """Indices beyond the ends reflected about the end samples, any number of times (reflect-101)."""
    period = max(2 * (size - 1), 1)
    index = torch.remainder(index, period)
    return torch.minimum(index, period - index)


def _weight(distance: Tensor, interpolation: str) -> Tensor:
    """The interpolation kernel at a distance: a triangle, or cubic convolution with a = -1/2."""
    x = distance.abs()
    if interpolation == "bilinear":
        return 1 - x
    near = (1.5 * x - 2.5) * x.square() + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x < 1, near, far)


def _gather(flat: Tensor, place: Tensor) -> Tensor:
    """Samples of ``(..., C, H * W)`` at places ``(..., 1, H, W)`` or ``(H, W)``, as ``(..., C, H, W)``."""
    index = place.flatten(-2)
    batch = broadcast_shapes(flat.shape[:-1], index.shape[:-1])
    samples = torch.gather(flat.expand(*batch, flat.shape[-1]), -1, index.expand(*batch, index.shape[-1]))
    return samples.reshape(*batch, *place.shape[-2:])
