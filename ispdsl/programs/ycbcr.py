"""Luma and colour differences of the video standards, and chroma at a lower resolution."""

from __future__ import annotations

import torch
from torch import Tensor

from ispdsl.programs.ops import Scalar, at_least_single, constant, mirror, pad_mirror, plus, shift, triweight

WEIGHTS: dict[str, tuple[float, float, float]] = {
    "bt601": (0.299, 0.587, 0.114),  # ITU-R BT.601-7, item 2.5.1
    "bt709": (0.2126, 0.7152, 0.0722),  # ITU-R BT.709-6, item 3.2
    "bt2020": (0.2627, 0.6780, 0.0593),  # ITU-R BT.2020-2, table 4, non-constant luminance
}
"""Luma weights of red, green and blue."""

FORMATS: dict[str, tuple[bool, bool]] = {"yuv444": (False, False), "yuv422": (False, True), "yuv420": (True, True)}
"""Whether a format halves the rows and the columns of chroma."""

SITINGS: dict[str, tuple[bool, bool]] = {"centre": (False, False), "left": (False, True), "top_left": (True, True)}
"""Whether chroma sits on the even rows and on the even columns of luma, or midway between two."""

DENOISE_RADIUS = 4
"""Radius in px of the window of `chroma_denoise`: the triweight kernel is 0 at its largest reach, 5 px."""


def ycbcr(image: Tensor, *, standard: str) -> tuple[Tensor, Tensor]:
    """Luma ``(..., 1, H, W)`` and Cb, Cr ``(..., 2, H, W)`` within +-0.5 for colours within 0..1, by `standard`."""
    red_weight, green_weight, blue_weight = WEIGHTS[standard]
    red, green, blue = at_least_single(image).split(1, -3)
    y = red_weight * red + green_weight * green + blue_weight * blue
    chroma = torch.cat([(blue - y) / (2.0 - 2.0 * blue_weight), (red - y) / (2.0 - 2.0 * red_weight)], -3)
    return y.to(image), chroma.to(image)


def rgb_from_ycbcr(luma: Tensor, chroma: Tensor, *, standard: str) -> Tensor:
    """The colour image ``(..., 3, H, W)`` of luma and Cb, Cr by `standard`: undoes `ycbcr`."""
    red_weight, green_weight, blue_weight = WEIGHTS[standard]
    y, (cb, cr) = at_least_single(luma), at_least_single(chroma).split(1, -3)
    blue, red = y + (2.0 - 2.0 * blue_weight) * cb, y + (2.0 - 2.0 * red_weight) * cr
    green = (y - red_weight * red - blue_weight * blue) / green_weight
    return torch.cat([red, green, blue], -3).to(luma)


def chroma_subsample(chroma: Tensor, *, format: str, siting: str) -> Tensor:
    """Halve columns (yuv422) or both (yuv420) of ``(..., 2, H, W)``, odd sizes rounded up; borders are mirrored.

    Samples that sit on those of luma are taken by the taps 1, 2, 1, samples midway by the mean of two.
    """
    for axis, halved, cosited in zip((-2, -1), FORMATS[format], SITINGS[siting], strict=True):
        if halved:
            chroma = _halve(chroma, axis, cosited)
    return chroma


def _halve(planes: Tensor, axis: int, cosited: bool) -> Tensor:
    count = planes.shape[axis]
    index = mirror(count, 1, 2, planes.device)
    even = torch.arange(1, count + 1, 2, device=planes.device)
    before, here, after = (planes.index_select(axis, index[even + step]) for step in (-1, 0, 1))
    return 0.25 * (before + after) + 0.5 * here if cosited else 0.5 * (here + after)


def chroma_upsample(chroma: Tensor, luma: Tensor, *, format: str, siting: str) -> Tensor:
    """Bring chroma that `chroma_subsample` made small up to the size of `luma` ``(..., 1, H, W)``, linearly.

    Every sample is interpolated between its two neighbours in each halved direction, 3 to 1 where chroma sits midway;
    borders are mirrored. Chroma of any other size is read from its top left corner on, and mirrored where it ends.
    """
    for axis, halved, cosited in zip((-2, -1), FORMATS[format], SITINGS[siting], strict=True):
        chroma = _enlarge(chroma, axis, luma.shape[axis], halved, cosited)
    return chroma


def _enlarge(planes: Tensor, axis: int, size: int, halved: bool, cosited: bool) -> Tensor:
    """Samples 0 to `size` of an axis, twice as dense where it was `halved`."""
    count, place = planes.shape[axis], torch.arange(size, device=planes.device)
    index = mirror(count, 1, max(size - count, 0) + 1, planes.device)
    if not halved:
        return planes.index_select(axis, index[place + 1])
    near, odd = place // 2, place % 2
    other = near + odd if cosited else near + 2 * odd - 1
    share = 0.5 * odd if cosited else torch.full_like(place, 0.25, dtype=torch.float64)
    weight = share.to(planes)[(...,) + (None,) * (-axis - 1)]
    first, second = planes.index_select(axis, index[near + 1]), planes.index_select(axis, index[other + 1])
    return first + weight * (second - first)


def chroma_denoise(chroma: Tensor, luma: Tensor, *, amount: Scalar, radius: Scalar, edge: Scalar) -> Tensor:
    """Average chroma over the neighbours of similar luma: a joint bilateral filter.

    Weights fall with distance as the triweight kernel of reach `radius` px and with the difference of luma as a
    Gaussian of standard deviation `edge`. They depend on luma alone, so that chroma is filtered linearly.

    Source: Petschnigg et al., "Digital photography with flash and no-flash image pairs", SIGGRAPH 2004.

    Args:
        chroma: ``(..., 2, H, W)``.
        luma: ``(..., 1, H, W)``, the guide.
        amount: share of the change; 0 is the identity.
        radius: px, 1 to 5, at which a neighbour counts no more.
        edge: difference of luma above which chroma is held apart.
    """
    values, guide = at_least_single(chroma), at_least_single(luma)
    reach, spread = constant(radius, values), constant(edge, values)
    padded, padded_guide = pad_mirror(values, DENOISE_RADIUS), pad_mirror(guide, DENOISE_RADIUS)
    total, weights = torch.zeros_like(values), torch.zeros_like(guide)
    span = range(-DENOISE_RADIUS, DENOISE_RADIUS + 1)
    for down in span:
        for right in span:
            near = triweight(down, reach) * triweight(right, reach)
            step = (shift(padded_guide, DENOISE_RADIUS, down, right) - guide) / spread
            weight = near * torch.exp(-0.5 * step.square())
            total = plus(total, weight, shift(padded, DENOISE_RADIUS, down, right) - values)
            weights = weights + weight
    return (values + constant(amount, values) * (total / weights)).to(chroma)
