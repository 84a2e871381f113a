"""`ispdsl regress`: the settings behind a picture."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ispdsl.cli.boundary import CommandError, guarded, writing
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
from ispdsl.cli.run import check_output, check_permission, check_trust, cropped, parse_crop, read_quietly
from ispdsl.cli.settings import choose
from ispdsl.cli.show import build_graph, check_implementations
from ispdsl.render.characters import clean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ispdsl.comparison.pair import Pair
    from ispdsl.graph import Graph
    from ispdsl.ir.model import Port
    from ispdsl.optimise.regression import Confusion, Estimate, Regression, Search
    from ispdsl.runtime.frame import Frame
    from ispdsl.runtime.values import Settings

    Floats = NDArray[np.float32]

SHOWN = (".png", ".jpg", ".jpeg", ".tif", ".tiff")

UNLIKE = 25.0
"""dB below which a picture is hardly the one that was wanted."""

PARTS, LINES = 4, 5
"""Of what the picture cannot tell, as much as people read; --json has all of it."""

UNDONE = {6: 8, 8: 6}
"""Orientations that do not undo themselves."""


@guarded
def regress(
    file: PipelineFile,
    raw: Annotated[Path, typer.Argument(metavar="RAW", help="A raw file: DNG, any camera raw, or a described mosaic.")],
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="A picture of it: .png, .tif or .jpg, upright.")],
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
    """Find the settings behind a picture of a raw, and show what the real thing makes of them.

    The real thing (`--backend`) renders every step, programs or doubles (`--doubles`) say where to go next.
    """
    from ispdsl.runtime import sidecar

    for path in (output, sheet):
        if path is not None:
            check_output(path, None)
    if sheet is not None and sheet.suffix.lower() not in SHOWN:
        raise CommandError(f"--sheet {sheet} is no picture to look at", f"name one of {', '.join(SHOWN)}")
    part = parse_crop(crop) if crop else None
    graph = build_graph(file, pipeline, inline=False)
    chosen_impl = dict(pairs(impl, "--impl", "STAGE=KIND"))
    check_implementations(graph, chosen_impl, doubles)
    check_trust(trust or [])
    check_permission(graph, backend, allow_exec)
    beside = None if no_sidecar else sidecar.path_of(raw)
    chosen = choose(graph, beside, presets or [], pairs(settings, "--set", "ADDRESS=VALUE"))
    inputs = (*inputs_of(graph, find_pipeline(file)), *inputs_of_raw(raw, describe, beside, presets or []))
    outputs = [] if output is None else [Use("the picture", output), Use(SETTINGS, sidecar.path_of(output))]
    outputs += [] if sheet is None else [Use("the picture of the differences", sheet)]
    refuse_collisions((*inputs, *tables_of(chosen), Use("the target", target)), outputs)
    port = _looked_at(graph)
    frame = read_quietly(raw, describe)
    wanted, rim = _target(target, port, frame, part, graph)
    edge = rim if border is None else border
    frame = cropped(frame, part) if part else frame
    for text in frame.notes:
        note(f"note: {clean(text)}")
    keep_pages()
    from ispdsl.optimise.regression import Search  # after what can be found wrong: it brings torch

    begun = time.perf_counter()
    with redirect_stdout(sys.stderr):  # what a program prints is no result of ours
        found, version = _search(
            graph, frame, wanted, chosen, list(dict.fromkeys(only)) if only else None, backend, doubles, chosen_impl,
            tuple(trust or ()), allow_exec, Search(calls, starts, seed=seed, border=edge), colour is Colour.NEVER,
        )  # fmt: skip
    shown = _compared(port, frame, found, wanted, edge)
    if as_json:
        emit(json.dumps(_values(found, shown, version or backend.value, graph, frame), indent=2))
    else:
        emit(_table(found, shown, version or "the pipeline's own programs"))
    if output is not None:
        _write(output, port, frame, found)
    if sheet is not None:
        _draw(sheet, shown, frame)
    if found.psnr < UNLIKE:
        note("note: no settings that were tried make this picture of this raw: are they of each other?")
    note(f"{found.calls} calls of the real thing, {found.renders} to find a start, {time.perf_counter() - begun:.1f} s")
    for path in (output, sheet):
        if path is not None and not as_json:
            emit(clean(str(path)))


def _looked_at(graph: Graph) -> Port:
    """The output that is looked at: the first.

    Raises:
        CommandError: it is no picture in colour.
    """
    port = graph.outputs[0]
    if port.type.name != "rgb":
        raise CommandError(f"{graph.name} gives {port.name}: {port.type}, and a target is a picture in colour")
    return port


def _target(
    path: Path, port: Port, frame: Frame, part: tuple[int, int, int, int] | None, graph: Graph
) -> tuple[Floats, int]:
    """The target as the sensor lay, white 1, and the border that a cut out of it has.

    Raises:
        PictureError: it cannot be read.
        CommandError: it is in another colour space, or of another size.
    """
    import numpy as np

    from ispdsl.passes.inline import inline
    from ispdsl.runtime.pictures import orient, read_picture
    from ispdsl.sampling.parts import border_of

    image, space = read_picture(path)
    own = str(port.type.args[0])
    if image.shape[0] != 3 or space != own:
        if image.shape[0] != 3:
            raise CommandError(f"{path} is grey, and {port.name} is in colour", "give a picture in colour")
        raise CommandError(
            f"{path} is in {space}, and {port.name} is in {own}", f"convert it to {own} with its profile"
        )
    if not np.isfinite(image).all():
        raise CommandError(f"{path} holds numbers that are not finite", "give a picture without them")
    image = orient(image, UNDONE.get(frame.orientation, frame.orientation))
    rows, columns = frame.size
    height, width = (rows, columns) if part is None else part[2:]
    if part is not None and image.shape[1:] == (rows, columns) != (height, width):
        top, left = part[:2]
        image = image[:, top : top + height, left : left + width]
        return np.ascontiguousarray(image), border_of(inline(graph))
    if image.shape[1:] != (height, width):
        looked = "raw" if part is None else "part of the raw"
        sizes = f"{image.shape[2]} x {image.shape[1]} px, and the {looked} {width} x {height}"
        raise CommandError(f"{path} is {sizes}, as the sensor lay", "give a picture of the whole raw, or of its --crop")
    return np.ascontiguousarray(image), 0


def _search(
    graph: Graph,
    frame: Frame,
    wanted: Floats,
    settings: Settings,
    only: Sequence[str] | None,
    backend: Backend,
    doubles: Path | None,
    impl: dict[str, str],
    trust: tuple[str, ...],
    allow_exec: bool,
    search: Search,
    plain: bool,
) -> tuple[Regression, str]:
    """Search; the answer, and the version of the real thing."""
    from ispdsl.backends.composite import compile
    from ispdsl.backends.vector import tensors as settings_tensors
    from ispdsl.comparison.pair import peak_of
    from ispdsl.darkroom import mosaic_input, tensors
    from ispdsl.errors import PlanError
    from ispdsl.optimise.model import Model
    from ispdsl.optimise.real import renderer
    from ispdsl.optimise.regression import regress
    from ispdsl.passes.select import match
    from ispdsl.runtime.vector import Vector

    start = settings.resolved(frame.metadata)
    vector = Vector.of(start, "unit", only)
    types = match(graph, {mosaic_input(graph): frame.type})
    try:
        composite = compile(
            graph, types=types, impl=impl, taps=(), trust=trust, allow_exec=allow_exec, doubles=doubles
        )  # fmt: skip
    except PlanError as error:
        if backend is Backend.COMPOSITE or "has no program" not in str(error):
            raise
        hint = "--doubles RUN: networks that were trained on it show the way (docs/doubles.md)"
        raise CommandError(f"nothing says where to go from {backend.value}'s answers: {error.message}", hint) from error
    image, metadata = tensors(frame)
    model = Model(composite, vector, settings_tensors(start), image, metadata)
    exact = backend is Backend.COMPOSITE and not composite.cards and not impl
    with renderer(graph, frame, backend.value, trust, allow_exec) as (render, version), progress(plain) as bar:
        try:
            found = regress(
                wanted, start, vector, render, model, search=search, exact=exact,
                peak=peak_of(graph.outputs[0].type, frame.metadata),
                told=lambda what, done, total, psnr: bar(done, total, f"{what}: {psnr:.1f} dB"),
            )  # fmt: skip
        except ValueError as error:
            raise CommandError(str(error)) from error
    return found, version


def _compared(port: Port, frame: Frame, found: Regression, wanted: Floats, border: int) -> tuple[Pair, Pair]:
    """Start and answer against the target."""
    from ispdsl.comparison.pair import compare

    sides = {"start": found.before, "found": found.picture}
    one, two = (
        compare(name, "output", port.type, (picture, wanted), frame.metadata, border) for name, picture in sides.items()
    )
    return one, two


def _write(output: Path, port: Port, frame: Frame, found: Regression) -> None:
    from ispdsl.runtime.pictures import write_picture
    from ispdsl.runtime.sidecar import Sidecar, path_of, save

    write_picture(output, found.picture, space=str(port.type.args[0]), orientation=frame.orientation)
    source = frame.source
    about = {"file": Path(source.path).name, "sha256": source.sha256, "make": source.make, "model": source.model}
    with writing(path_of(output)):
        save(Sidecar.of(found.settings, {**about, "decoder": source.decoder}, complete=True), path_of(output))


def _draw(sheet: Path, shown: Sequence[Pair], frame: Frame) -> None:
    from ispdsl.comparison.sheet import difference_sheet

    difference_sheet(sheet, shown, ("rendered", "target"), frame.orientation)


# ---- what is said ------------------------------------------------------------------------------------------


def _table(found: Regression, shown: Sequence[Pair], real: str) -> str:
    blind = {each.parts[0][0] for each in found.confusions}
    rows = [("", "start", "found", "+-", ""), *(_row(each, each.name in blind) for each in found.estimates)]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    for pair in shown:
        figures = pair.figures
        assert figures is not None, "it was searched for"
        colours = f", CIEDE2000 {figures.ciede2000.mean:.3f}" if figures.ciede2000 else ""
        psnr = "equal" if figures.equal else f"PSNR {figures.psnr:.2f} dB{colours}"
        lines.append(f"{pair.name}: {psnr} as rendered by {clean(real)}")
    if found.believed is not None:
        lines.append(f"the double took what was found to be at {found.believed:.2f} dB")
    lines += [f"the picture cannot tell: {_words(each)}" for each in found.confusions[:LINES]]
    if len(found.confusions) > LINES:
        lines.append(f"and {len(found.confusions) - LINES} more that it cannot tell; --json names them")
    return "\n".join((*lines, f"it ended as {found.why}"))


def _row(each: Estimate, blind: bool) -> tuple[str, ...]:
    error = "-" if each.error is None else f"{each.error:.2g}"
    unit = each.unit if each.unit != "1" else ""
    remarks = ["at the end of its range"] * each.at_end + ["the picture can hardly tell"] * blind
    return each.name, f"{each.start:.6g}{unit}", f"{each.found:.6g}{unit}", error, ", ".join(remarks)


def _words(each: Confusion) -> str:
    """``a up with b down (0.1 codes)``."""
    moves = [f"{name} {'up' if part > 0 else 'down'}" for name, part in each.parts[:PARTS]]
    moves += [f"{len(each.parts) - PARTS} more"] if len(each.parts) > PARTS else []
    return f"{' with '.join(moves)} (a tenth of the ranges changes it by {255 * each.change:.2f} codes of 8 bits, RMS)"


def _values(found: Regression, shown: Sequence[Pair], real: str, graph: Graph, frame: Frame) -> dict[str, Any]:
    from ispdsl.comparison.report import values
    from ispdsl.runtime.sidecar import Sidecar

    return {
        "pipeline": graph.name,
        "pipeline_sha256": graph.sha256,
        "frame": {"file": frame.source.path, "sha256": frame.source.sha256},
        "real_thing": real,
        "settings": dict(Sidecar.of(found.settings, {}, complete=True).settings),
        "estimates": [
            {"name": each.name, "unit": each.unit, "start": each.start, "found": each.found, "error": each.error}
            | {"at_end": each.at_end}
            for each in found.estimates
        ],
        "confusions": [{"parts": dict(each.parts), "change": each.change} for each in found.confusions],
        "psnr": found.psnr,
        "psnr_before": found.psnr_before,
        "believed": found.believed,
        "results": [values(pair) for pair in shown],
        "calls": found.calls,
        "renders": found.renders,
        "path": list(found.path),
        "why": found.why,
    }
