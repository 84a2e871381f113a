"""Tone operators from the literature that map scene light to 0..1 for display. Images are ``(..., 3, H, W)``.

Where a paper defines its operator on luminance, all planes get the same gain, so that chromaticity stays. The published
formulas hold from 0 up; below, each one goes on in a straight line with its slope at 0.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ispdsl.programs.ops import Scalar, at_least_single, constant, luma

DARKEST_KEY = 1e-6
"""Log-average below which the key of a scene counts as this."""

DARKEST = 1e-6
"""Luma, in multiples of the log-average, up to which Drago's gain stays constant: its slope at 0 is infinite."""


def reinhard(image: Tensor, *, log_average: Scalar, key: Scalar, white: Scalar, amount: Scalar, space: str) -> Tensor:
    """The global operator of Reinhard et al. 2002, equations 1, 2 and 4.

    ``L = key / log_average * luma`` and ``display = L (1 + L / white^2) / (1 + L)``; every pixel is multiplied by
    ``display / luma``. `white` is the smallest L that becomes 1.

    Args:
        image: ``(..., 3, H, W)``, scene-linear, any range.
        log_average: geometric mean of the scene's luma, above 0; `()` or ``(B, 1, 1, 1)``.
        key: the value that the log-average is brought to before it is compressed; 0.18 in the paper.
        white: in units of L, above 0.
        amount: 0 is the identity, 1 the operator; linear between.
        space: colour space that gives the weights of luma.
    """
    work = at_least_single(image)
    scale = constant(key, work) / constant(log_average, work).clamp_min(DARKEST_KEY)
    light = scale * luma(work, space).clamp_min(0.0)
    gain = scale * (1 + light / constant(white, work).square()) / (1 + light)
    return blend(work, gain, amount).to(image.dtype)


def drago(image: Tensor, *, log_average: Scalar, white: Scalar, bias: Scalar, amount: Scalar, space: str) -> Tensor:
    """Adaptive logarithmic mapping (Drago et al. 2003, equation 4) with a display maximum of 1.

    With luma and `white` in multiples of the log-average, ``L`` and ``W``:
    ``display = ln(L + 1) / ln(2 + 8 (L / W)^(ln(bias) / ln(0.5))) / log10(W + 1)``; every pixel is multiplied by
    ``display / luma``. The base of the logarithm goes from 2 in black to 10 at `white`, which becomes 1.

    Args:
        image: ``(..., 3, H, W)``, scene-linear, any range.
        log_average: geometric mean of the scene's luma, above 0; `()` or ``(B, 1, 1, 1)``.
        white: the luma that becomes 1; the paper takes the scene's largest.
        bias: 0.5 to 1; 0.85 in the paper. Lower values brighten the dark tones more.
        amount: 0 is the identity, 1 the operator; linear between.
        space: colour space that gives the weights of luma.
    """
    work = at_least_single(image)
    adaptation = constant(log_average, work).clamp_min(DARKEST_KEY)
    light = (luma(work, space) / adaptation).clamp_min(DARKEST)
    peak = constant(white, work) / adaptation
    exponent = -torch.log2(constant(bias, work))
    base = 2 + 8 * torch.exp2(exponent * torch.log2(light / peak))
    display = torch.log1p(light) / torch.log(base) * math.log(10) / torch.log1p(peak)
    return blend(work, display / light / adaptation, amount).to(image.dtype)


def blend(image: Tensor, gain: Tensor, amount: Scalar) -> Tensor:
    """The image times `gain`, in the share `amount`; at 0 the image itself, bit for bit."""
    return image * (1 + constant(amount, image) * (gain - 1))


def hable(
    image: Tensor,
    *,
    ev: Scalar,
    white: Scalar,
    shoulder: Scalar,
    linear: Scalar,
    angle: Scalar,
    toe: Scalar,
    toe_numerator: Scalar,
    toe_denominator: Scalar,
    amount: Scalar,
) -> Tensor:
    """The filmic curve of Hable 2010 on each plane alone: ``f(2^ev x) / f(white)``.

    ``f(x) = (x (A x + C B) + D E) / (x (A x + B) + D F) - E / F`` with A `shoulder`, B `linear`, C `angle`, D `toe`,
    E `toe_numerator`, F `toe_denominator`. Here it is brought to one fraction, which is exactly 0 at 0 and loses no
    digits near it: ``f(x) = x (A x (1 - E / F) + B (C - E / F)) / (x (A x + B) + D F)``. It rises from 0 up where
    ``C F >= E``. His talk "Uncharted 2: HDR lighting" presents it; the article "Filmic tonemapping operators" of
    the same year has ev 1, white 11.2 and A to F of 0.15, 0.5, 0.1, 0.2, 0.02 and 0.3.

    Args:
        image: ``(..., C, H, W)``, scene-linear, any range.
        ev: exposure before the curve, in stops.
        white: the value, exposed, that becomes 1; above 0.
        shoulder: A, the shoulder's strength, above 0.
        linear: B, the linear part's strength, above 0.
        angle: C, the linear part's angle, above 0.
        toe: D, the toe's strength, above 0.
        toe_numerator: E, from 0 to C F.
        toe_denominator: F, above 0.
        amount: 0 is the identity, 1 the operator; linear between.
    """
    work = at_least_single(image)
    a, b, c, d, e, f = (constant(v, work) for v in (shoulder, linear, angle, toe, toe_numerator, toe_denominator))
    lift = e / f

    def rise(x: Tensor) -> Tensor:
        """f(x) / x."""
        return (a * x * (1 - lift) + b * (c - lift)) / (x * (a * x + b) + d * f)

    exposed = torch.exp2(constant(ev, work)) * work
    white = constant(white, work)
    curve = exposed * rise(exposed.clamp_min(0.0)) / (white * rise(white))
    return (work + constant(amount, work) * (curve - work)).to(image.dtype)
