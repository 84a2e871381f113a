"""Raws of photographs under conditions that differ from picture to picture, and are not told to anybody.

Each has light missing, an illuminant that its file has wrong, and noise of its own. The camera is that of
`benchmarks/reproduce/tasks/raws.py`, whose metadata is the same for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.reproduce.tasks.raws import CFA, GAINS, NOISE, Photo
from ispdsl.runtime.spaces import SRGB_CURVE
from ispdsl.synthetic import synthesise
from ispdsl.synthetic.camera import MATRICES


@dataclass(frozen=True)
class Range:
    """What conditions are drawn from, evenly: stops of light that are missing, how far the gains of red and blue are
    off, as a part of a stop either way, and the noise, as stops of variance either way.
    """

    stops: tuple[float, float]
    gains: float
    noise: float


@dataclass(frozen=True)
class Condition:
    """Of one picture."""

    stops: float
    red: float
    blue: float
    noise: float


def drawn(count: int, ranges: Range, rng: np.random.Generator) -> list[Condition]:
    """As many conditions."""
    stops = rng.uniform(*ranges.stops, count)
    off = rng.uniform(-1, 1, (3, count)) * np.array([[ranges.gains], [ranges.gains], [ranges.noise]])
    return [Condition(float(s), *map(float, 2.0**three)) for s, three in zip(stops, off.T, strict=True)]


def taken(photos: Sequence[Photo], conditions: Sequence[Condition], rng: np.random.Generator) -> Tensor:
    """Sensor codes ``(N, 1, H, W)`` of photographs of one size."""
    codes: list[NDArray[np.float32]] = []
    for photo, condition in zip(photos, conditions, strict=True):
        dark = SRGB_CURVE.encode(SRGB_CURVE.decode(photo.astype(np.float64)) * 2.0**-condition.stops)
        raw = synthesise(
            dark,
            seed=int(rng.integers(1 << 31)),
            cfa=CFA,
            tone="none",
            noise=(NOISE[0] * condition.noise, NOISE[1] * condition.noise),
            gains=(GAINS[0] * condition.red, GAINS[1] * condition.blue),
            matrix=MATRICES.mean(axis=0),
            brightness=1.0,
        )
        codes.append(raw.mosaic.astype(np.float32))
    return torch.from_numpy(np.stack(codes))


def matted(codes: Tensor, rng: np.random.Generator, white: float) -> tuple[Tensor, Tensor]:
    """Mosaics of which a window is left, and the windows ``(N, 1, H, W)``, 1 inside.

    Around the window there is black, or the light of a lamp that clips, or both: what says nothing of the scene.
    """
    count, _, height, width = codes.shape
    windows = torch.zeros_like(codes)
    found = torch.empty_like(codes)
    for place in range(count):
        high, wide = (int(size * rng.uniform(0.4, 0.8)) // 2 * 2 for size in (height, width))
        top, left = int(rng.integers(height - high + 1)) // 2 * 2, int(rng.integers(width - wide + 1)) // 2 * 2
        windows[place, :, top : top + high, left : left + wide] = 1
        around = torch.full((height, width), float(rng.choice([0.0, white])))
        if rng.random() < 0.5:  # one half black, the other clipped
            split = int(rng.integers(height // 4, height * 3 // 4))
            around[:split], around[split:] = 0.0, white
        found[place, 0] = torch.where(windows[place, 0] > 0, codes[place, 0], around)
    return found, windows
