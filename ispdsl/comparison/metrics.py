"""Figures for how far two arrays are apart: signal to noise, structure, colour, and where the difference is largest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ispdsl.comparison.colour import Colorimetry, lab
from ispdsl.runtime.spaces import Floats

WINDOW = 11
"""Pixels across SSIM's Gaussian window; smaller images have no SSIM."""

BAND = 256
"""Rows whose colour differences are found at once: in full size the intermediate values take gigabytes."""


@dataclass(frozen=True)
class Largest:
    """The place of the largest difference, in the coordinates of the arrays, and what each of them has there."""

    difference: float
    plane: int
    row: int
    column: int
    first: float
    second: float


@dataclass(frozen=True)
class ColourDifference:
    """CIEDE2000 over all pixels; about 1 is just noticeable."""

    mean: float
    percentile_95: float
    largest: float


def psnr(first: Floats, second: Floats, peak: float) -> float:
    """Peak signal to noise ratio in dB, ``10 log10(peak^2 / mean squared difference)``; infinite where equal."""
    square = float(np.mean(np.square(first - second), dtype=np.float64))
    return float("inf") if square == 0 else 10 * float(np.log10(peak**2 / square))


def ssim(first: Floats, second: Floats) -> float | None:
    """Mean structural similarity of two planes `(H, W)` with black 0 and white 1; None below `WINDOW` pixels.

    Wang, Bovik, Sheikh, Simoncelli, "Image Quality Assessment: From Error Visibility to Structural Similarity", IEEE
    Transactions on Image Processing 13(4), 2004, equation 13: Gaussian window of 11 x 11 with sigma 1.5, K1 = 0.01,
    K2 = 0.03, averaged over the places where the window lies inside.
    """
    from skimage.metrics import structural_similarity

    if min(first.shape) < WINDOW:
        return None
    planes = (np.asarray(plane, np.float32) for plane in (first, second))
    found: Any = structural_similarity(
        *planes, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, K1=0.01, K2=0.03
    )
    return float(found)


def ciede2000(first: Floats, second: Floats, seen: Colorimetry) -> ColourDifference:
    """CIEDE2000 of two RGB images `(3, H, W)` of one colorimetry, white 1.

    Sharma, Wu, Dalal, "The CIEDE2000 Color-Difference Formula", Color Research and Application 30(1), 2005, with all
    weights 1.
    """
    from skimage.color import deltaE_ciede2000

    bands: list[NDArray[np.float32]] = []
    for top in range(0, first.shape[1], BAND):
        one, two = (lab(image[:, top : top + BAND], seen) for image in (first, second))
        bands.append(np.asarray(deltaE_ciede2000(one, two, channel_axis=0), np.float32).ravel())
    found = np.concatenate(bands)
    mean = float(np.mean(found, dtype=np.float64))
    return ColourDifference(mean, float(np.percentile(found, 95)), float(found.max()))


def largest(first: Floats, second: Floats) -> Largest:
    """The largest absolute difference of two arrays `(C, H, W)`, the first of equal ones in reading order."""
    apart = np.abs(first - second)
    plane, row, column = (int(index) for index in np.unravel_index(int(apart.argmax()), apart.shape))
    one, two = float(first[plane, row, column]), float(second[plane, row, column])
    return Largest(abs(one - two), plane, row, column, one, two)
