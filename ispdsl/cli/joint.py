"""`ispdsl joint`: settings and the network that looks at the pictures, trained together."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ispdsl.cli.addresses import check_addresses
from ispdsl.cli.beforehand import check_output, check_trust
from ispdsl.cli.boundary import CommandError, guarded, writing
from ispdsl.cli.classified import (
    Batch,
    Checkpoints,
    DeviceOption,
    HeldOut,
    NetworkName,
    Resume,
    Side,
    check_checkpoints,
    check_device,
    check_written,
    compiled,
    images_of,
    percent,
    said,
    scored,
)
from ispdsl.cli.collisions import Use, refuse_collisions
from ispdsl.cli.console import emit, note
from ispdsl.cli.joint_sheet import look, write_sheet
from ispdsl.cli.options import (
    Crop,
    Describe,
    Json,
    PipelineFile,
    PipelineName,
    PresetsOfStart,
    SeedOfSearch,
    Trust,
    Values,
    pairs,
)
from ispdsl.cli.progress import progress
from ispdsl.cli.settings import choose
from ispdsl.cli.show import build_graph
from ispdsl.cli.train import Device
from ispdsl.render.characters import clean

if TYPE_CHECKING:
    from ispdsl.cli.progress import Step
    from ispdsl.learned.joint import Joint, Phase
    from ispdsl.learned.labelled import Labelled, Seen
    from ispdsl.learned.read_images import Images
    from ispdsl.runtime.values import Settings

KNOWN = "settings=200,both=300"
UNKNOWN = "network=400,settings=200,both=300"
WHAT = ("network", "settings", "both")

SLOWER = {"network": "--rate-network", "settings": "--rate-settings", "both": "--rate-settings or --rate-network"}
"""What to lower where a phase leads nowhere."""

JUDGES = 256
"""Images at most, of those that it learns from, by which the best weights of a phase are chosen."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of a training: scores of held-out images at the start and after each phase, and the settings."""

    scores: Sequence[tuple[str, dict[str, float]]]
    seconds: float
    start: Settings
    found: Settings
    images: Images
    held: int
    network: str


@guarded
def joint(
    file: PipelineFile,
    images: Annotated[
        Path,
        typer.Option("--images", metavar="FILE|FOLDER", help="Labelled: a .npz, or a folder with a folder a class."),
    ],
    network: NetworkName = "small-cnn",
    weights: Annotated[
        Path | None, typer.Option("--weights", metavar="FILE", help="Of the network; default: it learns from nothing.")
    ] = None,
    phases: Annotated[
        str | None,
        typer.Option(
            "--phases", metavar="LIST", help=f"What learns and for how many steps; default {KNOWN}, or {UNKNOWN}."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="PRESET", help="The settings, for `ispdsl run --preset`.")
    ] = None,
    save: Annotated[
        Path | None, typer.Option("--save-network", metavar="FILE", help="The network's weights, as .safetensors.")
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option("--sheet", metavar="PICTURE", help="Held-out pictures, at the start and as found.")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="ADDRESS", help="What is free; default: every free number. May be repeated."),
    ] = None,
    hard: Annotated[bool, typer.Option("--hard", help="Settings may go through all of their hard ranges.")] = False,
    rate_settings: Annotated[
        float, typer.Option("--rate-settings", metavar="R", help="Of settings, in parts of their ranges.")
    ] = 0.01,
    rate_network: Annotated[float, typer.Option("--rate-network", metavar="R", help="Of the network.")] = 1e-3,
    side: Side = None,
    held_out: HeldOut = 0.2,
    batch: Batch = 64,
    pipeline: PipelineName = None,
    settings: Values = None,
    presets: PresetsOfStart = None,
    crop: Crop = None,
    describe: Describe = None,
    checkpoints: Checkpoints = None,
    resume: Resume = False,
    device: DeviceOption = Device.CPU,
    seed: SeedOfSearch = 0,
    trust: Trust = None,
    as_json: Json = False,
) -> None:
    """Train a pipeline's settings and the classifier that looks at its pictures: first the settings, then both.

    Prints how many of the held-out images are told right at the start and after each phase.
    """
    begun = time.perf_counter()
    for name, rate in (("--rate-settings", rate_settings), ("--rate-network", rate_network)):
        if not 0 < rate < 1:
            raise CommandError(f"{name} {rate:g} is no learning rate", "it is between 0 and 1, as 0.01")
    wanted = phases_of(phases or (UNKNOWN if weights is None else KNOWN))
    check_trust(trust or [])
    check_device(device)
    check_checkpoints(checkpoints, resume)
    check_written(output, ".json", "a preset")
    check_written(save, ".safetensors", "the network's file")
    if sheet is not None:
        check_output(sheet, None)
    read = sorted(images.rglob("*")) if images.is_dir() else [images]
    uses = [Use("a file that is read", each) for each in (*read, *([weights] if weights else []))]
    refuse_collisions(uses, [Use("a result", each) for each in (output, save, sheet) if each is not None])
    graph = build_graph(file, pipeline, inline=False)
    chosen = choose(graph, None, presets or [], pairs(settings, "--set", "ADDRESS=VALUE"))
    check_addresses(graph, chosen, only or [])

    import torch

    from ispdsl.learned.classifiers import classifier
    from ispdsl.learned.free_settings import Bounds, Shared
    from ispdsl.learned.joint import Joint, right
    from ispdsl.learned.labelled import Seen
    from ispdsl.learned.read_images import halves
    from ispdsl.runtime.vector import Vector

    found = images_of(images, graph, side, crop, describe)
    if not found.labelled or len(found.classes) < 2:
        raise CommandError(f"{images} has no labels of two classes", "a folder for each class, or labels in the .npz")
    torch.manual_seed(seed)
    start = chosen.resolved(found.first)
    shared = Shared(Bounds(Vector.of(start, only=only), start, hard), rate_settings / rate_network)
    looks = classifier(network, len(found.classes), weights, tuple(trust or ()))
    model = Joint(compiled(graph, found, tuple(trust or ())), chosen, shared, looks, side).to(device.value)
    training, testing = (found.data.take(some).to(device.value) for some in halves(len(found.names), held_out, seed))
    tile = 1 if found.cfa is None else 2
    about = f"{file} {images} {network} {weights} {side} {held_out} {crop} {only} {settings} {presets} {batch} {hard}"
    plan = recipes(wanted, rate_settings, rate_network, seed, about)
    scores, seen, idle = [("start", scored(right(model, testing)))], look(model, testing), list[str]()
    with progress() as step:
        for index, phase in enumerate(plan):
            kept = None if checkpoints is None else checkpoints / f"phase-{index + 1}.safetensors"
            view = Seen(min(batch, len(training.labels)), True, 2 * tile, tile)
            best = _train(model, training, phase, view, step, kept, resume)
            scores.append((phase.what, scored(right(model, testing))))
            if best == 0:
                idle.append(phase.what)
    answer = shared.settings(start)
    spent = time.perf_counter() - begun
    outcome = Outcome(scores, spent, start, answer, found, len(testing.labels), network)
    written = _write(outcome, model, output, save, graph.sha256, seed)
    if sheet is not None:
        write_sheet(sheet, seen, look(model, testing), testing.labels.tolist(), found.classes)
        written.append(sheet)
    emit(json.dumps(_values(outcome), indent=2) if as_json else _table(outcome))
    for path in () if as_json else written:
        emit(clean(str(path)))
    for what in idle:
        rate = SLOWER[what]
        note(f"note: no step of the phase {what} is better than its start, which was kept; try a smaller {rate}")
    note(f"{sum(phase.recipe.steps for phase in plan)} steps in {spent:.1f} s")


def phases_of(text: str) -> list[tuple[Any, int]]:
    """What learns, and for how many steps, in order.

    Raises:
        CommandError: it is not of the form ``settings=200,both=300``.
    """
    found: list[tuple[Any, int]] = []
    for part in text.split(","):
        what, _, steps = (each.strip() for each in part.partition("="))
        if what not in WHAT or not steps.isdecimal() or not int(steps):
            hint = f"as {KNOWN}; what learns is {', '.join(WHAT)}"
            raise CommandError(f"--phases {text}: {part.strip() or 'nothing'} is no phase", hint)
        found.append((what, int(steps)))
    return found


def recipes(
    wanted: Sequence[tuple[Any, int]], rate_settings: float, rate_network: float, seed: int, about: str
) -> list[Phase]:
    """The phases; settings go their own rate beside the network by the pace of `Shared`."""
    from ispdsl.learned.fit import Recipe
    from ispdsl.learned.joint import Phase

    text = f"{about} {rate_settings}"
    return [
        Phase(what, Recipe(steps, rate_network, seed=seed * 16 + index, about=text))
        for index, (what, steps) in enumerate(wanted)
    ]


def _train(
    model: Joint, data: Labelled, phase: Phase, seen: Seen, step: Step, kept: Path | None, resume: bool
) -> int | None:
    """The number of steps after which a phase was at its best, on the first of the images that it learns from.

    None where a checkpoint without a judge went on: its last step was kept.
    """
    import torch

    from ispdsl.learned.joint import train_phase

    judged = data.take(torch.arange(min(len(data.labels), JUDGES)))
    found = train_phase(model, data, phase, seen, judged, told=said(step, phase.what), kept=kept, resume=resume)
    return None if found.best is None else found.best[1]


def _write(
    outcome: Outcome, model: Joint, output: Path | None, save: Path | None, sha256: str, seed: int
) -> list[Path]:
    from ispdsl.learned.card import Card
    from ispdsl.learned.weights import write
    from ispdsl.runtime.sidecar import Sidecar
    from ispdsl.runtime.sidecar import save as save_preset

    if output is not None:
        with writing(output):
            save_preset(Sidecar.of(outcome.found), output)
    if save is not None:
        card = Card(
            kind="classifier",
            arguments={"network": outcome.network, "classes": list(outcome.images.classes), "side": model.side},
            pipeline=outcome.found.name,
            pipeline_sha256=sha256,
            data={"images": len(outcome.images.names), "held_out": outcome.held},
            training={
                "seconds": round(outcome.seconds, 1),
                "seed": seed,
                "phases": [name for name, _ in outcome.scores],
            },
            scores={f"{index} {name}": score["value"] for index, (name, score) in enumerate(outcome.scores)},
        )
        write(save, model.network, card)
    return [path for path in (output, save) if path is not None]


def _values(outcome: Outcome) -> dict[str, Any]:
    from ispdsl.runtime.vector import Vector

    places = Vector.of(outcome.start, "physical")
    before, after = places.to_vector(outcome.start), places.to_vector(outcome.found)
    return {
        "images": len(outcome.images.names),
        "held_out": outcome.held,
        "classes": list(outcome.images.classes),
        "scores": [{"after": name, **score} for name, score in outcome.scores],
        "settings": {
            name: {"before": round(one, 6), "after": round(two, 6)}
            for name, one, two in zip(places.names, before, after, strict=True)
        },
        "seconds": round(outcome.seconds, 1),
    }


def _table(outcome: Outcome) -> str:
    values = _values(outcome)
    lines = [f"{values['held_out']} of {values['images']} images held out, {len(values['classes'])} classes", ""]
    lines += [f"{name if index == 0 else 'after ' + name:<16}{percent(score)}"
              for index, (name, score) in enumerate(outcome.scores)]  # fmt: skip
    moved = {name: each for name, each in values["settings"].items() if each["before"] != each["after"]}
    width = max((len(name) for name in moved), default=0)
    lines += [""] + [f"{name:<{width}}  {each['before']:>9.4g}  {each['after']:>9.4g}" for name, each in moved.items()]
    return "\n".join(lines)
