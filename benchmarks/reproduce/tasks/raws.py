"""Raws of dark scenes: photographs as a camera would see them with a few stops of light less than it needs.

The synthetic camera (Brooks et al. 2019, "Unprocessing Images for Learned Raw Denoising", CVPR) takes them, one camera
for all: from sRGB to linear light, the inverse of colour matrix and white balance, a Bayer mosaic, Poisson-Gaussian
noise (Foi, Trimeche, Katkovnik and Egiazarian 2008) and 14 bits. The light is taken away before the sensor, so that
nothing clips; the file does not say how much is missing, as that of a camera does not.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ispdsl.darkroom import tensors
from ispdsl.runtime.rawfile import read
from ispdsl.runtime.spaces import SRGB_CURVE
from ispdsl.synthetic import SyntheticRaw, synthesise, write_dng
from ispdsl.synthetic.camera import MATRICES

CFA = "rggb"
GAINS = (2.1, 1.7)
NOISE = (4e-4, 1e-7)
"""Shot and read noise ``(s, o)``: at signal x of white the variance is ``s x + o``. A small sensor at a high gain."""

STOPS = 4.0
"""Of light that are missing: mid-grey is 1.1 % of white, five times its noise."""

Photo = NDArray[np.float32]


def shot(photo: Photo, seed: int, stops: float = STOPS) -> SyntheticRaw:
    """The raw of a photograph ``(3, H, W)``, sRGB in 0..1, whose scene lies `stops` darker; the noise is of `seed`."""
    dark = SRGB_CURVE.encode(SRGB_CURVE.decode(photo.astype(np.float64)) * 2.0**-stops)
    matrix = MATRICES.mean(axis=0)
    return synthesise(
        dark, seed=seed, cfa=CFA, tone="none", noise=NOISE, gains=GAINS, matrix=matrix, brightness=1.0
    )  # fmt: skip


def mosaics(photos: Sequence[Photo], seed: int, stops: float = STOPS) -> Tensor:
    """Sensor codes ``(N, 1, H, W)`` of photographs of one size; the noise of each is its own."""
    seeds = np.random.SeedSequence(seed).generate_state(len(photos))
    codes = [shot(photo, int(each), stops).mosaic for photo, each in zip(photos, seeds, strict=True)]
    return torch.from_numpy(np.stack(codes).astype(np.float32))


def metadata() -> dict[str, Tensor]:
    """What the camera's file says, of any of its raws."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "any.dng"
        write_dng(path, shot(np.full((3, 32, 32), 0.5, np.float32), 0))
        return tensors(read(path))[1]
