"""The pointwise tail of a pipeline as a 3D table, with what the table's grid costs.

Format: Adobe, *Cube LUT Specification*, version 1.0, 2013. A table is looked up by trilinear interpolation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ispdsl.backends.composite import Composite
from ispdsl.backends.doubles import opened
from ispdsl.backends.programs import Program
from ispdsl.errors import PlanError
from ispdsl.export.closeness import Closeness, closeness, held_to, white_of
from ispdsl.export.drafts import drafted
from ispdsl.export.faults import ExportError
from ispdsl.export.source import Source, call_of, composite_of, prepared_graph, rendered, settings_of, value_of
from ispdsl.export.tail import Tail, tails, why_not
from ispdsl.graph import Graph
from ispdsl.ir.cube import LARGEST, SMALLEST
from ispdsl.plan import planned
from ispdsl.programs.colour import srgb_decode, srgb_encode_unbounded
from ispdsl.programs.look import look_table
from ispdsl.runtime.cube import format_cube, parse_cube

POINTS = 33
COLOURS = 1 << 16
"""Random colours on which a table is tried."""

ENCODINGS = ("linear", "srgb")
"""How colours are written before they are looked up: as they are, or by the curve of IEC 61966-2-1."""

SAME = 1e-5
"""How far a tail may change with the place of a pixel: rounding."""


@dataclass(frozen=True)
class Grid:
    """Where a table is sampled: `points` an axis, from `low` to `high` of the colours as `encoding` writes them."""

    points: int = POINTS
    low: float = 0.0
    high: float = 1.0
    encoding: str = "linear"

    def __post_init__(self) -> None:
        if not SMALLEST <= self.points <= LARGEST:
            raise ExportError(f"a table of {self.points} points an axis", f"use {SMALLEST} to {LARGEST}")
        if not self.low < self.high:
            raise ExportError(f"a table from {self.low:g} to {self.high:g} is empty", "write LOW..HIGH, as 0..1")

    def decoded(self, written: Tensor) -> Tensor:
        """The colours behind what is looked up."""
        return srgb_decode(written) if self.encoding == "srgb" else written

    def encoded(self, colours: Tensor) -> Tensor:
        """What is looked up for colours."""
        return srgb_encode_unbounded(colours) if self.encoding == "srgb" else colours


@dataclass(frozen=True)
class Baked:
    """A table that was written.

    Attributes:
        tail: the stages that are in it, and those before.
        grid: where it was sampled.
        random: how near it comes on random colours, spread evenly over its domain.
        picture: how near it comes on the pixels of the raw; None without one.
        outside: the share of those pixels with a plane outside of the domain, which the table clips.
    """

    tail: Tail = field(repr=False)
    grid: Grid
    random: Closeness
    picture: Closeness | None
    outside: float | None


def export_cube(
    source: Source, path: Path, grid: Grid | None = None, output: str | None = None, least: float | None = None
) -> Baked:
    """Write the pointwise tail of a pipeline as a .cube file, read it back, and measure it against the composite.

    Args:
        source: the pipeline at its settings.
        path: the file.
        grid: points an axis, domain and encoding; 33 points from 0 to 1 of the colours as they are.
        output: which output; the first.
        least: dB to reach, on the raw's pixels where there is a raw, else on random colours; None takes any.

    Raises:
        PlanError: the tail is empty, or there is no such output.
        ExportError: it is not good enough.
        CompileError, RunError: as the composite.
        OSError: the file cannot be written.
    """
    grid = grid or Grid()
    tail, composite = found_tail(source, output)
    given = _Given(composite, *_held(source, composite))
    table = given.colours(grid.decoded(_lattice(grid)))
    if not bool(table.isfinite().all()):
        raise ExportError(
            f"{', '.join(tail.nodes)} give no finite numbers everywhere in the domain", "choose another --domain"
        )
    text = _text(source, tail, grid, table)
    with drafted(path) as draft:
        draft.write_text(text, encoding="utf-8", newline="\n")
        read, domain = read_table(draft)
        random = _on_random(given, grid, read, domain, source.seed)
        picture, outside = _on_picture(source, tail, given, grid, read, domain)
        held_to(picture or random, -np.inf if least is None else least, "table")
    return Baked(tail, grid, random, picture, outside)


def found_tail(source: Source, output: str | None = None) -> tuple[Tail, Composite]:
    """The longest tail that does the same wherever a pixel is, and its composite.

    Raises:
        PlanError: there is none.
    """
    graph = prepared_graph(source)
    name = output or graph.outputs[0].name
    skipped = ""
    for tail in tails(graph, name):
        composite = composite_of_tail(source, tail)
        if _same_everywhere(_Given(composite, *_held(source, composite)), source.seed):
            return replace(tail, stopped=skipped or tail.stopped), composite
        skipped = f"what {tail.nodes[0]} makes hangs on the place of the pixel"
    last = graph.results[name].node
    hint = "end the pipeline in stages with `property pointwise`, such as contrast or srgb; or export --to pt2"
    raise PlanError(f"{graph.name} has no pointwise tail: {_why_empty(graph, last)}", hint)


def composite_of_tail(source: Source, tail: Tail) -> Composite:
    """The composite of a tail, with the doubles of the whole where it has any."""
    doubles = opened(source.doubles, tail.graph, source.trust) if source.doubles else None
    return Composite(planned(tail.graph), source.trust, doubles=doubles).requires_grad_(requires_grad=False)


def _why_empty(graph: Graph, last: str | None) -> str:
    why = why_not(graph.call(last)) if last is not None else "no stage makes its output"
    return why or f"what {last} makes hangs on the place of the pixel, or not on one colour image alone"


@dataclass(frozen=True, eq=False)
class _Given:
    """A tail ready to be called on colours."""

    composite: Composite
    settings: Mapping[str, Any]
    metadata: Mapping[str, Tensor]

    def colours(self, colours: Tensor) -> Tensor:
        """What it makes of colours ``(N, 3)``, with 1 for white."""
        side = max(1, int(colours.shape[0] ** 0.5))
        while colours.shape[0] % side:
            side -= 1
        image = colours.T.reshape(3, side, -1).contiguous()
        return self.image(image).reshape(3, -1).T

    def image(self, image: Tensor) -> Tensor:
        """What it makes of an image ``(3, H, W)``, with 1 for white."""
        with torch.no_grad():
            found = self.composite(image, self.settings, self.metadata).image
        return found / white_of(self.composite.plan.graph.outputs[0])


def _held(source: Source, composite: Composite) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The settings and metadata of a tail, from the raw or from what is set alone.

    Raises:
        PlanError: it reads what only a raw has, and there is none.
    """
    if source.frame is not None:
        call = call_of(source, composite)
        return call.settings, call.metadata
    graph = composite.plan.graph
    read = {given.meta for call in graph.calls for given in call.metas.values() if given.meta is not None}
    lacking = next((meta.name for meta in graph.metas if meta.name in read and meta.default is None), None)
    waiting = next((slot for slot in graph.slots if slot.drives and value_of(source.settings, slot) is None), None)
    if lacking is not None or waiting is not None:
        what = f"the metadata {lacking}" if lacking else f"{waiting.address if waiting else ''} from the metadata"
        raise PlanError(f"the tail of {graph.name} reads {what}, which only a raw file has", "give --raw RAW")
    started = composite.start({}, torch.float32)
    known = settings_of(source)
    return {address: known.get(address, value) for address, value in started.items()}, {}


def _same_everywhere(given: _Given, seed: int) -> bool:
    """Whether colours become the same ones in other places, and in an image of another size."""
    generator = torch.Generator().manual_seed(seed)
    colours = torch.rand(24 * 36, 3, generator=generator)
    order = torch.randperm(len(colours), generator=generator)
    first = given.colours(colours)
    moved = given.colours(torch.cat([colours[order], colours[:432]]))[: len(order)]
    return bool((first[order] - moved).abs().max() <= SAME)


# ---- the table ---------------------------------------------------------------------------------------------------


def _lattice(grid: Grid) -> Tensor:
    """What is looked up at each point, red slowest: ``(n^3, 3)``."""
    axis = torch.linspace(grid.low, grid.high, grid.points, dtype=torch.float64)
    return torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3).float()


def _text(source: Source, tail: Tail, grid: Grid, table: Tensor) -> str:
    """The file: what it is in comments, its domain where that is not 0 to 1, and its rows."""
    written = "as they are" if grid.encoding == "linear" else "encoded by the sRGB curve"
    comments = [
        f"pipeline {source.graph.name}, sha256 {source.graph.sha256}",
        f"stages in it: {', '.join(tail.nodes)}",
        f"stages before it: {', '.join(tail.before) or 'none'}",
        f"it takes {tail.type} from {grid.low:g} to {grid.high:g}, {written}",
        f"it gives {tail.graph.outputs[0].type}",
    ]
    shaped = table.reshape(*(grid.points,) * 3, 3).numpy()
    text = format_cube(shaped, source.graph.name, (comment[:200] for comment in comments))
    if (grid.low, grid.high) == (0.0, 1.0):
        return text
    low, high = (" ".join([f"{end:.9g}"] * 3) for end in (grid.low, grid.high))
    head, size, rows = text.partition("LUT_3D_SIZE")
    return f"{head}DOMAIN_MIN {low}\nDOMAIN_MAX {high}\n{size}{rows}"


def read_table(path: Path) -> tuple[NDArray[np.float64], tuple[float, float]]:
    """A table ``(n, n, n, 3)`` indexed ``[red][green][blue]``, and its domain, the same for all axes.

    Raises:
        CubeError: the file breaks the format.
    """
    ends = {"DOMAIN_MIN": 0.0, "DOMAIN_MAX": 1.0}
    kept: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        word, _, rest = line.partition(" ")
        if word in ends:
            ends[word] = float(rest.split()[0])
        else:
            kept.append(line)
    return parse_cube("\n".join(kept), path.name), (ends["DOMAIN_MIN"], ends["DOMAIN_MAX"])


def looked_up(
    colours: Tensor, grid: Grid, table: NDArray[np.float64], domain: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """What a table makes of an image ``(3, H, W)``, and which pixels ``(H, W)`` lie outside of its domain."""
    low, high = domain
    places = (grid.encoded(colours) - low) / (high - low)
    outside = ((places < -1e-6) | (places > 1 + 1e-6)).any(0)
    values = torch.from_numpy(table).to(colours)
    return look_table(places.clamp(0, 1), table=values, amount=1.0, space="srgb"), outside


def _on_random(
    given: _Given, grid: Grid, table: NDArray[np.float64], domain: tuple[float, float], seed: int
) -> Closeness:
    generator = torch.Generator().manual_seed(seed)
    written = torch.rand(3, 256, COLOURS // 256, generator=generator) * (grid.high - grid.low) + grid.low
    colours = grid.decoded(written)
    found, _ = looked_up(colours, grid, table, domain)
    return closeness(found.numpy(), given.image(colours).numpy())


def _on_picture(
    source: Source,
    tail: Tail,
    given: _Given,
    grid: Grid,
    table: NDArray[np.float64],
    domain: tuple[float, float],
) -> tuple[Closeness | None, float | None]:
    """How near the table comes on the pixels of the raw, and the share that lies outside of its domain."""
    if source.frame is None:
        return None, None
    image, wanted = _entering(source, tail)
    found, outside = looked_up(image, grid, table, domain)
    white = white_of(given.composite.plan.graph.outputs[0])
    return closeness(found.numpy(), wanted.numpy() / white), float(outside.float().mean())


def _entering(source: Source, tail: Tail) -> tuple[Tensor, Tensor]:
    """What goes into the tail when the raw is developed, and what the whole pipeline makes of it."""
    whole = composite_of(source)
    first = next(step for step in whole.steps if step.node in tail.nodes and str(tail.enters) in step.images)
    place, seen, function = first.images.index(str(tail.enters)), list[Tensor](), first.program.function

    def watching(*images: Tensor, **keywords: Any) -> Any:
        seen[:] = [images[place]]
        return function(*images, **keywords)

    watched = replace(first, program=Program(watching, first.program.layout))
    made = whole.replaced(watched if step is first else step for step in whole.steps)
    outputs = rendered(made, call_of(source, whole), source.seed)
    return seen[0], torch.from_numpy(outputs[tail.graph.outputs[0].name])
