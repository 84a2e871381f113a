"""A stretch of a trace as one program of Halide, from images to images of one size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import halide as hl
import torch

from ispdsl.backends.halide.border import Border
from ispdsl.backends.halide.elementwise import TYPES
from ispdsl.backends.halide.index import Axis, Index, Place
from ispdsl.backends.halide.keeping import C, Kept, Wanted, X, Y, turns_of, whole
from ispdsl.backends.halide.reading import Reader, expression, moves_with_x
from ispdsl.backends.halide.rules import evaluated
from ispdsl.backends.halide.traced import Trace

GIVEN = {**TYPES, torch.int64: lambda: hl.Int(64)}
"""Types of what torch hands over."""


@dataclass(frozen=True)
class Stored:
    """A kept value as a function ``(x, y, c)``."""

    kept: Kept
    function: hl.Func


@dataclass(frozen=True)
class Lowered:
    """A program before it is scheduled: `result` ``(x, y, c)`` has the planes of all results in a row."""

    inputs: Mapping[int, hl.ImageParam]
    """By node."""
    stored: tuple[Stored, ...]
    """In the order in which they are computed."""
    result: hl.Func
    shape: tuple[int, int, int]
    """Planes, rows and columns."""
    parted: bool = False
    """Whether each plane of the result is computed from its own plane of what is kept."""


def lowered(
    trace: Trace,
    wanted: Wanted,
    given: set[int],
    results: list[int],
    types: Mapping[int, hl.Type],
    parted: bool = False,
) -> Lowered:
    """Lower what leads from given nodes to results.

    Args:
        trace: of the pipeline.
        wanted: what is kept on the way, as `keep` finds it for these nodes and results.
        given: nodes whose values are there.
        results: nodes of about one height and width.
        types: of given images that come in another type than torch's.
        parted: whether what is kept last has a plane for each plane of the result, which reads no other.

    Raises:
        LeftError: a node that cannot be lowered.
    """
    read = [node for node in sorted(given) if wanted.places[node]]
    inputs = {node: _input(trace, node, types) for node in read}
    stored: dict[int, Stored] = {}
    values: dict[tuple[int, Place], hl.Expr] = {}

    def look(number: int, place: Place) -> hl.Expr:
        if number in inputs:
            return _of_input(inputs[number], trace, number, place)
        if number in stored:
            return _of_stored(stored[number], place)
        return values[number, place]

    def no_parity(axis: Axis) -> None:
        raise AssertionError(f"{axis.name} was to be computed in turns")

    for node in trace.nodes:
        if node.number in given:
            continue
        reader = Reader(node, look, no_parity, trace.floors)
        kept = wanted.kept.get(node.number)
        if kept is not None:
            stored[node.number] = _stored(kept, reader, trace)
        else:
            for place in wanted.places[node.number]:
                values[node.number, place] = evaluated(reader, place, trace)
    planes = [look(number, place) for number in results for place in whole(trace.nodes[number].shape)]
    result = hl.Func("result")
    result[X, Y, C] = _planes([_handed_over(plane) for plane in planes])
    rows, columns = (max(trace.nodes[number].shape[axis] for number in results) for axis in (-2, -1))
    shape = (len(planes), rows, columns)
    return Lowered(inputs, tuple(stored.values()), result, shape, parted)


def _handed_over(value: hl.Expr) -> hl.Expr:
    """A result in float32; whole numbers as their bits."""
    return hl.reinterpret(hl.Float(32), value) if value.type() == hl.Int(32) else hl.cast(hl.Float(32), value)


def _planes(planes: list[hl.Expr]) -> hl.Expr:
    return hl.mux(C, planes) if len(planes) > 1 else planes[0]


def _input(trace: Trace, number: int, types: Mapping[int, hl.Type]) -> hl.ImageParam:
    node = trace.nodes[number]
    rank = max(len(node.shape), 1)
    made = hl.ImageParam(types.get(number, GIVEN[node.dtype]()), rank, f"input{number}")
    stride = 1
    for axis, size in enumerate(reversed(node.shape or (1,))):
        made.dim(axis).set_bounds(0, size)
        made.dim(axis).set_stride(stride)
        stride *= size
    return made


def _of_input(image: hl.ImageParam, trace: Trace, number: int, place: Place) -> hl.Expr:
    """Whole vectors may reach beyond the image; what they find there is thrown away."""
    node = trace.nodes[number]
    at: list[hl.Expr] = []
    for index, size in zip(place or (0,), node.shape or (1,), strict=True):
        found = expression(index)
        if moves_with_x(index) and isinstance(index, Index) and index.before is None and index.after is None:
            found = hl.likely(found)
        at.append(hl.clamp(found, 0, size - 1) if not isinstance(index, int) else found)
    return hl.cast(TYPES[node.dtype](), image[tuple(reversed(at))])


def _of_stored(stored: Stored, place: Place) -> hl.Expr:
    plane, row, column = stored.kept.plane(place)
    across = expression(column) if stored.kept.border is None else column.straight_expression
    return hl.Expr(stored.function[across, expression(row), stored.kept.planes[plane]])


def _stored(kept: Kept, reader: Reader, trace: Trace) -> Stored:
    function = hl.Func(f"kept{kept.node}")
    planes: list[hl.Expr] = []
    for plane in kept.planes:
        found = {turn: evaluated(reader, kept.place(plane, turn), trace) for turn in turns_of(kept)}
        rows = [
            found[down, 0] if not kept.turns[1] else hl.select(X % 2 == 0, found[down, 0], found[down, 1])
            for down in range(2 if kept.turns[0] else 1)
        ]
        planes.append(rows[0] if not kept.turns[0] else hl.select(Y % 2 == 0, rows[0], rows[1]))
    function[X, Y, C] = _planes(planes)
    if kept.border is not None:
        _extend(function, kept.border, max(map(kept.columns, kept.planes)))
    return Stored(kept, function)


def _extend(function: hl.Func, border: Border, columns: int) -> None:
    """Copy what lies beyond the ends of a row there."""
    for start, copied in ((-border.left.shape[1], border.left), (border.start, border.right)):
        if copied.shape[1]:
            beyond = hl.RDom([(0, copied.shape[1])])
            table = hl.Buffer(copied).copy()
            function[beyond.x + start, Y, C] = function[hl.clamp(table[beyond.x, C], 0, columns - 1), Y, C]
