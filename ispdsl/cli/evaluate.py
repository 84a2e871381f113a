"""`ispdsl evaluate`: how far doubles are off on raws that they have not seen, where, and how far to believe them."""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ispdsl.cli.beforehand import check_permission, check_trust
from ispdsl.cli.boundary import CommandError, ExitCode, guarded, writing
from ispdsl.cli.console import emit, if_interrupted, note
from ispdsl.cli.files import find_pipeline, write_whole
from ispdsl.cli.memory import keep_pages
from ispdsl.cli.options import AllowExec, Json
from ispdsl.cli.progress import Step, progress
from ispdsl.cli.raws import read_quietly
from ispdsl.cli.show import build_graph
from ispdsl.diagnostics import nearest
from ispdsl.render.characters import clean

if TYPE_CHECKING:
    from ispdsl.evaluation.evaluate import Job, Task
    from ispdsl.evaluation.fresh import Plan
    from ispdsl.evaluation.measure import Chain
    from ispdsl.evaluation.report import Evaluated
    from ispdsl.evaluation.trust import Trust
    from ispdsl.graph import Graph
    from ispdsl.runtime.frame import Frame
    from ispdsl.store.runs import Run

REPORT, RESULT = "report.md", "report.json"
PACE = 10.0
"""Seconds between two lines of progress where stderr is no terminal."""


class Ranges(StrEnum):
    """What the parameters are drawn from."""

    SAMPLED = "sampled"
    SOFT = "soft"
    HARD = "hard"


@guarded
def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory with doubles.")],
    raws: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[RAW]...", help="Raws that no double has seen; default: the run's held-out samples."),
    ] = None,
    variants: Annotated[
        list[str] | None,
        typer.Option("--variant", metavar="NAME", help="Which doubles; default: default. Several are compared."),
    ] = None,
    settings: Annotated[
        int | None,
        typer.Option("--settings", "-n", min=1, metavar="N", help="Random settings, each on a part of a raw; 100."),
    ] = None,
    ranges: Annotated[
        Ranges | None, typer.Option("--ranges", help="What they are drawn from; default: sampled.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, metavar="S", help="Of settings and parts; default: 0.")
    ] = None,
    size: Annotated[
        int | None, typer.Option("--size", min=16, metavar="PX", help="Height and width of a part; default: 512.")
    ] = None,
    whole_frames: Annotated[bool, typer.Option("--whole-frames", help="Whole raws instead of parts.")] = False,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", min=1, metavar="N", help="How many work at once; default: one a core."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="Where report and queries go; default: RUN/evaluation."),
    ] = None,
    keep_trust: Annotated[
        bool, typer.Option("--keep-trust", help="Leave the trust figure of the doubles as it is; only check it.")
    ] = False,
    trust: Annotated[
        list[str] | None, typer.Option("--trust", metavar="PACKAGE", help="Run programs of this package as well.")
    ] = None,
    describe: Annotated[
        Path | None, typer.Option("--describe", metavar="JSON", help="The description of mosaics without a header.")
    ] = None,
    allow_exec: AllowExec = False,
    as_json: Json = False,
) -> None:
    """Measure doubles on raws that they have not seen: each on its own, all in a row, against each parameter.

    The real thing is asked for what is not there yet, so that a stopped evaluation goes on. The report lies in
    RUN/evaluation; the trust figure that is fitted on the way lies with the doubles.
    """
    from ispdsl.evaluation.chains import held_out, trained
    from ispdsl.evaluation.fresh import WHOLE, Plan
    from ispdsl.store.runs import open_run

    check_trust(trust or [])
    asked = {"--settings": settings, "--ranges": ranges, "--seed": seed, "--size": size, "--whole-frames": whole_frames}
    told = [option for option, value in asked.items() if value is not None and value is not False]
    if told and not raws:
        hint = "name raws that no double has seen, or leave it out to look at the held-out samples"
        raise CommandError(f"{told[0]} is about raws, and none is named", hint)
    opened = open_run(run)
    names = list(dict.fromkeys(variants or ["default"]))
    folders = [_variant(run, name) for name in names]
    graph = _graph(opened)
    lanes = jobs or len(os.sched_getaffinity(0))
    side = WHOLE if whole_frames else size
    given: dict[str, Any] = {
        "count": settings,
        "ranges": None if ranges is None else ranges.value,
        "side": side,
        "seed": seed,
    }
    plan = Plan(**{name: value for name, value in given.items() if value is not None})
    frames = {name: read_quietly(path, describe) for name, path in _names(raws or []).items()}
    keep_pages()
    chains, jobs_of = _chains(opened, graph, folders, frames, tuple(trust or ()))
    if frames:
        seen = trained(opened, chains)
        with if_interrupted("what the real thing gave is kept, and the same command goes on with the rest"):
            source, folder = _asked(opened, graph, frames, plan, output, seen, lanes, tuple(trust or ()), allow_exec)
        only = None
        words = f"{plan.count} settings over the {plan.ranges} ranges"
    else:
        source, only = opened, held_out(opened, chains)
        folder = output or run / "evaluation" / "held-out"
        words = "the held-out samples of the run"
    _evaluate(opened, source, only, chains, jobs_of, folder, words, lanes, not keep_trust, as_json)


def _variant(run: Path, name: str) -> Path:
    """The folder of a variant.

    Raises:
        CommandError: it has no doubles.
    """
    folder = run / "doubles" / name
    if folder.is_dir() and any(folder.glob("*.safetensors")):
        return folder
    has = sorted(each.name for each in (run / "doubles").glob("*") if any(each.glob("*.safetensors")))
    near = nearest(name, has)
    hint = (
        f"did you mean {near}?" if near else f"it has {', '.join(has)}" if has else f"`ispdsl train {run}` makes them"
    )
    raise CommandError(f"{run} has no doubles of variant {name}", hint, ExitCode.UNREADABLE)


def _graph(run: Run) -> Graph:
    """The pipeline of a run, which must be the text that was sampled.

    Raises:
        CommandError: it has changed since.
    """
    head = run.head.pipeline
    graph = build_graph(head.file, head.name, inline=False)
    if graph.sha256 != head.sha256:
        hint = "sample the new one, or put the old text back"
        raise CommandError(f"{head.file} is not the text that was sampled", hint, ExitCode.UNREADABLE)
    return graph


def _names(raws: Sequence[Path]) -> dict[str, Path]:
    """The raws by the names of their files.

    Raises:
        CommandError: two have one name.
    """
    found = {path.name: path for path in raws}
    if len(found) < len(raws):
        names = [path.name for path in raws]
        twice = next(name for name in names if names.count(name) > 1)
        raise CommandError(f"two raws are named {twice}", "evaluate on one after the other, or rename one")
    return found


def _chains(
    run: Run, graph: Graph, folders: Sequence[Path], frames: Mapping[str, Frame], packages: tuple[str, ...]
) -> tuple[list[Chain], list[Job]]:
    """The variants, compiled for the first raw: what is wrong with them is told before anything is rendered."""
    from ispdsl.evaluation.evaluate import Job, chain_for, forget

    forget()
    jobs = [Job(run, graph, folder, packages) for folder in folders]
    if frames:
        type_ = str(next(iter(frames.values())).type)
    else:
        type_ = next(iter(run.head.types.values()), "raw<rggb, u16>").split(" | ")[0]
    return [chain_for(job, type_) for job in jobs], jobs


def _asked(
    run: Run,
    graph: Graph,
    frames: Mapping[str, Frame],
    plan: Plan,
    output: Path | None,
    seen: Collection[str],
    lanes: int,
    packages: tuple[str, ...],
    allow_exec: bool,
) -> tuple[Run, Path]:
    """Ask the real thing for the queries that are not there yet."""
    from ispdsl.cli.options import Backend
    from ispdsl.evaluation.fresh import fresh, name_of

    check_permission(graph, Backend(run.head.backend), allow_exec)
    folder = output or run.path / "evaluation" / name_of(plan, frames)
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
    with _watched() as step:
        source, outcome = fresh(
            run,
            graph,
            frames,
            plan,
            folder,
            seen,
            jobs=lanes,
            trust=packages,
            allow_exec=allow_exec,
            start=keep_pages,
            told=lambda state: step(state.done, state.total, "the real thing"),
        )
    there = f", {outcome.present} were there already" if outcome.present else ""
    note(f"the real thing: {outcome.made} queries in {outcome.seconds:.1f} s{there}")
    if outcome.failed:
        note(f"{outcome.failed} queries failed and are left out; `ispdsl runs show {clean(str(folder))}` says why")
    return source, folder


def _evaluate(
    run: Run,
    source: Run,
    only: Sequence[str] | None,
    chains: Sequence[Chain],
    jobs: Sequence[Job],
    folder: Path,
    words: str,
    lanes: int,
    refit: bool,
    as_json: bool,
) -> None:
    from ispdsl.evaluation.evaluate import evaluated, measured, tasks
    from ispdsl.evaluation.report import markdown, table, values
    from ispdsl.evaluation.trust_file import NAME

    begun = time.perf_counter()
    wanted = tasks(source, only)
    kept = [job.doubles / NAME for job in jobs]
    before = {path: path.read_bytes() if path.is_file() else None for path in kept}
    found: list[Evaluated] = []
    figures: list[Trust | None] = []
    for job, chain in zip(jobs, chains, strict=True):
        with _watched() as step:
            queries = measured(job, source, wanted, lanes, step)
        result, figure = evaluated(job, chain, queries, refit)
        found.append(result)
        figures.append(figure)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    pictures = {
        each.name: _pictures(folder, each, figure, job, source, wanted)
        for each, figure, job in zip(found, figures, jobs, strict=True)
    }
    head = {
        "run": str(run.path),
        "pipeline": run.head.pipeline.name,
        "real thing": run.head.real or run.head.backend,
        "queries": f"{len(wanted)} of {words}",
        "raws": ", ".join(sorted({query.raw for query in found[0].queries})),
        "largest part": " x ".join(map(str, max((query.part[3], query.part[2]) for query in found[0].queries))),
    }
    again = _again(run, source, found[0], folder)
    write_whole(folder / REPORT, markdown(head, found, pictures, again))
    write_whole(folder / RESULT, json.dumps({**values(head, found), "pictures": pictures}, indent=1) + "\n")
    if as_json:
        emit((folder / RESULT).read_text(encoding="utf-8").rstrip())
    else:
        emit(table(found))
        emit(clean(str(folder / REPORT)))
    for path, old in before.items():
        if old is not None and path.read_bytes() != old:
            note(f"{clean(str(path))} is fitted to these queries now; --keep-trust leaves the one that was there")
    several = f" of {len(found)} variants" if len(found) > 1 else ""
    note(f"{len(wanted)} queries{several} in {time.perf_counter() - begun:.1f} s")


def _pictures(
    folder: Path, each: Evaluated, figure: Trust | None, job: Job, source: Run, wanted: Sequence[Task]
) -> dict[str, str]:
    """Draw everything; the names of the files by what they show."""
    from ispdsl.evaluation.plots import plot_sensitivity, plot_stages, plot_trust
    from ispdsl.evaluation.worst import draw

    files = {what: f"{each.name}-{what}.png" for what in ("stages", "sensitivity", "trust", "worst")}
    own = [stage.own.mean if stage.own else None for stage in each.stages]
    chain = [stage.chain.mean if stage.chain else None for stage in each.stages]
    plot_stages(folder / files["stages"], [stage.value for stage in each.stages], own, chain)
    if each.sensitivities:
        plot_sensitivity(folder / files["sensitivity"], each.sensitivities, f"PSNR of {each.main} in dB")
    else:
        del files["sensitivity"]
    if figure is not None:
        import numpy as np

        *_, knows = figure.tried
        rank = figure.calibration[knows].rank
        truth = np.array([query.chain[each.main].psnr for query in each.queries])
        plot_trust(folder / files["trust"], figure.tried[knows], truth, f"Trust: rank correlation {rank:.2f}")
    else:
        del files["trust"]
    draw(folder / files["worst"], each, job, source, wanted)
    return files


def _again(run: Run, source: Run, each: Evaluated, folder: Path) -> list[str]:
    """Sidecars of the worst queries, and the commands that render them again."""
    from ispdsl.evaluation.worst import save_settings, worst

    paths = {raw.name: raw.path for raw in (*source.head.raws, *run.head.raws)}
    file = find_pipeline(run.head.pipeline.file)
    commands: list[str] = []
    for place, query in enumerate(worst(each), 1):
        preset = save_settings(folder / f"worst-{place}.isp.json", query, run.head.pipeline)
        words = ["ispdsl", "run", str(file), paths.get(query.raw, query.raw), "-o", f"worst-{place}.png"]
        words += ["--no-sidecar", "--preset", str(preset), "--crop", ",".join(map(str, query.part))]
        words += ["--backend", run.head.backend] if run.head.backend != "composite" else []
        commands.append(shlex.join(words))
    return commands


@contextmanager
def _watched() -> Generator[Step]:
    """A bar with the time left, or a line now and then where stderr is no terminal."""
    begun = spoken = time.monotonic()
    with progress() as bar:

        def step(done: int, total: int, name: str) -> None:
            nonlocal spoken
            bar(done, total, name)
            now = time.monotonic()
            if not sys.stderr.isatty() and now - spoken > PACE and done:
                left = (now - begun) / done * (total - done)
                note(f"{name}: {done} of {total} queries, {left:.0f} s left")
                spoken = now

        yield step
