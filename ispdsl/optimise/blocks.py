"""A Jacobian in blocks: some residuals in a row depend on a few of the numbers, and on no other.

Pictures with settings of their own are such: what is one picture's own moves no other. Zeros are neither computed nor
kept. The secant update keeps them too: Schubert, "Modification of a Quasi-Newton Method for Nonlinear Equations with a
Sparse Jacobian", Mathematics of Computation 24, 1970; of a single block it is Broyden's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Floats = NDArray[np.floating]

PIECE = 1 << 18
"""Rows that are taken to double precision at once."""


@dataclass(frozen=True, eq=False)
class Block:
    """Residuals in a row, and what they depend on.

    Attributes:
        slopes: derivatives, ``(m, n)``.
        columns: which of all numbers they are by, ``(n,)``.
    """

    slopes: Floats
    columns: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Blocks:
    """Derivatives of residuals ``(M,)`` by numbers ``(N,)``.

    Attributes:
        parts: in the order of the residuals.
        size: how many numbers there are.
    """

    parts: tuple[Block, ...]
    size: int

    @staticmethod
    def of(slopes: Floats | Blocks) -> Blocks:
        """A full matrix ``(M, N)`` as one block; blocks as they are."""
        if isinstance(slopes, Blocks):
            return slopes
        return Blocks((Block(slopes, np.arange(slopes.shape[1])),), slopes.shape[1])

    @property
    def rows(self) -> NDArray[np.int64]:
        """How many residuals depend on each number, ``(N,)``."""
        found = np.zeros(self.size, np.int64)
        for part in self.parts:
            found[part.columns] += len(part.slopes)
        return found

    def zeros(self) -> Blocks:
        """The same blocks with nothing in them."""
        return Blocks(tuple(Block(np.zeros_like(part.slopes), part.columns) for part in self.parts), self.size)

    def plus(self, other: Blocks) -> Blocks:
        """The sum with the same blocks of others."""
        both = zip(self.parts, other.parts, strict=True)
        return Blocks(tuple(Block(one.slopes + two.slopes, one.columns) for one, two in both), self.size)

    def times(self, move: Numbers) -> Floats:
        """What a move ``(N,)`` changes, ``(M,)``."""
        found = [part.slopes @ move[part.columns].astype(part.slopes.dtype) for part in self.parts]
        return found[0] if len(found) == 1 else np.concatenate(found)

    def learn(self, missed: Floats, move: Numbers) -> None:
        """Change the blocks so that a move changes this much more, and as little else as can be."""
        for part, rows in self._rows():
            mine = move[part.columns]
            length = mine @ mine
            if length > 0:
                part.slopes[...] += np.outer(missed[rows], mine / length).astype(part.slopes.dtype)

    def normal(self, weights: Floats | None) -> Numbers:
        """``J^T W J``, ``(N, N)``."""
        total = np.zeros((self.size, self.size))
        for part, rows in self._rows():
            some = None if weights is None else weights[rows]
            total[np.ix_(part.columns, part.columns)] += _product(part.slopes, part.slopes, some)
        return total

    def pull(self, residual: Floats, weights: Floats | None) -> Numbers:
        """``J^T W r``, ``(N,)``."""
        total = np.zeros(self.size)
        for part, rows in self._rows():
            some = None if weights is None else weights[rows]
            total[part.columns] += _product(part.slopes, residual[rows, None], some)[:, 0]
        return total

    def system(self, residual: Floats, weights: Floats | None) -> tuple[Numbers, Numbers]:
        """``J^T W J`` and ``J^T W r``: of the normal equations."""
        return self.normal(weights), self.pull(residual, weights)

    def scores(self, pull: Floats, groups: NDArray[np.int64]) -> Numbers:
        """``J^T v`` of every group of residuals by itself, ``(G, N)``.

        Args:
            pull: ``(M,)``.
            groups: of each residual, counted from 0, ``(M,)``.
        """
        total = np.zeros((int(groups.max()) + 1, self.size))
        for part, rows in self._rows():
            for column, slopes in zip(part.columns, part.slopes.T, strict=True):
                total[:, column] += np.bincount(groups[rows], slopes * pull[rows], len(total))
        return total

    def _rows(self) -> Iterator[tuple[Block, slice]]:
        """Each block with the places of its residuals."""
        start = 0
        for part in self.parts:
            yield part, slice(start, start + len(part.slopes))
            start += len(part.slopes)


def side_by_side(parts: Sequence[tuple[Floats, NDArray[np.int64]]], size: int) -> Blocks:
    """Blocks of derivatives and the numbers that they are by, of so many numbers in all.

    Where all are by all numbers they are one matrix.
    """
    if all(np.array_equal(columns, np.arange(size)) for _, columns in parts):
        return Blocks.of(np.concatenate([slopes for slopes, _ in parts]) if len(parts) > 1 else parts[0][0])
    return Blocks(tuple(Block(*part) for part in parts), size)


def _product(first: Floats, second: Floats, weights: Floats | None) -> Numbers:
    """``A^T W B`` in double precision, by pieces: a picture's worth of rows need not be copied at once."""
    total = np.zeros((first.shape[1], second.shape[1]))
    for start in range(0, len(first), PIECE):
        rows = slice(start, start + PIECE)
        left = first[rows].astype(np.float64)
        left = left if weights is None else left * weights[rows, None]
        total += left.T @ second[rows].astype(np.float64)
    return total
