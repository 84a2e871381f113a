"""How far pictures are from a style: Gram matrices of features, and histograms of luma and of colour differences.

Tseng, Zhang, Jebe, Zhang, Xia, Fan, Heide and Chen, "Neural Photo-Finishing", SIGGRAPH Asia 2022, section 7:
L = L_gram + l1 L_luma + l2 L_chroma, each an L2 of statistics that know nothing of places. Gram matrices are those of
Johnson, Alahi and Fei-Fei, "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", ECCV 2016, eq. 3.

The paper compares pairs of a picture and one of the style. The mean of |h - s|^2 over a set of s is |h - mean s|^2 plus
what does not depend on h: here the mean of the set is the target, which is the same loss in expectation without what
single pairs add to its slopes. The paper's l1 and l2 are in a supplement; here each term is divided by the square of
its target, so that terms of any network are of one size, and both are 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ispdsl.vision.features import Layered

LUMA_BINS = 64
CHROMA_BINS = 32

CHROMA_REACH = 0.5
"""Colour differences lie in -0.5..0.5, for sRGB codes in 0..1."""

COARSEST = 4
"""Histograms are compared in ever coarser bins, each twice as wide, down to so many.

The L2 of two histograms that share no bin says nothing of how far they are apart: its slope is 0. Coarse bins do.
"""

TO_YUV = ((0.2126, 0.7152, 0.0722), (-0.1146, -0.3854, 0.5), (0.5, -0.4542, -0.0458))
"""Luma and both colour differences of BT.709 (whose primaries are sRGB's), of sRGB codes."""


@dataclass(frozen=True, eq=False)
class Statistics:
    """What of pictures makes their style.

    Attributes:
        grams: of each layer, ``(B, C, C)``.
        luma: ``(B, LUMA_BINS)``, sums to 1.
        chroma: ``(B, CHROMA_BINS, CHROMA_BINS)``, sums to 1: rows are U, columns V.
    """

    grams: tuple[Tensor, ...]
    luma: Tensor
    chroma: Tensor

    def to(self, device: torch.device | str) -> Statistics:
        """The same on a device."""
        return Statistics(tuple(each.to(device) for each in self.grams), self.luma.to(device), self.chroma.to(device))


@dataclass(frozen=True, eq=False)
class Terms:
    """Squared distances from a target as parts of its square, each ``(B,)``: 0 is the same, 1 as far as nothing is."""

    gram: Tensor
    luma: Tensor
    chroma: Tensor

    def total(self, luma: float = 1.0, chroma: float = 1.0) -> Tensor:
        """The style loss ``(B,)``, with the weights l1 and l2 of both histograms."""
        return self.gram + luma * self.luma + chroma * self.chroma


def statistics(pictures: Tensor, network: nn.Module | Layered) -> Statistics:
    """Of pictures ``(B, 3, H, W)``, sRGB in 0..1; gradients pass.

    Raises:
        ValueError: the network shows no features, or the pictures are too small for it.
    """
    shown = getattr(network, "features", None)
    if shown is None:
        raise ValueError(f"{type(network).__name__} shows no features")
    yuv = torch.einsum("dc,bchw->bdhw", torch.tensor(TO_YUV, dtype=pictures.dtype, device=pictures.device), pictures)
    return Statistics(
        tuple(gram(each) for each in shown(pictures)),
        histogram(yuv[:, 0].flatten(1), LUMA_BINS, 0.0, 1.0),
        joint_histogram(yuv[:, 1].flatten(1), yuv[:, 2].flatten(1), CHROMA_BINS, -CHROMA_REACH, CHROMA_REACH),
    )


def mean_of(found: Iterable[Statistics]) -> Statistics:
    """The mean of the statistics of batches of pictures, each picture as much as any other: a batch of one.

    Raises:
        ValueError: there is no picture.
    """
    every = list(found)
    count = sum(len(each.luma) for each in every)
    if not count:
        raise ValueError("a style is of one picture at least")

    def mean(parts: list[Tensor]) -> Tensor:
        return torch.stack([part.sum(0) for part in parts]).sum(0)[None] / count

    layers = [mean(list(layer)) for layer in zip(*(each.grams for each in every), strict=True)]
    return Statistics(tuple(layers), mean([each.luma for each in every]), mean([each.chroma for each in every]))


def apart(found: Statistics, target: Statistics, *, coarser: bool = True) -> Terms:
    """How far each picture is from a target; gradients pass.

    Args:
        found: of ``B`` pictures.
        target: of one, or of ``B``.
        coarser: compare histograms in coarser bins too, and take the mean, which has slopes from afar.
    """
    grams = [_relative(a, b) for a, b in zip(found.grams, target.grams, strict=True)]
    return Terms(
        torch.stack(grams).mean(0),
        _at_every_width(found.luma, target.luma, coarser),
        _at_every_width(found.chroma, target.chroma, coarser),
    )


def gram(features: Tensor) -> Tensor:
    """Inner products of planes ``(B, C, H, W)`` over all places, divided by C H W: ``(B, C, C)``."""
    flat = features.flatten(2)
    return flat @ flat.transpose(1, 2) / (flat.shape[1] * flat.shape[2])


def histogram(values: Tensor, bins: int, low: float, high: float) -> Tensor:
    """The part of values ``(B, N)`` at each of `bins` places from `low` to `high`: ``(B, bins)``, sums to 1.

    A value counts for the two places beside it, the more the nearer (a linear spline), so that slopes pass. What lies
    outside counts for the end.
    """
    place, share = _split(values, bins, low, high)
    made = values.new_zeros(len(values), bins)
    made = made.scatter_add(1, place, 1 - share).scatter_add(1, place + 1, share)
    return made / values.shape[1]


def joint_histogram(one: Tensor, two: Tensor, bins: int, low: float, high: float) -> Tensor:
    """The part of pairs ``(B, N)`` at each pair of places: ``(B, bins, bins)``, sums to 1; as `histogram`."""
    row, down = _split(one, bins, low, high)
    column, across = _split(two, bins, low, high)
    made = one.new_zeros(len(one), bins * bins)
    for below, weight in ((0, 1 - down), (1, down)):
        for beside, other in ((0, 1 - across), (1, across)):
            made = made.scatter_add(1, (row + below) * bins + column + beside, weight * other)
    return made.reshape(-1, bins, bins) / one.shape[1]


def _split(values: Tensor, bins: int, low: float, high: float) -> tuple[Tensor, Tensor]:
    """The place below each value, and the part of it that belongs to the place above."""
    scaled = ((values - low) / (high - low)).clamp(0, 1) * (bins - 1)
    place = scaled.detach().floor().clamp(max=bins - 2)
    return place.long(), scaled - place


def _at_every_width(found: Tensor, target: Tensor, coarser: bool) -> Tensor:
    """The mean over widths of bins of the relative squared distance of histograms ``(B, n)`` or ``(B, n, n)``."""
    distances = [_relative(found, target)]
    while coarser and found.shape[-1] > COARSEST:
        found, target = _folded(found), _folded(target)
        distances.append(_relative(found, target))
    return torch.stack(distances).mean(0)


def _folded(counts: Tensor) -> Tensor:
    """A histogram with bins twice as wide."""
    if counts.dim() == 2:
        return 2 * F.avg_pool1d(counts[:, None], 2)[:, 0]
    return 4 * F.avg_pool2d(counts[:, None], 2)[:, 0]


def _relative(found: Tensor, target: Tensor) -> Tensor:
    size = target.flatten(1).square().sum(1).clamp_min(torch.finfo(target.dtype).tiny)
    return (found - target).flatten(1).square().sum(1) / size
