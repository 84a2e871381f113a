"""Gamut compression towards the achromatic axis."""

from __future__ import annotations

import torch
from torch import Tensor

from ispdsl.programs.ops import Scalar, at_least_single, constant


def gamut_map(image: Tensor, *, threshold: Scalar, limit: Scalar, power: Scalar, amount: Scalar) -> Tensor:
    """Bring colours outside a gamut, those with negative planes, smoothly into it (ACES Reference Gamut Compression).

    The distance of a plane from the achromatic axis is ``d = (a - c) / |a|``, ``a`` the largest plane. Up to
    `threshold` it stays, beyond that it is compressed by a curve of `power` that takes `limit` to 1, the surface of the
    gamut. All is relative to ``a``, so it commutes with exposure. Colours farther out than `limit` stay a little
    negative.

    Source: Academy of Motion Picture Arts and Sciences, ACES 1.3 (2021), with one threshold and one limit for the three
    planes.

    Args:
        image: ``(..., 3, H, W)`` linear, any range.
        threshold: distance, 0 to 0.95, up to which nothing changes.
        limit: distance, above 1, that becomes 1.
        power: how abruptly the compression sets in, from 1.
        amount: share of the change; 0 is the identity.
    """
    values = at_least_single(image)
    threshold, limit, power = (constant(each, values) for each in (threshold, limit, power))
    achromatic = values.amax(-3, keepdim=True)
    size = achromatic.abs()
    excess = (achromatic - values - threshold * size).clamp(min=0.0)
    knee = ((1.0 - threshold) / (limit - threshold)).log2()
    scale = (limit - threshold) / torch.exp2((torch.exp2(-power * knee) - 1.0).log2() / power) * size
    larger, smaller = torch.maximum(excess, scale), torch.minimum(excess, scale)
    ratio = smaller / torch.where(larger > 0, larger, 1.0)
    rest = torch.exp2(power * torch.log2(ratio.clamp(min=torch.finfo(values.dtype).tiny)))
    compressed = smaller * torch.exp2(-torch.log2(1.0 + rest) / power)
    return (values + constant(amount, values) * (excess - compressed)).to(image)
