"""`ispdsl tree | ir | graph | plan`: what each step of the way makes of a file."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ispdsl.cli.boundary import guarded, reading
from ispdsl.cli.console import Colour, emit, note, show
from ispdsl.cli.files import find_pipeline, write_whole
from ispdsl.cli.options import ColourOption, Implementations, Json, Output, PipelineFile, PipelineName, pairs
from ispdsl.diagnostics import Diagnostic, IspError, Report

if TYPE_CHECKING:
    from ispdsl.graph import Graph
    from ispdsl.ir.model import Module


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
    text = _draw(build_graph(file, pipeline, inline), Picture.JSON if as_json else form)
    if output is None:
        emit(text)
    else:
        write_whole(output, text)
        note(f"wrote {output}")


@guarded
def plan(
    file: PipelineFile,
    pipeline: PipelineName = None,
    cfa: Annotated[
        str | None, typer.Option("--cfa", help="Plan for this mosaic: rggb, bggr, grbg, gbrg, linear.")
    ] = None,
    impl: Implementations = None,
    as_json: Json = False,
    colour: ColourOption = Colour.AUTO,
) -> None:
    """Print what would run: the steps, and how each is done."""
    from ispdsl.plan import plan as make_plan

    made = make_plan(
        build_graph(file, pipeline, inline=False), cfa=cfa, impl=dict(pairs(impl, "--impl", "stage=program"))
    )
    emit(made.to_json() if as_json else str(made))


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
    """The graph of a pipeline of a file, with sub-pipelines opened if `inline`."""
    from ispdsl.graph import build
    from ispdsl.passes.inline import inline as open_calls

    built = build(load_module(file), pipeline)
    return open_calls(built) if inline else built


def _draw(graph: Graph, form: Picture) -> str:
    if form is Picture.SVG:
        from ispdsl.cli.drawing import svg

        return svg(graph)
    from ispdsl.graph_text import to_dot, to_json, to_mermaid

    return {Picture.MERMAID: to_mermaid, Picture.DOT: to_dot, Picture.JSON: to_json}[form](graph)
