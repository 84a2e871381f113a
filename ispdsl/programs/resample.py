"""Another size: resampling by separable kernels, and cropping. Images are ``(..., C, H, W)``, borders mirrored."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import reduce

import torch
from torch import Tensor

from ispdsl.programs.ops import at_least_single, mirror

SCALES = {
    "quarter": Fraction(1, 4),
    "third": Fraction(1, 3),
    "half": Fraction(1, 2),
    "two_thirds": Fraction(2, 3),
    "same": Fraction(1),
    "three_halves": Fraction(3, 2),
    "double": Fraction(2),
    "triple": Fraction(3),
}

BORDERS = {"none": 0, "two": 2, "four": 4, "eight": 8, "sixteen": 16}
"""Rows and columns that `crop_border` takes from each side."""


def resize(image: Tensor, *, scale: str, kernel: str) -> Tensor:
    """Resample to another size; corners stay at corners, and what the new size cannot hold is filtered out.

    Each axis of n samples becomes one of ``round(scale * n)``, at least 1, with sample centres at
    ``(i + 1/2) n / m - 1/2``. Making smaller widens the kernel by n / m. Kernels: ``area``, the exact mean of what an
    output sample covers; ``bilinear``, a triangle; ``bicubic``, Keys 1981, "Cubic convolution interpolation for digital
    image processing", a = -1/2; ``lanczos``, the sinc windowed by a sinc three lobes wide (Duchon 1979).

    Args:
        image: ``(..., C, H, W)``, any range.
        scale: a key of `SCALES`.
        kernel: ``area``, ``bilinear``, ``bicubic`` or ``lanczos``.
    """
    work = at_least_single(image)
    for axis in (-2, -1):
        count = image.shape[axis]
        work = _resample(work, axis, max(1, math.floor(SCALES[scale] * count + Fraction(1, 2))), kernel)
    return work.to(image.dtype)


def crop_border(image: Tensor, *, border: str) -> Tensor:
    """Take rows and columns from all four sides, at least one row and one column left: 0, 2, 4, 8 or 16 of each.

    An axis of n samples loses at most ``(n - 1) // 2`` on each side, so that the centre stays the centre.
    """
    top, left = (min(BORDERS[border], (image.shape[axis] - 1) // 2) for axis in (-2, -1))
    return image[..., top : image.shape[-2] - top, left : image.shape[-1] - left]


def keys(x: float) -> float:
    """The cubic convolution kernel with a = -1/2 (Keys 1981)."""
    x = abs(x)
    if x < 1:
        return (1.5 * x - 2.5) * x * x + 1
    return ((-0.5 * x + 2.5) * x - 4) * x + 2 if x < 2 else 0.0


def lanczos(x: float) -> float:
    """``sinc(x) sinc(x / 3)`` within three lobes (Duchon 1979, "Lanczos filtering in one and two dimensions")."""
    if x == 0:
        return 1.0
    if abs(x) >= 3:
        return 0.0
    return 3 * math.sin(math.pi * x) * math.sin(math.pi * x / 3) / (math.pi * x) ** 2


def triangle(x: float) -> float:
    """Linear interpolation."""
    return max(0.0, 1 - abs(x))


KERNELS: dict[str, tuple[Callable[[float], float], int]] = {
    "bilinear": (triangle, 1),
    "bicubic": (keys, 2),
    "lanczos": (lanczos, 3),
}
"""Each interpolating kernel and the distance at which it ends."""


def _resample(image: Tensor, axis: int, count: int, kernel: str) -> Tensor:
    """One axis resampled to `count` samples, a tap at a time."""
    size = image.shape[axis]
    if size == count:
        return image
    rows = [_cover(i, size, count) if kernel == "area" else _taps(i, size, count, kernel) for i in range(count)]
    taps = max(len(weights) for _, weights in rows)
    reach = taps + 1
    folded = mirror(size, reach, reach, image.device)
    shape = (count, 1) if axis == -2 else (count,)

    def term(tap: int) -> Tensor:
        weights = torch.tensor([own[tap] if tap < len(own) else 0.0 for _, own in rows], dtype=image.dtype)
        places = torch.tensor([min(first + tap + reach, size + 2 * reach - 1) for first, _ in rows])
        samples = image.index_select(axis, folded[places.to(image.device)])
        return weights.to(image.device).reshape(shape) * samples

    return reduce(torch.add, map(term, range(taps)))


def _cover(index: int, size: int, count: int) -> tuple[int, list[float]]:
    """The first input sample that an output sample covers, and the shares of it and of those after it."""
    low, high = Fraction(index * size, count), Fraction((index + 1) * size, count)
    first, last = math.floor(low), math.ceil(high)
    shares = [min(high, sample + 1) - max(low, sample) for sample in range(first, last)]
    return first, [float(share / (high - low)) for share in shares]


def _taps(index: int, size: int, count: int, kernel: str) -> tuple[int, list[float]]:
    """The first input sample under the kernel of an output sample, and the weights of it and of those after it."""
    shape, support = KERNELS[kernel]
    stretch = max(1.0, size / count)
    centre = (index + 0.5) * size / count - 0.5
    first, last = math.ceil(centre - support * stretch), math.floor(centre + support * stretch)
    weights = [shape((sample - centre) / stretch) for sample in range(first, last + 1)]
    total = math.fsum(weights)
    return first, [weight / total for weight in weights]
