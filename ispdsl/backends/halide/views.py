"""Operations of aten that move samples: each says where the sample at a place comes from."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import halide as hl
import numpy as np
from numpy.typing import NDArray

from ispdsl.backends.halide.elementwise import literal
from ispdsl.backends.halide.index import Index, Merged, Place, Where
from ispdsl.backends.halide.reading import FEW, Reader, UnloweredError, expression

Shapes = Callable[[Any], tuple[int, ...]]
View = Callable[[Reader, Place, Shapes], hl.Expr]
"""The value at a place, from a reader and the shapes of what is read."""


def _axis(number: int, rank: int) -> int:
    return number + rank if number < 0 else number


def _argument(reader: Reader, position: int, name: str, default: Any = None) -> Any:
    args = reader.node.args
    return args[position] if len(args) > position else reader.node.kwargs.get(name, default)


def plus(at: Where, amount: int) -> Where:
    """An index so many samples further."""
    if isinstance(at, int):
        return at + amount
    if isinstance(at, Index):
        return at.plus(amount)
    raise UnloweredError("a shift along merged axes")


def times(at: Where, factor: int) -> Where:
    """An index so many times as far."""
    if isinstance(at, int):
        return at * factor
    if isinstance(at, Index):
        return at.times(factor)
    if factor == 1:
        return at
    raise UnloweredError("a step along merged axes")


def _put(place: Place, axis: int, at: Where) -> Place:
    return *place[:axis], at, *place[axis + 1 :]


def _slice(reader: Reader, place: Place, shapes: Shapes) -> hl.Expr:
    source = reader.node.args[0]
    shape = shapes(source)
    axis = _axis(_argument(reader, 1, "dim", 0), len(shape))
    start, step = _argument(reader, 2, "start") or 0, _argument(reader, 4, "step", 1)
    start = min(max(start + shape[axis] if start < 0 else start, 0), shape[axis])
    return reader.read(source, _put(place, axis, plus(times(place[axis], step), start)))


def _select(reader: Reader, place: Place, shapes: Shapes) -> hl.Expr:
    source, axis, number = reader.node.args
    shape = shapes(source)
    axis, number = _axis(axis, len(shape)), _axis(number, shape[_axis(axis, len(shape))])
    return reader.read(source, (*place[:axis], number, *place[axis:]))


def _unsqueeze(reader: Reader, place: Place, shapes: Shapes) -> hl.Expr:
    source, axis = reader.node.args
    axis = _axis(axis, len(shapes(source)) + 1)
    return reader.read(source, place[:axis] + place[axis + 1 :])


def _expand(reader: Reader, place: Place, shapes: Shapes) -> hl.Expr:
    source = reader.node.args[0]
    return reader.broadcast(source, shapes(source), place)


def _permute(reader: Reader, place: Place, shapes: Shapes) -> hl.Expr:
    source, order = reader.node.args[0], reader.node.args[1]
    back: list[Where] = [0] * len(place)
    for to, axis in enumerate(order):
        back[_axis(axis, len(place))] = place[to]
    return reader.read(source, tuple(back))


def _transpose(reader: Reader, place: Place, shapes: Shapes) -> hl.Expr:
    source, *axes = reader.node.args
    one, other = (_axis(axis, len(place)) for axis in axes or (0, 1))
    back = list(place)
    if len(place) > 1:
        back[one], back[other] = back[other], back[one]
    return reader.read(source, tuple(back))


def _flip(reader: Reader, place: Place, shapes: Shapes) -> hl.Expr:
    source, axes = reader.node.args
    shape = shapes(source)
    for axis in (_axis(axis, len(shape)) for axis in axes):
        place = _put(place, axis, plus(times(place[axis], -1), shape[axis] - 1))
    return reader.read(source, place)


def _view(reader: Reader, place: Place, shapes: Shapes) -> hl.Expr:
    source = reader.node.args[0]
    return reader.read(source, reshaped(reader, place, reader.node.shape, shapes(source)))


def reshaped(reader: Reader, place: Place, shape: Sequence[int], before: Sequence[int]) -> Place:
    """The place in an array of shape `before` of what is at a place after it took another shape."""
    found: list[Where] = [0] * len(before)
    old = [axis for axis, size in enumerate(before) if size != 1]
    new = [axis for axis, size in enumerate(shape) if size != 1]
    while old and new:
        left, right = [old.pop(0)], [new.pop(0)]
        while (a := math.prod(before[i] for i in left)) != (b := math.prod(shape[i] for i in right)):
            left, right = ([*left, old.pop(0)], right) if a < b else (left, [*right, new.pop(0)])
        flat = _flat(tuple(place[i] for i in right), tuple(shape[i] for i in right))
        for axis, at in zip(left, _apart(reader, flat, tuple(before[i] for i in left)), strict=True):
            found[axis] = at
    return tuple(found)


def _flat(parts: Place, sizes: tuple[int, ...]) -> Where:
    if len(parts) == 1:
        return parts[0]
    moving = [part for part in parts if not isinstance(part, int)]
    if len(moving) > 1 or any(isinstance(part, Merged) for part in moving):
        return Merged(parts, sizes)
    total: Where = 0
    for part, size in zip(parts, sizes, strict=True):
        total = times(total, size)
        total = plus(total, part) if isinstance(part, int) else plus(part, _number(total))
    return total


def _number(at: Where) -> int:
    assert isinstance(at, int), "one index of several moves"
    return at


def _apart(reader: Reader, flat: Where, sizes: tuple[int, ...]) -> Place:
    if len(sizes) == 1:
        return (flat,)
    if isinstance(flat, Merged) and flat.sizes == sizes:
        return flat.parts
    found: list[Where] = []
    for size in reversed(sizes[1:]):
        found.append(reader.remainder(flat, size))
        flat = reader.quotient(flat, size)
    return flat, *reversed(found)


def _pixel_shuffle(reader: Reader, place: Place, shapes: Shapes) -> hl.Expr:
    source, factor = reader.node.args
    *lead, plane, row, column = place
    down, right = reader.remainder(row, factor), reader.remainder(column, factor)
    inner = (reader.quotient(row, factor), reader.quotient(column, factor))
    if isinstance(down, int) and isinstance(right, int):
        channel = plus(times(plane, factor * factor), down * factor + right)
        return reader.read(source, (*lead, channel, *inner))
    found: hl.Expr | None = None
    for site in range(factor * factor):
        value = reader.read(source, (*lead, plus(times(plane, factor * factor), site), *inner))
        here = expression(down) * factor + expression(right)
        found = value if found is None else hl.select(here < site, found, value)
    assert found is not None, "there is at least one site"
    return found


def _pixel_unshuffle(reader: Reader, place: Place, shapes: Shapes) -> hl.Expr:
    source, factor = reader.node.args
    *lead, channel, row, column = place
    if not isinstance(channel, int):
        raise UnloweredError("pixel_unshuffle at a plane that is not known")
    plane, site = divmod(channel, factor * factor)
    down, right = divmod(site, factor)
    return reader.read(source, (*lead, plane, plus(times(row, factor), down), plus(times(column, factor), right)))


def _joined(reader: Reader, place: Place, shapes: Shapes) -> hl.Expr:
    """cat: one of the parts where the index is a number, else a choice among all."""
    parts = reader.node.args[0]
    parts = [part for part in parts if math.prod(shapes(part))]
    axis = _axis(_argument(reader, 1, "dim", 0), len(place))
    at, start = place[axis], 0
    found: hl.Expr | None = None
    for part in parts:
        size = shapes(part)[axis]
        if isinstance(at, int):
            if start <= at < start + size:
                return reader.read(part, _put(place, axis, at - start))
        elif isinstance(at, Index):
            if size > 1:
                whole = np.arange(reader.node.shape[axis])
                inside = reader.mapped(at, whole.clip(start, start + size - 1) - start)
            else:
                inside = 0
            value = reader.read(part, _put(place, axis, inside))
            found = value if found is None else hl.select(expression(at) < start, found, value)
        start += size
    if found is None:
        raise UnloweredError("parts joined along merged axes")
    return found


def _stacked(reader: Reader, place: Place, shapes: Shapes) -> hl.Expr:
    parts = reader.node.args[0]
    axis = _axis(_argument(reader, 1, "dim", 0), len(place))
    at, inner = place[axis], place[:axis] + place[axis + 1 :]
    if isinstance(at, int):
        return reader.read(parts[min(max(at, 0), len(parts) - 1)], inner)
    found = reader.read(parts[0], inner)
    for number, part in enumerate(parts[1:], 1):
        found = hl.select(expression(at) < number, found, reader.read(part, inner))
    return found


def _part(reader: Reader, place: Place, shapes: Shapes) -> hl.Expr:
    """One result of an operation with several."""
    return reader.read(reader.node.args[0], (reader.node.args[1], *place))


def _unbind(reader: Reader, place: Place, shapes: Shapes) -> hl.Expr:
    source = reader.node.args[0]
    axis = _axis(_argument(reader, 1, "dim", 0), len(place))
    return reader.read(source, (*place[1 : axis + 1], place[0], *place[axis + 1 :]))


def _split(reader: Reader, place: Place, shapes: Shapes) -> hl.Expr:
    source, sizes = reader.node.args[0], reader.node.args[1]
    axis = _axis(_argument(reader, 2, "dim", 0), len(place) - 1)
    part = place[0]
    assert isinstance(part, int)
    start = part * sizes if isinstance(sizes, int) else sum(sizes[:part])
    return reader.read(source, _put(place[1:], axis, plus(place[1 + axis], start)))


def _index_select(reader: Reader, place: Place, shapes: Shapes) -> hl.Expr:
    source, axis, indices = reader.node.args
    axis = _axis(axis, len(place))
    return reader.read(source, _put(place, axis, reader.mapped(place[axis], indices.numpy())))


def _mirrored(size: int, before: int, after: int) -> NDArray[np.int64]:
    places = np.abs(np.arange(-before, size + after))
    return size - 1 - np.abs(size - 1 - places)


def _padded(fill: Callable[[int, int, int], NDArray[np.int64]]) -> View:
    def view(reader: Reader, place: Place, shapes: Shapes) -> hl.Expr:
        source, padding = reader.node.args[:2]
        shape = shapes(source)
        for pair in range(len(padding) // 2):
            axis, before, after = len(shape) - 1 - pair, padding[2 * pair], padding[2 * pair + 1]
            place = _put(place, axis, reader.mapped(place[axis], fill(shape[axis], before, after)))
        return reader.read(source, place)

    return view


def _clamped(size: int, before: int, after: int) -> NDArray[np.int64]:
    return np.arange(-before, size + after).clip(0, size - 1)


def outside(reader: Reader, source: Any, place: Place, shape: tuple[int, ...], value: float) -> hl.Expr:
    """A tensor at a place that may lie outside it, where it counts as `value`."""
    inside: hl.Expr | None = None
    within: list[Where] = []
    for at, size in zip(place, shape, strict=True):
        if isinstance(at, int):
            if not 0 <= at < size:
                return literal(value, reader.node.dtype)
            within.append(at)
            continue
        if not isinstance(at, Index):
            raise UnloweredError("a border along merged axes")
        low = int(at.values.min())
        if low >= 0 and at.values.max() < size:
            within.append(at)
            continue
        here = (expression(at) >= 0) & (expression(at) < size)
        inside = here if inside is None else inside & here
        shifted = plus(at, -min(low, 0))
        span = int(at.values.max()) - min(low, 0) + 1
        within.append(reader.mapped(shifted, (np.arange(span) + min(low, 0)).clip(0, size - 1)))
    found = reader.read(source, tuple(within))
    return found if inside is None else hl.select(inside, found, literal(value, reader.node.dtype))


def _constant_pad(reader: Reader, place: Place, shapes: Shapes) -> hl.Expr:
    source, padding = reader.node.args[:2]
    shape = shapes(source)
    for pair in range(len(padding) // 2):
        axis = len(shape) - 1 - pair
        place = _put(place, axis, plus(place[axis], -padding[2 * pair]))
    return outside(reader, source, place, shape, _argument(reader, 2, "value", 0))


def _roll(reader: Reader, place: Place, shapes: Shapes) -> hl.Expr:
    source, shifts = reader.node.args[:2]
    shape = shapes(source)
    for shift, axis in zip(shifts, _argument(reader, 2, "dims", ()), strict=True):
        axis = _axis(axis, len(shape))
        rolled = np.roll(np.arange(shape[axis]), shift)
        place = _put(place, axis, reader.mapped(place[axis], rolled))
    return reader.read(source, place)


def _unfold(reader: Reader, place: Place, shapes: Shapes) -> hl.Expr:
    source, axis, size, step = reader.node.args
    axis = _axis(axis, len(shapes(source)))
    *inner, within = place
    if not isinstance(within, int) or size > FEW:
        raise UnloweredError(f"windows of {size} samples")
    return reader.read(source, _put(tuple(inner), axis, plus(times(inner[axis], step), within)))


VIEWS: dict[str, View] = {
    "slice": _slice,
    "select": _select,
    "unsqueeze": _unsqueeze,
    "expand": _expand,
    "permute": _permute,
    "transpose": _transpose,
    "t": _transpose,
    "flip": _flip,
    "view": _view,
    "_unsafe_view": _view,
    "squeeze": _view,
    "pixel_shuffle": _pixel_shuffle,
    "pixel_unshuffle": _pixel_unshuffle,
    "cat": _joined,
    "stack": _stacked,
    "unbind": _unbind,
    "split": _split,
    "split_with_sizes": _split,
    "getitem": _part,
    "index_select": _index_select,
    "reflection_pad2d": _padded(_mirrored),
    "replication_pad2d": _padded(_clamped),
    "constant_pad_nd": _constant_pad,
    "roll": _roll,
    "unfold": _unfold,
}
"""By the name of the operation."""

CHOOSING = frozenset({"pixel_shuffle", "constant_pad_nd"})
"""Those that are worth keeping when they are read at several places: the others only rename."""
