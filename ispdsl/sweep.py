"""Many settings of one pipeline on one raw: a grid of values, and what every point of it looks like."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ispdsl.backends.blackbox import COMPOSITE, all_settings, check_backend, declared, declared_in, request
from ispdsl.darkroom import Development, develop, developed_by, mosaic_input
from ispdsl.errors import UserError
from ispdsl.executors.faults import ExecutorError
from ispdsl.executors.kinds import lanes as side_by_side
from ispdsl.executors.kinds import open_executor
from ispdsl.executors.model import Executor
from ispdsl.executors.pool import run_all
from ispdsl.executors.trust import check_allowed, fingerprint
from ispdsl.graph import Graph
from ispdsl.ir.params import Choice, Register, Slider, Table, Toggle
from ispdsl.passes.select import match
from ispdsl.render.signature import default
from ispdsl.runtime import faces
from ispdsl.runtime.frame import Frame
from ispdsl.runtime.reading import read
from ispdsl.runtime.slots import PhysicalValue, Slot
from ispdsl.runtime.values import Problem, Settings, SettingsError

if TYPE_CHECKING:
    from ispdsl.backends.doubles import Doubles

LARGEST = 100_000
"""Points of a grid."""

STEPS = 5
"""Values of a range that does not say how many."""

Told = Callable[[int, int, int], None]
"""Called after each point with how many are done, how many there are, and how many of them failed."""


@dataclass(frozen=True)
class Point:
    """One point of the grid: what differs from the others, in words, and all settings."""

    values: Mapping[str, str]
    settings: Settings = field(repr=False)

    @property
    def name(self) -> str:
        """A name for files: ``exposure.ev=-0.5ev, sharpen.amount=40%``."""
        return ", ".join(f"{address}={value}" for address, value in self.values.items())


def keys(
    graph: Graph, frame: Frame, points: Iterable[Point], backend: str, impl: Mapping[str, str] | None = None
) -> dict[str, str]:
    """For each point by name a hash of all that decides what it looks like, but for the version of the real thing."""
    same = [graph.sha256, frame.content_hash, backend, repr(sorted((impl or {}).items()))]
    same += [fingerprint(each) for each in declared_in(graph.module)]
    found: dict[str, str] = {}
    for point in points:
        settings = point.settings.resolved(frame.metadata)
        own = [f"{slot.address} {settings[slot.address]!r}" for slot in settings.slots]
        found[point.name] = hashlib.sha256("\n".join([*same, *own]).encode()).hexdigest()
    return found


def grid(settings: Settings, vary: Mapping[str, str]) -> list[Point]:
    """Every combination of the values of every address; the last address varies fastest.

    Args:
        settings: where the rest stands.
        vary: by address ``-1ev..1ev:9`` (nine values evenly spaced as the unit face spaces them, ends included; five
            without a number), ``0, 0.5, 1``, or ``all`` of a choice or toggle.

    Raises:
        SettingsError: an address or value is wrong.
    """
    axes = {address: _values(settings.slot(address), text) for address, text in vary.items()}
    count = 1
    for values in axes.values():
        count *= len(values)
    if count > LARGEST:
        raise SettingsError(Problem("", f"the grid has {count} points", f"at most {LARGEST}: take fewer values"))
    points: list[Point] = []
    for chosen in itertools.product(*axes.values()):
        values = dict(zip(axes, chosen, strict=True))
        words = {address: default(settings.slot(address).declaration, value) for address, value in values.items()}
        points.append(Point(words, settings.update(values)))
    return points


def _values(slot: Slot, text: str) -> list[PhysicalValue]:
    declaration = slot.declaration
    try:
        if text.strip() == "all" and isinstance(declaration, Choice | Toggle):
            return list(declaration.options) if isinstance(declaration, Choice) else [False, True]
        ends = re.fullmatch(r"\s*(.+?)\s*\.\.\s*(.+?)\s*(?::\s*(\d+)\s*)?", text)
        if ends and isinstance(declaration, Slider | Register):
            return _between(declaration, ends[1], ends[2], int(ends[3] or STEPS))
        if isinstance(declaration, Table):
            return [read(declaration, text)]
        return [read(declaration, word) for word in text.split(",")]
    except ValueError as error:
        raise SettingsError(Problem(slot.address, str(error), "write LOW..HIGH:COUNT, or A, B, C")) from error


def _between(declaration: Slider | Register, low: str, high: str, count: int) -> list[PhysicalValue]:
    if count < 2:
        raise ValueError("a range has two values at least")
    if count > LARGEST:
        raise ValueError(f"{count} values are too many: at most {LARGEST}")
    ends = [faces.to_unit(declaration, read(declaration, word)) for word in (low, high)]
    first, last = (Fraction(end) if not isinstance(end, tuple) else end[0] for end in ends)
    places = [first + (last - first) * index / (count - 1) for index in range(count)]
    found = [faces.from_unit(declaration, place) for place in places]
    return list(dict.fromkeys(found))  # a register of few codes has no more values than codes


def sweep(
    graph: Graph,
    frame: Frame,
    points: Sequence[Point],
    *,
    taps: Iterable[str] | None = (),
    impl: Mapping[str, str] | None = None,
    trust: Iterable[str] = (),
    backend: str = COMPOSITE,
    allow_exec: bool = False,
    lanes: int = 1,
    told: Told | None = None,
    doubles: Doubles | None = None,
) -> Generator[tuple[int, Development | UserError]]:
    """Develop a raw at every point. Real things work side by side, `lanes` of them; what fails leaves its error.

    Args:
        graph: a pipeline.
        frame: the raw.
        points: from `grid`.
        taps: names of the taps to keep; None for all.
        impl: implementation by node address where it is not the program.
        trust: packages besides ispdsl whose programs may be imported.
        backend: as `ispdsl.develop` has it.
        allow_exec: run the programs and devices that the text names, whoever wrote it.
        lanes: how many of a real thing work at once.
        told: called after each point.
        doubles: as `ispdsl.develop` has them.

    Yields:
        Number of the point and what became of it, in order of completion.

    Raises:
        PlanError, CompileError, ExecutorError: nothing at all can be developed.
    """
    failed = 0
    found = (
        _by_programs(graph, frame, points, taps, impl, trust, allow_exec, doubles)
        if backend == COMPOSITE
        else _by_real_thing(graph, frame, points, taps, backend, allow_exec, lanes)
    )
    for done, (number, result) in enumerate(found, 1):
        failed += isinstance(result, UserError)
        if told:
            told(done, len(points), failed)
        yield number, result


def _by_programs(
    graph: Graph,
    frame: Frame,
    points: Sequence[Point],
    taps: Iterable[str] | None,
    impl: Mapping[str, str] | None,
    trust: Iterable[str],
    allow_exec: bool,
    doubles: Doubles | None,
) -> Generator[tuple[int, Development | UserError]]:
    ways: dict[str, Any] = {"taps": None if taps is None else tuple(taps), "trust": tuple(trust)}
    ways |= {"impl": impl, "allow_exec": allow_exec, "doubles": doubles}
    for number, point in enumerate(points):
        yield number, develop(graph, frame, point.settings, **ways)


def _by_real_thing(
    graph: Graph,
    frame: Frame,
    points: Sequence[Point],
    taps: Iterable[str] | None,
    backend: str,
    allow_exec: bool,
    lanes: int,
) -> Generator[tuple[int, Development | UserError]]:
    check_backend(graph, backend)
    found = declared(graph, match(graph, {mosaic_input(graph): frame.type}))
    check_allowed(found, allow_exec)
    wanted = None if taps is None else tuple(taps)
    if not points:
        return
    # the points share one image: a copy for each would fill the memory
    first = request(found, frame, points[0].settings, wanted)
    requests = [replace(first, settings=all_settings(found, frame, point.settings)) for point in points]
    versions: list[str] = []

    def opened(lane: int) -> Executor:
        executor = open_executor(found, lane=lane)
        versions.append(executor.version)
        return executor

    for number, answer in run_all(opened, requests, side_by_side(found, min(lanes, len(points)))):
        if isinstance(answer, ExecutorError):
            yield number, answer
        else:
            yield number, developed_by(found, frame, points[number].settings, answer, versions[0])
