"""Colour matrix and tone table.

A row of the matrix has two coefficients in 1/256; the third is what the two leave of one, so that grey stays grey.
The tone table is a power, a limit to its slope at black, and a shoulder: `tone` says which in integers alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ispdsl.device.sensor import TOP

Wide = NDArray[np.int32]
Longs = NDArray[np.int64]

ONE = 1 << 30
"""One in the fixed point of powers: 30 bits of fraction."""

OUTPUT = 255
"""The largest code of the picture."""


def matrixed(red: Wide, green: Wide, blue: Wide, codes: Mapping[str, int]) -> tuple[Wide, ...]:
    """The three planes by the matrix, halves rounded up, in 0..4095."""
    found: list[Wide] = []
    for row in (1, 2, 3):
        first, second = codes[f"coef_a_{row}1"], codes[f"coef_a_{row}2"]
        total = first * red + second * green + (256 - first - second) * blue
        found.append(np.clip((total + 128) >> 8, 0, TOP))
    return tuple(found)


def _log2(ratio: Longs) -> Longs:
    """Minus the binary logarithm of numbers in 1..`ONE` over `ONE`, by squaring, in 24 bits of fraction, rounded up."""
    whole = np.zeros_like(ratio)
    for _ in range(30):
        low = ratio < ONE >> 1
        ratio, whole = np.where(low, ratio << 1, ratio), whole + low
    fraction = np.zeros_like(ratio)
    for _ in range(24):  # ratio is in 1/2 .. 1
        squared = ratio * ratio >> 30
        low = squared < ONE >> 1
        ratio, fraction = np.where(low, squared << 1, squared), (fraction << 1) + low
    return (whole << 24) + fraction


def _exp2(minus: Longs) -> Longs:
    """Two to the power of a negative number in 24 bits of fraction, in 1/`ONE`."""
    found = np.full_like(minus, ONE)
    for bit, factor in enumerate(_ROOTS):
        found = np.where(minus >> (23 - bit) & 1, found * factor >> 30, found)
    return np.right_shift(found, np.minimum(minus >> 24, 62), dtype=np.int64)


def _root(number: int) -> int:
    """The square root of a number in 1/`ONE`, rounded down."""
    low, high = 0, 2 * ONE
    while low + 1 < high:
        middle = low + high >> 1
        low, high = (middle, high) if middle * middle <= number * ONE else (low, middle)
    return low


def _roots() -> tuple[int, ...]:
    """2 to the power of -1/2, -1/4, ... in 1/`ONE`."""
    found = [_root(ONE >> 1)]
    while len(found) < 24:
        found.append(_root(found[-1]))
    return tuple(found)


_ROOTS = _roots()


@lru_cache(maxsize=256)
def tone(knee: int, power: int, shadow: int) -> NDArray[np.uint8]:
    """The picture's code for each of the device's 4096.

    With x and y in 0..1: the power 256 / (256 + 2 `power`) of x, at most (1 + `shadow` / 4) x; then 5/4 of it, and
    from `knee` / 256 on a shoulder d / (1 + c d) that meets 1 where 5/4 would be, d counted from the knee. Each step
    rounds down, the last one to the nearest.
    """
    code = np.arange(TOP + 1, dtype=np.int64)
    exponent = 256 * (1 << 16) // (256 + 2 * power)
    curve = _exp2(_log2(np.maximum(code * ONE // TOP, 1)) * exponent >> 16) * TOP >> 30
    curve = np.where(code == TOP, TOP, np.where(code == 0, 0, curve))
    curve = np.minimum(curve, code * (4 + shadow) >> 2)
    lifted, bend = curve * 5 >> 2, 16 * knee
    reach, room = (TOP * 5 >> 2) - bend, TOP - bend
    beyond = np.maximum(lifted - bend, 0)
    shoulder = bend + beyond * reach * room // (reach * room + beyond * (reach - room))
    curve = np.where(lifted <= bend, lifted, shoulder)
    return ((curve * (2 * OUTPUT) + TOP) // (2 * TOP)).astype(np.uint8)
