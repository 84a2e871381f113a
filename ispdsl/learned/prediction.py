"""Settings for each raw by itself, by a network that was trained through the pipeline into a loss on pictures.

After Qin et al., "Attention-aware Learning for Hyperparameter Prediction in Image Processing Pipelines", ECCV 2022,
sections 4.1 and 5.1: the pipeline and whatever looks at its pictures stay as they are, and gradients of the loss go
through both to the weights of the network (equations 2 and 4); RMSprop, whose rate drops in the middle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ispdsl.learned.aim import Aim
from ispdsl.learned.fit import Fitted, Recipe, Told, fit
from ispdsl.learned.ground import Ground, Part, Scene, looked_at
from ispdsl.learned.predictor import Predictor
from ispdsl.optimise.gradients import COLD, HOT
from ispdsl.optimise.space import Numbers
from ispdsl.runtime.values import Settings

STEPS, RATE, LAST = 600, 5e-4, 0.1
"""Of RMSprop. The paper's 1e-4 to 1e-6 is for many more steps."""


@dataclass(frozen=True, eq=False)
class Batch:
    """What some pictures are of.

    Attributes:
        numbers: of the scenes, ``(B,)``.
        parts: of each, what is shown; None for all of it.
    """

    numbers: NDArray[np.int64]
    parts: tuple[Part | None, ...]


Points = Callable[[Sequence[Scene]], Tensor]
"""Where the settings of scenes of one mosaic and size are, ``(B, R)``."""

Look = Callable[[Tensor, Batch], Tensor]
"""A loss ``()``, differentiable, of pictures ``(B, C, H, W)``, 1 for white, as the sensor lay."""


@dataclass(frozen=True, eq=False)
class Lesson:
    """Scenes, and how wrong pictures of them are."""

    scenes: Sequence[Scene]
    look: Look


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a network says of a raw.

    Attributes:
        point: ``(R,)``, as the aim has it.
        settings: in full; what is not predicted as it was.
        attention: how much each place counts for each number, ``(R, h, w)``; together 1.
        local: what each place would add to the start, ``(R, h, w)``.
    """

    point: Numbers
    settings: Settings
    attention: NDArray[np.float32]
    local: NDArray[np.float32]


def recipe(steps: int = STEPS, rate: float = RATE, seed: int = 0, about: str = "") -> Recipe:
    """RMSprop with a drop of the rate in the middle, as the paper has it; gradients are clipped at norm 1."""
    return Recipe(steps, rate, "rmsprop", "drop", LAST, clip=1.0, seed=seed, about=about)


def train(
    network: Predictor,
    ground: Ground,
    lesson: Lesson,
    how: Recipe,
    held_out: Lesson | None = None,
    *,
    together: int = 8,
    side: int | None = None,
    told: Callable[[Told], None] | None = None,
    kept: Path | None = None,
    resume: bool = False,
) -> Fitted:
    """Train a predictor in place.

    Args:
        network: of as many numbers as the aim has.
        ground: what it is trained through; nothing of it changes.
        lesson: scenes and the loss of their pictures.
        how: of the training. Weights of choices begin soft and end almost hard.
        held_out: scenes that nothing is learnt from: the network is left where their loss was the least. Of large ones
            the middle is looked at.
        together: scenes of a step. Scenes of several mosaics or sizes are rendered one kind after the other.
        side: px of a square, drawn anew each time, that is shown of a scene; None for all of it.
        told: called after each step.
        kept: file of a checkpoint.
        resume: go on from it.

    Raises:
        ValueError: there is no scene, or a square has no even side.
        RunError: the loss is not finite, or as the composite.
    """
    if not lesson.scenes or (side is not None and (side < 2 or side % 2)):
        raise ValueError(f"{len(lesson.scenes)} scenes, squares of {side} px")
    network.to(ground.device)
    count, points = len(lesson.scenes), by_network(network, ground.device)

    def loss(step: int, draw: torch.Generator) -> Tensor:
        temperature = HOT * (COLD / HOT) ** (step / max(how.steps - 1, 1))
        numbers = torch.randperm(count, generator=draw)[: min(together, count)].numpy()
        parts = tuple(_drawn(lesson.scenes[int(number)], side, draw) for number in numbers)
        return _loss(points, ground, lesson, Batch(numbers, parts), temperature)

    judge = None if held_out is None else lambda: -loss_of(points, ground, held_out, together, side)
    return fit(network, loss, how, judge, told=told, kept=kept, resume=resume)


def by_network(network: Predictor, device: str = "cpu") -> Points:
    """Where a network puts each scene."""
    return lambda scenes: looked_at(network, scenes, device).values


def as_begun(scenes: Sequence[Scene]) -> Tensor:
    """Where each scene begins."""
    return torch.stack([scene.start for scene in scenes])


def the_same(point: Numbers) -> Points:
    """One point ``(R,)`` for all scenes."""
    return lambda scenes: torch.from_numpy(point).expand(len(scenes), -1)


@torch.no_grad()
def loss_of(points: Points, ground: Ground, lesson: Lesson, together: int = 8, side: int | None = None) -> float:
    """The mean loss of scenes, choices made; of scenes larger than `side` the middle is looked at and rendered."""
    total = 0.0
    for first in range(0, len(lesson.scenes), together):
        numbers = np.arange(first, min(first + together, len(lesson.scenes)))
        parts = tuple(_middle(lesson.scenes[int(number)], side) for number in numbers)
        total += float(_loss(points, ground, lesson, Batch(numbers, parts), 0.0)) * len(numbers)
    return total / len(lesson.scenes)


@torch.no_grad()
def points_of(points: Points, lesson: Lesson, side: int | None = None) -> Numbers:
    """Where each scene is put, ``(M, R)``; of scenes larger than `side` the middle is looked at."""
    found: list[Numbers] = []
    for scene in lesson.scenes:
        part = _middle(scene, side)
        found.append(points([scene if part is None else scene.part(*part)])[0].double().cpu().numpy())
    return np.stack(found)


@torch.no_grad()
def predict(network: Predictor, aim: Aim, scene: Scene, settings: Settings, device: str = "cpu") -> Prediction:
    """What a network says of a scene; what is not predicted is as in `settings`."""
    network.eval()
    found = looked_at(network, [scene], device)
    point = found.values[0].double().cpu().numpy()
    attention, local = (each[0].float().cpu().numpy() for each in (found.attention, found.local))
    return Prediction(point, aim.settings_at(point, settings), attention, local)


def averaged(aim: Aim, predictions: Sequence[Prediction], settings: Settings) -> Settings:
    """One setting for all: the mean of what was predicted, of choices what was predicted most often (section 5.5)."""
    return aim.settings_at(aim.averaged(np.stack([each.point for each in predictions])), settings)


def _loss(points: Points, ground: Ground, lesson: Lesson, batch: Batch, temperature: float) -> Tensor:
    """The mean over a batch; scenes of one mosaic and size go together."""
    shown = [
        scene if part is None else scene.part(*part)
        for scene, part in zip((lesson.scenes[int(number)] for number in batch.numbers), batch.parts, strict=True)
    ]
    kinds: dict[tuple[object, ...], list[int]] = {}
    for place, scene in enumerate(shown):
        kinds.setdefault((scene.cfa, *scene.image.shape), []).append(place)
    total: list[Tensor] = []
    for places in kinds.values():
        scenes = [shown[place] for place in places]
        pictures = ground.rendered(scenes, points(scenes), temperature)
        some = Batch(batch.numbers[places], tuple(batch.parts[place] for place in places))
        total.append(lesson.look(pictures, some) * len(places))
    return torch.stack(total).sum() / len(shown)


def _drawn(scene: Scene, side: int | None, draw: torch.Generator) -> Part | None:
    height, width = scene.image.shape[-2:]
    if side is None or (height <= side and width <= side):
        return None
    rows, columns = min(side, height), min(side, width)

    def corner(size: int, part: int) -> int:
        return 2 * int(torch.randint((size - part) // 2 + 1, (), generator=draw))

    return corner(height, rows), corner(width, columns), rows, columns


def _middle(scene: Scene, side: int | None) -> Part | None:
    height, width = scene.image.shape[-2:]
    if side is None or (height <= side and width <= side):
        return None
    rows, columns = min(side, height), min(side, width)
    return (height - rows) // 4 * 2, (width - columns) // 4 * 2, rows, columns
