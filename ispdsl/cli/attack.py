"""`ispdsl attack`: raws that a classifier gets wrong under some settings of a pipeline, and right under others."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ispdsl.cli import attack_report
from ispdsl.cli.boundary import CommandError, ExitCode, guarded, reading, writing
from ispdsl.cli.collisions import Use, inputs_of, inputs_of_raw, refuse_collisions, tables_of
from ispdsl.cli.console import Colour, emit, note
from ispdsl.cli.files import find_pipeline
from ispdsl.cli.means import Means, looked_at, means_of, packages_of
from ispdsl.cli.memory import keep_pages
from ispdsl.cli.options import (
    AllowExec,
    Backend,
    BackendOption,
    ColourOption,
    Crop,
    Describe,
    DoublesOption,
    Implementations,
    Json,
    PipelineFile,
    PipelineName,
    Trust,
)
from ispdsl.cli.progress import progress
from ispdsl.cli.raws import cropped, parse_crop, read_quietly
from ispdsl.cli.references import told_apart
from ispdsl.cli.settings import choose
from ispdsl.cli.show import build_graph
from ispdsl.cli.train import Device, check_device
from ispdsl.render.characters import clean

if TYPE_CHECKING:
    from ispdsl.graph import Graph
    from ispdsl.learned.attack import Bound
    from ispdsl.learned.attacked import Case
    from ispdsl.learned.looks import Classifier
    from ispdsl.runtime.frame import Frame
    from ispdsl.runtime.values import Settings

SHEET = "sheet.png"


class Norm(StrEnum):
    """How a change is measured."""

    L2 = "l2"
    LINF = "linf"


@dataclass(frozen=True, eq=False)
class Job:
    """All that an attack is given, read and checked.

    Attributes:
        graph, settings: the pipeline; by the name of their presets, the attacked settings and those that are spared.
        names, frames, targets: of the raws, and where the changed ones go.
        labels: of each raw, where they are known.
        size, norm: of the bound.
        steps, enough, means, device: how it is searched and rendered.
    """

    graph: Graph
    settings: Mapping[str, Settings]
    names: Sequence[str]
    frames: Sequence[Frame]
    targets: Sequence[Path]
    labels: Sequence[int | None]
    size: float | None
    norm: Norm
    steps: int
    enough: float
    means: Means
    device: str


@guarded
def attack(
    file: PipelineFile,
    raws: Annotated[list[Path], typer.Argument(metavar="RAW...", help="Raw files; each is changed by itself.")],
    against: Annotated[
        Path, typer.Option("--against", metavar="PRESET", help="The settings under which the classifier shall fail.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where the changed raws and the sheet go.")
    ],
    sparing: Annotated[
        Path | None, typer.Option("--sparing", metavar="PRESET", help="Settings under which it shall stay right.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", metavar="FILE", help="Of ResNet-20 for CIFAR-10 (docs/vision.md).")
    ] = None,
    classifier: Annotated[
        str | None,
        typer.Option(
            "--classifier", metavar="MODULE:FUNCTION", help="From pictures (B, 3, H, W) to logits, with gradients."
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels", metavar="JSON", help="Class of each raw by its file name; default: what is told of it."
        ),
    ] = None,
    bound: Annotated[
        float | None,
        typer.Option(
            "--bound", metavar="E", help="Of the change, in units of black to white; default: as 0.3 of 224 x 224 (L2)."
        ),
    ] = None,
    norm: Annotated[Norm, typer.Option("--norm", help="Of the bound.")] = Norm.L2,
    steps: Annotated[int, typer.Option("--steps", min=1, metavar="N", help="Of the ascent.")] = 40,
    enough: Annotated[
        float,
        typer.Option("--enough", metavar="NATS", help="Loss that is enough; the rest goes to --sparing. inf: no end."),
    ] = 8.0,
    pipeline: PipelineName = None,
    crop: Crop = None,
    describe: Describe = None,
    impl: Implementations = None,
    doubles: DoublesOption = None,
    trust: Trust = None,
    backend: BackendOption = Backend.COMPOSITE,
    allow_exec: AllowExec = False,
    device: Annotated[Device, typer.Option("--device", help="Where the composite and the network run.")] = Device.CPU,
    as_json: Json = False,
    colour: ColourOption = Colour.AUTO,
) -> None:
    """Change raws a little, so that a classifier fails under some settings of a pipeline and not under others.

    Programs or doubles (`--doubles`) show the way. Each changed raw is written as a DNG, which the real thing
    (`--backend`) renders: what is said of it is of that.
    """
    if not enough > 0:
        raise CommandError(f"--enough {enough:g} is no loss", "it is above 0, as 8, or inf as in the paper")
    check_device(device)
    graph = build_graph(file, pipeline, inline=False)
    looked_at(graph)
    means = means_of(graph, backend, doubles, impl, trust, allow_exec)
    presets = [each for each in (against, sparing) if each is not None]
    settings = {each.stem: choose(graph, None, [each], []) for each in presets}
    if len(settings) < len(presets):
        raise CommandError(f"--against and --sparing are both {against.stem}", "name different presets")
    names = told_apart(raws)
    targets = [
        output / f"{name.replace('/', '_')}".removesuffix(raw.suffix) for name, raw in zip(names, raws, strict=True)
    ]
    targets = [each.with_name(f"{each.name}.attacked.dng") for each in targets]
    uses = [use for raw in raws for use in inputs_of_raw(raw, describe, None, presets)]
    uses += [*inputs_of(graph, find_pipeline(file)), *(use for each in settings.values() for use in tables_of(each))]
    uses += [Use("a file that is read", each) for each in (weights, labels) if each is not None]
    refuse_collisions(uses, [Use("a changed raw", each) for each in targets] + [Use("the sheet", output / SHEET)])
    part = parse_crop(crop) if crop else None
    frames = [read_quietly(raw, describe) for raw in raws]
    frames = [cropped(frame, part) if part else frame for frame in frames]
    with writing(output):
        output.mkdir(parents=True, exist_ok=True)
    keep_pages()
    network, classes = _classifier(weights, classifier, means, device)
    known = _labels(labels, [raw.name for raw in raws], classes)
    job = Job(graph, settings, names, frames, targets, known, bound, norm, steps, enough, means, device.value)
    begun = time.perf_counter()
    cases = _attacked(job, network, colour is Colour.NEVER)
    attack_report.sheet(output / SHEET, graph, cases, names, classes)
    said = attack_report.values(job, cases, classes)
    emit(json.dumps(said, indent=2) if as_json else attack_report.table(job, cases, classes))
    for path in () if as_json else (*targets, output / SHEET):
        emit(clean(str(path)))
    note(f"{len(cases)} raws in {time.perf_counter() - begun:.1f} s")


def _classifier(
    weights: Path | None, target: str | None, means: Means, device: Device
) -> tuple[Classifier, tuple[str, ...]]:
    """What looks, and the names of its classes where they are known.

    Raises:
        CommandError: none or both are given.
        RunError, CompileError: the file or the function is none.
    """
    from ispdsl.learned.looks import resnet, user_classifier

    if (weights is None) == (target is None):
        raise CommandError("one classifier is attacked", "give --weights FILE, or --classifier MODULE:FUNCTION")
    if weights is not None:
        return resnet(weights, device.value)
    assert target is not None, "one of both is there"
    return user_classifier(target, means.trust), ()


def _labels(path: Path | None, names: Sequence[str], classes: Sequence[str]) -> list[int | None]:
    """The class of each raw: a number or a name of a class, by file name.

    Raises:
        CommandError: the file is none of labels, lacks a raw, or names no class.
    """
    if path is None:
        return [None] * len(names)
    hint = 'it is JSON such as {"a.dng": "cat", "b.dng": 5}'
    with reading(path):
        text = path.read_text(encoding="utf-8")
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        raise CommandError(f"{path} is no JSON", hint, ExitCode.UNREADABLE) from None
    found: list[int | None] = []
    for name in names:
        value = given.get(name) if isinstance(given, dict) else None
        if isinstance(value, str) and value in classes:
            value = list(classes).index(value)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise CommandError(f"{path}: the class of {name} is {json.dumps(value)}", hint, ExitCode.UNREADABLE)
        found.append(value)
    return found


def _attacked(job: Job, classifier: Classifier, plain: bool) -> list[Case]:
    """Attack every raw.

    Raises:
        CommandError: nothing says where to go, or the bound is none.
    """
    from ispdsl.errors import NoProgramError
    from ispdsl.learned.attacked import attack_raw, opened

    means = job.means
    try:
        bounds = [_bound(job, frame) for frame in job.frames]
        opening = opened(
            job.graph, job.frames, job.settings, classifier, means.backend.value,
            trust=packages_of(job.graph, means.trust), allow_exec=means.allow_exec, doubles=means.doubles,
            impl=means.impl, device=job.device,
        )  # fmt: skip
        with redirect_stdout(sys.stderr), opening as ways, progress(plain) as bar:
            total = job.steps * len(job.frames)
            return [
                attack_raw(
                    ways, frame, job.targets[place], bounds[place], job.labels[place], job.steps,
                    job.enough, lambda told, place=place: bar(place * job.steps + told.step, total, job.names[place]),
                )
                for place, frame in enumerate(job.frames)
            ]  # fmt: skip
    except NoProgramError as error:
        what = f"nothing says where to go: {error.message}"
        raise CommandError(what, "--doubles RUN: networks that show the way (docs/doubles.md)") from error


def _bound(job: Job, frame: Frame) -> Bound:
    from ispdsl.learned.attack import PAPER, Bound, scaled

    if job.size is None and job.norm is Norm.LINF:
        raise CommandError("--norm linf has no bound of its own", "give --bound, as 0.002 of black to white")
    try:
        return Bound(scaled(PAPER, frame.image.size) if job.size is None else job.size, job.norm.value)
    except ValueError as error:
        raise CommandError(f"--bound: {error}", "in units of black to white, as --bound 0.1") from error
