"""`ispdsl tune`: the settings with which a pipeline does a task best."""

from __future__ import annotations

import json
import math
import sys
import time
from contextlib import ExitStack, redirect_stdout
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ispdsl.cli.boundary import CommandError, ExitCode, guarded
from ispdsl.cli.collisions import Use, inputs_of, inputs_of_raw, refuse_collisions, tables_of
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
from ispdsl.cli.references import reference_files
from ispdsl.cli.run import check_permission, check_trust, parse_crop
from ispdsl.cli.settings import choose
from ispdsl.cli.show import build_graph, check_implementations
from ispdsl.cli.tune_given import (
    DIFFERENCES,
    Metric,
    about,
    check_outputs,
    check_references,
    data_of,
    outputs_of,
    packages_of,
    searcher_of,
    task_of,
    weights,
)
from ispdsl.cli.tuned import Data, Judged, Places, applied, table, values, write
from ispdsl.render.characters import clean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ispdsl.optimise.free import Free
    from ispdsl.optimise.morris import Effect
    from ispdsl.optimise.rendering import Render

BELIEVED = {"verify": 2000, "refine": 200}
"""Calls of the double where nobody says how many."""


class Mode(StrEnum):
    """What is searched."""

    REAL = "real"
    VERIFY = "verify"
    REFINE = "refine"


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
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="FOLDER", help="A page of all that was asked, as HTML with its pictures."),
    ] = None,
    sensitivity: Annotated[
        int,
        typer.Option(
            "--sensitivity",
            min=0,
            metavar="N",
            help="How much each setting matters, by N trajectories of Morris, besides --calls.",
        ),
    ] = 0,
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
    wanted = weights(tasks)
    check_references(wanted, references)
    chosen = choose(graph, None, presets or [], pairs(settings, "--set", "ADDRESS=VALUE"))
    places = Places(output, sheet, plot, report)
    check_outputs(places, ledger, resume)
    inputs = [*inputs_of(graph, find_pipeline(file)), *tables_of(chosen)]
    for raw in (*raws, *(held_out or ())):
        inputs += inputs_of_raw(raw, describe, None, presets or [])
    if references is not None:
        seen = reference_files(references, raws) + (reference_files(references, held_out) if held_out else [])
        inputs += [Use("a reference", path) for path in seen]
    refuse_collisions(inputs, outputs_of(places, ledger))
    part = parse_crop(crop) if crop else None
    data, kept = (
        data_of(list(each), references if "match" in dict(wanted) else None, part, describe, str(port.type.args[0]))
        for each in (raws, held_out or ())
    )
    start = chosen.resolved(data.frames[0].metadata)
    free = Free.of(start, only, choices)
    keep_pages()
    begun = time.perf_counter()
    with redirect_stdout(sys.stderr), ExitStack() as stack:  # what a program prints is no result of ours
        from ispdsl.optimise.ledger import Ledger
        from ispdsl.optimise.rendering import renderer
        from ispdsl.optimise.tuning import Method, tune

        packages = packages_of(graph, trust or [])

        def opened(of: Data, by: Backend, stand_ins: Path | None = None) -> tuple[Render, str]:
            how = renderer(
                graph, of.frames, by.value, trust=packages, allow_exec=allow_exec, doubles=stand_ins,
                impl=impls if stand_ins else None,
            )  # fmt: skip
            return stack.enter_context(how)

        real, version = opened(data, backend)
        double = opened(data, Backend.COMPOSITE, doubles)[0] if doubles or chosen_mode is not Mode.REAL else None
        task = task_of(graph, data, wanted, metric, border, trust or [])
        who = searcher_of(searcher, task)
        method = Method(
            who[1], chosen_mode.value, calls, believed_calls or BELIEVED.get(chosen_mode.value, 1), best,
            0.0 if who[0] == DIFFERENCES and chosen_mode is Mode.REAL else polish, seed,
        )  # fmt: skip
        head = about(graph, data, task, free.addresses, chosen, who[0], method, backend)
        book = stack.enter_context(Ledger(ledger, head)) if ledger else None
        with progress(colour is Colour.NEVER) as bar:
            try:
                found = tune(
                    free, task, real, method, believed=double, ledger=book,
                    told=lambda call, value: bar(call, calls, task.shown(value) if math.isfinite(value) else "failed"),
                )  # fmt: skip
            except ValueError as error:
                raise CommandError(str(error)) from error
        effects = _effects(free, real, sensitivity, seed, colour is Colour.NEVER) if sensitivity else ()
        judged = None
        if kept.frames:
            other = task_of(graph, kept, wanted, metric, border, trust or [])
            shot = opened(kept, backend)[0]
            judged = Judged(*(other.measure(shot(each)) for each in (chosen, applied(chosen, found, free.addresses))))
    if not math.isfinite(found.score):
        hint = "try the task on one picture by hand, or begin elsewhere with --set"
        raise CommandError(f"{task.name}: nothing that was tried could be measured", hint, ExitCode.EXECUTOR)
    real_name = version or "the pipeline's own programs"
    told = values(graph, data, found, task, judged, real_name, who[0], method, effects)
    emit(
        json.dumps(told, indent=2)
        if as_json
        else table(free.settings, free.addresses, found, task, judged, real_name, effects)
    )
    write(places, graph, data, free, found, task, effects, {"searcher": who[0], "real thing": real_name})
    failed = f", {found.failed} of them failed" if found.failed else ""
    believed = f", {found.believed_calls} of the double" if double is not None else ""
    note(f"{found.calls} calls of the real thing{failed}{believed}, {time.perf_counter() - begun:.1f} s")
    for path in (output, sheet, plot, report):
        if path is not None and not as_json:
            emit(clean(str(path)))


def _effects(free: Free, render: Render, trajectories: int, seed: int, plain: bool) -> tuple[Effect, ...]:
    """How much each setting matters: the RMS change of all pictures."""
    import numpy as np

    from ispdsl.optimise.morris import morris
    from ispdsl.optimise.space import Numbers

    calls, most = 0, trajectories * (free.space.size + 1)
    with progress(plain) as bar:

        def seen(point: Numbers) -> NDArray[np.float32]:
            nonlocal calls
            calls += 1
            bar(calls, most, "sensitivity")
            return np.concatenate([picture.reshape(-1) for picture in render(free.at(point))])

        return morris(seen, free.space, trajectories=trajectories, seed=seed)
