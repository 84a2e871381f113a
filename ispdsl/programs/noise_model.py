"""The Poisson-Gaussian noise of a sensor: variance-stabilising transform and its inverses.

A noise profile ``(..., 2)`` is ``(s, o)``: a sample of mean x, black 0 and white 1, has variance ``s x + o`` (DNG
1.7.1, tag NoiseProfile). ``s`` is the share of white that one electron makes, ``o`` the variance of the read noise.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ispdsl.programs.cfa import elements
from ispdsl.programs.ops import at_least_single, constant

SMALLEST_SLOPE = 1e-9
SMALLEST_OFFSET = 1e-12
"""What smaller values of a noise profile count as."""

LOWEST = 2 * math.sqrt(3 / 8)
"""The Anscombe transform of no light at all, below which the mean has no unbiased inverse."""


def profile(noise_profile: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """``s`` and ``c = 3/8 s^2 + o`` of a noise profile, each ``(..., 1, 1, 1)``: Anscombe's root is of ``s x + c``."""
    slope, offset = elements(constant(noise_profile, like))
    slope, offset = slope.clamp(min=SMALLEST_SLOPE), offset.clamp(min=SMALLEST_OFFSET)
    return slope, 0.375 * slope.square() + offset


def anscombe(mosaic: Tensor, *, noise_profile: Tensor) -> Tensor:
    """The generalised Anscombe transform ``2/s (sqrt(s x + 3/8 s^2 + o) - sqrt(3/8 s^2 + o))``: noise of variance 1.

    Mäkitalo and Foi, "Optimal inversion of the generalized Anscombe transformation for Poisson-Gaussian noise", IEEE
    TIP 22(1), 2013, less its value at black, so that black is 0 and a sensor with read noise alone (s = 0) is
    scaled by its standard deviation. Where the root has fallen to half its value at black, the tangent goes on in place
    of the paper's 0: so values below black keep their gradient and come back from the inverse.
    """
    work = at_least_single(mosaic)
    slope, constant_term = profile(noise_profile, work)
    root = constant_term.sqrt()
    inside = torch.maximum(work, -0.75 * constant_term / slope)
    value = 2 * inside / ((slope * inside + constant_term).sqrt() + root)
    return (value + 2 * (work - inside) / root).to(mosaic.dtype)


def anscombe_inverse(mosaic: Tensor, *, noise_profile: Tensor, form: str = "algebraic") -> Tensor:
    """Undo `anscombe`. `form` ``algebraic`` is its exact inverse.

    ``unbiased`` gives the mean of the samples whose transforms have the mean given: the closed form that approximates
    the exact unbiased inverse (Mäkitalo and Foi 2013). With D the transform before black was moved to 0 it adds
    ``s (1/4 + sqrt(3/2)/4 D^-1 - 11/8 D^-2 + 5/8 sqrt(3/2) D^-3)`` to the algebraic inverse, which is 0 at
    ``D = 2 sqrt(3/8)`` and is taken as 0 below.
    """
    work = at_least_single(mosaic)
    slope, constant_term = profile(noise_profile, work)
    root = constant_term.sqrt()
    inside = torch.maximum(work, -root / slope)
    value = inside * (slope * inside / 4 + root) + (work - inside) * root / 2
    if form == "unbiased":
        inverse = slope / torch.maximum(slope * inside + 2 * root, LOWEST * slope)
        value = value + slope * bias(inverse)
    return value.to(mosaic.dtype)


def bias(inverse: Tensor) -> Tensor:
    """What the unbiased inverse adds, in electrons, for ``1 / D``."""
    root = math.sqrt(3 / 2)
    return 0.25 + inverse * (root / 4 + inverse * (-11 / 8 + inverse * (5 / 8 * root)))
