"""Local contrast by undecimated pyramids: mid-tone contrast that keeps edges, and one gain an octave."""

from __future__ import annotations

import torch
from torch import Tensor

from ispdsl.programs.ops import Scalar, at_least_single, constant, luma, pad_mirror, shift
from ispdsl.programs.pyramid import SPLINE, a_trous
from ispdsl.programs.stops import stops

FINEST, COARSEST = 2, 5
"""Clarity acts on structure between the second and the fifth blur: periods of about 11 to 88 px."""

MIDTONES = 2.0
"""Standard deviation in stops of what counts as a mid-tone about the pivot."""


def clarity(image: Tensor, *, amount: Scalar, edge: Scalar, pivot: Scalar, space: str) -> Tensor:
    """Contrast of periods of about 11 to 88 px in the mid-tones of luma, without halos; the ratios of planes stay.

    The bands are those of the edge-avoiding à-trous transform (Dammertz et al. 2010, "Edge-avoiding à-trous wavelet
    transform for fast global illumination filtering"; for contrast Hanika, Dammertz and Lensch 2011) of
    luma in stops: the difference of its second and fifth blur. `amount` times them is added in stops, weighted by a
    Gaussian of the last blur about the pivot. The kernels reach 2 (1 + 2 + 4 + 8 + 16) = 62 px.

    Args:
        image: ``(..., 3, H, W)``, any range; negative luma counts as its absolute value.
        amount: -1 to 1; 0 is the identity.
        edge: stops, above 0; the standard deviation of the range weight: larger differences count as edges.
        pivot: the luma, above 0, about which the mid-tones lie.
        space: colour space that gives the weights of luma.
    """
    work = at_least_single(image)
    smooth = stops(luma(work, space))
    precision = 0.5 / constant(edge, work) ** 2
    for level in range(FINEST):
        smooth = edge_avoiding_blur(smooth, 2**level, precision)
    fine = smooth
    for level in range(FINEST, COARSEST):
        smooth = edge_avoiding_blur(smooth, 2**level, precision)
    middle = torch.exp(-0.5 * ((smooth - torch.log2(constant(pivot, work))) / MIDTONES).square())
    return (work * torch.exp2(constant(amount, work) * middle * (fine - smooth))).to(image.dtype)


def edge_avoiding_blur(image: Tensor, step: int, precision: Tensor) -> Tensor:
    """The B-spline blur of one plane, taps `step` px apart; one that differs by d counts ``exp(-precision d^2)``."""
    reach = 2 * step
    padded = pad_mirror(image, reach)
    across = constant(list(SPLINE), image)[:, None, None]
    result, total = torch.zeros_like(image), torch.zeros_like(image)
    for row, down in zip(SPLINE, range(-reach, reach + 1, step), strict=True):
        taps = [shift(padded, reach, down, right) for right in range(-reach, reach + 1, step)]
        neighbours = torch.cat(taps, -3)
        weights = row * across * torch.exp(-precision * (neighbours - image).square())
        result = result + (weights * neighbours).sum(-3, keepdim=True)
        total = total + weights.sum(-3, keepdim=True)
    return result / total


def detail_bands(image: Tensor, *, gains: Tensor) -> Tensor:
    """Scale the bands of the à-trous transform (Starck, Murtagh and Bijaoui 1998), each plane alone.

    ``out = image + sum_j (gain_j - 1) band_j``: linear in the image and affine in the gains; the mean of each plane
    stays, since every band has mean zero. With N gains the kernels reach 2 (2^N - 1) px.

    Args:
        image: ``(..., C, H, W)``, any range.
        gains: ``(..., N)``, from the finest band, of periods up to 5.5 px, by octaves; 1 is the identity.
    """
    work = at_least_single(image)
    gains = constant(gains, work)
    result = work
    for index, band in enumerate(a_trous(work, gains.shape[-1])[:-1]):
        result = result + (gains[..., index, None, None, None] - 1) * band
    return result.to(image.dtype)
