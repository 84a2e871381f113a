"""`ispdsl tune`: the settings with which a pipeline does a task best."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ispdsl.cli import tune_front, tuned
from ispdsl.cli.addresses import check_addresses
from ispdsl.cli.boundary import guarded
from ispdsl.cli.collisions import refuse_collisions
from ispdsl.cli.console import Colour, emit, note
from ispdsl.cli.files import find_pipeline
from ispdsl.cli.means import looked_at, means_of
from ispdsl.cli.memory import keep_pages
from ispdsl.cli.options import (
    AllowExec,
    Backend,
    BackendOption,
    Border,
    Calls,
    ColourOption,
    Crop,
    Describe,
    DoublesOption,
    Implementations,
    Json,
    PerImage,
    PipelineFile,
    PipelineName,
    PresetsOfStart,
    SeedOfSearch,
    Trust,
    Values,
    pairs,
)
from ispdsl.cli.raws import parse_crop
from ispdsl.cli.regress_report import numbered
from ispdsl.cli.settings import choose
from ispdsl.cli.show import build_graph
from ispdsl.cli.tune_given import (
    Job,
    Metric,
    Places,
    check_outputs,
    data_of,
    free_of,
    goals_of,
    inputs_read,
    outputs_of,
)
from ispdsl.cli.tune_search import Mode, Way, search, way_of
from ispdsl.interrupts import ENDED
from ispdsl.render.characters import clean

if TYPE_CHECKING:
    from ispdsl.optimise.goals import Traded
    from ispdsl.optimise.tuning import Tuned


@guarded
def tune(
    file: PipelineFile,
    raws: Annotated[list[Path], typer.Argument(metavar="RAW...", help="Raw files; settings are shared by all.")],
    tasks: Annotated[
        list[str],
        typer.Option(
            "--task",
            metavar="TASK[=WEIGHT]",
            help="match, exposure, noise, sharpness, colour-cast, or module:function. May be repeated: their sum, or "
            "with --pareto a goal each.",
        ),
    ],
    pareto: Annotated[
        bool, typer.Option("--pareto", help="Weigh no task against another: all settings that nothing beats in all.")
    ] = False,
    references: Annotated[
        Path | None,
        typer.Option(
            "--references", metavar="PATH", help="For match: a folder of pictures of the raws' names, or one."
        ),
    ] = None,
    metric: Annotated[Metric, typer.Option("--metric", help="For match: what is measured.")] = Metric.PSNR,
    network: Annotated[
        Path | None,
        typer.Option("--weights", metavar="FILE", help="For --metric features: of the network that looks at pictures."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PRESET",
            help="The settings, for `ispdsl run --preset`; with --pareto look.1.json and so on for look.json, with "
            "--per-image look.2.json for the second raw.",
        ),
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option("--sheet", metavar="FILE", help="A picture of every raw before and after.")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="A picture of the score against calls, or of two goals."),
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
    per_image: PerImage = None,
    choices: Annotated[bool, typer.Option("--choices", help="Choices and switches are free as well.")] = False,
    pipeline: PipelineName = None,
    settings: Values = None,
    presets: PresetsOfStart = None,
    crop: Crop = None,
    border: Border = 0,
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
    calls: Calls = 200,
    believed_calls: Annotated[
        int | None,
        typer.Option("--believed-calls", min=1, metavar="N", help="Of the double; with refine for each real one."),
    ] = None,
    best: Annotated[int, typer.Option("--best", min=1, metavar="N", help="With verify: how many are verified.")] = 5,
    polish: Annotated[
        float, typer.Option("--polish", min=0, max=1, metavar="SHARE", help="Of the calls, for single axes at the end.")
    ] = 0.2,
    seed: SeedOfSearch = 0,
    ledger: Annotated[
        Path | None, typer.Option("--ledger", metavar="FILE", help="Write every call of the real thing down here.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the search of the ledger.")] = False,
    describe: Describe = None,
    impl: Implementations = None,
    doubles: DoublesOption = None,
    trust: Trust = None,
    backend: BackendOption = Backend.COMPOSITE,
    allow_exec: AllowExec = False,
    as_json: Json = False,
    colour: ColourOption = Colour.AUTO,
) -> None:
    """Find the settings with which a pipeline does a task best, as the real thing renders them.

    The real thing (`--backend`) has the last word. Programs or doubles (`--doubles`) may be searched in its place; what
    they believe of the answer stands beside its score. Ctrl-C ends the search and keeps the best so far.
    """
    graph = build_graph(file, pipeline, inline=False)
    port = looked_at(graph)
    means = means_of(graph, backend, doubles, impl, trust, allow_exec)
    if pareto:
        tune_front.check_alone(
            {"--sheet": sheet is not None, "--mode": mode is not None, "--searcher": searcher is not None}
            | {"--doubles": doubles is not None, "--believed-calls": believed_calls is not None}
            | {"--per-image": bool(per_image)}
        )
    way = way_of(mode, searcher, believed_calls, best, polish, means)
    goals = goals_of(tasks, references, metric, border, network, pareto)
    chosen = choose(graph, None, presets or [], pairs(settings, "--set", "ADDRESS=VALUE"))
    own = per_image or []
    check_addresses(graph, chosen, [*(only or []), *own])
    places = Places(output, sheet, plot, report, ledger)
    check_outputs(places, resume)
    others, part = held_out or [], parse_crop(crop) if crop else None
    many = len(raws) if own else 1
    files = [] if output is None else tune_front.presets_of(output, calls) if pareto else numbered(output, many)
    inputs = inputs_read(graph, find_pipeline(file), chosen, raws, others, goals, describe, presets or [])
    refuse_collisions(inputs, outputs_of(places, files))
    data, kept = data_of(raws, others, goals.matching, part, describe, str(port.type.args[0]))
    free = free_of(chosen, data, only, choices, own)
    keep_pages()
    plain = colour is Colour.NEVER
    job = Job(graph, chosen, goals, means, places, data, kept, free, calls, seed, sensitivity, plain)
    written, why = _front(job, as_json) if pareto else _best(job, way, as_json)
    for path in written:
        if not as_json:
            emit(clean(str(path)))
    if why in ENDED:
        raise typer.Exit(ENDED[why])


def _best(job: Job, way: Way, as_json: bool) -> tuple[list[Path], str]:
    """Search for one answer, say it, and write it; the files, and what ended the search."""
    begun = time.perf_counter()
    answer = search(job, way)
    emit(json.dumps(tuned.values(job, answer), indent=2) if as_json else tuned.table(job, answer))
    presets = tuned.write(job, answer)
    found, places = answer.found, job.places
    believed = "" if found.believed is None else f", {found.believed_calls} of the double"
    note(_spent(found, believed, begun))
    files = [*presets, *(path for path in (places.sheet, places.plot, places.report) if path is not None)]
    return files, found.found.why


def _front(job: Job, as_json: bool) -> tuple[list[Path], str]:
    """Search for the front of several goals, say it, and write it; the files, and what ended the search."""
    begun = time.perf_counter()
    front = tune_front.search_front(job)
    emit(json.dumps(tune_front.values(job, front), indent=2) if as_json else tune_front.table(job, front))
    presets = tune_front.write(job, front)
    note(_spent(front.found, "", begun))
    files = [*presets, *(path for path in (job.places.plot, job.places.report) if path is not None)]
    return files, front.found.front.why


def _spent(found: Tuned | Traded, more: str, begun: float) -> str:
    reason = f" (the last: {clean(found.fault)})" if found.fault else ""
    failures = f", {found.failed} of them failed{reason}" if found.failed else ""
    return f"{found.calls} calls of the real thing{failures}{more}, {time.perf_counter() - begun:.1f} s"
