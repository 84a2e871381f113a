"""`ispdsl run`: from a raw file to a picture."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ispdsl.cli import built
from ispdsl.cli.ahead import ahead, load_torch
from ispdsl.cli.beforehand import check_doubles, check_engine, check_output, check_permission, check_trust
from ispdsl.cli.boundary import guarded
from ispdsl.cli.collisions import inputs_of_raw, tables_of
from ispdsl.cli.console import Colour
from ispdsl.cli.developing import TapFormat, Work, check_places, perform
from ispdsl.cli.files import find_pipeline
from ispdsl.cli.memory import share_heap
from ispdsl.cli.options import (
    AllowExec,
    Backend,
    BackendOption,
    ColourOption,
    Crop,
    Describe,
    DoublesOption,
    Engine,
    EngineOption,
    Implementations,
    Json,
    PipelineFile,
    PipelineName,
    Presets,
    RawFile,
    SeedOfPrograms,
    Trust,
    TrustPackage,
    Values,
    pairs,
)
from ispdsl.cli.raws import cropped, parse_crop, read_quietly
from ispdsl.cli.settings import choose
from ispdsl.cli.show import build_graph, check_implementations


class Bits(StrEnum):
    """Bits a sample of a picture; 32 are floats."""

    EIGHT = "8"
    SIXTEEN = "16"
    FLOAT = "32"


@guarded
def run(
    file: PipelineFile,
    raw: RawFile,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The picture: .png, .tif, .jpg, .npy or .pfm.")
    ],
    pipeline: PipelineName = None,
    settings: Values = None,
    presets: Presets = None,
    taps: Annotated[Path | None, typer.Option("--taps", metavar="DIR", help="Write what every tap sees here.")] = None,
    tap_format: Annotated[
        TapFormat, typer.Option("--tap-format", help="png to look at, or exact values.")
    ] = TapFormat.PNG,
    describe: Describe = None,
    save_settings: Annotated[
        Path | None, typer.Option("--save-settings", metavar="FILE", help="Where to; default: OUTPUT.isp.json.")
    ] = None,
    no_sidecar: Annotated[
        bool, typer.Option("--no-sidecar", help="Neither read RAW.isp.json nor save settings.")
    ] = False,
    impl: Implementations = None,
    doubles: DoublesOption = None,
    trust: Trust = None,
    backend: BackendOption = Backend.COMPOSITE,
    allow_exec: AllowExec = False,
    crop: Crop = None,
    bits: Annotated[Bits | None, typer.Option("--bits", help="Bits a sample; 32 are floats.")] = None,
    tile: Annotated[
        int | None,
        typer.Option("--tile", min=0, metavar="N", help="Run large images in tiles of N px; 0: whole."),
    ] = None,
    engine: EngineOption = Engine.TORCH,
    seed: SeedOfPrograms = 0,
    trust_package: TrustPackage = False,
    as_json: Json = False,
    colour: ColourOption = Colour.AUTO,
) -> None:
    """Develop a raw file into a picture, by a pipeline or by a package that `ispdsl build` made."""
    from ispdsl.runtime import sidecar

    depth = int(bits.value) if bits else None
    check_output(output, depth, taps)
    values = pairs(settings, "--set", "ADDRESS=VALUE")
    part = parse_crop(crop) if crop else None
    if file.endswith(built.SUFFIX):
        made = {"--pipeline": pipeline, "--taps": taps, "--impl": impl, "--doubles": doubles, "--trust": trust}
        built.refuse_others(made, "give it to `ispdsl build`")
        run_by = {"--backend": backend is not Backend.COMPOSITE, "--allow-exec": allow_exec}
        run_by |= {"--engine": engine is not Engine.TORCH, "--tile": tile is not None}
        built.refuse_others(run_by, "leave it out")
        near = None if no_sidecar else sidecar.path_of(raw)
        kept = save_settings or (None if no_sidecar else sidecar.path_of(output))
        given = built.Given(raw, describe, presets or [], values, near, part)
        built.run_package(Path(file), given, Work(output, sidecar=kept, bits=depth), trust_package, as_json)
        return
    share_heap()
    reading = ahead(lambda: read_quietly(raw, describe))
    check_engine(engine, backend, tile, taps)
    graph = build_graph(file, pipeline, inline=False)
    chosen_impl = dict(pairs(impl, "--impl", "STAGE=KIND"))
    check_doubles(doubles, backend)
    check_implementations(graph, chosen_impl, doubles)
    check_trust(trust or [])
    check_permission(graph, backend, allow_exec)
    beside = None if no_sidecar else sidecar.path_of(raw)
    chosen = choose(graph, beside, presets or [], values)
    saved = save_settings or (None if no_sidecar else sidecar.path_of(output))
    plain = colour is Colour.NEVER
    work = Work(
        output,
        taps,
        tap_format,
        None,
        saved,
        depth,
        chosen_impl,
        tuple(trust or ()),
        plain,
        backend,
        allow_exec,
        doubles,
        tile,
        engine,
    )
    given = (*inputs_of_raw(raw, describe, beside, presets or []), *tables_of(chosen))
    check_places(graph, find_pipeline(file), given, work)
    if backend is Backend.COMPOSITE:
        load_torch(plain)
    frame = reading()
    frame = cropped(frame, part) if part else frame
    perform(graph, frame, chosen, work, seed, as_json)
