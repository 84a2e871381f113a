"""`ispdsl regress`: the settings behind a picture."""

from __future__ import annotations

import sys
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ispdsl.cli.addresses import check_addresses
from ispdsl.cli.boundary import ExitCode, guarded
from ispdsl.cli.collisions import Use, inputs_of, inputs_of_raw, refuse_collisions, tables_of
from ispdsl.cli.console import Colour, emit, note, stoppable
from ispdsl.cli.files import find_pipeline
from ispdsl.cli.means import looked_at, means_of
from ispdsl.cli.memory import keep_pages
from ispdsl.cli.options import (
    AllowExec,
    Backend,
    BackendOption,
    Calls,
    ColourOption,
    Crop,
    Describe,
    DoublesOption,
    Implementations,
    Json,
    NoSidecar,
    PerImage,
    PipelineFile,
    PipelineName,
    PresetsOfStart,
    RawFile,
    SeedOfSearch,
    Trust,
    Values,
    pairs,
)
from ispdsl.cli.raws import parse_crop, read_quietly
from ispdsl.cli.references import check_once, told_apart
from ispdsl.cli.regress_given import asked_of, check_border, check_files, free_of, given_of, outputs_of
from ispdsl.cli.regress_report import compared, draw, numbered, told, write
from ispdsl.cli.regress_search import check_by_score, search
from ispdsl.cli.settings import choose
from ispdsl.cli.show import build_graph
from ispdsl.render.characters import clean

if TYPE_CHECKING:
    from ispdsl.optimise.regression import Regression

UNLIKE = 25.0
"""dB below which a picture is hardly the one that was wanted."""

ROBUST = 0.05
"""Differences beyond this part of white count by their size where a camera's own picture is the target."""

STOPPING = "stopping after this step with the best so far; Ctrl-C again to stop at once, without it"


@guarded
def regress(
    file: PipelineFile,
    raw: RawFile,
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
        typer.Option(
            "--only",
            metavar="ADDRESS",
            help="What is free, patterns too; default: every free number. May be repeated.",
        ),
    ] = None,
    per_image: PerImage = None,
    pipeline: PipelineName = None,
    settings: Values = None,
    presets: PresetsOfStart = None,
    crop: Crop = None,
    border: Annotated[
        int | None,
        typer.Option(
            "--border",
            min=0,
            metavar="N",
            help="Leave out N px at each side; default: 0, or as far as stages look of a part of a whole target.",
        ),
    ] = None,
    registers: Annotated[
        bool | None,
        typer.Option(
            "--register/--no-register", help="Find where on the raw the target lies; default: where sizes differ."
        ),
    ] = None,
    searcher: Annotated[
        str | None,
        typer.Option(
            "--searcher",
            metavar="NAME",
            help="Search without derivatives, by the real thing alone: differences, cma-es, tpe, ...",
        ),
    ] = None,
    calls: Calls = 30,
    sample: Annotated[
        int,
        typer.Option(
            "--sample",
            min=0,
            metavar="N",
            help="Begin with N pixels of all pictures, where stages can be run on them alone; 0: with whole pictures.",
        ),
    ] = 16_000,
    starts: Annotated[int, typer.Option("--starts", min=1, metavar="N", help="Tried on the doubles or programs.")] = 8,
    seed: SeedOfSearch = 0,
    describe: Describe = None,
    no_sidecar: NoSidecar = False,
    impl: Implementations = None,
    doubles: DoublesOption = None,
    trust: Trust = None,
    backend: BackendOption = Backend.COMPOSITE,
    allow_exec: AllowExec = False,
    as_json: Json = False,
    colour: ColourOption = Colour.AUTO,
) -> None:
    """Find the settings behind pictures of raws, and show what the real thing makes of them.

    The real thing (`--backend`) renders every step, programs or doubles (`--doubles`) say where to go next; where
    nothing can, `--searcher` asks the real thing alone. Ctrl-C ends with the best so far.
    """
    from ispdsl.runtime import sidecar

    asked = asked_of(raw, target, further or [])
    check_files(output, sheet)
    part = parse_crop(crop) if crop else None
    graph = build_graph(file, pipeline, inline=False)
    port = looked_at(graph)
    means = means_of(graph, backend, doubles, impl, trust, allow_exec)
    check_by_score(searcher, means)
    values = pairs(settings, "--set", "ADDRESS=VALUE")
    sides = [None if no_sidecar else sidecar.path_of(one) for one, _ in asked]
    chosen = [choose(graph, beside, presets or [], values) for beside in sides]
    own = per_image or []
    check_addresses(graph, chosen[0], [*(only or []), *own], numbers=True)
    if own:
        check_once(told_apart([other for _, other in asked]))
    inputs = [*inputs_of(graph, find_pipeline(file))]
    for (one, other), beside, mine in zip(asked, sides, chosen, strict=True):
        inputs += [*inputs_of_raw(one, describe, beside, presets or []), *tables_of(mine), Use("the target", other)]
    outputs = [] if output is None else numbered(output, len(asked))
    refuse_collisions(inputs, outputs_of(outputs, sheet))
    given = [
        given_of(one, other, read_quietly(one, describe), mine, part, registers, graph)
        for (one, other), mine in zip(asked, chosen, strict=True)
    ]
    free = free_of(given[0].settings, only, own)
    edge = max(each.rim for each in given) if border is None else border
    check_border(given, edge)
    keep_pages()
    from ispdsl.optimise.regression import Search  # after what can be found wrong: it brings torch

    robust = ROBUST if any(each.aligned for each in given) else None
    how = Search(calls, starts, seed=seed, border=edge, robust=robust, sample=sample)
    begun = time.perf_counter()
    with redirect_stdout(sys.stderr), stoppable(STOPPING) as halt:  # what a program prints is no result of ours
        found, version, pictures = search(
            graph, given, free, means, how, searcher, colour is Colour.NEVER, halt, bool(outputs)
        )
    shown = [compared(port, each.frame, mine, each.wanted, edge) for each, mine in zip(given, found.views, strict=True)]
    emit(told(found, shown, version, means, searcher, graph, given, as_json))
    for path, each, mine, picture in zip(outputs, given, found.views, pictures, strict=False):
        write(path, port, each.frame, mine.settings, picture)
    if sheet is not None:
        draw(sheet, shown, [each.frame for each in given])
    if found.psnr < UNLIKE and how.robust is None:
        note("note: no settings that were tried make this picture of this raw: are they of each other?")
    note(f"{_spent(found, len(given), searcher)}, {time.perf_counter() - begun:.1f} s")
    for path in (*outputs, sheet):
        if path is not None and not as_json:
            emit(clean(str(path)))
    if halt():
        raise typer.Exit(ExitCode.INTERRUPTED)


def _spent(found: Regression, pictures: int, searcher: str | None) -> str:
    """The calls, in words."""
    starts = "" if searcher is not None else f", {found.renders} to find a start"
    return f"{found.calls} calls of the real thing{starts}" + (f" for each of {pictures} pictures" * (pictures > 1))
