"""`ispdsl compile`: a pipeline as one file that PyTorch runs without ispdsl's compiler."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ispdsl.cli.boundary import CommandError, ExitCode, guarded, writing
from ispdsl.cli.collisions import Use, inputs_of, refuse_collisions
from ispdsl.cli.console import emit, note
from ispdsl.cli.files import find_pipeline
from ispdsl.cli.options import DoublesOption, Implementations, Json, PipelineFile, PipelineName, pairs
from ispdsl.cli.run import check_trust
from ispdsl.cli.show import build_graph, check_implementations
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
    height, width = _size(size)
    graph = build_graph(file, pipeline, inline=False)
    chosen = dict(pairs(impl, "--impl", "STAGE=KIND"))
    check_implementations(graph, chosen, doubles)
    check_trust(trust or [])
    refuse_collisions(inputs_of(graph, find_pipeline(file)), [Use("the compiled pipeline", output)])
    from ispdsl.backends.composite import compile as compiled

    wanted = wanted_taps(graph, taps or "none")
    composite = compiled(graph, cfa=cfa, impl=chosen, taps=wanted, trust=tuple(trust or ()), doubles=doubles)
    arguments = example_of(composite, height, width)
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


def _size(text: str) -> tuple[int, int]:
    """Height and width of ``HxW``.

    Raises:
        CommandError: it is none, odd or too large.
    """
    found = SIZE.fullmatch(text.strip())
    sides = (int(found[1]), int(found[2])) if found else (0, 0)
    if not all(2 <= side <= LARGEST_SIDE for side in sides):
        raise CommandError(f"--size {text} is no size", f"write HEIGHTxWIDTH, each 2..{LARGEST_SIDE}, as 512x768")
    return sides


def example_of(composite: Composite, height: int, width: int) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """A call of the composite to trace: grey images, settings at their start, metadata of any camera.

    Raises:
        CommandError: the size of the metadata that it reads is not known.
    """
    import torch

    graph = composite.plan.graph
    images: dict[str, Tensor] = {
        port.name: torch.full((port.type.planes, height, width), 0.18) for port in graph.inputs if port.type.is_image
    }
    read = {given.meta for call in graph.calls for given in call.metas.values() if given.meta is not None}
    started = {slot.start_meta for slot in graph.slots if slot.drives and slot.start_meta is not None}
    known = {meta.name: _metadata(meta.name, str(meta.type)) for meta in graph.metas if meta.name in read | started}
    start = composite.start(known, torch.float32)
    held = {slot.start_meta for slot in graph.slots if slot.drives and slot.fixed}  # no setting stands for these
    metadata = {name: value for name, value in known.items() if name in read | held}
    settings = {address: value for address, value in start.items() if isinstance(value, torch.Tensor)}
    return (next(iter(images.values())) if len(images) == 1 else images), settings, metadata


def _metadata(name: str, type_: str) -> Tensor:
    """Numbers of the shape of metadata of a type, such as a camera writes them."""
    import torch

    from ispdsl.ir.types import Type

    parsed = Type.parse(type_)
    sizes = tuple(size for size in parsed.args if isinstance(size, int))
    known: Mapping[str, float] = {"white_level": 16383.0, "as_shot_temperature": 5000.0, "black_level": 512.0}
    known = {**known, "illuminant_1": 2856.0, "illuminant_2": 6504.0, "as_shot_tint": 0.0, "baseline_exposure": 0.0}
    if parsed.name == "matrix":
        return torch.eye(*sizes)
    if parsed.name == "grid":
        return torch.ones(4, 2, 2)
    if parsed.name not in ("real", "vector"):
        raise CommandError(f"the pipeline reads the metadata {name}: {type_}, which is no number", "give it a default")
    return torch.full(sizes, known.get(name, 1.0))


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
