"""Noise reduction on the mosaic, in two bands, among sites of one colour.

Each neighbour pulls a sample towards itself by their difference; a difference beyond the threshold pulls less the
larger it is, and from twice the threshold on not at all (the redescending influence of a robust mean: Hampel et al.,
"Robust statistics: the approach based on influence functions", 1986; the three-part one without its flat part).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ispdsl.device.sensor import TOP, Plane

NEAR, FAR, LONG = 2, 8, 16
"""Distances of the neighbours in px: of the fine band, of the coarse band, and the coarse band's long reach."""


def _pull(image: Plane, distance: int, threshold: int) -> Plane:
    """The sum of what the four neighbours pull, a quarter each, rounded down."""
    rows, columns = image.shape
    padded = np.pad(image, distance, mode="reflect")
    total = np.zeros_like(image)
    for top, left in ((0, distance), (2 * distance, distance), (distance, 0), (distance, 2 * distance)):
        difference = padded[top : top + rows, left : left + columns] - image
        size = np.abs(difference)
        reach = np.minimum(size, np.maximum(2 * threshold - size, 0))
        total += np.clip(difference, -reach, reach)
    return total >> 2


def _blend(image: Plane, pulled: Plane, strength: int) -> Plane:
    moved = image + ((pulled.astype(np.int32) * strength + 128) >> 8)
    return np.clip(moved, 0, TOP).astype(np.int16)


def denoised(image: Plane, codes: Mapping[str, int]) -> Plane:
    """The mosaic after both bands. Thresholds count 4 codes a step; strength 256 would replace the sample."""
    fine = _blend(image, _pull(image, NEAR, 4 * codes["thresh_1h"]), codes["strength_1"])
    far = _pull(fine, FAR, 4 * codes["thresh_4h"])
    long = _pull(fine, LONG, 4 * codes["thresh_long"])
    return _blend(fine, (far + long) >> 1, codes["strength_4"])
