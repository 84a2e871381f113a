"""What of an ISP is discarded: the scenes, what the teacher's pipeline is given of them, and what the student sees."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

import ispdsl
from benchmarks.reproduce.joint.tables import SIDE, clean_pictures
from benchmarks.reproduce.tasks import raws
from ispdsl.backends.composite import Composite, compile
from ispdsl.learned.distil import Sensed
from ispdsl.learned.exposure import Shorter
from ispdsl.runtime.values import Settings
from ispdsl.synthetic.samples import resize

HERE = Path(__file__).parent
MACHINE_VISION = HERE.parent / "tasks" / "machine_vision.isp"

NOISE = 0.1
"""Of the noisy mosaic: standard deviation, of white, as in the paper's table 1."""

STOPS = 4.0
"""That a short exposure lacks."""


START = {"brightness": STOPS, "luma": 0.5, "chroma": 1.0, "edges": 30.0}
"""Where the tuning of `machine_vision` for dark raws begins: as bright as the scene was, and noise reduction."""


@dataclass(frozen=True, eq=False)
class Isp:
    """A pipeline, its own settings, metadata of all that it is given, and where its tuning begins instead."""

    composite: Composite
    settings: Settings
    metadata: Mapping[str, Tensor]
    start: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, eq=False)
class Scene:
    """A case's images.

    Attributes:
        images: of all photographs, what the teacher's pipeline is given.
        tile: px of their mosaic's tile; 1 where they are pictures.
        teacher: the pipeline whose pictures the teacher sees; None where it is `discarded`, once tuned.
        sensed: what the student sees of the images; None where it is the same.
        discarded: the pipeline that makes pictures of what the student sees, which is to be tuned and then spared.
    """

    images: Tensor
    tile: int
    teacher: Isp | None
    sensed: Sensed | None
    discarded: Isp


@dataclass(frozen=True)
class Case:
    """A table of the page."""

    name: str
    title: str
    about: str
    made: Callable[[Tensor, int], Scene]


def noisy_mosaic(photographs: Tensor, seed: int) -> Scene:
    """Section 4.1 of the paper: photographs are sampled by a mosaic, and noise is added."""
    clean = clean_pictures(photographs)
    graph = ispdsl.build(ispdsl.load(HERE / "denoised.isp"))
    discarded = Isp(compile(graph, cfa=raws.CFA, taps=()), Settings.of(graph), {})
    return Scene(photographs, 1, Isp(clean.composite, clean.settings, {}), sampled, discarded)


def sampled(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Noisy RGGB mosaics ``(B, 1, H, W)`` of pictures ``(B, 3, H, W)``."""
    height, width = pictures.shape[-2:]
    planes = torch.tensor([[0, 1], [1, 2]]).repeat(height // 2, width // 2).to(pictures.device)
    mosaics = pictures.gather(1, planes.expand(len(pictures), 1, -1, -1))
    return mosaics + NOISE * torch.randn(mosaics.shape, generator=generator).to(pictures.device)


def whole_isp(photographs: Tensor, seed: int) -> Scene:
    """Section 4.2, first half: the teacher sees what the tuned pipeline makes of the very raw."""
    return Scene(_mosaics(photographs, seed, STOPS), 2, None, None, _machine_vision())


def short_exposure(photographs: Tensor, seed: int) -> Scene:
    """Section 4.2, second half: the teacher sees the finished long exposure, the student a short one."""
    shot = raws.shot(resize(photographs[0].numpy(), 2 * SIDE), 0)
    sensed = Shorter(STOPS, raws.NOISE, float(shot.black[0]), float(shot.white))
    isp = _machine_vision()
    return Scene(_mosaics(photographs, seed, 0.0), 2, isp, sensed, isp)


def _mosaics(photographs: Tensor, seed: int, stops: float) -> Tensor:
    return raws.mosaics([resize(photo.numpy(), 2 * SIDE) for photo in photographs], seed, stops)


def _machine_vision() -> Isp:
    graph = ispdsl.build(ispdsl.load(MACHINE_VISION))
    metadata = raws.metadata()
    settings = Settings.of(graph).resolved({name: value.double().numpy() for name, value in metadata.items()})
    return Isp(compile(graph, cfa=raws.CFA, taps=()), settings, metadata, START)


CASES = (
    Case(
        "noisy-mosaic",
        "Demosaicing and noise reduction discarded",
        f"The photographs' codes sampled by a Bayer mosaic, and Gaussian noise of {NOISE:g} (the paper's table 1). The "
        "teacher sees the photographs themselves.",
        noisy_mosaic,
    ),
    Case(
        "whole-isp",
        "The whole ISP discarded",
        f"Raws of the photographs at twice their size with {STOPS:g} stops of light too little "
        "(`benchmarks/reproduce/tasks/raws.py`); teacher and student see the same raw, the teacher through the tuned "
        "pipeline. What is missing to the teacher's score is what the student lost.",
        whole_isp,
    ),
    Case(
        "short-exposure",
        "The whole ISP and a long exposure discarded",
        f"The teacher sees what the pipeline makes of raws with enough light, the student raws with {STOPS:g} stops "
        "less and the noise of such an exposure.",
        short_exposure,
    ),
)
