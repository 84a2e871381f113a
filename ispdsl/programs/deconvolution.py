"""Deconvolution: undo the blur of lens, sensor and demosaic. Images are ``(..., 3, H, W)``, borders mirrored."""

from __future__ import annotations

from torch import Tensor

from ispdsl.programs.detail import blur
from ispdsl.programs.ops import Scalar, at_least_single, constant, luma

WIDEST_PSF = 1.5
"""Hard upper limit of the radius in px: the window that a free radius gets."""

ITERATIONS = {"three": 3, "six": 6, "twelve": 12}

DARKEST = 2.0**-10
"""Luma below which nothing is deconvolved: the method divides by its estimate, which must be positive."""


def capture_sharpen(image: Tensor, *, radius: Scalar, strength: Scalar, iterations: str, space: str) -> Tensor:
    """Richardson-Lucy deconvolution of luma by a Gaussian point spread, what it adds given to the planes alike.

    ``u <- u * blur(d / blur(u))`` from ``u = d`` (Richardson 1972; Lucy 1974), with d luma, at least
    2^-10. The blur is symmetric and stands for its own transpose, which at the mirrored border it only nearly is.
    ``out = image + strength * (u - d)``: differences between planes, and with them hue, stay; so do flat areas.

    Args:
        image: ``(..., 3, H, W)``, any range.
        radius: standard deviation of the point spread in px, 0.3 to 1.5.
        strength: 0 (the identity) to 1.
        iterations: ``three``, ``six`` or ``twelve``.
        space: colour space that gives the weights of luma.
    """
    work = at_least_single(image)
    light = luma(work, space).clamp(min=DARKEST)
    widest = WIDEST_PSF if isinstance(radius, Tensor) else radius
    estimate = light
    for _ in range(ITERATIONS[iterations]):
        estimate = estimate * blur(light / blur(estimate, radius, widest), radius, widest)
    return (work + constant(strength, work) * (estimate - light)).to(image.dtype)
