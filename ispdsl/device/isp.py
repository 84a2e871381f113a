"""From a frame and the registers to the picture, in integers alone: the same bits on every machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ispdsl.device.colour import matrixed, tone
from ispdsl.device.demosaic import demosaiced
from ispdsl.device.denoise import denoised
from ispdsl.device.registers import codes
from ispdsl.device.sensor import balanced
from ispdsl.executors.frames import Injected

DEPTH = 8
"""Bits of a picture's sample."""

REACH = 24
"""Rows about a band that are made with it: even, and at least as many as a sample is seen in (denoising 18, green and
its gradients 3, colour 2)."""

BAND = 2**20
"""Samples that are worked on at once, so that they stay in the cache."""

SMALLEST, LARGEST = 2, 16384
"""Rows and columns that a frame may have."""


def supported(frame: Injected) -> bool:
    """Whether the device takes frames of this size."""
    return all(SMALLEST <= size <= LARGEST for size in frame.mosaic.shape[1:])


def picture(frame: Injected, words: Mapping[int, int]) -> NDArray[np.uint8]:
    """The picture `(3, H, W)` that the registers make of a frame: sRGB-like codes, red, green, blue."""
    set_to, (_, rows, columns) = codes(words), frame.mosaic.shape
    found = np.empty((3, rows, columns), np.uint8)
    height = max(BAND // columns // 2 * 2, 2 * REACH)
    for top in range(0, rows, height):
        bottom = min(top + height, rows)
        first, last = max(top - REACH, 0), min(bottom + REACH, rows)
        band = _band(replace(frame, mosaic=frame.mosaic[:, first:last]), set_to)
        for plane, made in zip(found, band, strict=True):
            plane[top:bottom] = made[top - first : bottom - first]
    return found


def _band(frame: Injected, set_to: Mapping[str, int]) -> list[NDArray[np.uint8]]:
    """The planes of some rows, beginning with an even one; those by a cut are wrong as far as `REACH`."""
    samples = balanced(frame.mosaic, frame.cfa, frame.bits, frame.black, frame.white, set_to)
    clean = np.stack([denoised(plane, set_to) for plane in samples])
    planes = matrixed(*demosaiced(clean, frame.cfa, set_to), set_to)
    table = tone(set_to["lut_knee"], set_to["lut_power"], set_to["lut_shadow"])
    return [table[plane] for plane in planes]
