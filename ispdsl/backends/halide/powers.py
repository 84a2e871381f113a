"""Logarithms and powers in float32 that vectorise: polynomials on a short interval, and the exponent's bits.

Halide calls the C library for these, a sample at a time, or takes its `fast_` forms, which are good to about 12 bits.
The polynomials here interpolate at Chebyshev nodes, close to the best of their degree. Measured against float64 over
all powers of two that float32 has: `log2` within 3e-7 relative, or of 0.5 near 1; `exp2` and `exp` within 5e-7.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import halide as hl
import numpy as np
from numpy.typing import NDArray

ROOT_HALF_BITS = 0x3F3504F3
"""sqrt(1/2) as a float32's bits: mantissas are taken from there to sqrt(2), on both sides of 1."""

SMALLEST = 2.0**-126
"""The smallest number of float32 with a full mantissa."""

HIGHEST = 127.49
"""The largest exponent of a power that is computed: code that is made for speed cannot rely on infinities."""

LN2_HIGH = 0.693359375
LN2_LOW = math.log(2.0) - LN2_HIGH
"""ln 2 in two parts, the first short enough that its products with whole numbers are exact (Cody and Waite 1980)."""


def _interpolated(function: Callable[[NDArray[np.float64]], NDArray[np.float64]], low: float, high: float, degree: int):
    """Coefficients, lowest first, of the polynomial through Chebyshev nodes of an interval."""
    nodes = np.cos(np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1))
    places = 0.5 * (low + high) + 0.5 * (high - low) * nodes
    return [float(each) for each in np.polynomial.Polynomial.fit(places, function(places), degree).convert().coef]


# log2(1 + f) / f, so that the logarithm of what is close to 1 keeps its digits.
LOG2 = _interpolated(lambda f: np.log1p(f) / (f * math.log(2.0)), math.sqrt(0.5) - 1, math.sqrt(2.0) - 1, 7)
EXP2 = _interpolated(np.exp2, -0.5, 0.5, 5)
EXP = _interpolated(np.exp, -0.5 * math.log(2.0), 0.5 * math.log(2.0), 5)


def _polynomial(coefficients: list[float], x: hl.Expr) -> hl.Expr:
    """By pairs, pairs of pairs and so on (Estrin 1960): fewer steps that wait for each other than by Horner's rule."""
    terms = [hl.f32(coefficient) for coefficient in coefficients]
    while len(terms) > 1:
        pairs = [low + high * x for low, high in zip(terms[::2], terms[1::2], strict=False)]
        terms = pairs + terms[len(pairs) * 2 :]
        x = x * x
    return terms[0]


def log2(x: hl.Expr, least: float = -math.inf) -> hl.Expr:
    """The logarithm; minus infinity at 0 and for numbers too small for a full mantissa, no number below 0.

    Args:
        x: of which.
        least: x is never below; from `SMALLEST` on there is no edge to look after.
    """
    bits = hl.reinterpret(hl.Int(32), x)
    exponent = (bits - ROOT_HALF_BITS) >> 23
    fraction = hl.reinterpret(hl.Float(32), bits - (exponent << 23)) - hl.f32(1)
    found = hl.cast(hl.Float(32), exponent) + fraction * _polynomial(LOG2, fraction)
    if least >= SMALLEST:
        return found
    edge = hl.select(x < hl.f32(0), _bits(0x7FC00000), _bits(-0x800000))
    return hl.select(x < hl.f32(SMALLEST), edge, found)


def log(x: hl.Expr) -> hl.Expr:
    """The natural logarithm; as `log2` at 0 and below."""
    return log2(x) * hl.f32(math.log(2.0))


def exp2(x: hl.Expr) -> hl.Expr:
    """Two to the power of x; 2^-126 where it would be less, 2^127.49 where it would be more."""
    limited = hl.clamp(x, hl.f32(-126), hl.f32(HIGHEST))
    whole, power = _whole(limited)
    return _polynomial(EXP2, limited - whole) * power


def exp(x: hl.Expr) -> hl.Expr:
    """E to the power of x; 2^-126 where it would be less, 2^127.49 where it would be more."""
    limited = hl.clamp(x, hl.f32(-126 * math.log(2.0)), hl.f32(HIGHEST * math.log(2.0)))
    whole, power = _whole(limited * hl.f32(1 / math.log(2.0)))
    return _polynomial(EXP, (limited - whole * hl.f32(LN2_HIGH)) - whole * hl.f32(LN2_LOW)) * power


def _whole(x: hl.Expr) -> tuple[hl.Expr, hl.Expr]:
    """The nearest whole number, and two to its power."""
    whole = hl.floor(x + hl.f32(0.5))
    return whole, hl.reinterpret(hl.Float(32), (hl.cast(hl.Int(32), whole) + 127) << 23)


def _bits(bits: int) -> hl.Expr:
    return hl.reinterpret(hl.Float(32), hl.i32(bits))


def power(base: hl.Expr, exponent: float | hl.Expr, least: float = -math.inf) -> hl.Expr:
    """``base ** exponent``: by products and roots for small whole and half exponents, else by logarithm.

    The base is never below `least`.
    """
    if isinstance(exponent, float) and exponent in (0.5, -0.5):
        root = hl.sqrt(base)
        return root if exponent > 0 else hl.f32(1) / root
    if isinstance(exponent, float) and exponent.is_integer() and 0 < abs(exponent) <= 8:
        found = base
        for digit in bin(int(abs(exponent)))[3:]:
            found = found * found
            if digit == "1":
                found = found * base
        return found if exponent > 0 else hl.f32(1) / found
    if isinstance(exponent, float):
        return exp2(log2(base, least) * hl.f32(exponent)) if exponent else hl.f32(1)
    return hl.select(exponent == hl.f32(0), hl.f32(1), exp2(log2(base, least) * exponent))


def sign(x: hl.Expr) -> hl.Expr:
    """1 above 0, -1 below, 0 at it."""
    return hl.select(x > hl.f32(0), hl.f32(1), hl.select(x < hl.f32(0), hl.f32(-1), hl.f32(0)))


def softplus(x: hl.Expr) -> hl.Expr:
    """``log(1 + e^x)``, written so that neither end overflows."""
    return hl.max(x, hl.f32(0)) + log1p(exp(-hl.abs(x)))


def log1p(x: hl.Expr) -> hl.Expr:
    """``log(1 + x)``: the rounding of ``1 + x`` is put right by its first order (Goldberg 1991, theorem 4)."""
    whole = hl.f32(1) + x
    return log(whole) + (x - (whole - hl.f32(1))) / whole


def expm1(x: hl.Expr) -> hl.Expr:
    """``e^x - 1``: by its series where the difference would lose digits."""
    series = x * (1 + x * (hl.f32(1 / 2) + x * (hl.f32(1 / 6) + x * (hl.f32(1 / 24) + x * hl.f32(1 / 120)))))
    return hl.select(hl.abs(x) < hl.f32(0.1), series, exp(x) - hl.f32(1))


def tanh(x: hl.Expr) -> hl.Expr:
    """The hyperbolic tangent, by `expm1`, so that small numbers keep their digits."""
    double = expm1(-2 * hl.abs(x))
    return sign(x) * -double / (double + hl.f32(2))
