"""`ispdsl sample`: ask the real thing at many settings, and keep what it gives in a run directory."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ispdsl.cli.beforehand import check_permission, check_trust
from ispdsl.cli.boundary import CommandError, ExitCode, guarded
from ispdsl.cli.console import emit, if_interrupted, note
from ispdsl.cli.files import find_pipeline
from ispdsl.cli.memory import keep_pages
from ispdsl.cli.options import AllowExec, Backend, BackendOption, Json, PipelineFile, PipelineName, pairs
from ispdsl.cli.progress import progress
from ispdsl.cli.raws import read_quietly
from ispdsl.cli.settings import choose
from ispdsl.cli.show import build_graph
from ispdsl.diagnostics import nearest
from ispdsl.render.characters import clean

if TYPE_CHECKING:
    from ispdsl.graph import Graph
    from ispdsl.runtime.frame import Frame
    from ispdsl.runtime.values import Settings
    from ispdsl.sampling.asks import Ask, Asks, Wish
    from ispdsl.sampling.parts import Part
    from ispdsl.sampling.recipe import Recipe
    from ispdsl.sampling.sampler import Outcome, Progress
    from ispdsl.sampling.workers import Failed
    from ispdsl.store.head import RawHead, RunHead
    from ispdsl.store.runs import Run

TOLD = 3
"""Failures that are told in words; the others are counted."""
PACE = 10.0
"""Seconds between two lines of progress where stderr is no terminal."""


class Design(StrEnum):
    """How settings are drawn."""

    LATIN = "latin"
    SOBOL = "sobol"
    GRID = "grid"
    ONE_AT_A_TIME = "one-at-a-time"
    CORNERS = "corners"


class Ranges(StrEnum):
    """What sliders and registers are varied over."""

    SOFT = "soft"
    HARD = "hard"


@guarded
def sample(
    file: PipelineFile,
    raws: Annotated[list[Path], typer.Argument(metavar="RAW...", help="Raw files that parts are cut from.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="RUN", help="The run directory.")],
    pipeline: PipelineName = None,
    count: Annotated[
        int, typer.Option("--count", "-n", min=1, metavar="N", help="Points of the design; with --per-stage, of each.")
    ] = 100,
    design: Annotated[Design, typer.Option("--design", help="How settings are drawn.")] = Design.LATIN,
    ranges: Annotated[Ranges, typer.Option("--ranges", help="What numbers are varied over.")] = Ranges.SOFT,
    vary: Annotated[
        list[str] | None,
        typer.Option("--vary", metavar="ADDRESS=VALUES", help="LOW..HIGH, or A,B, or all. May be repeated."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="ADDRESS",
            help="Vary this alone, or what fits a pattern such as 'bm3d.*', choices and switches too; default: "
            "all free numbers that are not set. May be repeated.",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="ADDRESS=VALUE", help="What stays. May be repeated.")
    ] = None,
    presets: Annotated[
        list[Path] | None, typer.Option("--preset", metavar="FILE", help="Settings from a file. May be repeated.")
    ] = None,
    taps: Annotated[
        str | None, typer.Option("--taps", metavar="A,B", help="Keep these taps; '' for none; default: all.")
    ] = None,
    per_stage: Annotated[
        bool, typer.Option("--per-stage", help="A design for each stage, rendered no further than its tap.")
    ] = False,
    charts: Annotated[
        int, typer.Option("--charts", min=0, metavar="N", help="Charts of colours for each pointwise stage besides.")
    ] = 0,
    size: Annotated[int, typer.Option("--size", min=2, metavar="PX", help="Height and width of a part.")] = 256,
    parts_per_raw: Annotated[
        int | None,
        typer.Option("--parts-per-raw", min=1, metavar="N", help="Different parts of each raw; default: up to 32."),
    ] = None,
    hold_out: Annotated[
        list[str] | None,
        typer.Option("--hold-out", metavar="NAME", help="Keep this raw for validation. May be repeated."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, metavar="N", help="Of settings and parts.")] = 0,
    backend: BackendOption = Backend.COMPOSITE,
    allow_exec: AllowExec = False,
    trust: Annotated[
        list[str] | None, typer.Option("--trust", metavar="PACKAGE", help="Run programs of this package as well.")
    ] = None,
    describe: Annotated[
        Path | None, typer.Option("--describe", metavar="JSON", help="The description of mosaics without a header.")
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", min=1, metavar="N", help="How many work at once; default: a core each."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run; several processes may do so at once.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Ask the real thing at many settings on parts of raws; keep inputs, taps and outputs in a run directory."""
    from ispdsl.sampling.asks import Wish, asks_of
    from ispdsl.sampling.recipe import Recipe

    graph = build_graph(file, pipeline, inline=False)
    check_trust(trust or [])
    check_permission(graph, backend, allow_exec)
    _check_folder(output, resume)
    wish = Wish(
        kind=design.value,
        count=count,
        extent=ranges.value,
        only=tuple(only) if only else None,
        vary=dict(pairs(vary, "--vary", "ADDRESS=VALUES")),
        side=size,
        parts_per_raw=parts_per_raw,
        per_stage=per_stage,
        charts=charts,
        taps=None if taps is None else tuple(name.strip() for name in taps.split(",") if name.strip()),
        seed=seed,
    )
    base = choose(graph, None, presets or [], pairs(settings, "--set", "ADDRESS=VALUE"))
    real = _real(graph, backend, allow_exec)
    heads, parts = _cut(raws, describe, hold_out or [], wish)
    held = [head.name for head in heads if head.role != "training"]
    asks = asks_of(graph, parts, base, wish, backend.value, _identity(graph, real), held)
    if size <= 2 * asks.border:
        rim = f"the pipeline looks {asks.border} px around each pixel"
        note(f"note: --size {size}: {rim}, so that no pixel of a part is what the whole raw would give; take more")
    head = _head(find_pipeline(file), graph, backend, real, heads, parts, asks, base, seed)
    run = _opened(output, head, resume)
    recipe = Recipe(graph, base, wish.taps, asks.border, backend.value, tuple(trust or ()), allow_exec)
    with if_interrupted("samples that were acknowledged are kept, and --resume goes on with the rest"):
        outcome = _sampled(run, recipe, asks.asks, jobs or len(os.sched_getaffinity(0)), resume)
    _say(run, asks, outcome, as_json)
    if outcome.failed:
        raise typer.Exit(ExitCode.EXECUTOR)


def _check_folder(output: Path, resume: bool) -> None:
    """Before anything else: an existing folder is not written into unless it is a run to go on with.

    Raises:
        CommandError: it is there, or is not there.
    """
    if resume or not output.exists():
        return
    if output.is_dir() and not any(output.iterdir()):
        return
    raise CommandError(f"{output} exists already", "go on with it by --resume, or name another folder")


def _real(graph: Graph, backend: Backend, allow_exec: bool) -> str:
    """Name and version of what is sampled."""
    from ispdsl.backends.blackbox import declared, opened
    from ispdsl.cli.doctor import ispdsl_version

    if backend is Backend.COMPOSITE:
        return f"composite, ispdsl {ispdsl_version()}"
    with opened(declared(graph), allow_exec) as executor:
        return executor.version


def _identity(graph: Graph, real: str) -> str:
    """Everything besides the text that decides what the real thing gives: its version, its programs and templates."""
    from ispdsl.backends.blackbox import declared_in
    from ispdsl.executors.trust import fingerprint

    return "\n".join([real, *(fingerprint(each) for each in declared_in(graph.module))])


# ---- raws ---------------------------------------------------------------------------------------------------


def _cut(
    raws: Sequence[Path], describe: Path | None, held: Sequence[str], wish: Wish
) -> tuple[list[RawHead], dict[str, list[Part]]]:
    """Read raw after raw, and keep the parts only.

    Raises:
        CommandError: a raw to hold out is not among them, or all are.
        RawError: one cannot be read.
    """
    from ispdsl.sampling.asks import parts_each
    from ispdsl.sampling.parts import parts_of
    from ispdsl.store.head import RawHead

    names = _names(raws)
    for name in held:
        if name not in names and name not in [Path(each).stem for each in names]:
            near = nearest(name, names)
            hint = f"did you mean {near}?" if near else f"the raws are {', '.join(names[:8])}"
            raise CommandError(f"--hold-out {name}: there is no raw of this name", hint)
    roles = {name: "validation" if {name, Path(name).stem} & set(held) else "training" for name in names}
    if "training" not in roles.values():
        raise CommandError("all raws are held out", "leave one for training")
    heads: list[RawHead] = []
    parts: dict[str, list[Part]] = {}
    for name, path in zip(names, raws, strict=True):
        frame: Frame = read_quietly(path, describe)
        for text in frame.notes:
            note(f"note: {clean(name)}: {clean(text)}")
        parts[name] = parts_of(frame, name, wish.side, parts_each(wish, len(raws)), wish.seed)
        heads.append(RawHead(name=name, path=str(path.absolute()), sha256=frame.source.sha256, role=roles[name]))
    return heads, parts


def _names(raws: Sequence[Path]) -> list[str]:
    """A name for each raw: that of its file, with its folder's where two are called the same.

    Raises:
        CommandError: a raw is given twice.
    """
    files = [path.name for path in raws]
    names = [
        path.name if files.count(path.name) == 1 else f"{path.absolute().parent.name}-{path.name}" for path in raws
    ]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise CommandError(f"{twice} is given twice", "name each raw once")
    return names


# ---- the run ------------------------------------------------------------------------------------------------


def _head(
    file: Path,
    graph: Graph,
    backend: Backend,
    real: str,
    raws: Sequence[RawHead],
    parts: Mapping[str, Sequence[Part]],
    asks: Asks,
    settings: Settings,
    seed: int,
) -> RunHead:
    import hashlib

    from ispdsl.darkroom import mosaic_input
    from ispdsl.runtime.sidecar import Sidecar
    from ispdsl.store.head import PipelineHead, RunHead

    texts = hashlib.sha256("\n".join(sorted(graph.module.files.values())).encode()).hexdigest()
    types = {str(part.frame.type) for own in parts.values() for part in own}
    held: dict[str, Any] = dict(Sidecar.of(settings).settings)
    return RunHead(
        pipeline=PipelineHead(file=str(file.absolute()), name=graph.name, sha256=graph.sha256, texts_sha256=texts),
        backend=backend.value,
        real=real,
        types={mosaic_input(graph): " | ".join(sorted(types))},
        watched=asks.watched,
        raws=tuple(raws),
        design={**asks.design, "held": held},
        count=len(asks.asks),
        seed=seed,
        versions=_versions(),
        command=("ispdsl", *sys.argv[1:]),
    )


def _versions() -> dict[str, str]:
    from importlib import metadata

    names = ("ispdsl", "torch", "numpy", "scipy")
    found: dict[str, str] = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _opened(output: Path, head: RunHead, resume: bool) -> Run:
    """The run, made or found.

    Raises:
        CommandError: a run to go on with is of something else.
        StoreError: there is none, or it is damaged; or there is one already.
    """
    from ispdsl.store.runs import create, open_run

    if not resume:
        return create(output, head)
    run = open_run(output)
    other = [words for words, same in _compared(run.head, head) if not same]
    if other:
        hint = f"{output / 'run.json'} says which; repeat the command of the run, or name another folder"
        raise CommandError(f"{output} is a run of another {', another '.join(other)}", hint)
    return run


def _compared(old: RunHead, new: RunHead) -> Iterable[tuple[str, bool]]:
    yield "pipeline", old.pipeline.sha256 == new.pipeline.sha256
    yield "backend", old.backend == new.backend
    yield f"version of it ({old.real}, and this is {new.real})", old.real == new.real
    raws = _otherwise(old.raws, new.raws)
    yield f"set of raws ({raws})", not raws
    design = _redrawn(old, new)
    yield f"design ({design})", not design


def _redrawn(old: RunHead, new: RunHead) -> str:
    """The first thing about the design that is not as it was, in words; empty where all is."""
    then, now = ({"seed": head.seed, **head.design} for head in (old, new))
    for name in {**then, **now}:
        one, other = then.get(name), now.get(name)
        if one != other:
            plain = not isinstance(one, dict | list) and not isinstance(other, dict | list)
            return f"{name} {one}, and this is {other}" if plain else f"{name} differs"
    return ""


def _otherwise(old: Sequence[RawHead], new: Sequence[RawHead]) -> str:
    """The first raw that is not as it was, in words; empty where all are."""
    then, now = {raw.name: raw for raw in old}, {raw.name: raw for raw in new}
    for name in [*then, *now]:
        if name not in now or name not in then:
            return f"{name} is {'missing' if name not in now else 'new'}"
        if then[name].sha256 != now[name].sha256:
            return f"the bytes of {name} have changed"
        if then[name].role != now[name].role:
            return f"{name} was for {then[name].role}"
    return "" if list(then) == list(now) else "in another order"


def _sampled(run: Run, recipe: Recipe, asks: Sequence[Ask], jobs: int, resume: bool) -> Outcome:
    from ispdsl.sampling.sampler import sample as sampled

    failures: list[Failed] = []

    def failing(ask: Ask, failed: Failed) -> None:
        failures.append(failed)
        if len(failures) <= TOLD:
            first, *more = failed.message.splitlines() or [""]
            note("\n  ".join([f"sample {ask.number} failed ({failed.fault}): {clean(first)}", *map(clean, more)]))

    with progress() as bar:
        spoken = time.monotonic()

        def told(state: Progress) -> None:
            nonlocal spoken
            words = f"{state.rate:.1f}/s" + (f", {state.failures} failed" if state.failures else "")
            bar(state.done, state.total, words)
            if not sys.stderr.isatty() and time.monotonic() - spoken > PACE:
                left = "" if state.left is None else f", {state.left:.0f} s left"
                note(f"{state.done} of {state.total} samples, {words}{left}")
                spoken = time.monotonic()

        return sampled(run, recipe, asks, jobs=jobs, shuffled=resume, start=keep_pages, told=told, failing=failing)


def _say(run: Run, asks: Asks, outcome: Outcome, as_json: bool) -> None:
    rate = outcome.made / max(outcome.seconds, 1e-9)
    if as_json:
        found = {"run": str(run.path), "samples": len(asks.asks), "made": outcome.made, "failed": outcome.failed}
        found |= {"present": outcome.present, "seconds": round(outcome.seconds, 3), "rate": round(rate, 3)}
        emit(json.dumps(found, indent=2))
    else:
        emit(clean(str(run.path)))
    there = f", {outcome.present} were there already" if outcome.present else ""
    failed = f", {outcome.failed} failed (--resume tries them again)" if outcome.failed else ""
    note(f"{outcome.made} of {len(asks.asks)} samples in {outcome.seconds:.1f} s ({rate:.1f}/s){there}{failed}")
