"""`ispdsl bench`: how fast a pipeline is, beside what one would take instead."""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from ispdsl.cli.beforehand import check_output, check_trust
from ispdsl.cli.boundary import CommandError, ExitCode, guarded
from ispdsl.cli.collisions import Use, inputs_of, inputs_of_raw, refuse_collisions
from ispdsl.cli.console import Colour, emit, note
from ispdsl.cli.files import check_place, find_pipeline, write_whole
from ispdsl.cli.memory import environment, keep_pages
from ispdsl.cli.options import (
    ColourOption,
    Describe,
    Json,
    PipelineFile,
    PipelineName,
    Presets,
    RawFile,
    Trust,
    Values,
    pairs,
)
from ispdsl.cli.progress import progress
from ispdsl.cli.raws import read_quietly
from ispdsl.cli.settings import choose as choose_settings
from ispdsl.cli.show import build_graph
from ispdsl.diagnostics import nearest
from ispdsl.render.characters import clean

if TYPE_CHECKING:
    from ispdsl.bench.contender import Contender
    from ispdsl.bench.job import Job
    from ispdsl.bench.measure import Measured

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "HL_NUM_THREADS")
"""Variables that libraries read when they are loaded."""


def complete_contender(incomplete: str) -> list[str]:
    """Names of contenders that begin so."""
    from ispdsl.bench.registry import CONTENDERS

    return [each.name for each in CONTENDERS if each.name.startswith(incomplete)]


@guarded
def bench(
    file: PipelineFile,
    raw: RawFile,
    pipeline: PipelineName = None,
    settings: Values = None,
    presets: Presets = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            "--against",
            metavar="NAME",
            help="Only this one beside the pipeline, such as opencv; default: all. May be repeated.",
            autocompletion=complete_contender,
        ),
    ] = None,
    size: Annotated[
        float | None,
        typer.Option("--size", min=0.01, max=400, metavar="MP", help="The raw's middle, or tiles of it, so large."),
    ] = None,
    seconds: Annotated[
        float,
        typer.Option("--seconds", min=0.1, max=3600, metavar="S", help="For all forward passes; the rest takes half."),
    ] = 20.0,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, max=1024, metavar="N", help="Default: OMP_NUM_THREADS, or cores.")
    ] = None,
    gradients: Annotated[bool, typer.Option("--gradients/--no-gradients", help="Of a mean square.")] = True,
    stages: Annotated[bool, typer.Option("--stages/--no-stages", help="Each stage by itself.")] = True,
    cold: Annotated[bool, typer.Option("--cold/--no-cold", help="Start-up and memory, in processes.")] = True,
    describe: Describe = None,
    trust: Trust = None,
    plot: Annotated[Path | None, typer.Option("--plot", metavar="FILE", help="A picture of the speeds: .png.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write everything as JSON here as well.")
    ] = None,
    as_json: Json = False,
    colour: ColourOption = Colour.AUTO,
) -> None:
    """Time a pipeline on a raw beside what one would take instead, all by turns."""
    chosen = choose(against or [])
    graph = build_graph(file, pipeline, inline=False)
    values = pairs(settings, "--set", "ADDRESS=VALUE")
    choose_settings(graph, None, presets or [], values)
    check_trust(trust or [])
    if plot is not None:
        check_output(plot, None)
    if output is not None:
        check_place(output)
    path = find_pipeline(file)
    written = [Use("the plot", plot)] if plot else []
    written += [Use("the figures", output)] if output else []
    refuse_collisions((*inputs_of(graph, path), *inputs_of_raw(raw, describe, None, presets or [])), written)
    with bounded(threads) as count, TemporaryDirectory() as folder:
        keep_pages()
        from ispdsl.bench.job import Job

        job = Job(
            file=str(path.resolve()),
            raw=str(sized_raw(raw, describe, size, Path(folder))),
            threads=count,
            pipeline=graph.name,
            values=tuple(values),
            presets=tuple(str(each.resolve()) for each in presets or ()),
            trust=tuple(trust or ()),
            describe=str(describe.resolve()) if describe and size is None else None,
        )
        asked = (seconds, gradients, stages, cold)
        found = _measured(job, chosen, graph.name, raw.name, asked, colour)
        if not _by_itself(found) and (plain := _plain(chosen)):
            note("note: the pipeline could not be measured so; it is measured again in plain torch")
            found = _measured(job, [*plain, *chosen], graph.name, raw.name, asked, colour)
    _tell(found, output, plot, as_json)
    if not _by_itself(found):
        raise CommandError(f"{graph.name} itself could not be measured", "see what failed above", ExitCode.EXECUTOR)


def choose(names: Sequence[str]) -> list[Contender]:
    """The contenders of these names behind the first that can run here, the one to compare with; all without names.

    Raises:
        CommandError: there is none of a name.
    """
    from ispdsl.bench.contender import missing
    from ispdsl.bench.registry import CONTENDERS

    known = [each.name for each in CONTENDERS]
    for name in names:
        if name not in known:
            near = nearest(name, known)
            hint = f"did you mean {near}?" if near else f"there are {', '.join(known)}"
            raise CommandError(f"--against {name}: there is no such contender", hint)
    first = next(each.name for each in CONTENDERS if missing(each) is None)
    wanted = {first, *(names or known)}
    return [each for each in CONTENDERS if each.name in wanted]


@contextmanager
def bounded(threads: int | None) -> Generator[int]:
    """Within, libraries that are loaded, and processes that are begun, use so many threads; their number."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = threads or (int(said) if said.isdigit() and int(said) > 0 else usable)
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, str(count)))
    try:
        yield count
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def sized_raw(raw: Path, describe: Path | None, size: float | None, folder: Path) -> Path:
    """The raw itself, or its middle or tiles of it as a DNG in a folder.

    Raises:
        RawError: it cannot be read.
        CommandError: the size is less than two rows and columns of it.
    """
    if size is None:
        return raw.resolve()
    from ispdsl.bench.job import sized, write_raw

    frame = read_quietly(raw, describe)
    if min(frame.size) < 2:
        raise CommandError(f"{raw} is too small to be cut or tiled", "leave out --size")
    return write_raw(sized(frame, size), folder)


def _measured(
    job: Job,
    chosen: Sequence[Contender],
    pipeline: str,
    raw: str,
    wanted: tuple[float, bool, bool, bool],
    colour: Colour,
) -> Measured:
    """Measure, with a bar, and say where the machine was busy with other things."""
    from ispdsl.bench import quiet
    from ispdsl.bench.measure import Wanted, measure

    before = quiet.warning(quiet.look())
    if before:
        note(f"note: {before}")
    seconds, gradients, stages, cold = wanted
    with progress(colour is Colour.NEVER) as step:
        asked = Wanted(seconds, gradients, stages, cold, environment())
        found = measure(job, chosen, pipeline, raw, asked, step)
    during = quiet.warning(found.busy)
    if during and not before:
        note(f"note: meanwhile, {during}")
    return found


def _by_itself(found: Measured) -> bool:
    """Whether the pipeline itself took part, and not only what one would take instead."""
    from ispdsl.bench.registry import OURS

    return not {each.name for each in OURS}.isdisjoint(each.name for each in found.forward.measured)


def _plain(chosen: Sequence[Contender]) -> list[Contender]:
    """The pipeline in plain torch, which runs all that can be run, unless it was chosen already."""
    from ispdsl.bench.registry import PLAIN

    return [] if PLAIN in chosen else [PLAIN]


def _tell(found: Measured, output: Path | None, plot: Path | None, as_json: bool) -> None:
    """Print what was found, and write the files that were asked for."""
    from ispdsl.bench.machine import processor
    from ispdsl.bench.plot import plot_contenders
    from ispdsl.bench.report import content, heading, table

    figures = json.dumps(content(found, processor()), indent=2)
    if output is not None:
        write_whole(output, f"{figures}\n")
        note(f"wrote {clean(str(output))}")
    if plot is not None and found.forward.measured:
        plot_contenders(plot, heading(found, processor()), found.forward, found.gradient)
        note(f"wrote {clean(str(plot))}")
    elif plot is not None:
        note(f"{clean(str(plot))} is not written: nobody took part")
    emit(figures if as_json else clean_lines(table(found, processor())))


def clean_lines(text: str) -> str:
    """Text of several lines without what a terminal would obey."""
    return "\n".join(map(clean, text.splitlines()))
