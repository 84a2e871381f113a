"""`ispdsl regress`: the settings behind a picture."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ispdsl.cli.boundary import CommandError, ExitCode, as_usage, guarded
from ispdsl.cli.collisions import SETTINGS, Use, inputs_of, inputs_of_raw, refuse_collisions, tables_of
from ispdsl.cli.console import Colour, emit, note, stoppable
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
from ispdsl.cli.regress_given import Given, asked_of, given_of, looked_at
from ispdsl.cli.regress_report import as_values, compared, draw, numbered, table, write
from ispdsl.cli.run import check_output, check_permission, check_trust, parse_crop, read_quietly
from ispdsl.cli.settings import choose
from ispdsl.cli.show import build_graph, check_implementations
from ispdsl.render.characters import clean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ispdsl.graph import Graph
    from ispdsl.optimise.aligned import Aligned
    from ispdsl.optimise.model import Model
    from ispdsl.optimise.real import Render
    from ispdsl.optimise.regression import Regression, Search
    from ispdsl.runtime.vector import Vector

    Floats = NDArray[np.float32]
    Place = tuple[int, int, int, int]

SHOWN = (".png", ".jpg", ".jpeg", ".tif", ".tiff")

UNLIKE = 25.0
"""dB below which a picture is hardly the one that was wanted."""

ROBUST = 0.05
"""Differences beyond this part of white count by their size where a camera's own picture is the target."""

STOPPING = "stopping after this step with the best so far; Ctrl-C again to stop at once, without it"


@dataclass(frozen=True)
class Means:
    """What runs and shows the way, as the command line has it."""

    backend: Backend
    doubles: Path | None
    impl: dict[str, str]
    trust: tuple[str, ...]
    allow_exec: bool


@guarded
def regress(
    file: PipelineFile,
    raw: Annotated[Path, typer.Argument(metavar="RAW", help="A raw file: DNG, any camera raw, or a described mosaic.")],
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="A picture of it: .png, .tif or .jpg, upright.")],
    further: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[RAW TARGET]...", help="More raws and their pictures, made with the same settings."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="The picture with what was found; its settings beside it."),
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option("--sheet", metavar="FILE", help="A picture of start, target, found and differences.")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="ADDRESS", help="What is free; default: every free number. May be repeated."),
    ] = None,
    pipeline: PipelineName = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="ADDRESS=VALUE", help="As exposure.ev=0.7. May be repeated.")
    ] = None,
    presets: Annotated[
        list[Path] | None,
        typer.Option("--preset", metavar="FILE", help="Settings to begin at; later ones win. May be repeated."),
    ] = None,
    crop: Annotated[
        str | None, typer.Option("--crop", metavar="Y,X,H,W", help="Look at this part, in sensor pixels.")
    ] = None,
    border: Annotated[
        int | None, typer.Option("--border", min=0, metavar="N", help="Leave out N px at each side.")
    ] = None,
    registers: Annotated[
        bool | None,
        typer.Option(
            "--register/--no-register", help="Find where on the raw the target lies; default: where sizes differ."
        ),
    ] = None,
    calls: Annotated[int, typer.Option("--calls", min=2, metavar="N", help="Of the real thing, at most.")] = 30,
    starts: Annotated[int, typer.Option("--starts", min=1, metavar="N", help="Tried on the doubles or programs.")] = 8,
    seed: Annotated[int, typer.Option("--seed", min=0, metavar="N", help="Of the starts.")] = 0,
    describe: Annotated[
        Path | None, typer.Option("--describe", metavar="JSON", help="The description of a mosaic without a header.")
    ] = None,
    no_sidecar: Annotated[bool, typer.Option("--no-sidecar", help="Do not read RAW.isp.json.")] = False,
    impl: Implementations = None,
    doubles: DoublesOption = None,
    trust: Annotated[
        list[str] | None, typer.Option("--trust", metavar="PACKAGE", help="Run programs of this package as well.")
    ] = None,
    backend: BackendOption = Backend.COMPOSITE,
    allow_exec: AllowExec = False,
    as_json: Json = False,
    colour: ColourOption = Colour.AUTO,
) -> None:
    """Find the settings behind pictures of raws, and show what the real thing makes of them.

    The real thing (`--backend`) renders every step, programs or doubles (`--doubles`) say where to go next. Ctrl-C ends
    with the best so far.
    """
    from ispdsl.runtime import sidecar

    asked = asked_of(raw, target, further or [])
    for path in (output, sheet):
        if path is not None:
            check_output(path, None)
    if sheet is not None and sheet.suffix.lower() not in SHOWN:
        raise CommandError(f"--sheet {sheet} is no picture to look at", f"name one of {', '.join(SHOWN)}")
    part = parse_crop(crop) if crop else None
    graph = build_graph(file, pipeline, inline=False)
    means = Means(backend, doubles, dict(pairs(impl, "--impl", "STAGE=KIND")), tuple(trust or ()), allow_exec)
    check_implementations(graph, means.impl, doubles)
    check_trust(trust or [])
    check_permission(graph, backend, allow_exec)
    values = pairs(settings, "--set", "ADDRESS=VALUE")
    sides = [None if no_sidecar else sidecar.path_of(one) for one, _ in asked]
    chosen = [choose(graph, beside, presets or [], values) for beside in sides]
    inputs = [*inputs_of(graph, find_pipeline(file))]
    for (one, other), beside, mine in zip(asked, sides, chosen, strict=True):
        inputs += [*inputs_of_raw(one, describe, beside, presets or []), *tables_of(mine), Use("the target", other)]
    outputs = [] if output is None else numbered(output, len(asked))
    uses = [use for path in outputs for use in (Use("the picture", path), Use(SETTINGS, sidecar.path_of(path)))]
    refuse_collisions(inputs, [*uses, *([Use("the picture of the differences", sheet)] if sheet else [])])
    port = looked_at(graph)
    given = [
        given_of(one, other, read_quietly(one, describe), mine, part, registers, graph)
        for (one, other), mine in zip(asked, chosen, strict=True)
    ]
    keep_pages()
    from ispdsl.optimise.regression import Search  # after what can be found wrong: it brings torch

    edge = max(each.rim for each in given) if border is None else border
    robust = ROBUST if any(each.aligned for each in given) else None
    search = Search(calls, starts, seed=seed, border=edge, robust=robust)
    begun = time.perf_counter()
    addresses = list(dict.fromkeys(only)) if only else None
    with redirect_stdout(sys.stderr), stoppable(STOPPING) as halt:  # what a program prints is no result of ours
        found, version, pictures = _search(
            graph, given, addresses, means, search, colour is Colour.NEVER, halt, bool(outputs)
        )
    shown = [compared(port, each.frame, mine, each.wanted, edge) for each, mine in zip(given, found.views, strict=True)]
    frames, targets = [each.frame for each in given], [each.target for each in given]
    if as_json:
        places = [each.placement for each in given]
        emit(as_values(found, shown, version or backend.value, graph, frames, targets, places))
    else:
        emit(table(found, shown, version or "the pipeline's own programs", targets))
    for path, each, mine, picture in zip(outputs, given, found.views, pictures, strict=False):
        write(path, port, each.frame, mine.settings, picture)
    if sheet is not None:
        draw(sheet, shown, frames)
    if found.psnr < UNLIKE and robust is None:
        note("note: no settings that were tried make this picture of this raw: are they of each other?")
    several = f" for each of {len(given)} pictures" if len(given) > 1 else ""
    spent = f"{found.calls} calls of the real thing, {found.renders} to find a start"
    note(f"{spent}{several}, {time.perf_counter() - begun:.1f} s")
    for path in (*outputs, sheet):
        if path is not None and not as_json:
            emit(clean(str(path)))
    if halt():
        raise typer.Exit(ExitCode.INTERRUPTED)


def _search(
    graph: Graph,
    given: Sequence[Given],
    only: Sequence[str] | None,
    means: Means,
    search: Search,
    plain: bool,
    halt: Callable[[], bool],
    whole: bool,
) -> tuple[Regression, str, list[Floats]]:
    """Search; the answer, the version of the real thing, and if asked for the whole pictures with what was found."""
    import numpy as np

    from ispdsl.comparison.pair import peak_of
    from ispdsl.optimise.real import renderer
    from ispdsl.optimise.regression import regress_all
    from ispdsl.optimise.views import RegressionError, View
    from ispdsl.runtime.vector import Vector

    vector = Vector.of(given[0].settings, "unit", only)
    type_ = graph.outputs[0].type
    peaks = [peak_of(type_, each.frame.metadata) for each in given]
    views: list[View] = []
    exact, version = means.backend is Backend.COMPOSITE and not means.impl, ""
    with ExitStack() as stack:
        renders: list[Render] = []
        for each, peak in zip(given, peaks, strict=True):
            model, of_programs = _model(graph, each, vector, means)
            exact = exact and of_programs
            render, version = stack.enter_context(
                renderer(graph, each.frame, means.backend.value, means.trust, means.allow_exec)
            )
            renders.append(render)
            counts = None if each.aligned is None else each.aligned.looked_at
            views.append(View(each.wanted, each.settings, _on_grid(render, each.aligned), model, peak, counts))
        bar = stack.enter_context(progress(plain))
        try:
            found = regress_all(
                views, vector, search=search, exact=exact, halt=halt,
                told=lambda what, done, total, psnr: bar(done, total, f"{what}: {psnr:.1f} dB"),
            )  # fmt: skip
        except RegressionError as error:
            raise as_usage(error) from error
        pictures = [
            mine.picture if each.aligned is None else render(mine.settings) / np.float32(peak)
            for each, mine, render, peak in zip(given, found.views, renders, peaks, strict=True)
            if whole
        ]
    return found, version, pictures


def _on_grid(render: Render, aligned: Aligned | None) -> Render:
    return render if aligned is None else lambda settings: aligned.grid.of(render(settings))


def _model(graph: Graph, given: Given, vector: Vector, means: Means) -> tuple[Model, bool]:
    """What shows the way for one picture, and whether that is what renders it.

    What is compared on a coarse grid is differentiated with fewer pixels.

    Raises:
        CommandError: nothing shows the way.
    """
    from ispdsl.backends.composite import compile
    from ispdsl.backends.vector import tensors as settings_tensors
    from ispdsl.darkroom import mosaic_input, tensors
    from ispdsl.errors import NoProgramError
    from ispdsl.optimise.aligned import on_reduced, reduced
    from ispdsl.optimise.model import Model
    from ispdsl.passes.select import match

    frame, lens, factor = given.frame, None, 1
    if given.aligned is not None:
        factor = max(1, round(given.aligned.cell / 2))
        frame = reduced(frame, factor)
        lens = on_reduced(given.aligned, factor, frame.size).of_tensor
    try:
        composite = compile(
            graph, types=match(graph, {mosaic_input(graph): frame.type}), impl=means.impl, taps=(), trust=means.trust,
            allow_exec=means.allow_exec, doubles=means.doubles,
        )  # fmt: skip
    except NoProgramError as error:
        if means.backend is Backend.COMPOSITE:
            raise
        hint = "--doubles RUN: networks that were trained on it show the way (docs/doubles.md)"
        what = f"nothing says where to go from {means.backend.value}'s answers: {error.message}"
        raise CommandError(what, hint) from error
    model = Model(composite, vector, settings_tensors(given.settings), *tensors(frame), lens)
    return model, factor == 1 and not composite.cards
