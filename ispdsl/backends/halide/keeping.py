"""Which values of a stretch of a trace are kept in memory, and where each value is wanted.

Everything is computed where it is read, unless a stencil reads it at several places, or several kept values read what
is costly. The walk goes from the results to the image: what is read of a value, and where, is known once all that read
it have been asked. A value that is only ever read at every other row and column, as sites of a mosaic are, is kept as
planes of one site each, so that vectors lie side by side in memory. A value that depends on whether a row or column is
even is computed in turns (`Kept.turns`): no sample is computed that another site needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from typing import cast

import halide as hl

from ispdsl.backends.halide.border import Border, beyond
from ispdsl.backends.halide.elementwise import TYPES
from ispdsl.backends.halide.index import Axis, Index, Merged, Place, Where
from ispdsl.backends.halide.reading import Reader, UnloweredError
from ispdsl.backends.halide.rules import costs, evaluated, renames
from ispdsl.backends.halide.traced import Node, Trace
from ispdsl.errors import CompileError

X, Y, C = hl.Var("x"), hl.Var("y"), hl.Var("c")

WORTH = 2
"""Additions that what a stencil reads must cost for it to be kept."""

WORTH_TWICE = 24
"""Additions that what two kept values read must cost."""

MOST_PLACES = 5_000
"""Places of values that all of a stretch may read: a non-local filter reads hundreds of thousands."""

Flat = tuple[int | None, ...]
"""The numbers of a place, None where it moves."""


class LeftError(Exception):
    """A node that cannot be lowered, with the reason."""

    def __init__(self, node: Node, reason: str) -> None:
        super().__init__(f"{node.where}: {reason}")
        self.node, self.reason = node, reason


@dataclass(frozen=True)
class Kept:
    """A value that is kept: as planes over rows and columns."""

    node: int
    pattern: tuple[tuple[int, ...] | None, ...]
    """Sizes of what is merged into each axis, None where it is one."""
    sizes: tuple[int, int]
    """Rows and columns."""
    swapped: bool
    """Whether the columns come before the rows."""
    steps: tuple[int, int]
    """2 for planes of every other row or column."""
    turns: tuple[bool, bool]
    """Whether rows and columns are computed in turns, even and odd."""
    planes: Mapping[tuple[Flat, int, int], int] = field(default_factory=dict)
    """The number of each plane, by what of its place does not move and by the site."""
    rows_read: int = 1
    """How many rows of one plane are read for one row of what reads it."""
    border: Border | None = None
    """What lies beyond the ends of its rows; None where readers differ about it."""

    def columns(self, plane: tuple[Flat, int, int]) -> int:
        """How many columns a plane has."""
        return -(-(self.sizes[1] - plane[2]) // self.steps[1])

    def plane(self, place: Place) -> tuple[tuple[Flat, int, int], Index, Index]:
        """The plane that a place is in, and where in it."""
        numbers, moving = flattened(place)
        row, column = reversed(moving) if self.swapped else moving
        sites = [at.remainder(step) for at, step in zip((row, column), self.steps, strict=True)]
        inside = [at.quotient(step) for at, step in zip((row, column), self.steps, strict=True)]
        assert None not in sites, "the steps were found so"
        assert None not in inside, "the steps were found so"
        return (numbers, sites[0] or 0, sites[1] or 0), cast(Index, inside[0]), cast(Index, inside[1])

    def place(self, plane: tuple[Flat, int, int], turn: tuple[int, ...]) -> Place:
        """Where the samples of a plane are, as its rows and columns run."""
        numbers, *sites = plane
        row, column = (
            canonical(
                "yx"[axis], self.sizes[axis], self.steps[axis], sites[axis], turn[axis] if self.turns[axis] else None
            )
            for axis in (0, 1)
        )
        return rebuilt(self.pattern, numbers, (column, row) if self.swapped else (row, column))


def canonical(name: str, size: int, step: int = 1, site: int = 0, turn: int | None = None) -> Index:
    """The index of a row or column as it is computed: of every one, of one site's, or of the even or odd ones."""
    var, along_x = hl.Expr(X if name == "x" else Y), name == "x"
    if turn is not None:
        return Index(Axis(f"{name}{size}:2", (size + 1) // 2, var / 2, along_x), (2, turn))
    if step == 2:
        return Index(Axis(f"{name}{size}/2", (size + 1) // 2, var, along_x), (2, site))
    return Index(Axis(f"{name}{size}", size, var, along_x, name), (1, 0))


def flattened(place: Place) -> tuple[Flat, tuple[Index, ...]]:
    """What of a place moves, and what does not."""
    parts = [part for at in place for part in (at.parts if isinstance(at, Merged) else (at,))]
    numbers = tuple(part if isinstance(part, int) else None for part in parts)
    return numbers, tuple(part for part in parts if isinstance(part, Index))


def rebuilt(pattern: Iterable[tuple[int, ...] | None], numbers: Flat, moving: tuple[Index, ...]) -> Place:
    """Undoes `flattened`."""
    left, parts = iter(moving), iter(numbers)

    def following() -> Where:
        number = next(parts)
        return next(left) if number is None else number

    return tuple(
        following() if sizes is None else Merged(tuple(following() for _ in sizes), sizes) for sizes in pattern
    )


@dataclass
class Wanted:
    """Where every value of a stretch is wanted, and what is kept of it."""

    places: list[dict[Place, set[int]]]
    """By node: places, each with the kept nodes, or the results as negative numbers, that read it."""
    kept: dict[int, Kept] = field(default_factory=dict)


def keep(trace: Trace, given: set[int], results: list[int], also: frozenset[int] = frozenset()) -> Wanted:
    """Decide what to keep.

    Args:
        trace: of the pipeline.
        given: nodes whose values are there: images, and what torch computed.
        results: nodes whose values are wanted, ``(..., H, W)``.
        also: nodes that are kept whatever reads them.

    Raises:
        LeftError: a node that cannot be lowered.
        CompileError: so much is read that compiling would take minutes.
    """
    turns: dict[int, set[str]] = {}
    forced = set(also)
    cost = costs(trace)
    while True:
        wanted, found = _attempt(trace, given, results, turns, forced, cost)
        fresh = False
        for owner, axis in found:
            if owner < 0:
                fresh, _ = fresh or results[-1 - owner] not in forced, forced.add(results[-1 - owner])
            elif axis not in turns.setdefault(owner, set()):
                turns[owner].add(axis)
                fresh = True
        if not fresh:
            return wanted


def _attempt(
    trace: Trace, given: set[int], results: list[int], turns: Mapping[int, set[str]], forced: set[int], cost: list[int]
) -> tuple[Wanted, set[tuple[int, str]]]:
    wanted = Wanted([{} for _ in trace.nodes])
    found: set[tuple[int, str]] = set()
    read = 0
    for number, result in enumerate(results):
        for place in whole(trace.nodes[result].shape):
            wanted.places[result].setdefault(place, set()).add(-1 - number)
    for node in reversed(trace.nodes):
        places = wanted.places[node.number]
        if not places or node.number in given:
            continue
        kept = _decided(node, places, cost[node.number], node.number in forced, turns.get(node.number, set()))
        if kept is not None:
            wanted.kept[node.number] = kept
            places = {place: {node.number} for place in own_places(kept)}
        read += len(places)
        if read > MOST_PLACES:
            what = f"{node.where}: Halide would compile for minutes, since it reads values at {read} places or more"
            raise CompileError(what, "run it by torch")
        for place, owners in places.items():
            _ask(trace, node, place, owners, wanted, found)
    return wanted, found


def _ask(trace: Trace, node: Node, place: Place, owners: set[int], wanted: Wanted, found: set[tuple[int, str]]) -> None:
    """Find out what a node reads for its value at a place."""

    def look(number: int, at: Place) -> hl.Expr:
        wanted.places[number].setdefault(at, set()).update(owners)
        return hl.cast(TYPES.get(trace.nodes[number].dtype, TYPES[node.dtype])(), hl.Expr(X) + 1)

    def by_parity(axis: Axis) -> None:
        assert axis.split is not None, "only rows and columns as computed"
        found.update((owner, axis.split) for owner in owners)

    try:
        evaluated(Reader(node, look, by_parity, trace.floors), place, trace)
    except (UnloweredError, hl.HalideError) as error:
        raise LeftError(node, str(error).strip()) from error


def whole(shape: tuple[int, ...]) -> list[Place]:
    """All planes of a value."""
    row, column = canonical("y", shape[-2]), canonical("x", shape[-1])
    return [(*numbers, row, column) for numbers in product(*map(range, shape[:-2]))]


def own_places(kept: Kept) -> list[Place]:
    """Where the operation of a kept value is evaluated."""
    return [kept.place(plane, turn) for plane in kept.planes for turn in turns_of(kept)]


def turns_of(kept: Kept) -> list[tuple[int, ...]]:
    """Even and odd rows and columns, where they are computed in turns."""
    return list(product(*(range(2 if turning else 1) for turning in kept.turns)))


def _decided(node: Node, places: Mapping[Place, set[int]], cost: int, forced: bool, turns: set[str]) -> Kept | None:
    if renames(node) and not forced:
        return None
    first = next(iter(places))
    pattern = tuple(at.sizes if isinstance(at, Merged) else None for at in first)
    still = tuple(number is None for number in flattened(first)[0])
    for place in places:
        numbers, moving = flattened(place)
        same = tuple(number is None for number in numbers) == still
        merged = tuple(at.sizes if isinstance(at, Merged) else None for at in place)
        if len(moving) != 2 or not same or merged != pattern:
            return None
    made = _kept(node, pattern, places, turns)
    groups: dict[tuple[Flat, int, int], set[tuple[Index, Index]]] = {}
    for place in places:
        plane, row, column = made.plane(place)
        groups.setdefault(plane, set()).add((row, column))
    owners = {owner for each in places.values() for owner in each}
    stencil = any(len(group) > 1 for group in groups.values())
    if not (forced or (stencil and cost >= WORTH) or (len(owners) > 1 and cost >= WORTH_TWICE)):
        return None
    planes = {plane: number for number, plane in enumerate(sorted(groups, key=repr))}
    columns = [[column for _, column in groups[plane]] for plane in planes]
    rows_read = max(len({row for row, _ in group}) for group in groups.values())
    border = beyond(columns, [made.columns(plane) for plane in planes])
    return replace(made, planes=planes, rows_read=rows_read, border=border)


def _kept(node: Node, pattern: tuple[tuple[int, ...] | None, ...], places: Iterable[Place], turns: set[str]) -> Kept:
    moving = [flattened(place)[1] for place in places]
    sizes = [
        size for axis, merged in enumerate(pattern) for size in ((node.shape[axis],) if merged is None else merged)
    ]
    numbers = flattened(next(iter(places)))[0]
    one, other = (size for size, number in zip(sizes, numbers, strict=True) if number is None)
    swapped = all(first.axis.along_x and not second.axis.along_x for first, second in moving)
    pairs = [(second, first) if swapped else (first, second) for first, second in moving]
    rows, columns = zip(*pairs, strict=True)
    steps = tuple(2 if all(at.remainder(2) is not None for at in each) else 1 for each in (rows, columns))
    turning = ("y" in turns and steps[0] == 1, "x" in turns and steps[1] == 1)
    return Kept(node.number, pattern, (other, one) if swapped else (one, other), swapped, (steps[0], steps[1]), turning)
