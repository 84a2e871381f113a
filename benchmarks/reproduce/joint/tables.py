"""What the classifier looks at: darkened photographs, or noisy mosaics of dark scenes; and settings by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

import ispdsl
from benchmarks.reproduce.record import ROOT
from benchmarks.reproduce.tasks import raws
from ispdsl.backends.composite import Composite, compile
from ispdsl.runtime.values import Settings
from ispdsl.runtime.vector import Vector
from ispdsl.synthetic.samples import resize

PIPELINE = ROOT / "pipelines" / "learned_isp.isp"

FACTORS = (0.1, 0.3)
"""That codes are darkened by; each picture's own is drawn evenly."""

NOISE = 0.02
"""Standard deviation, of white, after the darkening."""

DARK, VARIED = (3.0, 6.0), (2.0, 6.0)
"""Stops of light that are missing in a raw, in two tables; each scene's own is drawn evenly."""

SIDE = 32


@dataclass(frozen=True, eq=False)
class World:
    """What a table's pipeline is given, and what is set in it by hand.

    Attributes:
        composite, settings: the pipeline, and where it starts: at the identity.
        vector: the 37 numbers that are free.
        images: of all photographs, ``(N, C, H, W)``.
        metadata: of all images.
        tile, black, white: of a mosaic; 1, 0 and 1 for pictures.
        hand: values by hand, by the name of the way.
        missing: stops of light that each image lacks, ``(N,)``.
    """

    composite: Composite
    settings: Settings
    vector: Vector
    images: Tensor
    metadata: Mapping[str, Tensor]
    tile: int
    black: float
    white: float
    hand: Mapping[str, Mapping[str, object]]
    missing: Tensor


@dataclass(frozen=True)
class Table:
    """A table of the page.

    Attributes:
        name, title, about: of it.
        made: its world, from photographs ``(N, 3, 32, 32)`` in sRGB and a seed.
    """

    name: str
    title: str
    about: str
    made: Callable[[Tensor, int], World]


def clean_pictures(photographs: Tensor) -> World:
    """The photographs themselves, through a pipeline that leaves them as they are."""
    graph = ispdsl.build(ispdsl.load(PIPELINE), "learned")
    settings = Settings.of(graph)
    composite = compile(graph, types={"S": "srgb"}, taps=())
    return World(
        composite, settings, Vector.of(settings), photographs, {}, 1, 0.0, 1.0, {}, torch.zeros(len(photographs))
    )


def dark_pictures(photographs: Tensor, seed: int) -> World:
    """Photographs darkened as the guide has it."""
    rng = np.random.default_rng(seed)
    shape = tuple(photographs.shape)
    factors = torch.from_numpy(rng.uniform(*FACTORS, (len(photographs), 1, 1, 1)).astype(np.float32))
    noise = torch.from_numpy(rng.standard_normal(shape).astype(np.float32))
    images = (photographs * factors + NOISE * noise).clamp(0, 1)
    hand = {
        "gamma 0.5": {"gamma.gamma": 0.5},
        "gain 5": {"tone_curve.points": curve(lambda x: 5 * x)},
        "by hand": {"tone_curve.points": curve(lambda x: 7 * x / (1 + 6 * x)), "sharpen_kernel.strength": -0.3},
    }
    return replace(clean_pictures(images), hand=hand, missing=-factors.flatten().log2())


def dark_raws(photographs: Tensor, seed: int, missing: tuple[float, float]) -> World:
    """Raws of the photographs at twice their size, as a camera sees them with so many stops of light too little."""
    rng = np.random.default_rng(seed)
    stops = rng.uniform(*missing, len(photographs))
    seeds = rng.integers(0, 2**31, len(photographs))
    shots = [
        raws.shot(resize(photo.numpy(), 2 * SIDE), int(own), float(lacking))
        for photo, own, lacking in zip(photographs, seeds, stops, strict=True)
    ]
    images = torch.from_numpy(np.stack([shot.mosaic for shot in shots]).astype(np.float32))
    graph = ispdsl.build(ispdsl.load(PIPELINE))
    metadata = raws.metadata()
    settings = Settings.of(graph).resolved({name: value.double().numpy() for name, value in metadata.items()})
    hand = {
        "gamma 0.5": {"isp.gamma.gamma": 0.5},
        "gain 5": {"isp.tone_curve.points": curve(lambda x: 5 * x)},
        "by hand": {
            "isp.colour_matrix.coefficients": (4 * np.eye(3)).tolist(),
            "isp.tone_curve.points": curve(lambda x: 6 * x / (1 + 5 * x)),
            "isp.sharpen_kernel.strength": -0.3,
        },
    }
    composite = compile(graph, cfa=raws.CFA, taps=())
    black, white = float(shots[0].black[0]), float(shots[0].white)
    return World(
        composite, settings, Vector.of(settings), images, metadata, 2, black, white, hand, torch.from_numpy(stops)
    )


def curve(function: Callable[[float], float]) -> list[float]:
    """The 16 points of a tone curve."""
    return [min(max(function(place / 15), 0.0), 1.0) for place in range(16)]


def _raws(name: str, title: str, missing: tuple[float, float]) -> Table:
    return Table(
        name,
        title,
        f"Photographs at twice their size before a camera that has {missing[0]:g} to {missing[1]:g} stops of light too "
        "little, drawn for each (`benchmarks/reproduce/tasks/raws.py`: inverse colours and white balance, Bayer "
        f"mosaic, Poisson-Gaussian noise of variance {raws.NOISE[0]:g} x + {raws.NOISE[1]:g}, 14 bits); the pipeline "
        "`learned_isp` makes pictures of them, and the classifier sees means of 2x2 px. By hand: 2 stops of gain, the "
        "curve 6x / (1 + 5x), and sharpening of -0.3.",
        partial(dark_raws, missing=missing),
    )


TABLES = (
    Table(
        "dark-pictures",
        "Darkened photographs",
        f"Codes times a factor that is drawn for each photograph from {FACTORS[0]:g} to {FACTORS[1]:g}, and Gaussian "
        f"noise of {NOISE:g}, clipped to 0..1; the pipeline `learned` of pipelines/learned_isp.isp makes pictures of "
        "them. By hand: the curve 7x / (1 + 6x), and sharpening of -0.3, which blurs.",
        dark_pictures,
    ),
    _raws("dark-raws", "Noisy raws of dark scenes", DARK),
    _raws("varied-raws", "Noisy raws of scenes whose light varies more", VARIED),
)
