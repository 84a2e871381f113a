"""What a run asks for: the list of its samples, each with its settings, its part of a raw, and its key.

The list is a pure function of pipeline, raws and `Wish`, so that whoever goes on with a run makes the very same one.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ispdsl.backends.blackbox import COMPOSITE
from ispdsl.darkroom import mosaic_input
from ispdsl.errors import PlanError
from ispdsl.graph import Graph
from ispdsl.passes.segments import Segment, segments
from ispdsl.passes.select import match
from ispdsl.runtime.slots import PhysicalValue
from ispdsl.runtime.values import Settings
from ispdsl.sampling.design import Extent, Kind, axes, design, varied
from ispdsl.sampling.parts import Part, border_of
from ispdsl.sampling.views import View, alone, flat_of, upstream, whole, why_not_alone

MOST_PARTS = 32
"""Different parts of a raw where nobody says how many: each is read again with other settings."""

REGULAR = ("grid", "one-at-a-time", "corners")
"""Designs whose every point is asked for on every part."""


@dataclass(frozen=True)
class Wish:
    """How settings and parts are drawn, as the command line tells it."""

    kind: Kind = "latin"
    count: int = 100
    """Points of a design: of the only one, or of each stage's."""
    extent: Extent = "soft"
    only: tuple[str, ...] | None = None
    vary: Mapping[str, str] = field(default_factory=dict[str, str])
    side: int = 256
    parts_per_raw: int | None = None
    per_stage: bool = False
    charts: int = 0
    """Of each pointwise stage."""
    taps: tuple[str, ...] | None = None
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Ask:
    """One sample to be made.

    Attributes:
        number: its place in the run.
        key: hash of all that decides what it is.
        changed: what of the settings is not at its start.
        part: what of which raw; of a chart, whose metadata it borrows.
        stage: the segment that it is for; None for all.
        chart: seed of the chart that is shown instead of the part.
    """

    number: int
    key: str
    changed: Mapping[str, PhysicalValue] = field(repr=False)
    part: Part = field(repr=False)
    stage: str | None = None
    chart: int | None = None


@dataclass(frozen=True, eq=False)
class Asks:
    """All that a run asks for.

    Attributes:
        asks: in the order of their numbers.
        design: how they were made, for ``run.json``.
        watched: names of the values that are kept.
        border: px at the rim of a part that differ from what the whole raw would have given there.
    """

    asks: tuple[Ask, ...]
    design: dict[str, Any]
    watched: tuple[str, ...]
    border: int


def parts_each(wish: Wish, raws: int) -> int:
    """How many parts are cut from each of so many raws."""
    if wish.parts_per_raw is not None:
        return wish.parts_per_raw
    # regular designs ask for every point on every part
    return 1 if wish.kind in REGULAR else min(math.ceil(wish.count / max(raws, 1)), MOST_PARTS)


def asks_of(
    graph: Graph,
    parts: Mapping[str, Sequence[Part]],
    settings: Settings,
    wish: Wish,
    backend: str,
    identity: str,
    held_out: Collection[str] = (),
) -> Asks:
    """List what a run asks for.

    Args:
        graph: a pipeline.
        parts: `parts_each` of each raw, by its name.
        settings: what does not vary; what is set here stays, unless `wish` varies it by name.
        wish: the design.
        backend: as `ispdsl.develop` has it.
        identity: of the real thing, its name and version and whatever else decides what it gives.
        held_out: raws that training must not see: no chart borrows their metadata.

    Raises:
        SettingsError: the design is not possible.
        PlanError: the pipeline does not take the raws, a tap does not exist, a chart cannot be shown.
    """
    types = {part.frame.type for own in parts.values() for part in own}
    flats = [flat_of(graph, match(graph, {mosaic_input(graph): type_}), wish.taps, backend) for type_ in types]
    flat = flats[0]
    names, border = whole(flat).names, border_of(flat)
    base = replace(settings, slots=_driven(settings, flat))
    moved = {slot.address for slot in varied(base, wish.only, wish.vary)}
    found = segments(flat)
    drafts: list[_Draft] = []
    if wish.per_stage:
        for segment in found:
            drafts += _drafts(upstream(flat, segment), settings, wish, moved, parts, segment.address)
    else:
        drafts += _drafts(whole(flat), settings, wish, moved, parts, None)
    if wish.charts:
        lenders = {name: own for name, own in parts.items() if name not in held_out}
        drafts += _charts(flat, found, settings, wish, moved, lenders, backend)
    asks: dict[str, Ask] = {}
    for draft in drafts:  # what is asked for twice, as where nothing varies, is there once
        key = _key([graph.sha256, identity, *draft.words], replace(settings, changed=draft.changed), draft.part)
        asks.setdefault(key, Ask(len(asks), key, draft.changed, draft.part, draft.stage, draft.chart))
    return Asks(tuple(asks.values()), _told(base, wish, asks, border, parts), names, border)


@dataclass(frozen=True)
class _Draft:
    """An ask without number and key."""

    changed: Mapping[str, PhysicalValue]
    part: Part
    names: tuple[str, ...]
    stage: str | None
    chart: int | None = None

    @property
    def words(self) -> tuple[str, ...]:
        """What the key has to know of it."""
        return (f"{self.stage} {self.chart}", " ".join(self.names))


def _drafts(
    view: View,
    settings: Settings,
    wish: Wish,
    moved: set[str],
    parts: Mapping[str, Sequence[Part]],
    stage: str | None,
) -> list[_Draft]:
    own = replace(settings, slots=_driven(settings, view.graph))
    seed = _seed(wish.seed, stage or "")
    return [_Draft(changed, part, view.names, stage) for changed, part in _points(own, wish, moved, seed, parts)]


def _driven(settings: Settings, flat: Graph) -> tuple[Any, ...]:
    """The table of addresses of the whole, in which what the flat graph does not need drives nothing."""
    drives = {slot.address: slot for slot in flat.slots}
    return tuple(
        replace(slot, drives=drives[slot.address].drives if slot.address in drives else ()) for slot in settings.slots
    )


def _points(
    settings: Settings, wish: Wish, moved: set[str], seed: int, parts: Mapping[str, Sequence[Part]]
) -> Iterator[tuple[Mapping[str, PhysicalValue], Part]]:
    """Settings and parts of one design: of drawn points each on one part, in turns; of regular ones each on all."""
    driven = [slot.address for slot in settings.slots if slot.address in moved and slot.drives]
    vary = {address: text for address, text in wish.vary.items() if address in driven}
    points = design(settings, wish.kind, wish.count, seed, wish.extent, driven, vary)
    if wish.kind in REGULAR:
        yield from ((point.changed, part) for own in parts.values() for part in own for point in points)
        return
    # the raws are shuffled: in turns, every other point of a Sobol' sequence would meet the same raw
    order = np.random.default_rng([seed, 1]).permutation(len(points)) % len(parts)
    names, used = list(parts), Counter[str]()
    for point, index in zip(points, order, strict=True):
        name = names[int(index)]
        yield point.changed, parts[name][used[name] % len(parts[name])]
        used[name] += 1


def _charts(
    flat: Graph,
    found: Sequence[Segment],
    settings: Settings,
    wish: Wish,
    moved: set[str],
    parts: Mapping[str, Sequence[Part]],
    backend: str,
) -> list[_Draft]:
    if backend != COMPOSITE:
        raise PlanError(f"{backend} is not shown charts", "they are for the composite: leave --charts out")
    shown = replace(wish, kind="latin", count=wish.charts)
    drafts: list[_Draft] = []
    for segment in found:
        if why_not_alone(flat, segment) is None:
            view = alone(flat, segment)
            own = replace(settings, slots=_driven(settings, view.graph))
            seeds = (_seed(wish.seed, f"{segment.address} {index}") for index in range(wish.charts))
            points = _points(own, shown, moved, _seed(wish.seed, f"chart of {segment.address}"), parts)
            drafts += [
                _Draft(changed, part, view.names, segment.address, seed)
                for (changed, part), seed in zip(points, seeds, strict=True)
            ]
    if not drafts:
        raise PlanError(f"no stage of {flat.name} can be shown charts", "they are for pointwise stages between taps")
    return drafts


def _seed(seed: int, words: str) -> int:
    """A seed of its own for each design of a run."""
    return int.from_bytes(hashlib.sha256(f"{seed} {words}".encode()).digest()[:4], "big")


def _key(words: Iterable[str], settings: Settings, part: Part) -> str:
    """Hash of all that decides what a sample is."""
    resolved = settings.resolved(part.frame.metadata)
    lines = [*words, part.digest, *(f"{slot.address} {resolved[slot.address]!r}" for slot in resolved.slots)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _told(
    settings: Settings, wish: Wish, keys: Iterable[str], border: int, parts: Mapping[str, Sequence[Part]]
) -> dict[str, Any]:
    """The design as JSON has it. `samples_sha256` says whether somebody else made the very same list of it."""
    moved: dict[str, Any] = {}
    for axis in axes(settings, wish.extent, wish.only, wish.vary):
        moved[axis.slot.address] = axis.range.told()
    digest = hashlib.sha256("\n".join(keys).encode()).hexdigest()
    return {
        "kind": wish.kind,
        "count": wish.count,
        "ranges": wish.extent,
        "only": None if wish.only is None else list(wish.only),
        "vary": dict(wish.vary),
        "varied": moved,
        "size": wish.side,
        "border": border,
        "parts_per_raw": max(map(len, parts.values())),
        "per_stage": wish.per_stage,
        "charts": wish.charts,
        "taps": None if wish.taps is None else list(wish.taps),
        "samples_sha256": digest,
    }
