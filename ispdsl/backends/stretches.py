"""Which steps of a composite can run on parts of an image, and how far beyond a part they look.

A stretch is a run of such steps: a part of the image, with the context that the declared footprints ask for, goes
through all of them. What needs the whole image ends it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from ispdsl.backends.composite import Composite
from ispdsl.backends.programs import OWN
from ispdsl.backends.steps import Step
from ispdsl.calls import Call
from ispdsl.programs.tiling import Mean, mean_of, period

CELL = 2
"""Rows and columns of a mosaic's cell: parts of a mosaic begin at whole cells, so that its phase is the same."""


@dataclass(frozen=True)
class Part:
    """A step, and how it runs on parts of an image.

    Attributes:
        tiled: whether it gives for a part what it gives there for the whole, farther than `radius` from where the part
            was cut.
        mean: how a statistic of the image follows from those of parts; None for images, and for what has no such way.
        every: px that parts begin at multiples of.
        linear: whether its contract says that it is linear in the image, at all settings.
    """

    step: Step
    tiled: bool
    mean: Mean | None
    radius: int
    every: int
    linear: bool = False

    @property
    def whole(self) -> bool:
        """Whether it needs the whole image."""
        return not self.tiled and self.mean is None


@dataclass(frozen=True)
class Stretch:
    """Steps that run one after the other on each part of an image.

    Attributes:
        parts: those of the steps whose results count.
        reads: images from outside.
        keeps: images that are wanted afterwards.
        halo: px around a part that the images from outside are cut with.
        every: px that parts begin at multiples of.
    """

    parts: tuple[Part, ...]
    reads: tuple[str, ...]
    keeps: tuple[str, ...]
    halo: int
    every: int


def parts_of(composite: Composite) -> tuple[Part, ...]:
    """How each step of a composite runs on parts."""
    calls = {call.address: call for call in composite.plan.graph.calls}
    return tuple(_part(step, calls[step.node]) for step in composite.steps)


def _part(step: Step, call: Call) -> Part:
    function = step.program.function
    program = call.implementation is not None and call.implementation.kind == "program"
    mean = mean_of(function) if program and call.statistic else None
    radius = (call.footprint.radius or 0) if call.footprint is not None else 0
    cell = CELL if any(type_.name == "raw" for type_ in step.image_types) else 1
    linear = any(line.name == "linear" and not line.inside and not line.when for line in call.signature.properties)
    return Part(step, program and _tiles(step, call), mean, radius, math.lcm(period(function), cell), linear)


def _tiles(step: Step, call: Call) -> bool:
    """Whether a program may be given parts.

    Those of ispdsl are made for it: `place` or `repeats` says where the place counts. Of another's, the place is known
    not to count only where the contract says so.
    """
    footprint, lines = call.footprint, call.signature.properties
    if footprint is None or footprint.kind == "global" or call.statistic:
        return False
    if any(line.name == footprint.kind and line.when for line in lines):
        return False
    assert call.implementation is not None, "asked of programs"
    own = call.implementation.target.partition(":")[0].startswith(f"{OWN}.")
    promised = any(
        not line.when
        and (
            (line.name == "commutes_with" and "crop" in line.names)
            or (line.name == "equivariant" and "cfa" in line.names)
        )
        for line in lines
    )
    return own or step.program.placed or promised


def joins(stretch: Collection[Part], part: Part, sizes: Mapping[str, tuple[int, int]]) -> bool:
    """Whether a step can go on from those of a stretch: images of one size, and no statistic of these very steps.

    `sizes` has the height and width of every image so far.
    """
    made = {name for each in stretch for name, _ in each.step.outputs}
    if any(value in made for _, value in part.step.needs):
        return False
    known = {sizes[name] for name in part.step.images}
    known |= {sizes[name] for each in stretch for name in each.step.images}
    return len(known) == 1


def stretch_of(steps: Iterable[Part], wanted: Collection[str]) -> Stretch:
    """A run of steps as a stretch, without those that nothing of `wanted` comes from."""
    margins: dict[str, int] = {}
    taken: list[Part] = []
    keeps: list[str] = []
    for part in reversed(tuple(steps)):
        made = [name for name, _ in part.step.outputs]
        asked = [name for name in made if name in wanted]
        if not asked and not any(name in margins for name in made):
            continue
        taken.insert(0, part)
        keeps += asked if part.mean is None else []
        margin = 0 if part.mean else max(margins.get(name, 0) for name in made) + part.radius
        for name in part.step.images:
            margins[name] = max(margins.get(name, 0), margin)
    made = {name for part in taken for name, _ in part.step.outputs}
    reads = tuple(name for name in margins if name not in made)
    halo = max((margins[name] for name in reads), default=0)
    return Stretch(tuple(taken), reads, tuple(keeps), halo, math.lcm(*(part.every for part in taken)))
