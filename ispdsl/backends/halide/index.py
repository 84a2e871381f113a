"""Where a value is read: a number, or a function of the row or column that is being computed.

Along an axis an index is affine, but for the samples near its two ends, where it may be another affine function: the
mirror image at a border is ``-i`` on the left and ``2 (n - 1) - i`` on the right. Three pieces are enough for mirrors,
clamps, strides and flips. Halving such an index is exact when its scale is even, which is how mosaics are taken apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import halide as hl
import numpy as np
from numpy.typing import NDArray

Piece = tuple[int, int]
"""Scale and offset."""


@dataclass(frozen=True)
class Axis:
    """What an index is a function of: it runs over 0 to `extent` - 1."""

    name: str
    extent: int
    var: hl.Expr = field(compare=False, repr=False)
    along_x: bool = False
    """Whether it moves with the vectors, so that its borders are worth a loop of their own."""
    split: str | None = None
    """``y`` or ``x`` where it is a row or column as computed, which can be told apart by parity."""


@dataclass(frozen=True)
class Index:
    """``scale * axis + offset`` from `first` to `last` of the axis, other pieces before and after."""

    axis: Axis
    middle: Piece
    first: int = 0
    before: Piece | None = None
    last: int = 0
    after: Piece | None = None

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """All pieces there are."""
        return tuple(piece for piece in (self.middle, self.before, self.after) if piece is not None)

    def moved(self, function: Callable[[int, int], Piece]) -> Index:
        """Each piece through a function of pieces."""
        before, after = (None if piece is None else function(*piece) for piece in (self.before, self.after))
        return Index(self.axis, function(*self.middle), self.first, before, self.last, after)

    def plus(self, amount: int) -> Index:
        """So many samples further."""
        return self.moved(lambda scale, offset: (scale, offset + amount)) if amount else self

    def times(self, factor: int) -> Index:
        """So many times as far."""
        return self.moved(lambda scale, offset: (scale * factor, offset * factor)) if factor != 1 else self

    def remainder(self, size: int) -> int | None:
        """The index modulo `size` where that is one number."""
        found = {offset % size for _, offset in self.pieces}
        return found.pop() if len(found) == 1 and all(scale % size == 0 for scale, _ in self.pieces) else None

    def quotient(self, size: int) -> Index | None:
        """The index divided by `size`, rounded down, where that has pieces of whole scales."""
        if any(scale % size for scale, _ in self.pieces):
            return None
        return self.moved(lambda scale, offset: (scale // size, offset // size))

    @cached_property
    def values(self) -> NDArray[np.int64]:
        """The index at every place of its axis."""
        return _values(self)

    @cached_property
    def straight(self) -> NDArray[np.int64]:
        """Where the middle piece would lead at every place of its axis."""
        return self.middle[0] * np.arange(self.axis.extent) + self.middle[1]

    @property
    def straight_expression(self) -> hl.Expr:
        """The middle piece in Halide."""
        return _affine(self.axis.var, self.middle)

    def expression(self) -> hl.Expr:
        """The index in Halide, with bounds that its analysis can see.

        Without them it would take a mirror image to come from anywhere. Along rows the ends are held to where they
        lead, so that the loop between them is free of them; down columns all is held to a window that goes down with
        the rows, so that rows are computed once.
        """
        straight = self.straight_expression
        if self.before is None and self.after is None:
            return straight
        found = hl.likely(straight) if self.axis.along_x else straight
        if self.before is not None:
            found = hl.select(self.axis.var < self.first, self._end(self.before, self.values[: self.first]), found)
        if self.after is not None:
            found = hl.select(self.axis.var > self.last, self._end(self.after, self.values[self.last + 1 :]), found)
        if self.axis.along_x:
            return found
        scale = self.middle[0]
        drift = self.values - scale * np.arange(self.axis.extent)
        base = self.axis.var * scale
        return hl.clamp(found, base + int(drift.min()), base + int(drift.max()))

    def _end(self, piece: Piece, values: NDArray[np.int64]) -> hl.Expr:
        found = _affine(self.axis.var, piece)
        return hl.clamp(found, int(values.min()), int(values.max())) if self.axis.along_x and len(values) else found


@dataclass(frozen=True)
class Merged:
    """The index of an axis that two were merged into: ``parts[0] * sizes[1] + parts[1]``."""

    parts: tuple[Where, ...]
    sizes: tuple[int, ...]


Where = int | Index | Merged
Place = tuple[Where, ...]
"""An index for each axis of a value."""


@lru_cache(maxsize=4096)
def _values(index: Index) -> NDArray[np.int64]:
    places = np.arange(index.axis.extent)
    found = index.middle[0] * places + index.middle[1]
    if index.before is not None:
        found = np.where(places < index.first, index.before[0] * places + index.before[1], found)
    if index.after is not None:
        found = np.where(places > index.last, index.after[0] * places + index.after[1], found)
    return found


def _affine(var: hl.Expr, piece: Piece) -> hl.Expr:
    scale, offset = piece
    return (var if scale == 1 else var * scale) + offset


def along(axis: Axis, values: NDArray[np.int64]) -> int | Index | None:
    """The index that has these values at the places of an axis; None where three pieces are not enough."""
    if (values == values[0]).all():
        return int(values[0])
    middle = len(values) // 2
    piece = _piece(values, middle - 1, middle)
    places = np.arange(len(values))
    fits = values == piece[0] * places + piece[1]
    outside = np.flatnonzero(~fits)
    first = int(outside[outside < middle].max()) + 1 if (outside < middle).any() else 0
    last = int(outside[outside > middle].min()) - 1 if (outside > middle).any() else len(values) - 1
    before = _piece(values, 0, 1) if first > 1 else (0, int(values[0])) if first else None
    final = len(values) - 1
    after = _piece(values, final - 1, final) if last < final - 1 else (0, int(values[-1])) if last < final else None
    if first == 1:
        before = (-piece[0], int(values[0]))
    if last == final - 1:
        after = (-piece[0], int(values[-1]) + piece[0] * final)
    found = Index(axis, piece, first, before, last, after)
    return found if (found.values == values).all() else None


def _piece(values: NDArray[np.int64], left: int, right: int) -> Piece:
    scale = int(values[right] - values[left])
    return scale, int(values[left]) - scale * left
