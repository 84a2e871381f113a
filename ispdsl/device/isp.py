"""From a frame and the registers to the picture, in integers alone: the same bits on every machine."""

from __future__ import annotations

from collections.abc import Mapping

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

SMALLEST, LARGEST = 2, 16384
"""Rows and columns that a frame may have."""


def supported(frame: Injected) -> bool:
    """Whether the device takes frames of this size."""
    return all(SMALLEST <= size <= LARGEST for size in frame.mosaic.shape)


def picture(frame: Injected, words: Mapping[int, int]) -> NDArray[np.uint8]:
    """The picture `(3, H, W)` that the registers make of a frame: sRGB-like codes, red, green, blue."""
    set_to = codes(words)
    mosaic = balanced(frame.mosaic, frame.cfa, frame.bits, frame.black, frame.white, set_to)
    planes = matrixed(*demosaiced(denoised(mosaic, set_to), frame.cfa, set_to), set_to)
    table = tone(set_to["lut_knee"], set_to["lut_power"], set_to["lut_shadow"])
    return np.stack([table[plane] for plane in planes])
