"""What a rule of lowering sees: the values that an operation reads, at places that it chooses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import halide as hl
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ispdsl.backends.halide.elementwise import literal
from ispdsl.backends.halide.index import Axis, Index, Merged, Place, Where, along
from ispdsl.backends.halide.traced import Node, Ref

FEW = 64
"""So many terms of a sum are written out."""


class UnloweredError(Exception):
    """An operation cannot be lowered; the caller leaves it to torch."""


@dataclass(frozen=True)
class Reader:
    """The way from one operation to what it reads, while its result at one place is wanted."""

    node: Node
    look: Callable[[int, Place], hl.Expr]
    """The value of a node at a place."""
    by_parity: Callable[[Axis], None]
    """Told that something depends on whether a row or column is even."""
    floors: Sequence[float] = ()
    """What no sample of each node is below."""

    def least(self, value: Any) -> float:
        """What no sample of a tensor is below."""
        if isinstance(value, Ref):
            return self.floors[value.node]
        return float(value.min()) if isinstance(value, Tensor) else float(value)

    def read(self, value: Any, place: Place, dtype: torch.dtype | None = None) -> hl.Expr:
        """A tensor at a place of its own rank, or a number."""
        if isinstance(value, Ref):
            return self.look(value.node, place)
        if isinstance(value, Tensor):
            return self.constant(value, place)
        return literal(value, dtype or self.node.dtype)

    def broadcast(self, value: Any, shape: tuple[int, ...], place: Place, dtype: torch.dtype | None = None) -> hl.Expr:
        """A tensor of `shape` that is broadcast, at a place of the result."""
        kept = place[len(place) - len(shape) :]
        return self.read(value, tuple(0 if size == 1 else at for size, at in zip(shape, kept, strict=True)), dtype)

    def constant(self, value: Tensor, place: Place) -> hl.Expr:
        """A tensor that no image reaches: numbers where it is the same along an axis or in turns, else a table."""
        array = tabulated(value)
        chosen: list[Where] = []
        for axis, at in enumerate(place):
            if isinstance(at, int) or array.shape[axis] == 1:
                number = at if isinstance(at, int) and array.shape[axis] != 1 else 0
                array = array.take([_within(number, array.shape[axis])], axis)
                chosen.append(0)
            elif array.shape[axis] == 2 != value.shape[axis]:
                parity = self.remainder(at, 2)
                if isinstance(parity, int):
                    array, parity = array.take([parity], axis), 0
                chosen.append(parity)
            else:
                chosen.append(at)
        if array.size == 1:
            return literal(array.item(), value.dtype)
        return table(array, [expression(at) for at in chosen])

    def remainder(self, at: Where, size: int) -> Where:
        """The index modulo `size`."""
        if isinstance(at, int):
            return at % size
        if isinstance(at, Index):
            found = at.remainder(size)
            if found is not None:
                return found
            if size == 2 and at.axis.split is not None:
                self.by_parity(at.axis)
        return opaque(expression(at) % size, size, f"({at}) % {size}", at)

    def quotient(self, at: Where, size: int) -> Where:
        """The index divided by `size`, rounded down."""
        if isinstance(at, int):
            return at // size
        if isinstance(at, Index):
            found = at.quotient(size)
            if found is not None:
                return found
            if size == 2 and at.axis.split is not None:
                self.by_parity(at.axis)
        return opaque(expression(at) / size, largest(at) // size + 1, f"({at}) / {size}", at)

    def mapped(self, at: Where, table_: NDArray[np.int64]) -> Where:
        """The index through a table of indices."""
        if isinstance(at, int):
            return int(table_[_within(at, len(table_))])
        if isinstance(at, Index):
            found = along(at.axis, table_[at.values.clip(0, len(table_) - 1)])
            if found is not None:
                return found
        read = table(table_.astype(np.int32), [expression(at)])
        return opaque(
            hl.clamp(read, 0, int(table_.max())), int(table_.max()) + 1, f"{table_.tobytes().hex()}[{at}]", at
        )


def _within(number: int, size: int) -> int:
    """Computation in whole vectors looks beyond an axis; what it finds there is thrown away."""
    return min(max(number, 0), size - 1)


def opaque(found: hl.Expr, extent: int, name: str, origin: Where) -> Index:
    """An expression of Halide as an index that nothing is known of but its range."""
    return Index(Axis(name, extent, found, moves_with_x(origin)), (1, 0))


def moves_with_x(at: Where) -> bool:
    """Whether an index moves with the vectors."""
    if isinstance(at, Merged):
        return any(map(moves_with_x, at.parts))
    return isinstance(at, Index) and at.axis.along_x


def largest(at: Where) -> int:
    """The largest value of an index."""
    if isinstance(at, int):
        return at
    if isinstance(at, Merged):
        return int(np.prod(at.sizes)) - 1
    return int(at.values.max())


def expression(at: Where) -> hl.Expr:
    """An index in Halide."""
    if isinstance(at, int):
        return hl.i32(at)
    if isinstance(at, Index):
        return at.expression()
    total = expression(at.parts[0])
    for part, size in zip(at.parts[1:], at.sizes[1:], strict=True):
        total = total * size + expression(part)
    return total


def table(array: NDArray[Any], places: list[hl.Expr]) -> hl.Expr:
    """A look-up; places beyond the ends read the ends."""
    if array.dtype == np.bool_:
        return hl.cast(hl.Bool(), table(array.astype(np.uint8), places))
    if array.dtype == np.int64:
        array = array.astype(np.int32)
    limited = [hl.clamp(place, 0, size - 1) for place, size in zip(places, array.shape, strict=True)]
    kept = [axis for axis, size in enumerate(array.shape) if size > 1] or [0]
    array = np.ascontiguousarray(array.reshape([array.shape[axis] for axis in kept]))
    buffer = hl.Buffer(array).copy()  # Halide owns the copy: the array goes when this function returns
    return buffer[tuple(limited[axis] for axis in reversed(kept))]


_SUMMARIES: dict[int, tuple[Tensor, NDArray[Any]]] = {}


def tabulated(value: Tensor) -> NDArray[Any]:
    """A constant with one sample along axes where it is the same everywhere, two where it alternates (CFA masks)."""
    known = _SUMMARIES.get(id(value))
    if known is not None and known[0] is value:
        return known[1]
    array = value.detach().numpy()
    for axis, size in enumerate(array.shape):
        if size <= 2:
            continue
        lead = (slice(None),) * axis
        first = array[(*lead, slice(0, 1))]
        if array.strides[axis] == 0 or (array == first).all():
            array = first
        elif (array[(*lead, slice(2, None))] == array[(*lead, slice(None, -2))]).all():
            array = array[(*lead, slice(0, 2))]
    _SUMMARIES[id(value)] = value, array
    return array
