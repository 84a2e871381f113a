"""The photographs and raws of a seed: which make the style, which are trained on, and which are tested."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.reproduce.style.looks import Look, Picture, afterwards
from ispdsl.graph import Graph
from ispdsl.ir.params import Slider
from ispdsl.learned.scenes import Means, Scene, scene
from ispdsl.learned.style_training import rendered
from ispdsl.optimise.box import Box
from ispdsl.runtime.frame import Frame
from ispdsl.runtime.pictures import read_picture
from ispdsl.runtime.rawfile import read
from ispdsl.runtime.values import Settings
from ispdsl.synthetic import synthesise, write_dng

NOISE = (4e-4, 1e-7)
"""Shot and read noise ``(s, o)``: at signal x of white the variance is ``s x + o``. A small sensor by day."""

SIDE = 128
"""Px of the longer side of all that is rendered and compared."""

STYLE, TEST = 0.3, 0.25
"""Parts of the photographs: what makes the style, and what is tested; raws of what is left are trained on. Few tested
ones would differ from the style in what they show more than in how they look."""

FEWEST = 40
"""Photographs with which that makes sense."""

TESTED_CROPS = 2
"""Crops of real raws that are tested; the others are trained on."""

FIRST_CAMERA = 100_000
"""Seeds of the synthetic cameras of the photographs begin here, for each seed apart."""


@dataclass(frozen=True, eq=False)
class Material:
    """Scenes: those whose pictures are to make the style, those to train on, and those to test."""

    style: tuple[Scene, ...]
    train: tuple[Scene, ...]
    test: tuple[Scene, ...]


def photographs(data: Path) -> list[Path]:
    """All that raws are made of, in a fixed order; grey ones are left out.

    Raises:
        FileNotFoundError: there are too few.
    """
    places = ("images/bsds500/train/*.jpg", "images/kodak/*.png", "vision/coco128/images/train2017/*.jpg")
    found = sorted(path for place in places for path in data.glob(place) if _in_colour(path))
    if len(found) < FEWEST:
        raise FileNotFoundError(f"{data} holds {len(found)} photographs in {', '.join(places)}, not {FEWEST} or more")
    return found


def _in_colour(path: Path) -> bool:
    with Image.open(path) as picture:
        return picture.mode == "RGB"


def material(graph: Graph, data: Path, seed: int, most: int | None = None) -> Material:
    """What a seed draws.

    Args:
        graph: photo finishing.
        data: the folder of data.
        seed: of the order of photographs and of every camera.
        most: raws to train on; default: all that are left.
    """
    rng = np.random.default_rng(seed)
    paths = photographs(data)
    drawn = [paths[place] for place in rng.permutation(len(paths))]
    crops = sorted((data / "raw/gopro/crops").glob("*.dng"))
    real = [crops[place] for place in rng.permutation(len(crops))]
    start = Settings.of(graph)

    def synthetic(some: list[Path], first: int) -> list[Scene]:
        camera = FIRST_CAMERA * (seed + 1) + first
        return [scene(path.stem, raw_of(path, camera + place), start, side=SIDE) for place, path in enumerate(some)]

    def shot(some: list[Path]) -> list[Scene]:
        return [scene(path.stem, read(path), start, side=SIDE) for path in some]

    style = round(STYLE * len(drawn))
    ends = style + round(TEST * len(drawn))
    return Material(
        tuple(synthetic(drawn[:style], 0)),
        tuple(synthetic(drawn[ends:][:most], ends) + shot(real[TESTED_CROPS:])),
        tuple(synthetic(drawn[style:ends], style) + shot(real[:TESTED_CROPS])),
    )


def raw_of(path: Path, camera: int) -> Frame:
    """The raw of a photograph, as a synthetic camera of a seed takes it."""
    picture, _ = read_picture(path)
    return frame_of(picture, camera)


def frame_of(picture: NDArray[np.float32], camera: int, **more: Any) -> Frame:
    """The raw of a picture ``(3, H, W)``: what its file says, and nothing more. Further words as `synthesise` has."""
    rows, columns = (size // 2 * 2 for size in picture.shape[1:])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shot.dng"
        write_dng(path, synthesise(picture[:, :rows, :columns], seed=camera, cfa="rggb", noise=NOISE, **more))
        return read(path)


def widened(scenes: Sequence[Scene], hard: Collection[str]) -> tuple[Scene, ...]:
    """Scenes in which all that is legal of some addresses is searched."""
    return tuple(replace(each, box=Box.around(each.box.vector, each.settings, hard)) for each in scenes)


def pictures_of(graph: Graph, scenes: tuple[Scene, ...], look: Look, device: str) -> list[Picture]:
    """The pictures of a style: scenes at its settings, then what photo finishing cannot do."""
    made = rendered(graph, scenes, [settings_of(each, look) for each in scenes], Means(), device)
    return [afterwards(look, each) for each in made]


def settings_of(scene: Scene, look: Look) -> Settings:
    """The preset of a look for a scene."""
    moved: dict[str, float] = {}
    for address, by in look.moves.items():
        declaration, begun = scene.settings.slot(address).declaration, scene.settings[address]
        assert isinstance(declaration, Slider)
        assert isinstance(begun, float | int)
        low, high = declaration.hard or (-np.inf, np.inf)
        moved[address] = float(np.clip(begun + by, low, high))
    return scene.settings.update({**moved, **look.values})
