"""Photographs that are clean, and the same with noise, as a program is given them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.reproduce.approximation.raws import Region, choose
from benchmarks.reproduce.neutral import neutral
from ispdsl.ir.types import Type
from ispdsl.runtime.frame import Frame, FrameSource
from ispdsl.runtime.spaces import SRGB_CURVE

SIDE, PART = 128, 56
"""Height and width in px of a photograph that is tested on, and of one that is tuned on."""

TUNED, TESTED = 3, 4
"""Photographs that are tuned on, side by side in one picture, and that are tested on; each of a raw of its own."""

NOISE = (15.0, 35.0)
"""Standard deviations between which that of the noise is drawn, in codes of 8 bits."""

EXPOSED = 99.0
"""Percentile of the samples that is brought to white."""

Photograph = NDArray[np.float32]
"""``(3, H, W)``, sRGB from 0 to 1."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """What a seed draws.

    Attributes:
        noise: its standard deviation, in codes of 8 bits.
        tuned: one picture, of parts of several raws side by side.
        tested: pictures of other raws.
        raws: names of the raws that were tuned on and of those that were tested on.
    """

    noise: float
    tuned: Photograph
    tested: tuple[Photograph, ...]
    raws: tuple[tuple[str, ...], tuple[str, ...]]


def draw(folder: Path, seed: int) -> Drawn:
    """What a seed draws of the raws below a folder: training raws are tuned on, testing raws are tested on.

    Raises:
        RawError: there is no such folder, or it does not hold two regions.
    """
    rng = np.random.default_rng(seed)
    chosen = choose(folder, None, most=3 * TESTED)
    noise = float(rng.uniform(*NOISE))
    training, testing = (
        several(regions, count, rng) for regions, count in ((chosen.training, TUNED), (chosen.testing, TESTED))
    )
    tuned = np.concatenate([part(photograph(each), PART, rng) for each in training], axis=2)
    tested = tuple(part(photograph(each), SIDE, rng) for each in testing)
    return Drawn(noise, tuned, tested, (names(training), names(testing)))


def several(regions: Sequence[Region], count: int, rng: np.random.Generator) -> list[Region]:
    """Some regions, of different raws."""
    found: dict[str, Region] = {}
    for index in rng.permutation(len(regions)):
        found.setdefault(regions[index].name, regions[index])
    return list(found.values())[:count]


def names(regions: Sequence[Region]) -> tuple[str, ...]:
    """Of the raws."""
    return tuple(each.name for each in regions)


def photograph(region: Region) -> Photograph:
    """A region as a clean photograph: a neutral rendering, each pixel the mean light of a square, exposed to white."""
    return shrunk(neutral(region.read()).transpose(2, 0, 1).astype(np.float64))


def shrunk(light: NDArray[np.float64]) -> Photograph:
    """Linear light ``(3, H, W)`` as a photograph that is `SIDE` px or somewhat more either way."""
    factor = max(min(light.shape[1:]) // SIDE, 1)
    _, height, width = (size // factor for size in light.shape)
    cells = light[:, : height * factor, : width * factor].reshape(3, height, factor, width, factor).mean((2, 4))
    white = max(float(np.percentile(cells, EXPOSED)), 1e-6)
    return np.asarray(SRGB_CURVE.encode(np.clip(cells / white, 0, 1)), np.float32)


def part(photo: Photograph, side: int, rng: np.random.Generator) -> Photograph:
    """A square part of a photograph, anywhere; as much as there is where it is smaller."""
    top, left = (int(rng.integers(max(size - side, 0) + 1)) for size in photo.shape[1:])
    return photo[:, top : top + side, left : left + side]


def noisy(photo: Photograph, noise: float, seed: int) -> Frame:
    """A photograph with Gaussian noise, in codes of 8 bits, as a program is given it."""
    codes = 255 * photo + np.random.default_rng(seed).normal(0, noise, photo.shape)
    known = {"black_level": np.zeros(4), "white_level": 255.0, "as_shot_neutral": np.ones(3)}
    source = FrameSource("a noisy photograph", "", "", "", "made here", whole=False)
    return Frame(np.clip(np.round(codes), 0, 255).astype(np.uint8), Type.parse("raw<linear, u8>"), known, 1, source)
