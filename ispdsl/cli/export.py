"""`ispdsl export`: a pipeline at its settings in a form that other programs read, held to the composite."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ispdsl.cli.boundary import guarded
from ispdsl.cli.console import Colour, emit, note
from ispdsl.cli.export_given import Encoding, Form, Wanted, check_wanted, exporting, source_of
from ispdsl.cli.options import (
    ColourOption,
    Crop,
    Describe,
    DoublesOption,
    Implementations,
    Json,
    NoSidecar,
    PipelineFile,
    PipelineName,
    Presets,
    Trust,
    Values,
)
from ispdsl.cli.progress import progress
from ispdsl.render.characters import clean


@guarded
def export(
    file: PipelineFile,
    to: Annotated[Form, typer.Option("--to", help="The form.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where it goes.")],
    raw: Annotated[
        Path | None, typer.Option("--raw", metavar="RAW", help="Take metadata of this raw, and try the export on it.")
    ] = None,
    size: Annotated[
        str | None, typer.Option("--size", metavar="HxW", help="pt2, onnx: without a raw, try it on random images.")
    ] = None,
    pipeline: PipelineName = None,
    settings: Values = None,
    presets: Presets = None,
    no_sidecar: NoSidecar = False,
    describe: Describe = None,
    crop: Crop = None,
    cfa: Annotated[
        str | None, typer.Option("--cfa", metavar="CFA", help="Of the mosaic, without a raw: rggb, bggr, grbg, gbrg.")
    ] = None,
    impl: Implementations = None,
    doubles: DoublesOption = None,
    trust: Trust = None,
    free: Annotated[bool, typer.Option("--free", help="pt2, onnx: settings are inputs, and not held inside.")] = False,
    free_metadata: Annotated[
        bool, typer.Option("--free-metadata", help="pt2, onnx: metadata are inputs; without --raw they always are.")
    ] = False,
    lut_size: Annotated[
        int | None, typer.Option("--lut-size", metavar="N", help="cube: points an axis, 2..129. Default: 33.")
    ] = None,
    domain: Annotated[
        str | None, typer.Option("--domain", metavar="LOW..HIGH", help="cube: what the table takes. Default: 0..1.")
    ] = None,
    encoding: Annotated[
        Encoding | None, typer.Option("--encoding", help="cube: how colours are written before they are looked up.")
    ] = None,
    of: Annotated[
        str | None, typer.Option("--of", metavar="NAME", help="cube: which output. Default: the first.")
    ] = None,
    at_least: Annotated[
        float | None,
        typer.Option("--at-least", metavar="DB", help="pt2, onnx, cube: PSNR to reach, or nothing is written."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, metavar="N", help="Of random colours, images, programs.")] = 0,
    as_json: Json = False,
    colour: ColourOption = Colour.AUTO,
) -> None:
    """Write a pipeline at its settings for other programs, try it, and say how near it comes."""
    wanted = Wanted(
        form=to,
        output=output,
        raw=raw,
        size=size,
        cfa=cfa,
        crop=crop,
        describe=describe,
        no_sidecar=no_sidecar,
        impl=tuple(impl or ()),
        doubles=doubles,
        trust=tuple(trust or ()),
        free=free,
        free_metadata=free_metadata,
        lut_size=lut_size,
        domain=domain,
        encoding=encoding,
        of=of,
        at_least=at_least,
        seed=seed,
    )
    check_wanted(wanted)
    from ispdsl.cli.export_report import lines

    with progress(colour is Colour.NEVER) as step:
        step(0, 1, "reading")
        source, notes = source_of(file, pipeline, settings or [], presets or [], wanted)
        step(0, 1, f"exporting to {to.value}")
        report = exporting(source, wanted)
    for text in notes:
        note(f"note: {clean(text)}")
    if as_json:
        emit(json.dumps({**report, "notes": notes}, indent=2))
        return
    for line in lines(report):
        emit(clean(line))
