"""Raw files of any size for benchmarks: a small synthetic scene, repeated."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from ispdsl.synthetic.camera import synthesise
from ispdsl.synthetic.dng import write_dng

SCENE = 512
"""Height and width of the scene in px."""


def raw_of(folder: Path, megapixels: float, seed: int = 0) -> Path:
    """Write a DNG of about so many megapixels (width to height 4 : 3, both even) and return its path."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:SCENE, 0:SCENE] / SCENE
    waves = [np.sin(2 * np.pi * (a * x + b * y + phase)) for a, b, phase in rng.uniform(0, 6, (3, 3)).round(2)]
    raw = synthesise(0.45 + 0.4 * np.stack(waves), seed=seed)
    height = 2 * round(math.sqrt(megapixels * 1e6 * 3 / 4) / 2)
    width = 2 * round(megapixels * 1e6 / height / 2)
    tall, wide = (-(-size // SCENE) for size in (height, width))
    mosaic = np.tile(raw.mosaic, (1, tall, wide))[:, :height, :width]
    path = folder / f"{megapixels:g}mp.dng"
    write_dng(path, replace(raw, mosaic=np.ascontiguousarray(mosaic)))
    return path
