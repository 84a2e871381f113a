"""A style's network from raws to file and from file to settings: what `ispdsl style` does beside reading and saying."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ispdsl.errors import CompileError
from ispdsl.graph import Graph
from ispdsl.learned import weights
from ispdsl.learned.card import Card
from ispdsl.learned.fit import Recipe, Told
from ispdsl.learned.scenes import WORKING, Means, Scene, Shoot, shoots
from ispdsl.learned.sequences import Flicker, Way, flicker, interpolated, key_frames
from ispdsl.learned.style import Encoder, Style, digest, mean_loss, opened, predicted, train
from ispdsl.learned.style_losses import TO_YUV
from ispdsl.optimise.box import Box
from ispdsl.runtime.sidecar import Sidecar
from ispdsl.runtime.values import Settings, SettingsError
from ispdsl.runtime.vector import Vector

Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Job:
    """What a training is given.

    Attributes:
        graph, chosen: the pipeline, and where settings begin.
        style: what is wanted.
        shot, held_out: scenes to train on, and those that judge.
        recipe, together, stops: as `ispdsl.learned.style.train`.
    """

    graph: Graph
    chosen: Settings
    style: Style
    shot: Sequence[Shoot]
    held_out: Sequence[Shoot]
    recipe: Recipe
    together: int = 8
    stops: float = 1.0


def learn(
    job: Job,
    output: Path,
    kept: Path | None = None,
    resume: bool = False,
    *,
    about: Mapping[str, Any],
    wanted: Mapping[str, Any],
    told: Callable[[Told], None] | None = None,
) -> Card:
    """Train an encoder and write it.

    Args:
        job: what it is given.
        output: the file.
        kept: of the checkpoint; it goes when the network is written.
        resume: go on from that.
        about: of the data, for the card.
        wanted: of the task, for the card.
        told: called after each step.

    Raises:
        RunError, TrainingError: as `ispdsl.learned.fit.fit`.
        CompileError: the file cannot be written.
    """
    first = job.shot[0]
    torch.manual_seed(job.recipe.seed)
    encoder = Encoder(first.start.shape[1]).to(first.images.device)
    names = [name for each in job.shot for name in each.names]
    where = f"{job.graph.sha256} {digest(job.style.target)} {names} {job.together} {job.stops} {wanted.get('hard', [])}"
    recipe = replace(job.recipe, about=f"style {where} {job.style.luma} {job.style.chroma} {job.style.pull}")
    judges = job.held_out or job.shot
    before = mean_loss(encoder, job.style, judges, job.together)
    made = train(
        encoder, job.style, job.shot, recipe, held_out=job.held_out, together=job.together, stops=job.stops,
        told=told, kept=kept, resume=resume,
    )  # fmt: skip
    after = mean_loss(encoder, job.style, judges, job.together)
    free = {slot.address for slot in first.vector.slots}
    held = {address: str(value) for address, value in Sidecar.of(job.chosen).settings.items() if address not in free}
    card = Card(
        kind="style",
        arguments={"count": first.start.shape[1]},
        pipeline=job.graph.name,
        pipeline_sha256=job.graph.sha256,
        addresses=tuple(slot.address for slot in first.vector.slots),
        held=held,
        data=dict(about),
        training={
            **wanted, "steps": recipe.steps, "rate": recipe.rate, "batch": job.together, "stops": job.stops,
            "seed": recipe.seed, "seconds": round(made.seconds, 2), "torch": torch.__version__,
        },
        scores={"before": before, "after": after},
    )  # fmt: skip
    weights.write(output, encoder, card)
    if kept is not None:
        kept.unlink(missing_ok=True)
    return card


@dataclass(frozen=True, eq=False)
class Ready:
    """A network that can be asked.

    Attributes:
        encoder: on its device.
        chosen: where settings begin: those that were held in training are as they were there.
        free: addresses that it gives.
        side: px of what it was trained at.
        hard: addresses, or patterns, of which it gives all that is legal.
        notes: what its user should know.
    """

    encoder: Encoder
    chosen: Settings
    free: tuple[str, ...]
    side: int
    hard: tuple[str, ...]
    notes: tuple[str, ...]


def ready(graph: Graph, path: Path, chosen: Settings, device: str = "cpu") -> Ready:
    """The network of a file, for a pipeline.

    Args:
        graph: the pipeline.
        path: of the network.
        chosen: what was set already; it wins over what was held in training.
        device: where it runs.

    Raises:
        CompileError: it is no file of a style, or is of another pipeline.
    """
    encoder, card = opened(path)
    if card.pipeline != graph.name:
        raise CompileError(f"{path} is of the pipeline {card.pipeline}, not {graph.name}", "name that pipeline")
    try:
        held = {address: value for address, value in card.held.items() if address not in chosen.changed}
        begun = chosen.update(held)
        vector = Vector.of(begun, only=card.addresses)
    except SettingsError as error:
        hint = "train it again for this text"
        raise CompileError(f"{path} does not fit {graph.name} any more: {error}", hint) from None
    if len(vector.names) != card.arguments["count"]:
        raise CompileError(f"{path} gives {card.arguments['count']} numbers, and there are {len(vector.names)}")
    notes = [f"{path} was trained with another version of {graph.name}"] * (card.pipeline_sha256 != graph.sha256)
    side = card.training.get("side", WORKING)
    side = side if isinstance(side, int) and 32 <= side <= 1024 else WORKING
    hard = card.training.get("hard", [])
    if not isinstance(hard, list) or not all(isinstance(each, str) for each in hard):
        raise CompileError(f"{path}: the card does not say what was searched", "train it again")
    return Ready(encoder.to(device), begun, card.addresses, side, tuple(hard), tuple(notes))


def chosen_by(encoder: Encoder, scenes: Sequence[Scene]) -> list[Settings]:
    """Settings that an encoder chooses for each scene."""
    return [each.box.settings(predicted(encoder, each), each.settings) for each in scenes]


def sequence(
    graph: Graph, scenes: Sequence[Scene], found: Sequence[Settings], means: Means, device: str, every: int, way: Way
) -> tuple[list[Settings], Flicker]:
    """Settings of all frames of a sequence from those of its key frames, and how much it flickers then.

    Args:
        graph: the pipeline.
        scenes: the frames in order, three at least.
        found: settings of each; those of key frames count.
        means: how the pipeline runs.
        device: where.
        every: distance of key frames.
        way: how settings go between.
    """
    keys = key_frames(len(scenes), every)
    vectors = [each.box.vector for each in scenes]
    values = np.array([vectors[key].to_vector(found[key]) for key in keys])
    units = interpolated(keys, values, way)
    between = [
        replace(vector, settings=each.settings).from_vector(unit.clip(0, 1).tolist())
        for vector, each, unit in zip(vectors, scenes, units, strict=True)
    ]
    return between, measured(graph, scenes, between, means, device)


def measured(graph: Graph, scenes: Sequence[Scene], found: Sequence[Settings], means: Means, device: str) -> Flicker:
    """How much a sequence flickers at settings of each frame, beside those of the first throughout."""
    parts = np.array([each.box.place(each.box.vector.to_vector(one)) for each, one in zip(scenes, found, strict=True)])
    first = scenes[0].box.vector.to_vector(found[0])
    still = [replace(each.box.vector, settings=each.settings).from_vector(first) for each in scenes]
    shown, own = (rendered(graph, scenes, some, means, device) for some in (found, still))
    return flicker(parts, _means(shown), _means(own))


def _means(pictures: Sequence[NDArray[np.float32]]) -> Numbers:
    """The mean luma and colour differences of pictures, ``(F, 3)``."""
    return np.array([np.array(TO_YUV) @ each.astype(np.float64).mean(axis=(1, 2)) for each in pictures])


@torch.no_grad()
def rendered(
    graph: Graph, scenes: Sequence[Scene], settings: Sequence[Settings], means: Means, device: str = "cpu",
    together: int = 8,
) -> list[NDArray[np.float32]]:  # fmt: skip
    """Pictures ``(3, H, W)`` of scenes, small and upright, each at settings of its own, in the order of the scenes."""
    numbered: list[Scene] = []
    for number, (each, mine) in enumerate(zip(scenes, settings, strict=True)):
        at = mine.resolved(each.frame.metadata)
        numbered.append(replace(each, name=str(number), settings=at, box=Box.around(each.box.vector, at)))
    found: dict[str, NDArray[np.float32]] = {}
    for shoot in shoots(graph, numbered, means, device):
        for index in torch.arange(len(shoot), device=shoot.images.device).split(together):
            pictures = shoot.pictures(shoot.start[index], index).float().cpu().numpy()
            found |= {shoot.names[int(place)]: each for place, each in zip(index, pictures, strict=True)}
    return [found[each.name] for each in numbered]
