"""A raw developed: what is made of it, written, and told."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ispdsl.cli.believed import SEEN, believed, of
from ispdsl.cli.boundary import writing
from ispdsl.cli.collisions import SETTINGS, Use, inputs_of, refuse_collisions
from ispdsl.cli.console import emit, note
from ispdsl.cli.memory import keep_pages
from ispdsl.cli.options import Backend, Engine
from ispdsl.cli.progress import Step, progress
from ispdsl.render.characters import clean

if TYPE_CHECKING:
    from ispdsl.darkroom import Development
    from ispdsl.graph import Graph
    from ispdsl.runtime.frame import Frame
    from ispdsl.runtime.values import Settings


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
