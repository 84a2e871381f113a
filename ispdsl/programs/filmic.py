"""Display transforms: scene-linear light of any range to display-linear 0..1, each plane alone.

Both keep the order of tones, are smooth but for their ends, and know no value that they cannot take: black and all that
lies below it become 0.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ispdsl.programs.ops import Scalar, at_least_single, constant

MIDDLE_GREY = 0.18
"""What `filmic` shows scene grey as, in display-linear light: a reflectance half way between black and white paper."""

DISPLAY_GAMMA = 2.4
"""Exponent of the display encoding in which the filmic spline is drawn (ITU-R BT.1886)."""

DARKEST = 1e-9
"""Value up to which the logarithm counts a value as this one; darker than the darkest `black`."""

SIGMOID_FLOOR = 2.0**-16
"""Value below which `sigmoid` is a straight line to 0, so that its slope at 0 is finite at every contrast."""


def filmic(image: Tensor, *, grey: Scalar, black: Scalar, white: Scalar, contrast: Scalar, latitude: Scalar) -> Tensor:
    """A characteristic curve of film: toe, straight line and shoulder over the logarithm of light.

    ``v = (log2(x / grey) - black) / (white - black)``, limited to 0..1, is drawn through a curve that joins (0, 0) and
    (1, 1) with slope 0 at both, and display light is ``curve(v)^2.4``. Its middle is a straight line through grey,
    which becomes 0.18; there display light rises by `contrast` stops a stop. Toe and shoulder are the monotone rational
    quadratics of Gregory and Delbourgo 1982 ("Piecewise rational quadratic interpolation to monotonic data", IMA J.
    Numerical Analysis 2), whose slopes agree with those of the line: no legal setting bends back.

    Args:
        image: ``(..., C, H, W)``, scene-linear, any range.
        grey: the value that becomes 0.18; from 0.01 up.
        black: stops from grey to what becomes 0; -16 to below 0.
        white: stops from grey to what becomes 1; above 0.
        contrast: slope at grey in stops a stop; above 0.
        latitude: length of the straight line, as a share of the longest that stays in 0..1; 0 to below 1.
    """
    work = at_least_single(image)
    black, white, latitude = constant(black, work), constant(white, work), constant(latitude, work)
    span = white - black
    stops = torch.log2(work.clamp_min(DARKEST) / constant(grey, work))
    v = ((stops - black) / span).clamp(0.0, 1.0)
    pivot, level = -black / span, MIDDLE_GREY ** (1 / DISPLAY_GAMMA)
    slope = constant(contrast, work) * level * math.log(2) * span / DISPLAY_GAMMA
    below = latitude * torch.minimum(pivot, level / slope)
    above = latitude * torch.minimum(1 - pivot, (1 - level) / slope)
    toe = _toe(v, pivot - below, level - slope * below, slope)
    shoulder = 1 - _toe(1 - v, 1 - pivot - above, 1 - level - slope * above, slope)
    line = level + slope * (v - pivot)
    curve = torch.where(v < pivot - below, toe, torch.where(v > pivot + above, shoulder, line))
    return (curve**DISPLAY_GAMMA).to(image.dtype)


def _toe(x: Tensor, width: Tensor, height: Tensor, slope: Tensor) -> Tensor:
    """The rational quadratic from (0, 0), slope 0, to (width, height), `slope`; it stays at `height` beyond."""
    t = (x / width).clamp(0.0, 1.0)
    secant = height / width
    return height * secant * t.square() / (secant + (slope - 2 * secant) * t * (1 - t))


def sigmoid(image: Tensor, *, grey: Scalar, contrast: Scalar, skew: Scalar) -> Tensor:
    """A log-logistic display transform: Naka and Rushton 1966, with the exponent of Burr 1942, type III.

    ``display = (1 + q (x / grey)^-n)^-p`` with ``p = 2^skew``; ``q`` and ``n`` are such that grey stays where it is and
    display light there rises by `contrast` stops a stop: ``1 + q = grey^(-1/p)``, ``n = contrast (1 + q) / (p q)``. It
    approaches 1 and never reaches it. Below 2^-16 it is a straight line to 0.

    Args:
        image: ``(..., C, H, W)``, scene-linear, any range.
        grey: the value that stays; 0.02 to 0.5.
        contrast: slope at grey in stops a stop; above 0.
        skew: above 0 the shoulder is softer and the toe harder, below 0 the other way round; -1 to 1.
    """
    work = at_least_single(image)
    grey, power = constant(grey, work), torch.exp2(constant(skew, work))
    whole = torch.exp2(-torch.log2(grey) / power)
    steepness = constant(contrast, work) * whole / (power * (whole - 1))
    rise = steepness * torch.log(work.clamp_min(SIGMOID_FLOOR) / grey)
    display = torch.exp(power * torch.nn.functional.logsigmoid(rise - torch.log(whole - 1)))
    return (display * (work / SIGMOID_FLOOR).clamp(0.0, 1.0)).to(image.dtype)
