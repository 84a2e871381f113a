"""`ispdsl tree | ir | graph | plan`: what each step of the way makes of a file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ispdsl.cli.boundary import CommandError, as_usage, guarded, reading
from ispdsl.cli.collisions import Use, inputs_of, refuse_collisions
from ispdsl.cli.console import Colour, emit, note, show
from ispdsl.cli.files import find_pipeline, write_whole
from ispdsl.cli.options import (
    Backend,
    ColourOption,
    Describe,
    DoublesOption,
    Implementations,
    Json,
    Output,
    PipelineFile,
    PipelineName,
    Trust,
    pairs,
)
from ispdsl.diagnostics import Diagnostic, IspError, Report
from ispdsl.errors import PlanError

if TYPE_CHECKING:
    from ispdsl.graph import Graph
    from ispdsl.ir.model import Implementation, Module
    from ispdsl.proxies.card import Card


LEGEND = """reach  how far from its own place a pixel of an output looks into the step's input; all: everywhere
run    neighbouring pointwise steps: together they could be one pass over the image
frees  values that nothing reads after the step, so that their memory is free again
`--parameters` lists every parameter with its range, `--json` the program of every step
"""


class Picture(StrEnum):
    """Forms of a graph."""

    MERMAID = "mermaid"
    DOT = "dot"
    SVG = "svg"
    JSON = "json"


@guarded
def tree(file: PipelineFile, as_json: Json = False, colour: ColourOption = Colour.AUTO) -> None:
    """Print what was written: the tree, with every place."""
    import sys

    from ispdsl.render.tree import outline, values
    from ispdsl.syntax.parser import load_source, parse

    path = find_pipeline(file)
    with reading(path):
        source = load_source(path)
    if isinstance(source, Diagnostic):
        raise IspError(Report.of([source]))
    parsed = parse(source)
    report = Report.of(parsed.diagnostics)
    if report.errors:
        raise IspError(report)
    emit(json.dumps(values(parsed.tree, source), indent=2) if as_json else outline(parsed.tree, source))
    show(report, colour, sys.stderr)


@guarded
def ir(
    file: Annotated[str | None, typer.Argument(metavar="FILE", help="A .isp file.")] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of the IR; no file is needed.")
    ] = False,
    as_json: Json = False,
    colour: ColourOption = Colour.AUTO,
) -> None:
    """Print what it means: the IR as JSON."""
    if schema:
        from ispdsl.ir.schema import json_schema

        emit(json.dumps(json_schema(), indent=2))
    elif file is None:
        raise typer.BadParameter("name a .isp file, or ask for --schema")
    else:
        emit(load_module(file).model_dump_json(indent=2))


@guarded
def graph(
    file: PipelineFile,
    form: Annotated[Picture, typer.Option("--format", "-f", help="What to draw it as.")] = Picture.MERMAID,
    pipeline: PipelineName = None,
    inline: Annotated[bool, typer.Option("--inline", help="Draw what is inside of sub-pipelines.")] = False,
    output: Output = None,
    as_json: Json = False,
    colour: ColourOption = Colour.AUTO,
) -> None:
    """Draw a pipeline and what flows through it."""
    built = build_graph(file, pipeline, inline)
    text = _draw(built, Picture.JSON if as_json else form)
    if output is None:
        emit(text)
    else:
        path = find_pipeline(file)
        refuse_collisions(inputs_of(built, path), [Use("the drawing", output)])
        write_whole(output, text)
        note(f"wrote {output}")


@guarded
def plan(
    file: PipelineFile,
    pipeline: PipelineName = None,
    cfa: Annotated[
        str | None, typer.Option("--cfa", metavar="CFA", help="Plan for this mosaic: rggb, bggr, grbg, gbrg, linear.")
    ] = None,
    impl: Implementations = None,
    doubles: DoublesOption = None,
    backend: Annotated[
        Backend | None,
        typer.Option("--backend", help="What is to run it; default: the programs, where there are any."),
    ] = None,
    parameters: Annotated[
        bool,
        typer.Option("--parameters", help="List every parameter by address: range, unit, start, what may move it."),
    ] = False,
    cost: Annotated[
        bool, typer.Option("--cost", help="Count bytes and operations of every step, and say what they take at least.")
    ] = False,
    size: Annotated[
        str | None, typer.Option("--size", metavar="HxW", help="With --cost: of the image, in px; default 3000x4000.")
    ] = None,
    raw: Annotated[Path | None, typer.Option("--raw", metavar="RAW", help="With --cost: of this raw instead.")] = None,
    describe: Describe = None,
    bandwidth: Annotated[
        float | None, typer.Option("--bandwidth", min=0.001, metavar="G", help="With --cost: GB/s; not measured then.")
    ] = None,
    arithmetic: Annotated[
        float | None, typer.Option("--arithmetic", min=0.001, metavar="G", help="10^9 operations a second, likewise.")
    ] = None,
    functions: Annotated[
        float | None, typer.Option("--functions", min=0.001, metavar="G", help="10^9 exp or log a second, likewise.")
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="With --cost: measure this machine anew, for 0.3 s.")
    ] = False,
    trust: Trust = None,
    as_json: Json = False,
    colour: ColourOption = Colour.AUTO,
) -> None:
    """Print what would run: the steps, and how each is done or what it costs; or every parameter that can be set."""
    from ispdsl.cli.cost import Asked, check, show_cost
    from ispdsl.ir.types import CFAS
    from ispdsl.parameter_table import rows, table
    from ispdsl.plan import plan as make_plan

    built = build_graph(file, pipeline, inline=False)
    if cfa is not None and cfa not in CFAS:
        raise CommandError(f"--cfa {cfa} is no CFA", f"it is one of {', '.join(CFAS)}")
    asked = Asked(size, raw, describe, bandwidth, arithmetic, functions, measure, tuple(trust or ()))
    check(asked, cost, parameters)
    if cost and (backend not in (None, Backend.COMPOSITE) or _is_real_alone(built)):
        raise CommandError(f"{built.name} is run by a real thing, which cannot be counted", "--cost is about programs")
    if cost:
        chosen = dict(pairs(impl, "--impl", "STAGE=KIND"))
        check_implementations(built, chosen, doubles)
        show_cost(built, asked, cfa, chosen, doubles, as_json)
        return
    if backend is None and not impl and doubles is None and _is_real_alone(built):
        _plan_real(built, None, cfa, parameters, as_json)
        return
    if backend not in (None, Backend.COMPOSITE):
        _plan_real(built, backend, cfa, parameters, as_json)
        return
    chosen = dict(pairs(impl, "--impl", "STAGE=KIND"))
    check_implementations(built, chosen, doubles)
    made = make_plan(built, cfa=cfa, impl=chosen, doubles=cards_of(doubles))
    slots = made.graph.slots
    if as_json:
        emit(json.dumps({**json.loads(made.to_json()), "parameters": rows(slots)}, indent=2))
    else:
        emit(table(slots) if parameters else f"{made}\n{LEGEND}")


def _is_real_alone(graph: Graph) -> bool:
    """Whether a pipeline has an executor, and some stage without a program, so that nothing else runs it."""
    from ispdsl.passes.inline import inline as open_calls

    def has(kind: str, offered: Iterable[Implementation]) -> bool:
        return any(each.kind == kind for each in offered)

    if not has("executor", graph.implementations):
        return False
    return not all(has("program", call.signature.implementations) for call in open_calls(graph).calls)


def _plan_real(graph: Graph, backend: Backend | None, cfa: str | None, parameters: bool, as_json: bool) -> None:
    """The plan of what a real thing runs as a whole."""
    from ispdsl.backends.blackbox import check_backend, declared
    from ispdsl.backends.outline import outline, outline_rows
    from ispdsl.parameter_table import rows, table
    from ispdsl.passes.select import for_cfa

    if backend is not None:
        try:
            check_backend(graph, backend.value)
        except PlanError as error:
            raise CommandError(f"--backend {backend.value}: {error.message}", error.hint) from error
    found = declared(graph, for_cfa(graph, cfa) if cfa else None)
    if as_json:
        emit(json.dumps({**outline_rows(found), "parameters": rows(found.slots)}, indent=2))
    else:
        emit(table(found.slots) if parameters else outline(found))


def cards_of(doubles: Path | None) -> dict[str, Card] | None:
    """The cards of the doubles that --doubles names.

    Raises:
        CompileError: there are none, or one cannot be read.
    """
    if doubles is None:
        return None
    from ispdsl.backends.doubles import cards

    return cards(doubles)


def check_implementations(graph: Graph, impl: Mapping[str, str], doubles: Path | None = None) -> None:
    """Find out before the work whether every stage has the implementation that was asked for.

    Raises:
        CommandError: a word of --impl names no stage, or nothing that it has; a double does not fit.
        CompileError: --doubles names none.
    """
    from ispdsl.plan import prepared

    if not impl and doubles is None:
        return
    found = cards_of(doubles)
    try:
        prepared(graph, impl=impl, doubles=found)
    except PlanError as error:
        prepared(graph)  # what is wrong without --impl as well is no fault of the command line
        raise as_usage(error) from error


def load_module(file: str) -> Module:
    """Load what a FILE argument means.

    Raises:
        IspError: it has errors.
        CommandError: it cannot be read.
    """
    from ispdsl.lower.loader import load

    path: Path = find_pipeline(file)
    with reading(path):
        return load(path)


def build_graph(file: str, pipeline: str | None, inline: bool) -> Graph:
    """The graph of a pipeline of a file, with sub-pipelines opened if `inline`.

    Raises:
        CommandError: the file has no pipeline of that name.
    """
    from ispdsl.graph import build
    from ispdsl.passes.inline import inline as open_calls

    module = load_module(file)
    try:
        built = build(module, pipeline)
    except PlanError as error:
        if pipeline is None:
            raise
        raise as_usage(error) from error
    return open_calls(built) if inline else built


def _draw(graph: Graph, form: Picture) -> str:
    if form is Picture.SVG:
        from ispdsl.cli.drawing import svg

        return svg(graph)
    from ispdsl.graph_text import to_dot, to_json, to_mermaid

    return {Picture.MERMAID: to_mermaid, Picture.DOT: to_dot, Picture.JSON: to_json}[form](graph)
