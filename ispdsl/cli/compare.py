"""`ispdsl compare`: the same file on the same raw by two backends, and how far apart their pictures are."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ispdsl.cli.beforehand import check_doubles, check_output, check_permission, check_trust
from ispdsl.cli.boundary import CommandError, ExitCode, guarded
from ispdsl.cli.collisions import Use, inputs_of, inputs_of_raw, refuse_collisions, tables_of
from ispdsl.cli.console import Colour, emit, note
from ispdsl.cli.files import find_pipeline
from ispdsl.cli.memory import keep_pages
from ispdsl.cli.options import (
    AllowExec,
    Backend,
    Border,
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
    RawFile,
    SeedOfPrograms,
    Trust,
    Values,
    pairs,
)
from ispdsl.cli.progress import Step, progress
from ispdsl.cli.raws import cropped, parse_crop, read_quietly
from ispdsl.cli.settings import choose
from ispdsl.cli.show import build_graph, check_implementations
from ispdsl.diagnostics import nearest
from ispdsl.render.characters import clean

if TYPE_CHECKING:
    from ispdsl.comparison.pair import Kind, Pair
    from ispdsl.darkroom import Development, Picture
    from ispdsl.graph import Graph
    from ispdsl.ir.model import Value
    from ispdsl.runtime.frame import Frame
    from ispdsl.runtime.values import Settings


@dataclass(frozen=True)
class Way:
    """How both developments are made."""

    taps: tuple[str, ...] | None
    impl: Mapping[str, str]
    trust: tuple[str, ...]
    allow_exec: bool
    seed: int
    doubles: Path | None = None

    @property
    def plain(self) -> dict[str, str]:
        """The choice of implementations without that of doubles."""
        return {address: kind for address, kind in self.impl.items() if kind != "proxy"}


@guarded
def compare(
    first: Annotated[Backend, typer.Argument(metavar="A", help="A backend: composite, libraw, darktable, command ...")],
    second: Annotated[Backend, typer.Argument(metavar="B", help="Another; the same once more shows how it repeats.")],
    file: PipelineFile,
    raw: RawFile,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="A picture of the differences.")
    ] = None,
    pipeline: PipelineName = None,
    settings: Values = None,
    presets: Presets = None,
    taps: Annotated[
        str | None, typer.Option("--taps", metavar="NAMES", help="Which, by commas, or none; default: all.")
    ] = None,
    crop: Crop = None,
    border: Border = 0,
    within: Annotated[
        float | None,
        typer.Option("--within", min=0, metavar="X", help="Exit with 1 where more than this fraction of the peak off."),
    ] = None,
    describe: Describe = None,
    no_sidecar: NoSidecar = False,
    impl: Implementations = None,
    doubles: DoublesOption = None,
    trust: Trust = None,
    allow_exec: AllowExec = False,
    seed: SeedOfPrograms = 0,
    as_json: Json = False,
    colour: ColourOption = Colour.AUTO,
) -> None:
    """Develop a raw by two backends and say how far apart they are: taps and outputs, in dB, SSIM and CIEDE2000."""
    from ispdsl.runtime import sidecar

    if output is not None:
        check_output(output, None)
    values = pairs(settings, "--set", "ADDRESS=VALUE")
    part = parse_crop(crop) if crop else None
    graph = build_graph(file, pipeline, inline=False)
    chosen_impl = dict(pairs(impl, "--impl", "STAGE=KIND"))
    check_doubles(doubles, first, second)
    check_implementations(graph, chosen_impl, doubles)
    check_trust(trust or [])
    for backend in dict.fromkeys((first, second)):
        check_permission(graph, backend, allow_exec)
    way = Way(wanted_taps(graph, taps), chosen_impl, tuple(trust or ()), allow_exec, seed, doubles)
    beside = None if no_sidecar else sidecar.path_of(raw)
    chosen = choose(graph, beside, presets or [], values)
    given = (*inputs_of(graph, find_pipeline(file)), *inputs_of_raw(raw, describe, beside, presets or []))
    refuse_collisions((*given, *tables_of(chosen)), [Use("the picture of the differences", output)] if output else [])
    frame = read_quietly(raw, describe)
    frame = cropped(frame, part) if part else frame
    for text in frame.notes:
        note(f"note: {clean(text)}")
    made, seconds = _both(graph, frame, chosen, (first, second), way, colour)
    shown = (
        way.taps
        if way.taps is not None or doubles is None
        else tuple(name for name in made[0].taps if name in made[1].taps)
    )
    found = paired(graph, made, shown, border)
    say(found, made, (first, second), seconds, output, within, as_json)
    if any(pair.refused for pair in found) or (within is not None and not all(pair.within(within) for pair in found)):
        raise typer.Exit(ExitCode.DIAGNOSTICS)


def wanted_taps(graph: Graph, names: str | None) -> tuple[str, ...] | None:
    """The taps of a list by commas; all where there is no list, no tap for ``none``.

    Raises:
        CommandError: there is no such tap.
    """
    from ispdsl.passes.inline import inline

    if names is None:
        return None
    known = inline(graph).taps
    words = [] if names.strip() == "none" and "none" not in known else [word.strip() for word in names.split(",")]
    for word in words:
        if word not in known:
            near = nearest(word, known)
            hint = f"did you mean {near}?" if near else f"its taps are {', '.join(known) or 'none'}"
            raise CommandError(f"--taps {word}: {graph.name} has no such tap", hint)
    return tuple(dict.fromkeys(words))


def labels(backends: tuple[Backend, Backend]) -> tuple[str, str]:
    """The names of the backends, numbered where they are the same."""
    first, second = (backend.value for backend in backends)
    return (first, second) if first != second else (f"{first} (1)", f"{second} (2)")


def _both(
    graph: Graph,
    frame: Frame,
    settings: Settings,
    backends: tuple[Backend, Backend],
    way: Way,
    colour: Colour,
) -> tuple[tuple[Development, Development], tuple[float, float]]:
    """Both developments, and the seconds that each took."""
    made: list[tuple[Development, float]] = []
    with progress(colour is Colour.NEVER) as step:
        for index, (backend, label) in enumerate(zip(backends, labels(backends), strict=True)):
            begun = time.perf_counter()
            mine = (
                way if way.doubles is None or index == doubled(backends) else replace(way, doubles=None, impl=way.plain)
            )
            development = _develop(graph, frame, settings, backend, mine, _named(step, label))
            made.append((development, time.perf_counter() - begun))
    (one, took), (two, took_two) = made
    for development, label in zip((one, two), labels(backends), strict=True):
        for text in development.notes:
            note(f"note: {label}: {clean(text)}")
    return (one, two), (took, took_two)


def doubled(backends: tuple[Backend, Backend]) -> int:
    """Which of both runs doubles: the first composite, so that a second one shows the programs themselves."""
    return 0 if backends[0] is Backend.COMPOSITE else 1


def _named(step: Step, label: str) -> Callable[[int, int, str], None]:
    return lambda done, total, name: step(done, total, f"{label}: {name}")


def _develop(graph: Graph, frame: Frame, settings: Settings, backend: Backend, way: Way, step: Step) -> Development:
    from ispdsl.darkroom import develop

    options: dict[str, Any] = {"taps": way.taps, "progress": step, "allow_exec": way.allow_exec}
    if backend is not Backend.COMPOSITE:
        return develop(graph, frame, settings, backend=backend.value, **options)
    keep_pages()
    import torch

    torch.manual_seed(way.seed)
    with redirect_stdout(sys.stderr):  # what a program prints is no result of ours
        return develop(graph, frame, settings, impl=way.impl, trust=way.trust, doubles=way.doubles, **options)


def paired(
    graph: Graph, made: tuple[Development, Development], taps: tuple[str, ...] | None, border: int
) -> list[Pair]:
    """Every tap in the order of the text, then every output, of two developments of one frame."""
    from ispdsl.comparison.pair import compare as compare_images
    from ispdsl.passes.inline import inline

    one, two = made
    flat = inline(graph)
    names = tuple(flat.taps) if taps is None else taps
    kinds: tuple[tuple[Kind, Iterable[str], Mapping[str, Value], Mapping[str, Picture], Mapping[str, Picture]], ...] = (
        ("tap", names, flat.taps, one.taps, two.taps),
        ("output", flat.results, flat.results, one.outputs, two.outputs),
    )
    found: list[Pair] = []
    for kind, wanted, values, ours, theirs in kinds:
        for name in wanted:
            pictures = ours.get(name), theirs.get(name)
            type_ = next((picture.type for picture in pictures if picture), flat.type_of(values[name]))
            first, second = (picture.image if picture else None for picture in pictures)
            found.append(compare_images(name, kind, type_, (first, second), one.frame.metadata, border))
    return found


def say(
    found: Sequence[Pair],
    made: tuple[Development, Development],
    backends: tuple[Backend, Backend],
    seconds: tuple[float, float],
    output: Path | None,
    within: float | None,
    as_json: bool,
) -> None:
    """Write the picture, and the figures to stdout.

    Raises:
        PictureError: the picture cannot be written.
    """
    from ispdsl.comparison.report import table, values
    from ispdsl.comparison.sheet import difference_sheet

    drawn = output is not None and any(pair.images for pair in found)
    if output is not None and drawn:
        difference_sheet(output, found, labels(backends), made[0].frame.orientation)
    far = [] if within is None else [pair.name for pair in found if not pair.within(within)]
    if as_json:
        sides = zip(backends, made, seconds, strict=True)
        shown: dict[str, Any] = {
            "backends": [
                {"name": name.value, "by": side.made_by or name.value, "notes": side.notes, "seconds": round(took, 3)}
                for name, side, took in sides
            ],
            "frame": {"file": made[0].frame.source.path, "sha256": made[0].frame.source.sha256},
            "within": within,
            "beyond": far,
            "results": [values(pair) for pair in found],
            "picture": str(output) if drawn else None,
        }
        emit(json.dumps(shown, indent=2))
        return
    emit(table(found, labels(backends)))
    if drawn:
        emit(clean(str(output)))
    if far:
        note(f"further apart than {within:g} of the peak: {clean(', '.join(far))}")
