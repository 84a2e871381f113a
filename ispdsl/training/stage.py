"""One stage from its material to its double on the disk."""

from __future__ import annotations

import json
import math
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ispdsl.errors import UserError
from ispdsl.proxies.card import Card
from ispdsl.proxies.double import Double, make, read_card, save
from ispdsl.store.runs import Run, place
from ispdsl.training import checkpoint, criteria, data
from ispdsl.training.checkpoint import CHECKPOINT, Progress
from ispdsl.training.data import Batch, Scene, Source
from ispdsl.training.distributed import Group
from ispdsl.training.examples import Material
from ispdsl.training.looks import look_of
from ispdsl.training.loop import Recipe, Told, Work, train
from ispdsl.training.options import Habit, Job, Options, Outcome, habit_of

ALLOTTED = "allotted.json"
GLOBAL_MARGIN = 8
"""Margin of patches for networks that look everywhere, in px."""


def folder_of(run: Run, options: Options, job: Job) -> Path:
    """Where the training of a double keeps what it needs."""
    return place(run, "training", job.variant(options.variant), job.address)


def path_of(run: Run, options: Options, job: Job) -> Path:
    """Where the double goes."""
    return place(run, "doubles", job.variant(options.variant), f"{job.address}.safetensors")


def train_stage(
    run: Run,
    job: Job,
    material: Material,
    options: Options,
    group: Group,
    seconds: float | None,
    told: Callable[[Told], None] | None = None,
) -> Outcome:
    """Train a double and write it.

    Args:
        run: where it goes.
        job: which one.
        material: what it is trained on.
        options: how.
        group: the processes that train it together.
        seconds: for it; None where steps are counted.
        told: called several times a second.

    Raises:
        TrainingError: the loss diverges, the checkpoint is of another training, or somebody else trains it.
        CompileError: the network cannot do this task, or the double cannot be written.
    """
    folder, wanted = folder_of(run, options, job), recipe_of(job, options)
    double = make(material.card, material.statistics, wanted.seed)
    like = next(double.parameters())
    with torch.no_grad():
        conditions = [double.condition(keywords, like)[0] for keywords in material.keywords]
    habit = habit_of(job.network.kind)
    training, held_out = material.scenes(conditions)
    recipe = replace(
        wanted,
        seconds=allotted(folder, seconds, options.resume) if group.writes else seconds,
        peaks=material.peaks,
        looks=tuple(map(look_of, material.card.task.outputs)),
        data=material.fingerprint,
    )
    source, judges = sources(double, job.network.pixelwise, habit, training, held_out)
    with checkpoint.locked(folder, group.writes):
        progress = train(
            Work(double, criteria.named(recipe.loss), source, judges, recipe, folder, group), told, options.resume
        )
        double.card = described(double.card, recipe, progress, options, group)
        path = path_of(run, options, job)
        if group.writes:
            double.cpu()
            save(double, path)
            card = json.dumps(double.card.model_dump(mode="json"), indent=2) + "\n"
            checkpoint.write_atomically(path.with_suffix(".json"), card.encode())
    return outcome_of(job, path, double.card)


def recipe_of(job: Job, options: Options) -> Recipe:
    """How a double is trained, as far as options say."""
    habit = habit_of(job.network.kind)
    return Recipe(
        name=job.name,
        batch=options.batch or habit.batch,
        rate=options.rate or habit.rate,
        loss=criteria.suited(options.loss, job.network.kind, job.network.pixelwise),
        seed=options.seed + job.member,
        steps=options.steps,
        bf16=options.bf16,
    )


def sources(
    double: Double, pixelwise: bool, habit: Habit, training: Sequence[Scene], held_out: Sequence[Scene]
) -> tuple[Source, list[Batch]]:
    """Where batches of a double come from, and the batches that it is judged by."""
    chosen = _spread(held_out, habit.held_out)
    if pixelwise:

        def flat(scene: Scene, outputs: bool) -> tuple[Tensor, ...]:
            images = scene.targets if outputs else scene.images
            return double.pixels([image[None] for image in images], scene.cfa, outputs=outputs)

        return data.rows(training, flat), [data.whole_rows(scene, flat) for scene in chosen]
    margin, border = GLOBAL_MARGIN, 0
    if double.radius is not None:
        margin, border = double.radius, double.card.task.footprint.radius or 0
    judged = min(max(margin, border), GLOBAL_MARGIN)
    windows = [data.window(scene, habit.side, 0) for scene in chosen]
    judges = [data.collate([scene], data.inner_margin(min(scene.images[0].shape[-2:]), judged)) for scene in windows]
    return data.patches(training, habit.patch, margin, border), judges


def _spread(scenes: Sequence[Scene], most: int) -> list[Scene]:
    """At most so many scenes, from first to last."""
    if len(scenes) <= most:
        return list(scenes)
    return [scenes[index * len(scenes) // most] for index in range(most)]


def described(card: Card, recipe: Recipe, progress: Progress, options: Options, group: Group) -> Card:
    """The card with what training found."""
    training: dict[str, Any] = {
        "loss": recipe.loss,
        "steps": progress.step,
        "best_step": progress.best[1],
        "seconds": round(progress.seconds, 2),
        "batch": recipe.batch * group.world,
        "rate": recipe.rate,
        "seed": recipe.seed,
        "device": group.device,
        "bf16": recipe.bf16,
        "processes": group.world,
        "peaks": list(recipe.peaks),
        "versions": versions(),
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    error = {"psnr": round(progress.best[0], 3)} if math.isfinite(progress.best[0]) else {}
    return card.model_copy(update={"training": training, "error": error})


def versions() -> dict[str, str]:
    """Of what decides the numbers."""
    try:
        own = metadata.version("ispdsl")
    except metadata.PackageNotFoundError:
        own = "0+uninstalled"
    return {"ispdsl": own, "torch": torch.__version__, "python": platform.python_version()}


def finished(run: Run, options: Options, job: Job) -> Outcome | None:
    """What became of a double that was trained to its end already; None where there is something to do."""
    path = path_of(run, options, job)
    if not options.resume or not path.exists():
        return None
    progress = checkpoint.peek(folder_of(run, options, job) / CHECKPOINT)
    known = {} if progress is None or not progress.finished else progress.recipe
    told = recipe_of(job, options).identity
    same = bool(known) and all(known.get(name) == told[name] for name in told.keys() - {"peaks", "looks", "data"})
    try:
        return outcome_of(job, path, read_card(path)) if same else None
    except UserError:
        return None


def outcome_of(job: Job, path: Path, card: Card) -> Outcome:
    """What became of a double, by its card."""
    training: Mapping[str, Any] = card.training
    return Outcome(
        job.name,
        job.network.kind,
        path,
        int(training.get("steps", 0)),
        float(training.get("seconds", 0.0)),
        card.error.get("psnr"),
    )


def allotted(folder: Path, seconds: float | None, resume: bool) -> float | None:
    """The seconds of a double: those that it was given first, where its training goes on."""
    if seconds is None:
        return None
    path = folder / ALLOTTED
    if resume and path.exists():
        try:
            return float(json.loads(path.read_text(encoding="utf-8"))["seconds"])
        except (OSError, ValueError, LookupError, TypeError):
            pass  # written half, or by somebody else: it is a matter of time alone
    checkpoint.write_atomically(path, json.dumps({"seconds": seconds}).encode())
    return seconds


def with_error(job: Job, error: UserError) -> Outcome:
    """What became of a double that could not be trained."""
    return replace(Outcome(job.name, job.network.kind), error=error.message, hint=error.hint)
