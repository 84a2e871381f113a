"""Two sequences of thirty raws: a burst of a scene that does not move, and a slow pan in failing light."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.reproduce.style.material import SIDE, frame_of
from ispdsl.learned.scenes import Scene, scene
from ispdsl.runtime.contact_sheet import shrink
from ispdsl.runtime.pictures import read_picture
from ispdsl.runtime.rawfile import read
from ispdsl.runtime.spaces import SRGB_CURVE
from ispdsl.runtime.values import Settings
from ispdsl.synthetic.camera import MATRICES

FRAMES = 30

DARKER = 2.0
"""Stops that the light falls by to the middle of the pan; then it comes back."""

CLOSER = 0.75
"""The part of the photograph that is in view at the end of the pan; at its beginning nine tenths."""


def burst_file(data: Path) -> Path:
    """The first archive of a burst by name.

    Raises:
        FileNotFoundError: there is none.
    """
    paths = sorted((data / "raw/burst_imx296").glob("*.npz"))
    if not paths:
        raise FileNotFoundError(f"{data / 'raw/burst_imx296'} holds no .npz with the frames of a burst")
    return paths[0]


def burst(data: Path, start: Settings) -> list[Scene]:
    """Thirty frames of a static scene as a sensor gave them (IMX296), 640 x 640.

    The archive has codes, black level and filter colours, which a description gives to whoever reads mosaics without a
    header. It has no white balance: that of the first frame's grey mean stands for all, as a camera's would.
    """
    with np.load(burst_file(data)) as held:
        codes, black, cfa = held["frames"].astype("<u2"), int(held["black"]), str(held["cfa"]).lower()
    white = int(codes.max()) + 10
    rows, columns = codes.shape[1:]
    about = {"width": columns, "height": rows, "cfa": cfa, "dtype": "u16le", "black": black, "white": white}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "first.raw"
        path.write_bytes(codes[0].tobytes())
        first = read(path, about)
    frames = [replace(first, image=each[None].astype(first.image.dtype)) for each in codes[:FRAMES]]
    return [scene(f"{number:02d}", frame, start, side=SIDE) for number, frame in enumerate(frames)]


def pan(data: Path, start: Settings, seed: int) -> list[Scene]:
    """A camera that moves over a photograph and comes closer, while the light fails and comes back.

    One camera throughout, with noise of its own in every frame; its files do not say that the light changes.
    """
    paths = sorted((data / "images/kodak").glob("*.png"))
    picture, _ = read_picture(paths[seed % len(paths)])
    return [
        scene(
            f"{number:02d}", frame_of(view(picture, number), 1000 * (seed + 1) + number, **camera()), start, side=SIDE
        )
        for number in range(FRAMES)
    ]


def camera() -> dict[str, object]:
    """What is the same of all frames but their noise."""
    return {"matrix": MATRICES.mean(axis=0), "gains": (2.1, 1.7), "brightness": 1.0}


def view(picture: NDArray[np.float32], number: int) -> NDArray[np.float32]:
    """What is in view in a frame, 384 px wide or high at most."""
    done = number / (FRAMES - 1)
    part = 0.9 + (CLOSER - 0.9) * done
    _, rows, columns = picture.shape
    height, width = int(rows * part), int(columns * part)
    top, left = int((rows - height) * done), int((columns - width) * done)
    seen = shrink(picture[:, top : top + height, left : left + width], 384)
    light = 2.0 ** (-DARKER * np.sin(np.pi * done) ** 2)
    return SRGB_CURVE.encode(SRGB_CURVE.decode(seen.astype(np.float64)) * light).clip(0, 1).astype(np.float32)
