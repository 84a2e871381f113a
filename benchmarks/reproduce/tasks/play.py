"""One seed of one case: a split, noise, four ways to set the pipeline, and how the network fares with each."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import ispdsl
from benchmarks.reproduce.tasks import raws
from benchmarks.reproduce.tasks.cases import Case, Numbers, Outcomes, Problem
from ispdsl.backends.composite import Composite, compile
from ispdsl.optimise.batched import rendered, tune_in_batches
from ispdsl.runtime.values import Settings
from ispdsl.runtime.vector import Vector
from ispdsl.vision.intervals import Interval, bootstrap

PIPELINE = Path(__file__).parent / "machine_vision.isp"

WAYS = ("default", "brightened", "by hand", "tuned")
"""Of setting the pipeline."""

BY_HAND = {"luma": 0.5, "chroma": 1.0}
"""Noise reduction that a person would choose besides: half of luma's, all of colour's."""

PROBED = 32
"""Training pictures that brightness is set by."""

RESAMPLES = 1000


@dataclass(frozen=True, eq=False)
class Dark:
    """Raws of a split.

    Attributes:
        composite: the pipeline for them.
        settings: as the pipeline starts.
        metadata: of all raws.
    """

    composite: Composite
    settings: Settings
    metadata: Mapping[str, Tensor]

    def pictures(self, settings: Settings, mosaics: Tensor) -> Tensor:
        """Of some raws at some settings."""
        return rendered(self.composite, settings, mosaics, self.metadata)


def pipeline() -> Dark:
    """The pipeline, compiled for the camera."""
    graph = ispdsl.build(ispdsl.load(PIPELINE))
    metadata = raws.metadata()
    plain = {name: value.double().numpy() for name, value in metadata.items()}
    return Dark(compile(graph, cfa=raws.CFA, taps=()), Settings.of(graph).resolved(plain), metadata)


def split(count: int, case: Case, seed: int) -> tuple[Numbers, Numbers]:
    """Numbers of the pictures that are tuned on, and of those that the score is of."""
    order = np.random.default_rng(seed).permutation(count)
    return order[: case.train], order[case.train : case.train + case.test]


def brightened(dark: Dark, mosaics: Tensor, photos: Sequence[raws.Photo]) -> Settings:
    """The brightness at which the pictures' mean luma (of sRGB codes, BT.709) is that of the clean photographs."""
    wanted = _luma(torch.from_numpy(np.stack(photos)))
    low, high = 0.0, 8.0
    for _ in range(12):
        middle = (low + high) / 2
        settings = dark.settings.update({"brightness": middle})
        low, high = (middle, high) if _luma(dark.pictures(settings, mosaics)) < wanted else (low, middle)
    return dark.settings.update({"brightness": round((low + high) / 2, 3)})


def _luma(pictures: Tensor) -> float:
    return float((pictures.mean((0, 2, 3)) * torch.tensor([0.2126, 0.7152, 0.0722])).sum())


def ways(case: Case, problem: Problem, dark: Dark, training: Numbers, seed: int) -> tuple[dict[str, Settings], Any]:
    """The settings of each of `WAYS`, and the path of the tuning."""
    photos = [problem.photos[number] for number in training]
    mosaics = raws.mosaics(photos, 2 * seed)
    bright = brightened(dark, mosaics[:PROBED], photos[:PROBED])
    tuned = tune_in_batches(
        dark.composite,
        Vector.of(bright),
        bright,
        mosaics,
        dark.metadata,
        lambda pictures, numbers: problem.loss(pictures, training[numbers]),
        steps=case.steps,
        together=case.together,
        rate=case.rate,
        seed=seed,
    )
    found = {"default": dark.settings, "brightened": bright, "by hand": bright.update(BY_HAND), "tuned": tuned.settings}
    return found, tuned.path


def play(case: Case, problem: Problem, seed: int) -> dict[str, Any]:
    """Everything of one seed, as the answer keeps it."""
    dark = pipeline()
    training, testing = split(len(problem.photos), case, seed)
    begun = time.perf_counter()
    found, path = ways(case, problem, dark, training, seed)
    spent = time.perf_counter() - begun
    photos = [problem.photos[number] for number in testing]
    mosaics = raws.mosaics(photos, 2 * seed + 1)
    outcomes = {"clean": problem.outcomes(torch.from_numpy(np.stack(photos)), testing)}
    outcomes |= {way: problem.outcomes(dark.pictures(each, mosaics), testing) for way, each in found.items()}
    vector = Vector.of(dark.settings, "physical")
    return {
        "seed": seed,
        "train": len(training),
        "test": len(testing),
        "tuning_seconds": round(spent, 1),
        "path": [round(each, 5) for each in path],
        "settings": {way: _rounded(dict(zip(vector.names, vector.to_vector(each), strict=True)))
                     for way, each in found.items()},
        "scores": {way: _listed(interval(problem, each)) for way, each in outcomes.items()},
        "gains": {way: _listed(interval(problem, outcomes["tuned"], outcomes[way])) for way in WAYS[:-1]},
    }  # fmt: skip


def interval(problem: Problem, outcomes: Outcomes, against: Outcomes | None = None) -> Interval:
    """A score with its interval over pictures, or how far it is ahead of another of the same pictures."""

    def score(drawn: Numbers) -> float:
        value = problem.score([outcomes[place] for place in drawn])
        return value if against is None else value - problem.score([against[place] for place in drawn])

    return bootstrap(score, len(outcomes), resamples=RESAMPLES)


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 5) for name, value in values.items()}


def _listed(found: Interval) -> list[float]:
    return [round(each, 5) for each in found]
