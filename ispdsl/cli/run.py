"""`ispdsl run`: from a raw file to a picture."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ispdsl.cli import built
from ispdsl.cli.ahead import ahead, load_torch
from ispdsl.cli.believed import SEEN, believed, of
from ispdsl.cli.boundary import CommandError, ExitCode, guarded, writing
from ispdsl.cli.collisions import SETTINGS, Use, inputs_of, inputs_of_raw, refuse_collisions, tables_of
from ispdsl.cli.console import Colour, emit, note
from ispdsl.cli.files import check_place, find_pipeline
from ispdsl.cli.memory import keep_pages, share_heap
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
from ispdsl.cli.progress import Step, progress
from ispdsl.cli.settings import choose
from ispdsl.cli.show import build_graph, check_implementations
from ispdsl.render.characters import clean

if TYPE_CHECKING:
    from ispdsl.darkroom import Development
    from ispdsl.graph import Graph
    from ispdsl.runtime.frame import Frame
    from ispdsl.runtime.values import Settings


class Bits(StrEnum):
    """Bits a sample of a picture; 32 are floats."""

    EIGHT = "8"
    SIXTEEN = "16"
    FLOAT = "32"


class TapFormat(StrEnum):
    """What a tap is written as: to look at, or its very values."""

    PNG = "png"
    TIF = "tif"
    NPY = "npy"


@dataclass(frozen=True)
class Work:
    """What to make of a raw, and where to put it."""

    output: Path
    taps: Path | None = None
    tap_format: TapFormat = TapFormat.PNG
    sheet: Path | None = None
    sidecar: Path | None = None
    bits: int | None = None
    impl: Mapping[str, str] | None = None
    trust: tuple[str, ...] = ()
    plain: bool = False
    """Whether the progress bar goes without colours."""
    backend: Backend = Backend.COMPOSITE
    allow_exec: bool = False
    doubles: Path | None = None
    tile: int | None = None
    """Height and width of tiles in px, 0 for none; None for the usual."""
    engine: Engine = Engine.TORCH


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


def check_places(graph: Graph, file: Path, given: Iterable[Use], work: Work) -> None:
    """Find out before the work whether its results would overwrite what it reads, or each other.

    Raises:
        CommandError: they would.
    """
    from ispdsl.darkroom import output_paths, tap_paths
    from ispdsl.passes.inline import inline

    pictures = output_paths([port.name for port in graph.outputs], work.output)
    outputs = [Use("the picture" if path == work.output else f"output {name}", path) for name, path in pictures.items()]
    if work.taps is not None:
        taps = tap_paths(inline(graph).taps, work.taps, f".{work.tap_format.value}")
        outputs += [Use(f"tap {name}", path) for name, path in taps.items()]
    outputs += [Use("the contact sheet", work.sheet)] if work.sheet else []
    outputs += [Use(SETTINGS, work.sidecar)] if work.sidecar else []
    refuse_collisions((*inputs_of(graph, file), *given), outputs)


def check_engine(engine: Engine, backend: Backend, tile: int | None, taps: Path | None) -> None:
    """Refuse what goes not together with Halide.

    Raises:
        CommandError: a real thing, tiles or taps are asked for as well.
    """
    if engine is not Engine.HALIDE:
        return
    if backend is not Backend.COMPOSITE:
        raise CommandError(f"--engine halide runs programs, and {backend.value} runs none", "leave one of the two out")
    if tile is not None:
        raise CommandError("--engine halide cuts images into strips of its own", "leave --tile out")
    if taps is not None:
        raise CommandError("--engine halide keeps nothing that a tap could see", "leave --taps or --engine out")


def check_doubles(doubles: Path | None, *backends: Backend) -> None:
    """Refuse doubles where no programs run, into whose places they could step.

    Raises:
        CommandError: a real thing runs all of it.
    """
    if doubles is not None and Backend.COMPOSITE not in backends:
        message = f"--doubles takes the places of programs, and {backends[0].value} runs none"
        raise CommandError(message, "leave --backend out")


def check_trust(packages: Iterable[str]) -> None:
    """Find out before the work whether the packages to trust are there.

    Raises:
        CommandError: one is not.
    """
    from importlib.util import find_spec

    for package in packages:
        if not package.isidentifier() or find_spec(package) is None:
            raise CommandError(f"--trust {package}: there is no such package", "name an installed top-level package")


def check_permission(graph: Graph, backend: Backend, allow_exec: bool) -> None:
    """Find out before the work whether the backend fits the pipeline, and may run what the text names.

    Raises:
        CommandError: the pipeline has no such executor.
        ExecutorError: nobody has allowed it.
    """
    from ispdsl.backends.blackbox import check_backend, declared
    from ispdsl.errors import PlanError
    from ispdsl.executors.trust import check_allowed

    if backend is Backend.COMPOSITE:
        return
    try:
        check_backend(graph, backend.value)
    except PlanError as error:
        raise CommandError(f"--backend {backend.value}: {error.message}", error.hint) from error
    check_allowed(declared(graph), allow_exec)


def read_quietly(raw: Path, description: Path | None = None) -> Frame:
    """Read a raw; tifffile keeps to itself what is noted of the frame or refused with it."""
    from ispdsl.runtime.rawfile import read

    logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)
    return read(raw, description)


def cropped(frame: Frame, part: tuple[int, int, int, int]) -> Frame:
    """A part of a frame, counted before the picture is turned upright.

    Raises:
        CommandError: it reaches beyond the frame.
    """
    from ispdsl.runtime.frame import RawError

    try:
        found = frame.crop(*part)
    except RawError as error:
        raise CommandError(error.message, "--crop Y,X,H,W counts sensor pixels, before turning") from error
    if frame.orientation != 1:
        note("note: --crop counts sensor pixels, before the picture is turned upright")
    return found


def check_output(output: Path, bits: int | None, taps: Path | None = None) -> None:
    """Find out before the work whether its result could be written.

    Raises:
        CommandError: the format is unknown or lacks these bits, or there is no such folder.
    """
    from ispdsl.runtime.pictures import PictureError, format_of

    try:
        form = format_of(output)
    except PictureError as error:
        raise CommandError(error.message, error.hint) from error
    if bits is not None and bits not in form.bits:
        raise CommandError(
            f"{output.suffix} holds no {bits} bits a sample", f"it holds {', '.join(map(str, form.bits))}"
        )
    check_place(output)
    if taps is not None and taps.exists() and not taps.is_dir():
        raise CommandError(f"cannot write taps into {taps}: it is no folder", "name a folder", ExitCode.OUTPUT)


def check_folder(folder: Path) -> None:
    """Make the folder of results.

    Raises:
        CommandError: it is a file, or cannot be made.
    """
    if folder.exists() and not folder.is_dir():
        raise CommandError(f"{folder} is no folder", "name a folder", ExitCode.OUTPUT)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)


def parse_crop(text: str) -> tuple[int, int, int, int]:
    """Top, left, height, width from ``Y,X,H,W``.

    Raises:
        CommandError: the text is no four whole numbers.
    """
    words = [word.strip() for word in text.split(",")]
    if len(words) != 4 or not all(word.isascii() and word.isdigit() and len(word) < 8 for word in words):
        raise CommandError(f"--crop {text} is no Y,X,H,W", "write for example --crop 512,256,1024,1024")
    top, left, height, width = map(int, words)
    return top, left, height, width


def perform(graph: Graph, frame: Frame, settings: Settings, work: Work, seed: int, as_json: bool) -> None:
    """Develop, write everything that was asked for, and say where it is."""
    from ispdsl.passes.inline import inline

    for text in frame.notes:
        note(f"note: {clean(text)}")
    if any(call.previous for call in inline(graph).calls):
        note(f"note: {graph.name} reads statistics of the frame before; a still runs twice, as its own predecessor")
    doubled = believed(work.doubles) if work.doubles else None
    begun = time.perf_counter()
    with progress(work.plain) as step:
        watching = doubled is not None and doubled.watches and frame.image[0].size <= SEEN
        development = _develop(graph, frame, settings, work, seed, step, watching)
        step(1, 1, "writing")
        written = write(development, work)
        seconds = time.perf_counter() - begun
        further = doubled.members if doubled and watching else ()
        members = [
            _develop(graph, frame, settings, replace(work, doubles=each), seed, step, watching) for each in further
        ]
    for text in development.notes:
        note(f"note: {clean(text)}")
    foretold, belief = of(doubled, development, members) if doubled else ("", None)
    if foretold:
        note(f"trust: {clean(foretold)}")
    by = development.made_by or "composite"
    if as_json:
        shown: dict[str, Any] = {kind: [str(path) for path in paths] for kind, paths in written.items()}
        source = {"file": frame.source.path, "sha256": frame.source.sha256, "decoder": frame.source.decoder}
        notes = (*frame.notes, *development.notes)
        shown |= {"trust": belief} if doubled else {}
        emit(json.dumps({**shown, "by": by, "frame": source, "notes": notes, "seconds": round(seconds, 3)}, indent=2))
        return
    for paths in written.values():
        for path in paths:
            emit(clean(str(path)))
    height, width = next(iter(development.outputs.values())).image.shape[1:]
    real = f" ({clean(development.made_by)})" if development.made_by else ""
    note(f"{width} x {height} px developed by {graph.name}{real} in {seconds:.1f} s")


def _develop(
    graph: Graph, frame: Frame, settings: Settings, work: Work, seed: int, step: Step, watching: bool
) -> Development:
    from ispdsl.darkroom import develop

    kept = None if work.taps or work.sheet or watching else ()
    if work.backend is not Backend.COMPOSITE:
        real = work.backend.value
        return develop(graph, frame, settings, taps=kept, progress=step, backend=real, allow_exec=work.allow_exec)
    keep_pages()
    import torch

    from ispdsl.backends.tiles import Tiling

    torch.manual_seed(seed)
    with redirect_stdout(sys.stderr):  # what a program prints is no result of ours
        return develop(
            graph,
            frame,
            settings,
            taps=kept,
            impl=work.impl,
            trust=work.trust,
            progress=step,
            allow_exec=work.allow_exec,
            doubles=work.doubles,
            tiling=None if work.tile is None else Tiling(work.tile),
            engine=work.engine.value,
        )


def write(development: Development, work: Work) -> dict[str, list[Path]]:
    """Write pictures, taps, contact sheet and sidecar; the paths by kind.

    Raises:
        PictureError: a picture cannot be written.
        CommandError: a folder or the sidecar cannot be written.
    """
    from ispdsl.darkroom import save_outputs, save_sheet, save_taps, sidecar_of
    from ispdsl.runtime.sidecar import save

    written = {"outputs": save_outputs(development, work.output, work.bits)}
    if work.taps is not None:
        with writing(work.taps):
            written["taps"] = save_taps(development, work.taps, f".{work.tap_format.value}")
    if work.sheet is not None:
        save_sheet(development, work.sheet)
        written["sheet"] = [work.sheet]
    if work.sidecar is not None:
        with writing(work.sidecar):
            save(sidecar_of(development), work.sidecar)
        written["settings"] = [work.sidecar]
    return written
