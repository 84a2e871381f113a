"""Designs: which settings the real thing is asked for.

Every design is made in the unit cube and then put on the parameters: numbers over their range (temperatures by their
reciprocal), registers on their codes, choices and switches by equal shares, tables element by element.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ispdsl.diagnostics import nearest
from ispdsl.ir.params import Array, FileReference, Table
from ispdsl.runtime import faces
from ispdsl.runtime.slots import PhysicalValue, Slot
from ispdsl.runtime.values import Problem, Settings, SettingsError
from ispdsl.sampling.ranges import Range, range_of, told_range

Kind = Literal["latin", "sobol", "grid", "one-at-a-time", "corners"]
Extent = Literal["soft", "hard"]
KINDS: tuple[Kind, ...] = get_args(Kind)

LARGEST = 1_000_000
"""Points of a design."""


@dataclass(frozen=True)
class Axis:
    """One number of a design: a parameter, or one element of a table."""

    slot: Slot
    range: Range

    @property
    def count(self) -> int | None:
        """How many values there are; None where they are without number."""
        return self.range.count


def varied(
    settings: Settings, only: Iterable[str] | None = None, vary: Mapping[str, str] | None = None
) -> tuple[Slot, ...]:
    """The parameters that a design moves, in the order of the address table.

    Without `only` these are the free ones (numbers and tables that gradients can move) which nobody set; with it, those
    at its addresses, which may be patterns such as ``bm3d.*`` and name choices and switches too. What `vary` gives
    values for is among them always.

    Raises:
        SettingsError: an address is unknown, or cannot be varied.
    """
    vary = vary or {}
    problems: list[Problem] = []
    chosen: set[str] = set(vary)
    for address in [*vary, *(only or ())]:
        found = [slot.address for slot in settings.slots if fnmatchcase(slot.address, address)]
        if not found:
            near = nearest(address, [slot.address for slot in settings.slots])
            hint = f"did you mean {near}?" if near else "`ispdsl plan FILE --parameters` lists them"
            problems.append(Problem(address, f"{settings.name} has no such parameter", hint))
        is_pattern = found != [address]
        chosen.update(each for each in found if not is_pattern or why_not(settings.slot(each)) is None)
    if only is None:
        free = (slot for slot in settings.slots if slot.free and why_not(slot) is None)
        chosen.update(slot.address for slot in free if slot.address not in settings.changed)
    slots = tuple(slot for slot in settings.slots if slot.address in chosen)
    problems += [Problem(slot.address, reason) for slot in slots if (reason := why_not(slot)) is not None]
    if problems:
        raise SettingsError(*problems)
    return slots


def why_not(slot: Slot) -> str | None:
    """Why a parameter cannot be varied; None when it can."""
    if slot.fixed:
        return "it is fixed in the pipeline"
    if slot.structural:
        return "it decides the size of a type"
    if not slot.drives:
        return "no node that runs uses it"
    if isinstance(slot.declaration, Table):
        if isinstance(slot.start, FileReference):
            return "its numbers are kept in a file"
        if slot.declaration.hard is None:
            return "it has no range to draw from"
    return None


def axes(
    settings: Settings,
    extent: Extent = "soft",
    only: Iterable[str] | None = None,
    vary: Mapping[str, str] | None = None,
) -> tuple[Axis, ...]:
    """The numbers of a design, in the order of the address table; a table has one for each element.

    Raises:
        SettingsError: an address or range is wrong.
    """
    vary = vary or {}
    found: list[Axis] = []
    for slot in varied(settings, only, vary):
        told = told_range(slot, vary[slot.address]) if slot.address in vary else range_of(slot.declaration, extent)
        elements = math.prod(slot.declaration.shape) if isinstance(slot.declaration, Table) else 1
        found += [Axis(slot, told)] * elements
    return tuple(found)


def design(
    settings: Settings,
    kind: Kind,
    count: int,
    seed: int,
    ranges: Extent = "soft",
    only: Iterable[str] | None = None,
    vary: Mapping[str, str] | None = None,
) -> list[Settings]:
    """Settings to ask the real thing for; equal arguments give equal settings.

    Args:
        settings: where everything else stays. What waits for metadata and is varied is drawn as well.
        kind: ``latin`` (hypercube; McKay, Beckman & Conover 1979) and ``sobol`` (scrambled; Owen 1998) draw `count`
            points; ``grid``, ``one-at-a-time`` (each parameter alone from end to end) and ``corners`` (ends of the
            ranges in all combinations, or as many of them drawn) are regular and have at most `count`.
        count: how many points.
        seed: of what is drawn.
        ranges: what sliders and registers move in: the soft or the hard range.
        only: addresses, or patterns, of what is varied; None for all that is free and not set.
        vary: by address what to vary it over: ``LOW..HIGH``, ``A, B`` or ``all``.

    Raises:
        SettingsError: an address or range is wrong, or the regular design has more points than `count`.
    """
    if not 1 <= count <= LARGEST:
        raise SettingsError(Problem("", f"{count} points are no design", f"take 1 to {LARGEST}"))
    found = axes(settings, ranges, only, vary)
    if not found:
        return [settings] * (count if kind in ("latin", "sobol") else 1)
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    match kind:
        case "latin":
            points = _latin(len(found), count, rng)
        case "sobol":
            points = _sobol(len(found), count, rng)
        case "grid":
            points = _grid(found, count)
        case "corners":
            points = _corners(found, count, rng)
        case "one-at-a-time":
            return [settings, *_one_at_a_time(settings, found, count)]
    return [_settings_at(settings, found, point) for point in points]


# ---- points of the unit cube --------------------------------------------------------------------------------

Points = Iterable[Sequence[float]]


def _latin(size: int, count: int, rng: np.random.Generator) -> Points:
    """In each axis one point in each of `count` equal parts, at random within it."""
    parts = np.stack([rng.permutation(count) for _ in range(size)], axis=1)
    return _rows((parts + rng.random((count, size))) / count)


def _sobol(size: int, count: int, rng: np.random.Generator) -> Points:
    """The beginning of a scrambled Sobol' sequence; its balance is best where `count` is a power of 2."""
    from scipy.stats import qmc

    if size > qmc.Sobol.MAXDIM:
        raise SettingsError(Problem("", f"{size} numbers are too many for sobol", "choose latin, or fewer with only"))
    sequence = qmc.Sobol(size, scramble=True, rng=rng)
    return _rows(sequence.random_base2(max(count - 1, 1).bit_length())[:count])


def _rows(points: NDArray[np.float64]) -> Points:
    return (tuple(map(float, row)) for row in points)


def _places(axis: Axis, most: int) -> list[float]:
    """At most so many places of an axis, ends included: of choices all, whatever `most` says."""
    if axis.count is None or (axis.count > most and axis.range.ordered):
        return [index / (most - 1) for index in range(most)]
    return [(index + 0.5) / axis.count for index in range(axis.count)]


def _grid(found: Sequence[Axis], count: int) -> Points:
    """The finest full grid of at most `count` points, as many values on every axis; choices have all of theirs."""
    levels, finer = 1, 2
    while finer <= count and _size(found, finer) <= count:
        levels, finer = finer, finer + 1
        if all(axis.count is not None and axis.count < finer for axis in found):
            break
    if levels == 1:
        least = _size(found, 2)
        hint = f"ask for {least} with --count, or vary fewer parameters (--only, --vary)"
        raise SettingsError(Problem("", f"a grid of {len(found)} numbers has no {count} points", hint))
    return itertools.product(*(_places(axis, levels) for axis in found))


def _size(found: Sequence[Axis], levels: int) -> int:
    return math.prod(len(_places(axis, levels)) for axis in found)


def _corners(found: Sequence[Axis], count: int, rng: np.random.Generator) -> Points:
    """All combinations of the ends, and of all choices; `count` of them, drawn without repeating, where they are more.

    They are numbered in the mixed base of the axes, so that drawing from 2^100 of them costs no more than from 8.
    """
    places = [_places(axis, 2) for axis in found]
    total = math.prod(map(len, places))
    if total <= count:
        return itertools.product(*places)
    chosen: dict[tuple[float, ...], None] = {}
    while len(chosen) < count:
        chosen[tuple(each[int(rng.integers(len(each)))] for each in places)] = None
    return list(chosen)


def _one_at_a_time(settings: Settings, found: Sequence[Axis], count: int) -> list[Settings]:
    levels = (count - 1) // len(found)
    if levels < 2:
        hint = f"ask for {2 * len(found) + 1} or more with --count, or vary fewer parameters (--only, --vary)"
        raise SettingsError(Problem("", f"{len(found)} numbers one at a time are not seen with {count} points", hint))
    rows: list[Settings] = []
    for index, axis in enumerate(found):
        first = next(place for place, other in enumerate(found) if other.slot is axis.slot)
        for place in _places(axis, levels)[:levels]:
            value = axis.range.at(place)
            if isinstance(axis.slot.declaration, Table):
                value = _with_element(axis.slot, settings[axis.slot.address], index - first, value)
            rows.append(settings.update({axis.slot.address: value}))
    return rows


def _with_element(slot: Slot, start: PhysicalValue | None, index: int, value: PhysicalValue) -> Array:
    """A table with one element changed."""
    assert isinstance(slot.declaration, Table), "only tables have elements"
    numbers = list(faces.elements(slot.declaration, faces.checked_table(slot.declaration, start or 0.0)))
    numbers[index] = faces.finite(value)
    return Array(shape=slot.declaration.shape, values=tuple(numbers))


def _settings_at(settings: Settings, found: Sequence[Axis], point: Sequence[float]) -> Settings:
    values: dict[str, list[PhysicalValue]] = {}
    for axis, place in zip(found, point, strict=True):
        values.setdefault(axis.slot.address, []).append(axis.range.at(place))
    return settings.update({address: _joined(settings.slot(address), each) for address, each in values.items()})


def _joined(slot: Slot, values: Sequence[PhysicalValue]) -> PhysicalValue:
    if not isinstance(slot.declaration, Table):
        return values[0]
    return Array(shape=slot.declaration.shape, values=tuple(map(faces.finite, values)))
