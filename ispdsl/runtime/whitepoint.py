"""White points: correlated colour temperature and tint to CIE xy chromaticity and back.

The temperature is that of the nearest point of the exact Planckian locus in the CIE 1960 (u, v) plane, the tint the
signed distance above it times 3000, as in raw developers: a light of positive tint lies above the locus and is
greenish, so that assuming it makes a picture more magenta. The locus is Planck's law integrated against the CIE 1931
colour matching functions, never a fit, so that both directions agree to rounding. Sources: CIE 015:2018, sections 7
and 9.4; ITS-90 (c2 = 0.014388 m K).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ispdsl.runtime.cie1931 import CIE_1931

Vector = NDArray[np.float64]

COLDEST = 1667.0
HOTTEST = 50000.0
"""Range of temperatures in kelvin; a chromaticity beyond takes the nearer end."""

TINT_SCALE = 3000.0
"""Tint of a unit distance above the locus in CIE 1960 (u, v)."""

SECOND_RADIATION = 1.4388e-2
"""Planck's second radiation constant in metre kelvin."""

_TABLE = np.array(CIE_1931, dtype=np.float64)
_METRES = _TABLE[:, 0] * 1e-9
_MATCHING = _TABLE[:, 1:]


def locus(temperature: float) -> tuple[Vector, Vector]:
    """Chromaticity (u, v) in CIE 1960 of a black body and its derivative by temperature.

    Args:
        temperature: kelvin, above 0.
    """
    exponent = SECOND_RADIATION / (_METRES * temperature)
    # Planck's law up to a constant; -expm1(-x) keeps it exact at high temperatures and finite at low ones.
    radiance = np.exp(exponent.min() - exponent) * _METRES**-5 / -np.expm1(-exponent)
    slope = radiance * exponent / (temperature * -np.expm1(-exponent))
    xyz, xyz_slope = radiance @ _MATCHING, slope @ _MATCHING
    weights = np.array([1.0, 15.0, 3.0])
    total, total_slope = weights @ xyz, weights @ xyz_slope
    numerator = np.array([4.0 * xyz[0], 6.0 * xyz[1]])
    uv = numerator / total
    return uv, (np.array([4.0 * xyz_slope[0], 6.0 * xyz_slope[1]]) - uv * total_slope) / total


def uv_of_xy(xy: ArrayLike) -> Vector:
    """CIE 1960 (u, v) of a CIE (x, y) chromaticity."""
    x, y = np.asarray(xy, dtype=np.float64)
    return np.array([4.0 * x, 6.0 * y]) / (12.0 * y - 2.0 * x + 3.0)


def xy_of_uv(uv: ArrayLike) -> Vector:
    """CIE (x, y) of a CIE 1960 (u, v) chromaticity."""
    u, v = np.asarray(uv, dtype=np.float64)
    return np.array([3.0 * u, 2.0 * v]) / (2.0 * u - 8.0 * v + 4.0)


def xy_of(temperature: float, tint: float = 0.0) -> Vector:
    """Chromaticity (x, y) of a white with this temperature (kelvin, limited to `COLDEST`..`HOTTEST`) and tint."""
    uv, slope = locus(min(max(temperature, COLDEST), HOTTEST))
    return xy_of_uv(uv + tint / TINT_SCALE * _upward_normal(slope))


def temperature_tint_of(xy: ArrayLike) -> tuple[float, float]:
    """Temperature in kelvin and tint of a chromaticity (x, y); the inverse of `xy_of`.

    Within the range of temperatures ``xy_of(*temperature_tint_of(xy))`` gives `xy` back to rounding. Beyond it the
    temperature is the nearer end of the range and the tint is measured across the locus there.
    """
    uv = uv_of_xy(xy)
    temperature = _nearest_temperature(uv)
    point, slope = locus(temperature)
    return temperature, float(TINT_SCALE * (uv - point) @ _upward_normal(slope))


def in_range(temperature: float) -> bool:
    """Whether a temperature from `temperature_tint_of` lies inside the range and was not taken from its end."""
    return COLDEST < temperature < HOTTEST


def _upward_normal(slope: Vector) -> Vector:
    """Unit normal of the locus towards greater v, where whites look green; heat lowers u."""
    return np.array([slope[1], -slope[0]]) / np.hypot(*slope)


def _along(uv: Vector, mired: float) -> float:
    """How far `uv` lies ahead of the locus point, along the direction of rising temperature."""
    point, slope = locus(1e6 / mired)
    return float((uv - point) @ slope)


def _nearest_temperature(uv: Vector) -> float:
    """Temperature of the nearest point of the locus: the best of a grid in mired, then the foot of the normal.

    The foot is found by regula falsi in its Illinois form (Dowell and Jarratt 1971).
    """
    best = int(np.argmin([np.hypot(*(uv - point)) for point in _GRID_POINTS]))
    behind, ahead = float(_GRID[max(best - 1, 0)]), float(_GRID[min(best + 1, len(_GRID) - 1)])
    f_behind, f_ahead = _along(uv, behind), _along(uv, ahead)
    if f_behind >= 0.0:  # still ahead at the hot end
        return 1e6 / behind
    if f_ahead <= 0.0:
        return 1e6 / ahead
    old, f_old, new, f_new = behind, f_behind, ahead, f_ahead
    for _ in range(60):
        middle = new - f_new * (new - old) / (f_new - f_old)
        f_middle = _along(uv, middle)
        if f_middle == 0.0 or abs(middle - new) <= 1e-15 * middle:
            return 1e6 / middle
        if f_middle * f_new < 0.0:
            old, f_old = new, f_new
        else:
            f_old *= 0.5
        new, f_new = middle, f_middle
    return 1e6 / new


_GRID = np.linspace(1e6 / HOTTEST, 1e6 / COLDEST, 120)
_GRID_POINTS = [locus(1e6 / mired)[0] for mired in _GRID]
