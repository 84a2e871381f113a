"""Indicators of a picture that need no reference (KPIs): exposure, noise, sharpness, colour cast.

Alone they are easily cheated: noise goes where everything is blurred. Weigh them against one another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ispdsl.comparison.colour import colorimetry, lab, luma
from ispdsl.optimise.tasks.task import Picture, Task, View

GREY = 0.18
"""Reflectance of the photographer's grey card, which a mean of a usual scene comes near to."""

BLOCK = 16
"""Pixels across the blocks that flat ones are sought among."""

FLAT = 0.1
"""Which part of the blocks is taken to be flat."""

EDGES = 0.05
"""Which part of the pixels is taken to lie on edges."""

BURNT, BLACK = 0.98, 0.02
"""Luma beyond which colours are clipped."""

Indicator = Callable[[Picture, View], float]


def exposure(picture: Picture, view: View) -> float:
    """How far the mean luma is from that of a grey of 18 %, in 0..1."""
    grey = np.full((len(picture), 1, 1), _coded(GREY, view), np.float32)
    return abs(float(_luma(picture, view).mean(dtype=np.float64)) - float(_luma(grey, view)[0, 0]))


def noise(picture: Picture, view: View) -> float:
    """The standard deviation of noise in the luma of flat areas.

    Immerkaer, "Fast Noise Variance Estimation", Computer Vision and Image Understanding 64(2), 1996: his mask, whose
    response to noise has 6 times its standard deviation, in the tenth of the blocks that have least of it.
    """
    plane = _luma(picture, view)
    rows = plane[:-2] - 2 * plane[1:-1] + plane[2:]
    mask = rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:]
    flat = np.sort(_blocks(np.square(mask, dtype=np.float64)).reshape(-1))
    return float(np.sqrt(flat[: max(1, round(FLAT * flat.size))].mean())) / 6


def sharpness(picture: Picture, view: View) -> float:
    """How steep luma is on the edges, per pixel, as a part of the picture's contrast."""
    plane = _luma(picture, view)
    across, down = np.diff(plane, axis=1)[:-1], np.diff(plane, axis=0)[:, :-1]
    steep = np.sort(np.hypot(across, down).reshape(-1))[::-1]
    contrast = float(np.subtract(*np.percentile(plane, [99, 1])))
    return float(steep[: max(1, round(EDGES * steep.size))].mean(dtype=np.float64)) / max(contrast, 1e-6)


def colour_cast(picture: Picture, view: View) -> float:
    """How far the mean colour is from grey, in CIELAB, where neither black nor burnt: the grey world's error.

    Buchsbaum, "A Spatial Processor Model for Object Colour Perception", Journal of the Franklin Institute 310(1), 1980.

    Raises:
        ValueError: the space has no colorimetry, or the picture is grey.
    """
    seen = colorimetry(view.space, view.metadata)
    if seen is None or len(picture) != 3:
        raise ValueError(f"no colour cast is defined in {view.space}")
    plane = _luma(picture, view)
    kept = (plane > BLACK) & (plane < BURNT)
    colours = lab(picture[:, kept] if kept.any() else picture.reshape(3, -1), seen)
    return float(np.hypot(*colours[1:].mean(axis=1)))


INDICATORS: Mapping[str, tuple[Indicator, float, str]] = {
    "exposure": (exposure, 1.0, "mean luma off grey by {:.4f}"),
    "noise": (noise, 1.0, "noise {:.5f} of white"),
    "sharpness": (sharpness, -1.0, "sharpness {:.4f} of the contrast a pixel"),
    "colour-cast": (colour_cast, 1.0, "colour cast {:.3f} in CIELAB"),
}
"""By name: the function, the sign with which it is made small, and how it is shown."""


def indicator(name: str, views: Sequence[View]) -> Task:
    """The mean of an indicator over all pictures, as a task.

    Raises:
        ValueError: there is no such indicator.
    """
    if name not in INDICATORS:
        raise ValueError(f"there is no indicator {name}; it is one of {', '.join(INDICATORS)}")
    function, sign, words = INDICATORS[name]

    def measure(pictures: Sequence[Picture]) -> float:
        found = [function(picture, view) for picture, view in zip(pictures, views, strict=True)]
        return sign * sum(found) / len(found)

    return Task(name, measure, lambda value: words.format(sign * value), sign=int(sign))


def _luma(picture: Picture, view: View) -> NDArray[np.float32]:
    return luma(picture, view.space, view.metadata) if len(picture) == 3 else picture[0]


def _coded(light: float, view: View) -> float:
    """The code of a light, in the picture's space."""
    seen = colorimetry(view.space, view.metadata)
    return light if seen is None else float(seen.transfer.encode(np.array([light], np.float32))[0])


def _blocks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of every whole block."""
    height, width = (max(size // BLOCK, 1) for size in values.shape)
    deep, wide = (min(size, BLOCK) for size in values.shape)
    cut = values[: height * deep, : width * wide]
    return cut.reshape(height, deep, width, wide).mean(axis=(1, 3))
