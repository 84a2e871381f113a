"""`ispdsl tune`: the settings with which a pipeline does a task best."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, redirect_stdout
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ispdsl.cli.boundary import CommandError, guarded
from ispdsl.cli.collisions import SETTINGS, Use, inputs_of, inputs_of_raw, refuse_collisions, tables_of
from ispdsl.cli.console import Colour, emit, note
from ispdsl.cli.files import find_pipeline
from ispdsl.cli.memory import keep_pages
from ispdsl.cli.options import (
    AllowExec,
    Backend,
    BackendOption,
    ColourOption,
    DoublesOption,
    Implementations,
    Json,
    PipelineFile,
    PipelineName,
    pairs,
)
from ispdsl.cli.progress import progress
from ispdsl.cli.references import read_reference, reference_files
from ispdsl.cli.run import check_output, check_permission, check_trust, cropped, parse_crop, read_quietly
from ispdsl.cli.settings import choose
from ispdsl.cli.show import build_graph, check_implementations
from ispdsl.cli.tuned import Data, Judged, applied, table, values, write
from ispdsl.diagnostics import nearest
from ispdsl.render.characters import clean

if TYPE_CHECKING:
    from ispdsl.graph import Graph
    from ispdsl.optimise.rendering import Render
    from ispdsl.optimise.tasks.task import Picture, Task
    from ispdsl.optimise.tuning import Asked, Chosen, Method
    from ispdsl.runtime.frame import Frame
    from ispdsl.runtime.values import Settings

DIFFERENCES, COORDINATES = "differences", "coordinates"
"""Searchers besides those of `ispdsl.optimise.searchers`."""

BELIEVED = {"verify": 2000, "refine": 200}
"""Calls of the double where nobody says how many."""


class Mode(StrEnum):
    """What is searched."""

    REAL = "real"
    VERIFY = "verify"
    REFINE = "refine"


class Metric(StrEnum):
    """How far a picture is from its reference."""

    PSNR = "psnr"
    L1 = "l1"
    SSIM = "ssim"
    CIEDE2000 = "ciede2000"


@guarded
def tune(
    file: PipelineFile,
    raws: Annotated[list[Path], typer.Argument(metavar="RAW...", help="Raw files; settings are shared by all.")],
    tasks: Annotated[
        list[str],
        typer.Option(
            "--task",
            metavar="TASK[=WEIGHT]",
            help="match, exposure, noise, sharpness, colour-cast, or module:function. May be repeated: their sum.",
        ),
    ],
    references: Annotated[
        Path | None,
        typer.Option(
            "--references", metavar="PATH", help="For match: a folder of pictures of the raws' names, or one."
        ),
    ] = None,
    metric: Annotated[Metric, typer.Option("--metric", help="For match: what is measured.")] = Metric.PSNR,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="PRESET", help="The settings, for `ispdsl run --preset`.")
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option("--sheet", metavar="FILE", help="A picture of every raw before and after.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="A picture of the score against calls.")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="ADDRESS",
            help="What is free, patterns and choices too; default: every free number. May be repeated.",
        ),
    ] = None,
    choices: Annotated[bool, typer.Option("--choices", help="Choices and switches are free as well.")] = False,
    pipeline: PipelineName = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="ADDRESS=VALUE", help="As exposure.ev=0.7. May be repeated.")
    ] = None,
    presets: Annotated[
        list[Path] | None,
        typer.Option("--preset", metavar="FILE", help="Settings to begin at; later ones win. May be repeated."),
    ] = None,
    crop: Annotated[str | None, typer.Option("--crop", metavar="Y,X,H,W", help="This part of every raw.")] = None,
    border: Annotated[int, typer.Option("--border", min=0, metavar="N", help="For match: leave out N px a side.")] = 0,
    held_out: Annotated[
        list[Path] | None,
        typer.Option("--held-out", metavar="RAW", help="Judge the answer by this raw as well. May be repeated."),
    ] = None,
    mode: Annotated[
        Mode | None,
        typer.Option("--mode", help="What is searched; default: the real thing, or with --doubles refine."),
    ] = None,
    searcher: Annotated[
        str | None,
        typer.Option("--searcher", metavar="NAME", help="Who searches; default: what suits the task."),
    ] = None,
    calls: Annotated[int, typer.Option("--calls", min=2, metavar="N", help="Of the real thing, at most.")] = 200,
    believed_calls: Annotated[
        int | None,
        typer.Option("--believed-calls", min=1, metavar="N", help="Of the double; with refine for each real one."),
    ] = None,
    best: Annotated[int, typer.Option("--best", min=1, metavar="N", help="With verify: how many are verified.")] = 5,
    polish: Annotated[
        float, typer.Option("--polish", min=0, max=1, metavar="SHARE", help="Of the calls, for single axes at the end.")
    ] = 0.2,
    seed: Annotated[int, typer.Option("--seed", min=0, metavar="N", help="Of everything that is drawn.")] = 0,
    ledger: Annotated[
        Path | None, typer.Option("--ledger", metavar="FILE", help="Write every call of the real thing down here.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the search of the ledger.")] = False,
    describe: Annotated[
        Path | None, typer.Option("--describe", metavar="JSON", help="The description of mosaics without a header.")
    ] = None,
    impl: Implementations = None,
    doubles: DoublesOption = None,
    trust: Annotated[
        list[str] | None, typer.Option("--trust", metavar="PACKAGE", help="Run code of this package as well.")
    ] = None,
    backend: BackendOption = Backend.COMPOSITE,
    allow_exec: AllowExec = False,
    as_json: Json = False,
    colour: ColourOption = Colour.AUTO,
) -> None:
    """Find the settings with which a pipeline does a task best, as the real thing renders them.

    The real thing (`--backend`) has the last word. Programs or doubles (`--doubles`) may be searched in its place; what
    they believe of the answer stands beside its score. Ctrl-C ends the search and keeps the best so far.
    """
    from ispdsl.optimise.free import Free

    graph = build_graph(file, pipeline, inline=False)
    port = graph.outputs[0]
    if port.type.name != "rgb":
        raise CommandError(f"{graph.name} gives {port.name}: {port.type}, and a task looks at a picture in colour")
    impls = dict(pairs(impl, "--impl", "STAGE=KIND"))
    check_implementations(graph, impls, doubles)
    check_trust(trust or [])
    check_permission(graph, backend, allow_exec)
    chosen_mode = mode or (Mode.REFINE if doubles else Mode.REAL)
    if chosen_mode is not Mode.REAL and doubles is None and backend is Backend.COMPOSITE:
        raise CommandError(f"--mode {chosen_mode.value} searches a double, and there is none", "give --doubles RUN")
    wanted = _weights(tasks)
    _check_references(wanted, references)
    chosen = choose(graph, None, presets or [], pairs(settings, "--set", "ADDRESS=VALUE"))
    _check_outputs(output, sheet, plot, ledger, resume)
    inputs = [*inputs_of(graph, find_pipeline(file)), *tables_of(chosen)]
    for raw in (*raws, *(held_out or ())):
        inputs += inputs_of_raw(raw, describe, None, presets or [])
    refuse_collisions(inputs, _outputs(output, sheet, plot, ledger))
    part = parse_crop(crop) if crop else None
    data, kept = (
        _data(list(each), references if "match" in dict(wanted) else None, part, describe, str(port.type.args[0]))
        for each in (raws, held_out or ())
    )
    start = chosen.resolved(data.frames[0].metadata)
    free = Free.of(start, only, choices)
    keep_pages()
    begun = time.perf_counter()
    with redirect_stdout(sys.stderr), ExitStack() as stack:  # what a program prints is no result of ours
        from ispdsl.optimise.rendering import renderer
        from ispdsl.optimise.tuning import Method, tune

        packages = _packages(graph, trust or [])

        def opened(of: Data, by: Backend, stand_ins: Path | None = None) -> tuple[Render, str]:
            how = renderer(
                graph, of.frames, by.value, trust=packages, allow_exec=allow_exec, doubles=stand_ins,
                impl=impls if stand_ins else None,
            )  # fmt: skip
            return stack.enter_context(how)

        real, version = opened(data, backend)
        double = opened(data, Backend.COMPOSITE, doubles)[0] if doubles or chosen_mode is not Mode.REAL else None
        task = _task(graph, data, wanted, metric, border, trust or [])
        who = _searcher(searcher, task)
        method = Method(
            who[1], chosen_mode.value, calls, believed_calls or BELIEVED.get(chosen_mode.value, 1), best,
            0.0 if who[0] == DIFFERENCES and chosen_mode is Mode.REAL else polish, seed,
        )  # fmt: skip
        about = _about(graph, data, task, free.addresses, chosen, who[0], method, backend)
        book = stack.enter_context(_ledger(ledger, about)) if ledger else None
        with progress(colour is Colour.NEVER) as bar:
            try:
                found = tune(
                    free, task, real, method, believed=double, ledger=book,
                    told=lambda call, value: bar(call, calls, task.shown(value) if math.isfinite(value) else "failed"),
                )  # fmt: skip
            except ValueError as error:
                raise CommandError(str(error)) from error
        judged = None
        if kept.frames:
            other = _task(graph, kept, wanted, metric, border, trust or [])
            shot = opened(kept, backend)[0]
            judged = Judged(*(other.measure(shot(each)) for each in (chosen, applied(chosen, found, free.addresses))))
    real_name = version or "the pipeline's own programs"
    told = values(graph, data, found, task, judged, real_name, who[0], method)
    emit(
        json.dumps(told, indent=2) if as_json else table(free.settings, free.addresses, found, task, judged, real_name)
    )
    write(output, sheet, plot, graph, data, found, task)
    failed = f", {found.failed} of them failed" if found.failed else ""
    believed = f", {found.believed_calls} of the double" if double is not None else ""
    note(f"{found.calls} calls of the real thing{failed}{believed}, {time.perf_counter() - begun:.1f} s")
    for path in (output, sheet, plot):
        if path is not None and not as_json:
            emit(clean(str(path)))


# ---- what is asked for -------------------------------------------------------------------------------------


def _weights(tasks: Sequence[str]) -> list[tuple[str, float]]:
    """Names of tasks and their weights.

    Raises:
        CommandError: a weight is no number above 0, there is no such task, or one is named twice.
    """
    from ispdsl.optimise.tasks.indicators import INDICATORS

    found: list[tuple[str, float]] = []
    for text in tasks:
        name, sign, weight = text.partition("=")
        known = ("match", *INDICATORS)
        if ":" not in name and name not in known:
            near = nearest(name, known)
            hint = f"did you mean {near}?" if near else f"it is one of {', '.join(known)}, or module:function"
            raise CommandError(f"--task {name}: there is no such task", hint)
        try:
            number = float(weight) if sign else 1.0
        except ValueError:
            number = math.nan
        if not 0 < number < math.inf:
            raise CommandError(f"--task {text}: a weight is a number above 0", f"write --task {name}=2")
        if name in dict(found):
            raise CommandError(f"--task {name} is given twice", "give it once, with a weight")
        found.append((name, number))
    return found


def _check_references(wanted: Sequence[tuple[str, float]], references: Path | None) -> None:
    if "match" in dict(wanted) and references is None:
        raise CommandError("--task match needs pictures to match", "--references FOLDER")
    if "match" not in dict(wanted) and references is not None:
        raise CommandError("--references is for --task match", "add --task match, or leave it out")


def _check_outputs(
    output: Path | None, sheet: Path | None, plot: Path | None, ledger: Path | None, resume: bool
) -> None:
    for path in (sheet, plot):
        if path is not None:
            check_output(path, None)
    if output is not None and (output.suffix != ".json" or not output.parent.is_dir()):
        raise CommandError(f"{output} cannot be a preset", "name a .json file in a folder that is there")
    if resume and ledger is None:
        raise CommandError("--resume goes on with the search of a ledger", "name it: --ledger FILE")
    if ledger is not None and ledger.exists() and not resume:
        raise CommandError(f"{ledger} is there already", "go on with --resume, or name another file")


def _outputs(output: Path | None, sheet: Path | None, plot: Path | None, ledger: Path | None) -> list[Use]:
    roles = {SETTINGS: output, "the picture of the raws": sheet, "the plot": plot, "the ledger": ledger}
    return [Use(role, path) for role, path in roles.items() if path is not None]


def _data(
    raws: list[Path], references: Path | None, part: tuple[int, int, int, int] | None, describe: Path | None, space: str
) -> Data:
    """The raws or their parts, with their references.

    Raises:
        RawError, PictureError: a file cannot be read.
        CommandError: a raw has no reference, or one that does not fit.
    """
    frames: list[Frame] = []
    pictures: list[Picture] = []
    files = reference_files(references, raws) if references is not None and raws else []
    for place, raw in enumerate(raws):
        whole = read_quietly(raw, describe)
        for text in whole.notes:
            note(f"note: {clean(raw.name)}: {clean(text)}")
        frames.append(cropped(whole, part) if part else whole)
        if files:
            pictures.append(read_reference(files[place], space, whole, part))
    return Data(tuple(raw.name for raw in raws), tuple(frames), tuple(pictures) if files else None)


def _task(
    graph: Graph, data: Data, wanted: Sequence[tuple[str, float]], metric: Metric, border: int, trust: Sequence[str]
) -> Task:
    """What is measured on some raws.

    Raises:
        CompileError: a function is not there, or not trusted.
        CommandError: a task is not defined for these pictures.
    """
    from ispdsl.optimise.rendering import views
    from ispdsl.optimise.tasks.indicators import indicator
    from ispdsl.optimise.tasks.match import match
    from ispdsl.optimise.tasks.task import weighted
    from ispdsl.optimise.tasks.user import user_task

    seen = views(graph, data.frames, data.names)

    def one(name: str) -> Task:
        if ":" in name:
            return user_task(name, seen, trust)
        return match(data.references or (), seen, metric.value, border) if name == "match" else indicator(name, seen)

    try:
        return weighted([(one(name), weight) for name, weight in wanted])
    except ValueError as error:
        raise CommandError(str(error)) from error


def _packages(graph: Graph, trust: Sequence[str]) -> list[str]:
    """Of the trusted packages those that programs of the pipeline are in; the others are for tasks."""
    used = {
        each.target.partition(":")[0].partition(".")[0]
        for stage in graph.module.stages.values()
        for each in stage.signature.implementations
        if each.kind == "program"
    }
    return [package for package in trust if package in used]


def _searcher(name: str | None, task: Task) -> tuple[str, Chosen]:
    """Who searches.

    Raises:
        CommandError: there is no such searcher, or it does not suit the task.
    """
    from ispdsl.optimise.coordinates import coordinates
    from ispdsl.optimise.differences import differences
    from ispdsl.optimise.searchers import SEARCHERS

    def by_differences(asked: Asked) -> Any:
        return differences(asked.residual)

    name = name or (DIFFERENCES if task.residual is not None else "cma-es")
    if name == DIFFERENCES:
        if task.residual is None:
            hint = f"choose one of {', '.join((COORDINATES, *SEARCHERS))}"
            raise CommandError(f"--searcher {DIFFERENCES} is for sums of squares, such as match by psnr", hint)
        return name, by_differences
    if name == COORDINATES:
        return name, lambda _: coordinates()
    if name not in SEARCHERS:
        known = (DIFFERENCES, COORDINATES, *SEARCHERS)
        near = nearest(name, known)
        hint = f"did you mean {near}?" if near else f"it is one of {', '.join(known)}"
        raise CommandError(f"--searcher {name}: there is no such searcher", hint)
    return name, lambda _: SEARCHERS[name]


def _about(
    graph: Graph,
    data: Data,
    task: Task,
    addresses: Sequence[str],
    chosen: Settings,
    who: str,
    method: Method,
    backend: Backend,
) -> dict[str, Any]:
    """What must be equal for the calls of a ledger to be of use."""
    from ispdsl.runtime.sidecar import Sidecar

    return {
        "pipeline": graph.sha256,
        "backend": backend.value,
        "raws": [frame.content_hash for frame in data.frames],
        "task": task.name,
        "free": list(addresses),
        "start": dict(Sidecar.of(chosen).settings),
        "searcher": who,
        "mode": method.mode,
        "calls": method.calls,
        "believed_calls": method.believed_calls,
        "best": method.best,
        "polish": method.polish,
        "seed": method.seed,
    }


def _ledger(path: Path, about: dict[str, Any]) -> Any:
    from ispdsl.optimise.ledger import Ledger

    return Ledger(path, about)
