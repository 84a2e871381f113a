"""Statistics of an image ``(..., 3, H, W)`` through which gradients pass.

A real statistic of one image is ``()``, of a batch ``(B, 1, 1, 1)``, so that it broadcasts against the images; a vector
is ``(N,)`` or ``(B, N)``. Sums are taken in float64 and in one order; the result has the dtype of the image.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ispdsl.programs.ops import Scalar, constant, luma
from ispdsl.programs.tiling import Mean, joined

CHANNELS = {"red": 0, "green": 1, "blue": 2}
STRIDES = {"full": 1, "half": 2, "quarter": 4, "eighth": 8}


def select(image: Tensor, channel: str, space: str) -> Tensor:
    """One plane ``(..., 1, H, W)``: the luma of colour space `space`, a colour, or the largest of the three (`any`)."""
    if channel == "luma":
        return luma(image, space)
    if channel == "any":
        return image.amax(-3, keepdim=True)
    index = CHANNELS[channel]
    return image[..., index : index + 1, :, :]


@joined(Mean.PIXELS)
def mean(image: Tensor, *, channel: str, space: str) -> Tensor:
    """The mean of one plane."""
    return average(select(image, channel, space))


@joined(Mean.LOGARITHMS)
def log_average(image: Tensor, *, floor: Scalar, channel: str, space: str) -> Tensor:
    """The geometric mean of one plane, its values raised to `floor` (above 0) where they are below.

    The key of a scene in Reinhard et al., "Photographic tone reproduction for digital images", SIGGRAPH 2002, eq. 1.
    """
    plane = select(image, channel, space)
    return torch.exp2(average(torch.log2(torch.maximum(plane, constant(floor, plane)))))


@joined(Mean.PIXELS)
def saturated_count(image: Tensor, *, threshold: Scalar, softness: Scalar, channel: str, space: str) -> Tensor:
    """The share, 0..1, of pixels above `threshold`, each counted as ``sigmoid((value - threshold) / softness)``."""
    plane = select(image, channel, space)
    return average(torch.sigmoid((plane - constant(threshold, plane)) / constant(softness, plane)))


def average(plane: Tensor) -> Tensor:
    """The mean of a plane ``(..., 1, H, W)`` as a real statistic."""
    result = plane.mean((-3, -2, -1), keepdim=True, dtype=torch.float64).to(plane)
    return result if plane.dim() > 3 else result.reshape(())


@joined(Mean.PIXELS)
def histogram(image: Tensor, *, bins: int, channel: str, low: Scalar, high: Scalar, space: str) -> Tensor:
    """The shares of pixels ``(..., bins)`` in `bins` (2 or more) equal bins from `low` to `high`; they sum to 1.

    A pixel is shared linearly between the two bins whose centres it lies between, which is a histogram under a linear
    B-spline window, so that the shares have gradients with respect to the image and to `low` and `high`. Pixels beyond
    the outermost centres count there in full, without a gradient.
    """
    plane = select(image, channel, space).double()
    low, high = constant(low, plane), constant(high, plane)
    position = ((plane - low) / (high - low) * bins - 0.5).clamp(0, bins - 1).flatten(-3)
    left = position.detach().floor().clamp(max=bins - 2).long()
    upper = position - left
    empty = upper.new_zeros(*upper.shape[:-1], bins)
    counts = empty.scatter_add(-1, left, 1 - upper).scatter_add(-1, left + 1, upper)
    return (counts / upper.shape[-1]).to(image)


def quantiles(image: Tensor, *, levels: Tensor, channel: str, sampling: str, space: str) -> Tensor:
    """The values ``(..., N)`` below which the shares `levels` ``(..., N)``, 0..1, of the pixels lie.

    Between neighbours in rank the value is interpolated linearly (Hyndman and Fan 1996, definition 7, NumPy's default).
    `sampling` says which rows and columns are looked at: ``full`` all, ``half`` every second, ``quarter`` every fourth,
    ``eighth`` every eighth.
    """
    stride = STRIDES[sampling]
    ranked = select(image, channel, space)[..., ::stride, ::stride].flatten(-3).sort(-1).values
    levels = constant(levels, ranked).expand(*ranked.shape[:-1], -1)
    last = ranked.shape[-1] - 1
    position = levels.double() * last
    left = position.detach().floor().clamp(0, max(last - 1, 0)).long()
    low, high = ranked.gather(-1, left), ranked.gather(-1, (left + 1).clamp(max=last))
    return low + (high - low) * (position - left).to(ranked)
