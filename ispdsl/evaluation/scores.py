"""Figures of what a double gives against what the real thing gave, for one query and over many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ispdsl.comparison.colour import CODED, colorimetry
from ispdsl.comparison.metrics import ciede2000, psnr
from ispdsl.comparison.overlap import IncomparableError, overlap
from ispdsl.comparison.pair import peak_of, structure
from ispdsl.ir.types import Type
from ispdsl.runtime.spaces import LINEAR, SRGB_CURVE

BEST, LEAST = 100.0, -40.0
"""dB that count for equal images and all that are closer, and for what is no picture at all: means stay finite."""

Image = NDArray[np.float32]


@dataclass(frozen=True)
class Score:
    """Of one image against the real one.

    Attributes:
        psnr: in dB, `LEAST`..`BEST`, of the numbers of the type. The peak is 1 = white for floats, which scene-linear
            values may exceed, and the largest code (of a mosaic the white level) for codes. `LEAST` where numbers are
            not finite.
        coded: of light only: PSNR of the same values clipped to 0..1 and coded by sRGB's curve, closer to what is seen.
        ssim, ciede2000: mean structural similarity, and mean colour difference; None where they were not asked for or
            the image has none.
    """

    psnr: float
    coded: float | None = None
    ssim: float | None = None
    ciede2000: float | None = None


@dataclass(frozen=True)
class Summary:
    """Of many queries: PSNR in dB as its mean over queries, median, 5 % quantile and worst; means of the rest."""

    count: int
    mean: float
    median: float
    low: float
    worst: float
    coded: float | None
    ssim: float | None
    ciede2000: float | None


def is_light(type_: Type) -> bool:
    """Whether an image holds scene-linear light, not codes for a display."""
    if type_.name not in ("rgb", "luma") or type_.args[0] in CODED or str(type_.args[1]) != "f32":
        return False
    known = colorimetry(str(type_.args[0]), {})
    return known is None or known.transfer == LINEAR


def score(real: Image, double: Image, type_: Type, metadata: Mapping[str, Any], detailed: bool = False) -> Score:
    """The score of an image `(C, H, W)` against the real one.

    Args:
        real: what the real thing gave.
        double: what its double gives; the part in the middle counts where a real thing cuts its border off.
        type_: of both.
        metadata: of the frame: white level, camera colour.
        detailed: also SSIM and CIEDE2000, which take longer than many a double.
    """
    if not np.isfinite(double).all():
        return Score(LEAST)
    try:
        first, second = overlap(real.shape, double.shape, mosaic=type_.name == "raw").cut(real, double)
    except IncomparableError:
        return Score(LEAST)
    peak = peak_of(type_, metadata)
    coded = limited(psnr(_coded(first), _coded(second), 1.0)) if is_light(type_) else None
    if not detailed:
        return Score(limited(psnr(first, second, peak)), coded)
    one, two = first / np.float32(peak), second / np.float32(peak)
    seen = colorimetry(str(type_.args[0]), metadata) if type_.name == "rgb" else None
    colour = ciede2000(one, two, seen).mean if seen else None
    return Score(limited(psnr(first, second, peak)), coded, structure(one, two, type_, metadata), colour)


def limited(decibel: float) -> float:
    """PSNR within `LEAST`..`BEST`."""
    return min(max(decibel, LEAST), BEST)


def _coded(light: Image) -> Image:
    return np.asarray(SRGB_CURVE.encode(np.clip(light, 0, 1)), np.float32)


def summary(scores: Iterable[Score]) -> Summary:
    """Scores of many queries as one.

    Raises:
        ValueError: there are none.
    """
    found = list(scores)
    if not found:
        raise ValueError("there are no scores")
    values = np.array([each.psnr for each in found])
    return Summary(
        len(found),
        float(values.mean()),
        float(np.median(values)),
        float(np.quantile(values, 0.05)),
        float(values.min()),
        _mean(each.coded for each in found),
        _mean(each.ssim for each in found),
        _mean(each.ciede2000 for each in found),
    )


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
