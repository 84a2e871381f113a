"""One seed of one case: one setting for all, and networks that give each picture its own."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

import ispdsl
from benchmarks.reproduce.prediction.cases import FREE, Case, Numbers, Pictures, Problem, Scores
from benchmarks.reproduce.tasks import raws
from benchmarks.reproduce.tasks.play import PIPELINE
from ispdsl.backends.composite import Composite, compile
from ispdsl.backends.vector import tensors
from ispdsl.learned.aim import Aim
from ispdsl.learned.ground import Ground, Scene
from ispdsl.learned.prediction import (
    Batch,
    Lesson,
    Look,
    Points,
    as_begun,
    by_network,
    points_of,
    recipe,
    the_same,
    train,
)
from ispdsl.learned.predictor import Predictor
from ispdsl.optimise.batched import tune_in_batches
from ispdsl.runtime.values import Settings
from ispdsl.runtime.vector import Vector

ATTENTION = ("none", "self", "single", "multi")
WAYS = ("default", "fixed", "mean", *ATTENTION)
"""The pipeline's own settings; the best for all; the mean of what `multi` predicts; and each picture's own."""

WIDTH = 8
TUNED = 120
"""Steps of the tuning of one setting for all."""

TOGETHER = 16


@dataclass(frozen=True, eq=False)
class Camera:
    """The pipeline, compiled, as it starts, and the metadata of all raws."""

    composite: Composite
    settings: Settings
    metadata: Mapping[str, Tensor]


def camera() -> Camera:
    """The pipeline of the tasks."""
    graph = ispdsl.build(ispdsl.load(PIPELINE))
    metadata = raws.metadata()
    plain = {name: value.double().numpy() for name, value in metadata.items()}
    return Camera(compile(graph, cfa=raws.CFA, taps=()), Settings.of(graph).resolved(plain), metadata)


def play(case: Case, problem: Problem, seed: int, device: str) -> dict[str, Any]:
    """Everything of one seed, as the answer keeps it."""
    made = camera()
    fixed, seconds = best_for_all(made, problem.train, seed, device)
    found: dict[str, Scores] = {}
    ground = _ground(made, fixed, device)
    start = ground.aim.start(made.settings).numpy()
    found["default"] = scored(ground, made, problem.test, the_same(start))
    found["fixed"] = scored(ground, made, problem.test, as_begun)
    spent = {"fixed": seconds}
    for attention in ATTENTION:
        network, fitted = trained(case, problem, ground, made, attention, seed)
        found[attention] = scored(ground, made, problem.test, by_network(network, device))
        spent[attention] = fitted
        if attention == "multi":
            lesson = Lesson(scenes(ground, made, problem.train), _look(problem.train))
            mean = ground.aim.averaged(points_of(by_network(network, device), lesson))
            found["mean"] = scored(ground, made, problem.test, the_same(np.asarray(mean)))
    return {
        "seed": seed,
        "scores": {way: [round(float(each), 4) for each in found[way]] for way in WAYS},
        "seconds": {way: round(value, 1) for way, value in spent.items()},
        "trained_on": len(problem.train.codes),
        "fixed": {address: round(float(fixed[address]), 4) for address in FREE},  # type: ignore[arg-type]
    }


def best_for_all(made: Camera, pictures: Pictures, seed: int, device: str) -> tuple[Settings, float]:
    """One setting for all pictures, by gradient on batches of them, and the seconds."""
    begun = time.perf_counter()
    tuned = tune_in_batches(
        made.composite.to(device),
        Vector.of(made.settings, only=FREE),
        made.settings.update({"brightness": 1.5}),
        pictures.codes.to(device),
        made.metadata,
        lambda images, numbers: pictures.look(images, numbers),
        steps=TUNED,
        together=TOGETHER,
        rate=0.05,
        seed=seed,
    )
    return tuned.settings, time.perf_counter() - begun


def trained(
    case: Case, problem: Problem, ground: Ground, made: Camera, attention: str, seed: int
) -> tuple[Predictor, float]:
    """A network that begins at one setting for all, and the seconds of its training."""
    torch.manual_seed(seed)
    network = Predictor(ground.aim.size, WIDTH, case.levels, attention)  # type: ignore[arg-type]
    lesson, choose = (Lesson(scenes(ground, made, some), _look(some)) for some in (problem.train, problem.choose))
    how = recipe(case.steps, case.rate, seed)
    fitted = train(network, ground, lesson, how, choose, together=case.together)
    return network, fitted.seconds


def scenes(ground: Ground, made: Camera, pictures: Pictures) -> list[Scene]:
    """Raws as a network sees them, which begin at what is best for all."""
    start = ground.aim.start(ground.aim.settings)
    return [Scene(raws.CFA, codes, made.metadata, start) for codes in pictures.codes]


@torch.no_grad()
def scored(ground: Ground, made: Camera, pictures: Pictures, points: Points) -> Scores:
    """The score of each picture."""
    all_, found = scenes(ground, made, pictures), list[Scores]()
    for first in range(0, len(all_), TOGETHER):
        some = all_[first : first + TOGETHER]
        numbers: Numbers = np.arange(first, first + len(some))
        found.append(pictures.score(ground.rendered(some, points(some)), numbers))
    return np.concatenate(found)


def _ground(made: Camera, fixed: Settings, device: str) -> Ground:
    aim = Aim.of([fixed], FREE)
    held = {address: value for address, value in tensors(made.settings).items() if address not in aim.addresses}
    return Ground({raws.CFA: made.composite.to(device).requires_grad_(False)}, held, aim, 1.0, device)


def _look(pictures: Pictures) -> Look:
    def look(images: Tensor, batch: Batch) -> Tensor:
        return pictures.look(images, batch.numbers)

    return look
