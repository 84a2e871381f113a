"""One seed: a front end is trained, and unseen pictures are finished with it, without it, and denoised afterwards."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, log
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import ispdsl
from ispdsl.learned.fit import Recipe, Told
from ispdsl.learned.frontend import WARM, Finishing, cut, exposure, finishing, on, rendered, train, untrained
from ispdsl.learned.short_and_long import READ_OFFSET, READ_SLOPE, Patches, Profile, Scene, photographed
from ispdsl.programs.denoise import denoise
from ispdsl.runtime.pictures import read_picture
from ispdsl.runtime.values import Settings

PIPELINE = Path(__file__).parents[3] / "pipelines" / "photo_finish.isp"

SHOTS = (1e-3, 3e-3, 6e-3, 1.2e-2, 2.4e-2)
"""Shot noise of the short exposures; the read noise is what goes with it (Brooks et al. 2019, section 3.1)."""

LEVELS: dict[str, Profile | None] = {
    **{f"shot noise {shot:g}": (shot, exp(READ_SLOPE * log(shot) + READ_OFFSET)) for shot in SHOTS},
    "long exposure": None,
}

WAYS = ("demosaic", "demosaic and denoise", "front end")

TESTED = 256
"""Px of the middle of each test picture."""

TUNED, TUNED_SIDE = 6, 128
"""Training pictures that the denoiser is tuned on, and px of their middle."""

DENOISERS = (
    {"luma": 0.0, "chroma": 0.0, "contrast": 0.1},
    *({"luma": luma, "chroma": 1.0, "contrast": contrast} for luma in (0.5, 1.0) for contrast in (0.05, 0.1, 0.2, 0.4)),
)
"""Settings of the standard library's `denoise` that are tried, radius 3 px; the best of each noise level is used."""

HELD_OUT = 4

BEST = 100.0
"""PSNR in dB that counts for pictures that are the same."""


@dataclass(frozen=True)
class Size:
    """Of a network and its training."""

    width: int
    depth: int
    steps: int
    together: int
    side: int
    rate: float = 2e-3


SIZES = {"cpu": Size(24, 3, 3000, 8, 64), "cuda": Size(48, 4, 6000, 16, 96, 1e-3)}
"""By device: a quarter of an hour on a core, or less on a GPU."""


def scenes(folder: Path, pattern: str, seed: int) -> list[Scene]:
    """The photographs of a folder as cameras of this seed would see them.

    Raises:
        FileNotFoundError: there are none.
    """
    paths = sorted(folder.glob(pattern))
    if not paths:
        raise FileNotFoundError(f"{folder} holds no {pattern}")
    photos = [(path.name, read_picture(path)[0]) for path in paths]
    return [photographed(photo, name, seed + place) for place, (name, photo) in enumerate(photos)]


def play(data: Path, seed: int, device: str) -> dict[str, Any]:
    """Everything of one seed, as the answer keeps it: PSNR by noise level, way and picture."""
    begun = time.perf_counter()
    size = SIZES[device]
    known = scenes(data / "images" / "bsds500" / "train", "*.jpg", 10_000 * seed)
    tested = [cut(each, TESTED) for each in scenes(data / "images" / "kodak", "*.png", 10_000 * seed + 5_000)]
    graph = ispdsl.build(ispdsl.load(str(PIPELINE)))
    settings = Settings.of(graph)
    double = untrained(graph, settings, width=size.width, depth=size.depth, seed=seed).to(device)
    through = finishing(graph, settings, double, known[0], device=device)
    recipe = Recipe(size.steps, size.rate, warm=WARM, clip=1.0, seed=seed)
    found = train(
        double, through, known[HELD_OUT:], known[:HELD_OUT], recipe, together=size.together, side=size.side, told=_told
    )
    trained = time.perf_counter() - begun
    best = {name: tuned(through, known[HELD_OUT : HELD_OUT + TUNED], profile) for name, profile in LEVELS.items()}
    scores = {
        name: {way: [_psnr(through, each, profile, seed, way, best[name]) for each in tested] for way in WAYS}
        for name, profile in LEVELS.items()
    }
    return {
        "seed": seed,
        "pictures": [each.name for each in tested],
        "parameters": sum(each.numel() for each in double.parameters()),
        "best": found.best,
        "denoisers": best,
        "scores": scores,
        "training_seconds": round(trained, 1),
        "seconds": round(time.perf_counter() - begun, 1),
    }


def tuned(through: Finishing, known: Sequence[Scene], profile: Profile | None) -> dict[str, float]:
    """The denoiser's settings that are best for some pictures with this noise."""
    parts = [cut(each, TUNED_SIDE) for each in known]

    def total(given: dict[str, float]) -> float:
        return sum(_psnr(through, each, profile, 0, WAYS[1], given) for each in parts)

    return max(DENOISERS, key=total)


@torch.no_grad()
def _psnr(
    through: Finishing, scene: Scene, profile: Profile | None, seed: int, way: str, denoiser: dict[str, float]
) -> float:
    """PSNR in dB of a finished exposure of a scene."""
    device = next(through.learned.parameters()).device
    whole = on(Patches(exposure(scene, profile, seed), scene.image[None], scene.metadata), device)
    composite = through.learned if way == WAYS[2] else through.plain
    after: Callable[[Tensor], Tensor] = (
        (lambda each: denoise(each, radius=3.0, space="srgb", **denoiser)) if way == WAYS[1] else _same
    )
    given = after(rendered(composite, whole.mosaics, through.settings, whole.metadata))
    error = (given - through.wanted(whole.wanted, whole.metadata)).square().mean()
    return round(min(float(-10 * error.log10()), BEST), 4)


def _same(picture: Tensor) -> Tensor:
    return picture


def _told(now: Told) -> None:
    if now.step % 100 == 0 or now.step == now.steps:
        score = "" if now.score is None else f", {now.score:.2f} dB held out"
        print(f"{now.step} of {now.steps} steps{score}, {now.seconds_left:.0f} s left", file=sys.stderr, flush=True)
