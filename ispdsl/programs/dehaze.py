"""Haze removal by the dark channel prior. Images are ``(..., 3, H, W)``; borders are mirrored."""

from __future__ import annotations

import torch
from torch import Tensor

from ispdsl.programs.joint_guided import joint_guided
from ispdsl.programs.ops import Scalar, at_least_single, constant, extend, luma

PATCH = 7
"""Half the patch of the dark channel: 15x15 pixels, as in the paper."""

REFINEMENT = 4
REFINEMENT_CONTRAST = 0.03
"""Levels of the guided filter's windows (9.2 px of standard deviation), and the contrast of luma that is an edge."""

THINNEST = 0.1
"""Transmission below which haze is taken to be no thicker: equation 16's t0."""

DARKEST_AIR = 0.01
"""Atmospheric light below which a plane counts as lit by this much."""


def airlight(image: Tensor, *, softness: Scalar) -> Tensor:
    """The colour of the densest haze, ``(..., 3)``: the mean of the pixels with the brightest dark channel.

    He et al. 2009, section 4.4, take the brightest of the 0.1 % that are highest in the dark channel; here every pixel
    counts by ``exp(dark / softness)``, which is smooth and needs no sorting.

    Args:
        image: ``(..., 3, H, W)``, scene-linear, any range.
        softness: how much less bright a dark channel may be and still count, above 0, of white.
    """
    work = at_least_single(image)
    weights = torch.softmax((dark_channel(work) / constant(softness, work)).flatten(-2), -1)
    return (work.flatten(-2) * weights).sum(-1).to(image.dtype)


def dark_channel(image: Tensor) -> Tensor:
    """The minimum over the planes and a patch of 15x15 pixels (equation 5), ``(..., 1, H, W)``."""
    return _minimum(_minimum(image.amin(-3, keepdim=True), -2), -1)


def _minimum(image: Tensor, axis: int) -> Tensor:
    """The minimum of 15 samples along an axis, from minima of 2, 4 and 8."""
    image = extend(image, axis, PATCH, PATCH)
    for step in (1, 2, 4, 7):
        length = image.shape[axis] - step
        image = torch.minimum(image.narrow(axis, 0, length), image.narrow(axis, step, length))
    return image


def dehaze(image: Tensor, *, airlight: Tensor, strength: Scalar, space: str) -> Tensor:
    """Invert ``I = J t + A (1 - t)`` (He et al. 2009, equations 1, 12 and 16): ``J = I + (I - A) (1 / t - 1)``.

    The transmission is ``t = 1 - strength * d`` with d the dark channel of ``I / A``, within 0..1 and refined by the
    guided filter with luma as guide (He, Sun and Tang 2010, in place of the paper's matting); t stays from
    0.1 up.

    Args:
        image: ``(..., 3, H, W)``, scene-linear, any range.
        airlight: atmospheric light A, ``(..., 3)``.
        strength: the share of haze that goes, the paper's omega; 0 is the identity, below 0 adds haze.
        space: colour space that gives the weights of luma.
    """
    work = at_least_single(image)
    air = constant(airlight, work).clamp_min(DARKEST_AIR)[..., None, None]
    dark = dark_channel(work / air).clamp(0.0, 1.0)
    guide = luma(work, space)
    haze = joint_guided(dark, guide, levels=REFINEMENT, contrast=REFINEMENT_CONTRAST)
    transmission = (1 - constant(strength, work) * haze).clamp_min(THINNEST)
    return (work + (work - air) * (1 / transmission - 1)).to(image.dtype)
