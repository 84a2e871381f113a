"""`ispdsl compile`: a pipeline as one file that PyTorch runs without ispdsl's compiler."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ispdsl.cli.beforehand import check_trust
from ispdsl.cli.boundary import CommandError, ExitCode, as_usage, guarded, writing
from ispdsl.cli.collisions import Use, inputs_of, refuse_collisions
from ispdsl.cli.console import emit, note
from ispdsl.cli.files import find_pipeline
from ispdsl.cli.options import DoublesOption, Implementations, Json, PipelineFile, PipelineName, pairs
from ispdsl.cli.show import build_graph, check_implementations
from ispdsl.errors import RunError
from ispdsl.render.characters import clean

if TYPE_CHECKING:
    from torch import Tensor

    from ispdsl.backends.composite import Composite

SUFFIX = ".pt2"
SIZE = re.compile(r"(\d+)\s*[xX]\s*(\d+)")
LARGEST_SIDE = 20_000


@guarded
def compile(
    file: PipelineFile,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where it goes: a .pt2 file.")],
    size: Annotated[str, typer.Option("--size", metavar="HxW", help="Height and width of the images in pixels.")],
    pipeline: PipelineName = None,
    cfa: Annotated[
        str | None, typer.Option("--cfa", metavar="CFA", help="Of the mosaic: rggb, bggr, grbg, gbrg, linear.")
    ] = None,
    impl: Implementations = None,
    doubles: DoublesOption = None,
    taps: Annotated[str | None, typer.Option("--taps", metavar="NAMES", help="Which to give; default: none.")] = None,
    trust: Annotated[
        list[str] | None, typer.Option("--trust", metavar="PACKAGE", help="Run programs of this package as well.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Export a pipeline by torch.export: image, settings and metadata to images, with the doubles' weights inside."""
    from ispdsl.cli.compare import wanted_taps
    from ispdsl.ir.types import CFAS

    if output.suffix != SUFFIX:
        raise CommandError(f"{output} is no {SUFFIX} file", f"call it {output.with_suffix(SUFFIX)}")
    if cfa is not None and cfa not in CFAS:
        raise CommandError(f"--cfa {cfa} is no CFA", f"it is one of {', '.join(CFAS)}")
    height, width = size_of(size)
    graph = build_graph(file, pipeline, inline=False)
    chosen = dict(pairs(impl, "--impl", "STAGE=KIND"))
    check_implementations(graph, chosen, doubles)
    check_trust(trust or [])
    refuse_collisions(inputs_of(graph, find_pipeline(file)), [Use("the compiled pipeline", output)])
    from ispdsl.backends.composite import compile as compiled
    from ispdsl.export.example import example_of

    wanted = wanted_taps(graph, taps or "none")
    composite = compiled(graph, cfa=cfa, impl=chosen, taps=wanted, trust=tuple(trust or ()), doubles=doubles)
    try:
        arguments = example_of(composite, height, width)
    except RunError as error:
        raise as_usage(error) from error
    _export(composite, arguments, output)
    shown = described(composite, arguments)
    if as_json:
        emit(json.dumps({"file": str(output), **shown}, indent=2))
        return
    emit(clean(str(output)))
    for kind, rows in shown.items():
        emit(f"{kind}:" if rows else f"{kind}: none")
        for name, text in rows.items():
            emit(f"  {name}  {text}")
    note("torch.export.load(FILE).module()(image, settings, metadata) runs it; all settings and metadata are given")


def size_of(text: str) -> tuple[int, int]:
    """Height and width of ``HxW``.

    Raises:
        CommandError: it is none, odd or too large.
    """
    found = SIZE.fullmatch(text.strip())
    sides = (int(found[1]), int(found[2])) if found else (0, 0)
    if not all(2 <= side <= LARGEST_SIDE for side in sides):
        raise CommandError(f"--size {text} is no size", f"write HEIGHTxWIDTH, each 2..{LARGEST_SIDE}, as 512x768")
    return sides


def _export(composite: Composite, arguments: tuple[Any, ...], output: Path) -> None:
    """Trace and save.

    Raises:
        CommandError: it cannot be traced, or the file cannot be written.
    """
    import torch

    composite.requires_grad_(requires_grad=False)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(composite, arguments, strict=False)
    except Exception as error:
        first = str(error).partition("\n")[0]
        hint = "a stage run by an executor cannot be exported: choose its program, or a double of it"
        raise CommandError(f"{composite.name} cannot be exported: {first}", hint, ExitCode.EXECUTOR) from error
    with writing(output):
        torch.export.save(program, output)


def described(composite: Composite, arguments: tuple[Any, dict[str, Any], dict[str, Any]]) -> dict[str, dict[str, str]]:
    """What goes in and comes out, in words."""
    graph, (image, settings, metadata) = composite.plan.graph, arguments
    images = {port.name: image for port in graph.inputs if port.type.is_image} if not isinstance(image, dict) else image
    types = {port.name: port.type for port in graph.inputs}
    held = {step.node: step.implementation for step in composite.plan.steps if step.implementation.startswith("proxy ")}
    return {
        "images": {name: f"{types[name]} {_shape(each)}" for name, each in images.items()},
        "settings": {name: _shape(each) for name, each in settings.items()},
        "metadata": {name: _shape(each) for name, each in metadata.items()},
        "outputs": {port.name: str(port.type) for port in graph.outputs},
        "taps": {name: str(graph.type_of(value)) for name, value in graph.taps.items()},
        "doubles": held,
    }


def _shape(tensor: Tensor) -> str:
    """The shape as people write it."""
    return " x ".join(map(str, tensor.shape)) or "one number"
