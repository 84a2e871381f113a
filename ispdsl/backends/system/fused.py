"""J^T J and J^T r of a pointwise pipeline, in one pass over its pixels, by a program that is made for it.

recording = recorded(front, vector, held, metadata)
sums = recording.over(pixels_of(front, places), target)
normal, slope, cost = sums.at(x)

J is never there: derivatives of some pixels are made in registers, multiplied and summed. A program is compiled once
for all pipelines that do the same, whatever the settings and metadata: these are numbers that it is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import halide as hl
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ispdsl.backends.front import Front
from ispdsl.backends.system.program import BLOCK, LANES, PIECE, Sums, Wanted, program
from ispdsl.backends.system.recording import Recorder, UnfusedError
from ispdsl.backends.system.slopes import Slopes
from ispdsl.backends.system.straight import straight
from ispdsl.backends.vector import unit_to_settings
from ispdsl.errors import StageError
from ispdsl.runtime.vector import Vector

Numbers = NDArray[np.float64]
Floats = NDArray[np.float32]

MOST = 32
"""Free numbers for which a program is made: the products grow with their square."""


@dataclass(frozen=True, eq=False)
class System:
    """A pipeline as a program. What is free and what is given come with each call, in one row."""

    sums: Sums = field(repr=False)
    numbers: Callable[[Numbers], Numbers] = field(repr=False)
    size: int


@dataclass(frozen=True, eq=False)
class Bound:
    """The sums of a system over some pixels: the first `count` of ``pixels`` ``(C, n)`` and ``target``."""

    system: System
    given: Numbers
    pixels: Floats
    target: Floats
    count: int
    scale: float | None

    def at(self, x: Numbers) -> tuple[Numbers, Numbers, float]:
        """``J^T W J`` ``(N, N)``, ``J^T W r`` ``(N,)``, and what is made small, at a point of the unit cube ``(N,)``.

        Residuals are ``picture / peak - target``; derivatives are by the unit face. Not from several threads at once.
        """
        system, sums = self.system, self.system.sums
        shared = system.numbers(np.concatenate([x, self.given])).astype(np.float32)
        found = np.empty((self.pixels.shape[1] // PIECE, len(sums.blocks), math.prod(BLOCK), LANES), np.float32)
        sums.pixels.set(hl.Buffer(self.pixels))
        sums.target.set(hl.Buffer(self.target))
        sums.settings.set(hl.Buffer(shared))
        sums.count.set(self.count)
        if self.scale is not None:
            sums.scale.set(self.scale)
        sums.result.realize(hl.Buffer(found))
        return self._square(found.sum((0, 3), dtype=np.float64))

    def _square(self, blocks: Numbers) -> tuple[Numbers, Numbers, float]:
        size = self.system.size
        whole = np.zeros((size + 2 + max(BLOCK),) * 2)
        for (top, left), block in zip(self.system.sums.blocks, blocks, strict=True):
            whole[top : top + BLOCK[0], left : left + BLOCK[1]] = block.reshape(BLOCK)
        cost = whole[size, size] if self.scale is None else whole[size + 1, size + 1]
        whole = np.triu(whole) + np.triu(whole, 1).T
        return whole[:size, :size], whole[:size, size], float(cost)


_COMPILED: dict[tuple[object, ...], System] = {}


def is_compiled(recording: Recording) -> bool:
    """Whether a program for it is there already."""
    return recording.key in _COMPILED


@dataclass(frozen=True, eq=False)
class Recording:
    """A pipeline as arithmetic on a pixel, before it is compiled.

    Attributes:
        recorder: with all numbers.
        wanted: of them.
        size: how many are free.
        robust: the scale of Charbonnier's loss; None for squares.
        given: numbers of the image that it was recorded with.
    """

    recorder: Recorder = field(repr=False)
    wanted: Wanted
    size: int
    robust: float | None
    given: Numbers = field(repr=False)

    @cached_property
    def key(self) -> tuple[object, ...]:
        """The same for pipelines that do the same."""
        nodes = tuple((n.operation, n.operands, repr(n.value)) for n in self.recorder.scalars.nodes)
        wanted = tuple(self.wanted.outputs), tuple(map(tuple, self.wanted.slopes)), tuple(self.wanted.shared)
        return nodes, wanted, self.robust is None

    def compiled(self) -> System:
        """The program; it takes seconds, once in a process."""
        if self.key not in _COMPILED:
            scalars = self.recorder.scalars
            sums = program(scalars, self.wanted, self.robust is not None)
            _COMPILED[self.key] = System(sums, straight(scalars, self.wanted.shared), self.size)
        return _COMPILED[self.key]

    def over(self, pixels: Floats, target: Floats) -> Bound:
        """The sums over some pixels; the program is compiled where it is not there yet.

        Args:
            pixels: ``(C, n)``, as `pixels_of` gives them.
            target: ``(outputs, n)``, 1 for white.
        """
        room = -pixels.shape[1] % PIECE
        padded = [np.pad(each, ((0, 0), (0, room)), mode="edge") for each in (pixels, target)]
        first, second = (np.ascontiguousarray(each, np.float32) for each in padded)
        return Bound(self.compiled(), self.given, first, second, pixels.shape[1], self.robust)


def recorded(
    front: Front,
    vector: Vector,
    held: Mapping[str, Any],
    metadata: Mapping[str, Tensor],
    peak: float = 1.0,
    robust: float | None = None,
) -> Recording:
    """The rest of a pipeline as arithmetic on a pixel, with derivatives by what is free.

    Args:
        front: of the pipeline and an image; the rest looks at no neighbours.
        vector: what is free, in the unit face.
        held: canonical values of everything else, as the composite takes them.
        metadata: of the image.
        peak: the value of the pipeline's output that stands for white.
        robust: the scale of Charbonnier's loss; None for squares.

    Raises:
        UnfusedError: the rest does what cannot be written so.
    """
    if front.reach:
        raise UnfusedError("it looks at neighbours")
    point = torch.full((len(vector.elements),), 0.5, dtype=torch.float64)
    if len(point) > MOST:
        raise UnfusedError(f"{len(point)} numbers are free")
    recorder = Recorder(len(point))
    try:
        with torch.no_grad(), recorder:
            x = recorder.leaf(point, recorder.scalars.setting)
            images, planes = dict[str, Tensor](), 0
            for name, image in sorted(_images(front).items()):
                pixel = torch.full((image.shape[-3], 1, 1), 0.3)
                images[name] = recorder.leaf(pixel, recorder.scalars.pixel, planes)
                planes += image.shape[-3]
            first = images.pop("", torch.full((front.image.shape[-3], 1, 1), 0.3))
            composite, first = front.of(images, front.numbers, first)
            picture = composite(first, {**held, **unit_to_settings(vector, x)}, metadata).image
            outputs = recorder.names(picture * torch.tensor(1 / peak)).flatten().tolist()
    except StageError as error:
        if isinstance(error.__cause__, UnfusedError):
            raise error.__cause__ from None
        raise
    return Recording(recorder, _wanted(recorder, outputs, len(point)), len(point), robust, np.array(recorder.given))


def pixels_of(front: Front, places: NDArray[np.int64]) -> Floats:
    """The planes of all images that the rest reads at some pixels, as `System.on` takes them, ``(C, n)``."""
    chosen = torch.from_numpy(places)
    images = [image for _, image in sorted(_images(front).items())]
    return np.concatenate([each.flatten(-2).float()[:, chosen].numpy() for each in images])


def _images(front: Front) -> dict[str, Tensor]:
    """The images that the rest reads; the pipeline's own input has no name."""
    inputs = {port.name for port in front.composite.plan.graph.inputs}
    rest = [step for step in front.composite.steps if step.node in front.moving]
    own = {"": front.image} if any(name in inputs for step in rest for name in step.images) else {}
    return {**front.images, **own}


def _wanted(recorder: Recorder, outputs: list[int], size: int) -> Wanted:
    scalars = recorder.scalars
    made, zero = Slopes(scalars, size), scalars.constant(0.0)
    slopes = [[entries.get(setting, zero) for setting in range(size)] for entries in map(made.of, outputs)]
    needed = {*outputs, *(place for plane in slopes for place in plane)}
    for place in range(max(needed), -1, -1):
        if place in needed and scalars.nodes[place].kind == "pixel":
            needed.update(scalars.nodes[place].operands)
    shared = sorted(place for place in needed if scalars.nodes[place].kind == "setting")
    return Wanted(outputs, slopes, shared)
