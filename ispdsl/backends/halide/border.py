"""What lies beyond the ends of a row: samples that are copied there once, so that all that read them read straight on.

A mirror at a border is an index that turns back. Where every reader of a value agrees on it, the row is made longer and
the samples lie where a straight index finds them: one loop for the whole row instead of three, and no gathers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ispdsl.backends.halide.index import Index

WIDEST = 64
"""Samples beyond an end that are worth copying."""


@dataclass(frozen=True, eq=False)
class Border:
    """The columns that samples beyond the ends are copies of.

    Attributes:
        left: ``(planes, n)``, of columns -n to -1.
        start: the first column of `right`; planes that are longer keep what they have there.
        right: ``(planes, n)``.
    """

    left: NDArray[np.int32]
    start: int
    right: NDArray[np.int32]


def beyond(planes: Sequence[Iterable[Index]], sizes: Sequence[int]) -> Border | None:
    """The border of planes with rows of these sizes that are read at these columns.

    Returns:
        None where no one border serves all readers of a plane, or it is not worth copying.
    """
    found: list[dict[int, int]] = []
    for columns, size in zip(planes, sizes, strict=True):
        copied = _copied(columns, size)
        if copied is None:
            return None
        found.append(copied)
    start = min(sizes)
    left = max((-at for each in found for at in each), default=0)
    right = max((at - start + 1 for each in found for at in each), default=0)
    if max(left, right) > WIDEST:
        return None
    tables = [
        np.array(
            [
                [copied.get(at, min(max(at, 0), size - 1)) for at in range(first, first + max(count, 0))]
                for copied, size in zip(found, sizes, strict=True)
            ],
            np.int32,
        )
        for first, count in ((-max(left, 0), left), (start, right))
    ]
    return Border(tables[0], start, tables[1])


def _copied(columns: Iterable[Index], size: int) -> dict[int, int] | None:
    """What is read beyond the ends, by the column where a straight index would find it."""
    found: dict[int, int] = {}
    for index in columns:
        straight, values = index.straight, index.values
        outside = (straight < 0) | (straight >= size)
        if (straight != values)[~outside].any():
            return None
        for at, value in zip(straight[outside].tolist(), values[outside].tolist(), strict=True):
            if not 0 <= value < size or found.setdefault(at, value) != value:
                return None
    return found
