"""Settings of a sequence of frames: chosen on key frames, interpolated between, and how much they flicker.

Tseng et al. 2022, "Neural Photo-Finishing", section 7: what is chosen are settings and not pictures, so that a video
takes them on key frames only, and what lies between is interpolated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Way = Literal["linear", "monotone"]


def key_frames(count: int, every: int) -> list[int]:
    """Numbers of the key frames of so many frames: each `every`-th from the first, and the last.

    Raises:
        ValueError: there is no frame, or no distance between key frames.
    """
    if count < 1 or every < 1:
        raise ValueError(f"{count} frames with a key frame every {every}")
    return sorted({*range(0, count, every), count - 1})


def interpolated(keys: list[int], values: Numbers, way: Way = "monotone") -> Numbers:
    """The values ``(K, P)`` of key frames, and of all frames between ``(F, P)``.

    `linear` goes in straight lines. `monotone` has no kinks and goes nowhere beyond two neighbours (Fritsch and
    Carlson, "Monotone Piecewise Cubic Interpolation", SIAM J. Numerical Analysis 17(2), 1980).

    Args:
        keys: numbers of the key frames, rising, from 0.
        values: at these.
        way: how.
    """
    frames = np.arange(keys[-1] + 1)
    if len(keys) == 1:
        return np.repeat(values, len(frames), axis=0)
    if way == "linear":
        return np.stack([np.interp(frames, keys, column) for column in values.T], axis=1)
    from scipy.interpolate import PchipInterpolator

    return np.asarray(PchipInterpolator(keys, values, axis=0)(frames), np.float64)


def jitter(values: Numbers) -> float:
    """How much a sequence flickers: the mean size of its second differences, over frames and columns.

    A steady change, however fast, has none; a step up and down again counts four times its height.

    Args:
        values: ``(F, P)`` of so many frames in order.

    Raises:
        ValueError: there are fewer than three frames.
    """
    if len(values) < 3:
        raise ValueError(f"flicker is of three frames at least, not {len(values)}")
    return float(np.abs(np.diff(values, n=2, axis=0)).mean())


@dataclass(frozen=True)
class Flicker:
    """How much a finished sequence flickers, and how much of that is the scene's own.

    Attributes:
        settings: `jitter` of the settings, as parts of their soft ranges.
        luma, chroma: of the mean luma of the pictures and of the mean of both colour differences, in codes of 8 bits.
        own_luma, own_chroma: of the same frames with the settings of the first throughout.
    """

    settings: float
    luma: float
    chroma: float
    own_luma: float
    own_chroma: float


def flicker(settings: Numbers, means: Numbers, own: Numbers) -> Flicker:
    """How much a sequence flickers.

    Args:
        settings: ``(F, P)``, as parts of the soft ranges.
        means: ``(F, 3)``, the mean luma and colour differences of the finished frames, 1 for white.
        own: the same with one and the same settings for all.

    Raises:
        ValueError: there are fewer than three frames.
    """
    parts = [jitter(255 * each) for each in (means[:, :1], means[:, 1:], own[:, :1], own[:, 1:])]
    return Flicker(jitter(settings), *parts)
