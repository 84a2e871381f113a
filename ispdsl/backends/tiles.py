"""Run a composite on an image in tiles that stay in the cache, without gradients.

The plan is cut into stretches at whatever needs the whole image. In a stretch, each tile is cut from the images that
the stretch reads with a halo of what the footprints of its steps add up to, goes through all of them, and is written
without the halo. At the image's true border there is no halo: programs mirror there as ever. Statistics that are means
of those of parts are summed up on the way, in the order of the tiles, so that results repeat whatever the threads do.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ispdsl.backends.composite import Composite
from ispdsl.backends.mixing import Mix, mixed
from ispdsl.backends.planes import Plane, new_plane
from ispdsl.backends.programs import PLACE
from ispdsl.backends.rendering import Inputs
from ispdsl.backends.steps import Step, check_finite, run
from ispdsl.backends.stretches import Part, Stretch, joins, parts_of, stretch_of
from ispdsl.programs.cfa import LINEAR
from ispdsl.programs.ops import broadcast_shapes
from ispdsl.programs.tiling import Place, join, weight

SIDE = 512
"""Height and width of a tile in px. Measured by ``python -m benchmarks.memory --sides``."""

HALOS = 2
"""A tile is at least so many halos wide: narrower ones would spend most of their work on what is thrown away."""


@dataclass(frozen=True)
class Tiling:
    """How images are cut: `side` px of a tile, 0 for whole images, and the threads; by default torch's number."""

    side: int = SIDE
    workers: int | None = None

    def cuts(self, images: Iterable[Tensor]) -> bool:
        """Whether images are cut: on another device they are not, nor where two tiles hold them: that gains nothing."""
        sizes = [image.shape[-2] * image.shape[-1] for image in images if image.device.type == "cpu"]
        return self.side > 0 and max(sizes, default=0) > 2 * self.side**2


@dataclass(frozen=True)
class Tile:
    """A part of an image: its rows and columns, and those of the window around it that programs are given."""

    rows: slice
    columns: slice
    window_rows: slice
    window_columns: slice

    def inner(self, image: Tensor) -> Tensor:
        """The tile's own part of an image of its window."""
        top, left = self.window_rows.start, self.window_columns.start
        rows = slice(self.rows.start - top, self.rows.stop - top)
        return image[..., rows, self.columns.start - left : self.columns.stop - left]


@dataclass(frozen=True)
class Job:
    """One run in tiles: what was given, what is known by now, and who watches."""

    composite: Composite
    frame: Inputs
    tiling: Tiling
    inspects: bool
    dtype: torch.dtype
    planes: dict[str, Plane] = field(default_factory=dict[str, Plane])
    """Memory of the images in `frame.found` that are this run's own."""


def run_in_tiles(
    composite: Composite,
    frame: Inputs,
    wanted: Collection[str],
    tiling: Tiling,
    dtype: torch.dtype = torch.float32,
    inspects: bool = False,
) -> dict[str, Tensor]:
    """Values of the graph by name.

    Args:
        composite: as compiled.
        frame: what it is given; images of an integer dtype become `dtype` tile by tile.
        wanted: names of the values to give: steps that none of them needs are left out.
        tiling: how to cut.
        dtype: that programs calculate in.
        inspects: stop at the first node that gives a number that is not finite.

    Raises:
        RunError: metadata is missing; as StageError, a program failed, or where `inspects`, gave what is not finite.
    """
    job = Job(composite, frame, tiling, inspects, dtype)
    parts = _needed(parts_of(composite), wanted, composite.fed_back)
    sizes = {name: (image.shape[-2], image.shape[-1]) for name, image in frame.found.items()}
    waiting: list[Part] = []
    for index, part in enumerate(parts):
        if waiting and (part.whole or not joins(waiting, part, sizes)):
            _flush(job, waiting, parts[index:], wanted, sizes, index, len(parts))
            waiting = []
        if part.whole or not joins((), part, sizes):
            _run_whole(job, part.step, index, len(parts))
            sizes.update(_sizes(job, part.step))
            _forget(job, parts[index + 1 :], wanted)
        else:
            waiting.append(part)
            size = sizes[part.step.images[0]]
            sizes.update({name: size for name, type_ in part.step.outputs if type_.is_image})
    if waiting:
        _flush(job, waiting, (), wanted, sizes, len(parts), len(parts))
    return {name: frame.found[name] for name in wanted}


def _needed(parts: Sequence[Part], wanted: Collection[str], before: Collection[str]) -> list[Part]:
    """The steps that what is wanted comes from; a statistic of the frame before is no reason to compute it now."""
    read, kept = set(wanted), list[Part]()
    for part in reversed(parts):
        if any(name in read for name, _ in part.step.outputs):
            kept.insert(0, part)
            read |= set(part.step.images)
            read |= {value for _, value in part.step.needs if value.rpartition(".")[0] not in before}
    return kept


def _sizes(job: Job, step: Step) -> dict[str, tuple[int, int]]:
    found = ((name, job.frame.found[name]) for name, type_ in step.outputs if type_.is_image)
    return {name: (image.shape[-2], image.shape[-1]) for name, image in found}


def _read(parts: Sequence[Part]) -> set[str]:
    return {name for part in parts for name in (*part.step.images, *(value for _, value in part.step.needs))}


def _forget(job: Job, rest: Sequence[Part], wanted: Collection[str]) -> None:
    """Let go of what nobody reads any more."""
    read = _read(rest) | set(wanted)
    for name in [name for name in job.frame.found if name not in read]:
        del job.frame.found[name]
        job.planes.pop(name, None)


def _say(job: Job, index: int, total: int, node: str) -> None:
    if job.composite.progress is not None:
        job.composite.progress(index, total, node)


# ---- steps that need the whole image ---------------------------------------------------------------------------


def _run_whole(job: Job, step: Step, index: int, total: int) -> None:
    _say(job, index, total, step.node)
    images = [job.frame.found[name].to(job.dtype) for name in step.images]
    results = run(step, images, job.composite.keywords(step, job.frame))
    if job.inspects:
        check_finite(step, results)
    job.frame.found.update({name: result for (name, _), result in zip(step.outputs, results, strict=True)})


# ---- stretches -------------------------------------------------------------------------------------------------


def _flush(
    job: Job,
    waiting: Sequence[Part],
    rest: Sequence[Part],
    wanted: Collection[str],
    sizes: Mapping[str, tuple[int, int]],
    index: int,
    total: int,
) -> None:
    """Run the steps that wait, tile by tile."""
    later = _read(rest) | set(wanted)
    stretch = stretch_of(waiting, later)
    last = [name for name in stretch.reads if name not in later and name in job.planes]
    found, height, width = job.frame.found, *sizes[stretch.reads[0]]
    lead = broadcast_shapes(*(found[name].shape[:-3] for name in stretch.reads))
    types = {name: type_ for part in stretch.parts for name, type_ in part.step.outputs}
    planes = {name: new_plane((*lead, types[name].planes, height, width), job.dtype) for name in stretch.keeps}
    keywords = {part.step.node: job.composite.keywords(part.step, job.frame) for part in stretch.parts}
    tiles = cut(height, width, stretch, job.tiling)
    units = stretch.parts if job.inspects else mixed(stretch.parts, keywords, stretch.keeps, job.dtype)
    work = partial(
        _run_tile, job, stretch, list(zip(units, _spent(units), strict=True)), keywords, planes, (height, width)
    )
    measured: dict[str, list[tuple[Tensor, Tensor]]] = {}
    first, names = index - len(waiting), [part.step.node for part in waiting]
    for number, (tile, statistics) in enumerate(zip(tiles, _each(work, tiles, job.tiling), strict=True)):
        done = number * len(names) // len(tiles)
        _say(job, first + done, total, names[done])
        for name, measure in statistics.items():
            measured.setdefault(name, []).append(measure)
        if last and tile.columns.stop == width:
            for name in last:
                job.planes[name].forget(max(tile.rows.stop - stretch.halo - stretch.every, 0))
    means = {name: part.mean for part in stretch.parts for name, _ in part.step.outputs if part.mean is not None}
    found.update({name: join(means[name], shares) for name, shares in measured.items()})
    found.update({name: plane.image for name, plane in planes.items()})
    job.planes.update(planes)
    _forget(job, rest, wanted)


def cut(height: int, width: int, stretch: Stretch, tiling: Tiling) -> list[Tile]:
    """The tiles of an image, row by row; they grow with the halo, and the last ones are what is left."""
    side = max(tiling.side, HALOS * stretch.halo, 1)
    side = -(-side // stretch.every) * stretch.every
    return [
        Tile(rows, columns, *(_window(each, size, stretch) for each, size in ((rows, height), (columns, width))))
        for rows in _spans(height, side)
        for columns in _spans(width, side)
    ]


def _spans(size: int, side: int) -> list[slice]:
    return [slice(start, min(start + side, size)) for start in range(0, size, side)]


def _window(span: slice, size: int, stretch: Stretch) -> slice:
    """A span and its halo, within the image, beginning where parts may begin."""
    start = max(span.start - stretch.halo, 0) // stretch.every * stretch.every
    return slice(start, min(span.stop + stretch.halo, size))


def _run_tile(
    job: Job,
    stretch: Stretch,
    units: Iterable[tuple[Part | Mix, Collection[str]]],
    keywords: Mapping[str, Mapping[str, Any]],
    planes: Mapping[str, Plane],
    size: tuple[int, int],
    tile: Tile,
) -> dict[str, tuple[Tensor, Tensor]]:
    """Take a tile through a stretch: images are written to `planes`, statistics given with their weights."""
    window = (..., tile.window_rows, tile.window_columns)
    values = {name: job.frame.found[name][window].to(job.dtype).contiguous() for name in stretch.reads}
    place = Place(tile.window_rows.start, tile.window_columns.start, *size)
    measured: dict[str, tuple[Tensor, Tensor]] = {}
    with torch.no_grad():  # each thread has a mode of its own
        for unit, spent in units:
            if isinstance(unit, Mix):
                made = {unit.result: unit.of(values[unit.image])}
            else:
                made = _made(job, unit, [values[name] for name in unit.step.images], keywords, place, tile)
            if isinstance(unit, Part) and unit.mean is not None:
                given = tile.inner(values[unit.step.images[0]])
                share = weight(unit.mean, given, unit.step.program.layout.get("cfa", LINEAR))
                measured.update({name: (result, share) for name, result in made.items()})
                made = {}
            for name in made.keys() & planes.keys():
                planes[name].image[..., tile.rows, tile.columns] = tile.inner(made[name])
            values.update(made)
            for name in spent:
                del values[name]
    return measured


def _made(
    job: Job,
    part: Part,
    images: Sequence[Tensor],
    keywords: Mapping[str, Mapping[str, Any]],
    place: Place,
    tile: Tile,
) -> dict[str, Tensor]:
    """What a step makes of a tile, by name."""
    step, given = part.step, keywords[part.step.node]
    if part.mean is not None:
        images = [tile.inner(image).contiguous() for image in images]
    elif step.program.placed:
        given = {**given, PLACE: place}
    results = run(step, images, given)
    if job.inspects:
        check_finite(step, results)
    return {name: result for (name, _), result in zip(step.outputs, results, strict=True)}


def _spent(units: Sequence[Part | Mix]) -> list[set[str]]:
    """What nothing after each unit reads: to let go of it keeps a tile's memory within the cache."""
    later, found = set[str](), list[set[str]]()
    for unit in reversed(units):
        read = {unit.image} if isinstance(unit, Mix) else set(unit.step.images)
        found.insert(0, read - later)
        later |= read
    return found


def _each(work: Callable[[Tile], Any], tiles: Sequence[Tile], tiling: Tiling) -> Iterator[Any]:
    """The results of a function of tiles, in their order, from threads that do not divide their own work again."""
    usual = torch.get_num_threads()
    workers = min(usual if tiling.workers is None else tiling.workers, len(tiles))
    if workers <= 1:
        yield from map(work, tiles)
        return
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield from pool.map(work, tiles)
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(usual)  # what the workers said holds in part for the whole process
