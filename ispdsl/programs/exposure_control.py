"""Automatic exposure: a gain from a statistic, usually of the frame before."""

from __future__ import annotations

import torch
from torch import Tensor

from ispdsl.programs.ops import Scalar, at_least_single, constant

DARKEST_MEAN = 1e-6


def auto_exposure(image: Tensor, *, mean: Scalar, target: Scalar, strength: Scalar, limit: Scalar) -> Tensor:
    """Bring the mean of a scene towards `target` by one gain, 2^e with e = strength * log2(target / mean).

    Args:
        image: scene-linear ``(..., 3, H, W)``.
        mean: the mean luma of the scene (of the frame before, in a camera), ``()`` or ``(B, 1, 1, 1)``; below 1e-6 it
            counts as 1e-6.
        target: the mean to reach.
        strength: the share of the way to go, in stops; 0 leaves the image as it is.
        limit: the largest gain and loss in stops, approached smoothly: e becomes limit * tanh(e / limit).

    Returns:
        The image times the gain.
    """
    work = at_least_single(image)
    mean, target, limit = constant(mean, work), constant(target, work), constant(limit, work)
    stops = constant(strength, work) * torch.log2(target / mean.clamp_min(DARKEST_MEAN))
    return (work * torch.exp2(limit * torch.tanh(stops / limit))).to(image.dtype)
