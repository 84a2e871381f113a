"""The sensor interface and white balance: codes of any sensor become the device's own of 12 bits."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

TOP = 4095
"""The largest code inside the device."""

Plane = NDArray[np.int16]

LINEAR = "linear"
"""The CFA of a frame with all colours at every site."""


def sites(cfa: str) -> tuple[tuple[slice, slice, str], ...]:
    """Rows, columns and colour of the four kinds of site, in reading order."""
    return tuple((slice(i, None, 2), slice(j, None, 2), cfa[2 * i + j]) for i in (0, 1) for j in (0, 1))


@lru_cache(maxsize=64)
def levels(bits: int, black: int, white: int, gain: int) -> Plane:
    """The device's code for each of a sensor's, black to white stretched to 0..4095, then times the gain.

    `black` and `white` are in 1/256 of a code, `gain` in 1/256; every step rounds halves up and stays in 0..4095.
    """
    code = np.arange(1 << bits, dtype=np.int64) * 256
    span = max(white - black, 1)
    stretched = np.clip(((code - black) * (2 * TOP) + span) // (2 * span), 0, TOP)
    return np.clip((stretched * gain + 128) >> 8, 0, TOP).astype(np.int16)


def balanced(
    mosaic: NDArray[np.uint16], cfa: str, bits: int, black: tuple[int, ...], white: int, codes: Mapping[str, int]
) -> Plane:
    """The frame in the device's codes after white balance, which saturates. Codes beyond `bits` count as the top."""
    gains = {"r": codes["gain_00"], "g": codes["gain_01"], "b": codes["gain_11"]}
    known = mosaic if bits == 16 else np.minimum(mosaic, (1 << bits) - 1)
    if cfa == LINEAR:
        each = zip(known, "rgb", black, strict=False)
        return np.stack([levels(bits, level, white, gains[colour])[plane] for plane, colour, level in each])
    found = np.empty(mosaic.shape, np.int16)
    for (rows, columns, colour), level in zip(sites(cfa), black, strict=True):
        found[0, rows, columns] = levels(bits, level, white, gains[colour])[known[0, rows, columns]]
    return found
