"""Photographs that travel inside scikit-image's wheel, and a raw made from one of them in a single call."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ispdsl.runtime.pictures import PictureError, read_picture
from ispdsl.synthetic.camera import synthesise
from ispdsl.synthetic.dng import write_dng
from ispdsl.synthetic.unprocess import Tone

SAMPLE_PHOTOS = {
    "astronaut": "astronaut.png",
    "cat": "chelsea.png",
    "coffee": "coffee.png",
    "motorcycle": "motorcycle_left.png",
    "rocket": "rocket.jpg",
}
"""Name of a photograph and its file in scikit-image; all are CC0 or in the public domain."""

LOW_NOISE = (3e-4, 7e-8)
"""Shot and read noise of a good exposure: 4 % of a mid-grey."""


def sample_photo(name: str, size: int | None = None) -> NDArray[np.float32]:
    """A photograph ``(3, H, W)`` in sRGB codes 0..1; `size` is its longer side in px, by default its own.

    The file is read from the installed package, without importing it and without the network.

    Raises:
        PictureError: no photograph has this name, or scikit-image is not installed.
        ValueError: the size is below 2.
    """
    if name not in SAMPLE_PHOTOS:
        raise PictureError(f"there is no sample photo {name!r}", f"choose one of {', '.join(SAMPLE_PHOTOS)}")
    package = find_spec("skimage")
    if package is None or package.origin is None:
        raise PictureError("scikit-image, which holds the sample photos, is not installed", "pip install scikit-image")
    photo, _ = read_picture(Path(package.origin).parent / "data" / SAMPLE_PHOTOS[name])
    return photo if size is None else resize(photo, size)


def resize(photo: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """``(3, H, W)`` with `size` px on its longer side, by Lanczos."""
    if size < 2:
        raise ValueError(f"a photo is at least 2 px wide, not {size}")
    height, width = photo.shape[1:]
    scale = size / max(height, width)
    shape = (max(2, round(width * scale)), max(2, round(height * scale)))
    planes = [np.asarray(Image.fromarray(plane).resize(shape, Image.Resampling.LANCZOS)) for plane in photo]
    return np.stack(planes).clip(0, 1)


def write_demo_raw(
    path: str | Path,
    name: str = "coffee",
    *,
    seed: int = 0,
    size: int | None = None,
    cfa: str = "rggb",
    tone: Tone = "none",
    noise: bool | tuple[float, float] = LOW_NOISE,
    vignetting: float = 0.0,
    orientation: int = 1,
) -> None:
    """Write a sample photograph as the DNG that a synthetic camera would have taken of it.

    Args:
        path: the ``.dng`` to write.
        name: one of `SAMPLE_PHOTOS`.
        seed: of camera and noise; equal arguments give equal files.
        size: longer side in px, by default the photograph's own.
        cfa: as in `synthesise`.
        tone: as in `synthesise`, but none by default: a pipeline at rest then shows the photograph, not a flat one.
        noise: as in `synthesise`, but little of it by default.
        vignetting: as in `synthesise`.
        orientation: as in `write_dng`; the mosaic itself stays upright.

    Raises:
        PictureError: unknown name, or the file cannot be written.
        ValueError: an argument is out of its range.
    """
    photo = sample_photo(name, size)
    raw = synthesise(photo, seed=seed, cfa=cfa, tone=tone, noise=noise, vignetting=vignetting)
    write_dng(path, raw, orientation=orientation)
