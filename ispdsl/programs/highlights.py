"""Highlights of a mosaic that are clipped in one or two colours, estimated from the colours that are not."""

from __future__ import annotations

import torch
from torch import Tensor

from ispdsl.programs.cfa import LINEAR, elements
from ispdsl.programs.detail import blur
from ispdsl.programs.ops import Scalar, at_least_single, constant, pad_mirror, shift, sum_terms
from ispdsl.programs.raw_ca import sites
from ispdsl.programs.raw_correction import green_sites

ONSET = 0.9
"""Share of the clipping level from which on a sample begins to count as clipped."""

REACH = 10.0
"""Where the window over which colour ratios are taken falls to 0, in px."""

PRIOR = 0.001
"""How much white light of neutral colour the window is taken to hold besides what it does."""

LIMIT = 4.0
"""No estimate exceeds white by more than this factor: two stops."""

SMALLEST_NEUTRAL = 1e-3
NO_WEIGHT = 1e-4
COLOUR_PAIRS = ((0, 1), (0, 2), (1, 2))
BINOMIAL = (0.25, 0.5, 0.25)


def highlight_recovery(mosaic: Tensor, *, neutral: Tensor, level: Scalar, strength: Scalar, cfa: str) -> Tensor:
    """Raise clipped samples to what the ratio of colours nearby and the unclipped colours beside them make of them.

    Every colour has a local mean and a certainty, the share of its samples in the 3x3 window that is not clipped. The
    ratio of two colours is that of their sums in a window about the site, weighed by both certainties (normalised
    convolution, Knutsson and Westin 1993, "Normalized and differential convolution", CVPR), where a little neutral
    light keeps it defined: deep inside a clipped area, colours return to the neutral. The estimate of a colour is the
    mean of the other two times the ratio, weighed by their certainty, and at most 4. A sample rises, never falls,
    towards its estimate by `strength` and by how far it is clipped: not at all below 90 % of `level`.

    Args:
        mosaic: ``(..., 1, H, W)``, or ``(..., 3, H, W)`` for the CFA `linear`, before white balance.
        neutral: ``(..., 3)``, camera RGB of a neutral.
        level: where the sensor clips; 1 is white.
        strength: 0 to 1; 0 is the identity.
        cfa: name of the CFA.
    """
    work = at_least_single(mosaic)
    clipped = smoothstep((work / constant(level, work) - ONSET) / (1 - ONSET))
    masks = colour_masks(work, cfa)
    grey = [value.clamp(min=SMALLEST_NEUTRAL) for value in elements(constant(neutral, work))]
    light = [mean.clamp(min=0) / own for mean, own in zip(local_means(work, masks), grey, strict=True)]
    certain = [1 - share for share in local_means(clipped, masks)]
    estimates = [
        (own * estimate).clamp(max=LIMIT) for own, estimate in zip(grey, from_others(light, certain), strict=True)
    ]
    if cfa == LINEAR:
        estimate = torch.cat(torch.broadcast_tensors(*estimates), -3)
    else:
        estimate = sum_terms([mask * value for mask, value in zip(masks, estimates, strict=True)])
    return (work + constant(strength, work) * clipped * (estimate - work).clamp(min=0)).to(mosaic.dtype)


def smoothstep(x: Tensor) -> Tensor:
    """0 up to 0, 1 from 1 on, ``3 x^2 - 2 x^3`` between."""
    x = x.clamp(0, 1)
    return x * x * (3 - 2 * x)


def colour_masks(mosaic: Tensor, cfa: str) -> list[Tensor]:
    """For each colour 1 where it is sampled: ``(1, H, W)``, or for the CFA `linear` its plane as ``(3, 1, 1)``."""
    if cfa == LINEAR:
        return list(torch.eye(3, dtype=mosaic.dtype, device=mosaic.device)[:, :, None, None].unbind())
    found = (sites(mosaic, cfa, 0), green_sites(mosaic, cfa), sites(mosaic, cfa, 2))
    return [mask.to(mosaic.dtype)[None] for mask in found]


def local_means(values: Tensor, masks: list[Tensor]) -> list[Tensor]:
    """The mean of each colour's samples in the 3x3 window, binomial weights, ``(..., 1, H, W)`` each."""
    means = []
    for mask in masks:
        weight = (mask + torch.zeros_like(values[..., :1, :, :])).sum(-3, keepdim=True)
        means.append(binomial((mask * values).sum(-3, keepdim=True)) / binomial(weight))
    return means


def binomial(image: Tensor) -> Tensor:
    """The binomial 3x3 blur with mirrored borders."""
    padded = pad_mirror(image, 1)
    return sum_terms(
        [
            BINOMIAL[down] * BINOMIAL[right] * shift(padded, 1, down - 1, right - 1)
            for down in range(3)
            for right in range(3)
        ]
    )


def from_others(light: list[Tensor], certain: list[Tensor]) -> list[Tensor]:
    """Each colour as the other two say by the ratios of colours in the window, neutral light being of equal colours."""
    ratios: dict[tuple[int, int], Tensor] = {}
    for one, other in COLOUR_PAIRS:
        both = certain[one] * certain[other]
        seen = torch.broadcast_tensors(both * light[one], both * light[other])
        first, second = (blur(torch.cat(seen, -3), REACH / 3, REACH / 3) + PRIOR).split(1, -3)
        ratios[one, other], ratios[other, one] = first / second, second / first
    estimates = []
    for colour in range(3):
        others = [other for other in range(3) if other != colour]
        total = sum_terms([certain[other] * ratios[colour, other] * light[other] for other in others])
        estimates.append(total / (sum_terms([certain[other] for other in others]) + NO_WEIGHT))
    return estimates
