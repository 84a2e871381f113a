"""`ispdsl build`: a pipeline as a package of native code that starts in about a second."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ispdsl.cli.beforehand import check_trust
from ispdsl.cli.boundary import CommandError, as_usage, guarded, writing
from ispdsl.cli.collisions import Use, inputs_of, refuse_collisions
from ispdsl.cli.compile import SIZE, SUFFIX
from ispdsl.cli.console import emit, note
from ispdsl.cli.files import check_place, find_pipeline
from ispdsl.cli.options import (
    DoublesOption,
    Implementations,
    Json,
    PipelineFile,
    PipelineName,
    Presets,
    Trust,
    Values,
    pairs,
)
from ispdsl.cli.settings import choose
from ispdsl.cli.show import build_graph, check_implementations
from ispdsl.cli.train import Device, check_device
from ispdsl.render.characters import clean

if TYPE_CHECKING:
    from ispdsl.backends.ahead import Package


@guarded
def build(
    file: PipelineFile,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where it goes: a .pt2 file.")],
    pipeline: PipelineName = None,
    cfa: Annotated[
        str | None, typer.Option("--cfa", metavar="CFA", help="Of the mosaic: rggb, bggr, grbg, gbrg, linear.")
    ] = None,
    settings: Values = None,
    presets: Presets = None,
    fix: Annotated[
        list[str] | None,
        typer.Option("--fix", metavar="ADDRESS", help="Make it part of the code, patterns too. May be repeated."),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option("--size", metavar="HxW", help="For images of this size alone: faster to build and run."),
    ] = None,
    impl: Implementations = None,
    doubles: DoublesOption = None,
    taps: Annotated[str | None, typer.Option("--taps", metavar="NAMES", help="Which to give; default: none.")] = None,
    trust: Trust = None,
    device: Annotated[Device, typer.Option("--device", help="Where it is to run.")] = Device.CPU,
    as_json: Json = False,
) -> None:
    """Build a package of native code, ahead of time; `ispdsl run FILE.pt2 RAW` runs it. Takes minutes."""
    from ispdsl.cli.compare import wanted_taps
    from ispdsl.errors import RunError
    from ispdsl.ir.types import CFAS

    if output.suffix != SUFFIX:
        raise CommandError(f"{output} is no {SUFFIX} file", f"call it {output.with_suffix(SUFFIX)}")
    check_place(output)
    if cfa is not None and cfa not in CFAS:
        raise CommandError(f"--cfa {cfa} is no CFA", f"it is one of {', '.join(CFAS)}")
    sides = _sides(size)
    check_device(device)
    graph = build_graph(file, pipeline, inline=False)
    chosen = dict(pairs(impl, "--impl", "STAGE=KIND"))
    check_implementations(graph, chosen, doubles)
    check_trust(trust or [])
    values = choose(graph, None, presets or [], pairs(settings, "--set", "ADDRESS=VALUE"))
    refuse_collisions(inputs_of(graph, find_pipeline(file)), [Use("the package", output)])
    from ispdsl.backends import ahead
    from ispdsl.backends.composite import compile as compiled

    try:
        graph = ahead.settled(graph, values, fix or [])
    except RunError as error:
        raise as_usage(error) from error
    wanted = wanted_taps(graph, taps or "none")
    composite = compiled(graph, cfa=cfa, impl=chosen, taps=wanted, trust=tuple(trust or ()), doubles=doubles)
    note(f"building {clean(graph.name)}: this takes minutes")
    with writing(output):
        package = ahead.build(composite, output, size=sides, device=device.value)
    if as_json:
        emit(json.dumps(_told(package), indent=2))
        return
    _say(package)


def _sides(text: str | None) -> tuple[int, int] | None:
    """Height and width of ``HxW``.

    Raises:
        CommandError: it is none, or too small.
    """
    if text is None:
        return None
    found = SIZE.fullmatch(text.strip())
    if not found or min(int(found[1]), int(found[2])) < 2:
        raise CommandError(f"--size {text} is no size", "write HEIGHTxWIDTH, as 3000x4000")
    return int(found[1]), int(found[2])


def _told(package: Package) -> dict[str, object]:
    """What was built, for machines."""
    record = package.record
    return {
        "file": str(package.path),
        "sha256": package.sha256,
        "pipeline": record.pipeline,
        "seconds": record.seconds,
        "errors": record.errors,
        "machine": record.machine.model_dump(),
        "images": {each.name: each.type for each in record.images},
        "size": record.size,
        "settings": {each.name: each.shape for each in record.settings},
        "metadata": {each.name: each.shape for each in record.metadata},
        "outputs": {each.name: each.type for each in record.outputs},
        "taps": {each.name: each.type for each in record.taps},
    }


def _say(package: Package) -> None:
    """What was built, for people."""
    record, machine = package.record, package.record.machine
    emit(clean(str(package.path)))
    emit(f"  {clean(record.pipeline)} in {record.seconds:.0f} s, sha256 {package.sha256}")
    for name, error in record.errors.items():
        emit(f"  {clean(name)}: within {error:.1e} of the composite")
    size = "any size" if record.size is None else f"{record.size[0]} x {record.size[1]} px"
    emit(f"  takes {', '.join(f'{each.name}: {each.type}' for each in record.images)} of {size}")
    emit(f"  settings: {', '.join(each.name for each in record.settings) or 'none'}")
    emit(f"  runs on {machine.device}, {machine.system} {machine.architecture} {machine.isa}, torch {machine.torch}")
    note(f"ispdsl run {clean(str(package.path))} RAW -o picture.png runs it; it is on your list of packages")
