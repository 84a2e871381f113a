"""Ordered dither: a fixed pattern about zero, so that rounding to few bits spreads its error. ``(..., C, H, W)``."""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor

from ispdsl.programs.ops import Scalar, at_least_single, constant
from ispdsl.programs.tiling import repeats

Table = tuple[tuple[int, ...], ...]
Cell = tuple[int, int]

CLUSTER_SIZE = 16
"""Rows and columns of the void-and-cluster table; it repeats without a seam."""

CLUSTER_SIGMA = 1.5
"""Standard deviation in cells of the Gaussian by which voids and clusters are told (Ulichney 1993)."""


@repeats(16)
def dither(image: Tensor, *, amount: Scalar, bits: Scalar, pattern: str) -> Tensor:
    """Add a pattern of mean 0 that is `amount` steps of a code of `bits` high; the three planes get the same.

    The pattern is ``(rank + 1/2) / count - 1/2`` of a table of ranks, repeated from the top left corner. At amount 1,
    rounding afterwards gives on average over a tile what was there before.

    Args:
        image: ``(..., C, H, W)``, any range.
        amount: height of the pattern in steps (lsb), 0 (the identity) to 2.
        bits: width of the codes to come, 1 to 16: a step is ``1 / (2 ** bits - 1)``.
        pattern: ``bayer`` (8x8) or ``void_and_cluster`` (16x16).
    """
    work = at_least_single(image)
    table = bayer() if pattern == "bayer" else void_and_cluster()
    size = len(table)
    ranks = torch.tensor(table, dtype=work.dtype).to(work.device)
    rows, columns = (torch.arange(count, device=work.device) % size for count in work.shape[-2:])
    offsets = (ranks[rows][:, columns] + 0.5) / size**2 - 0.5
    step = 1 / (torch.exp2(constant(bits, work)) - 1)
    return (work + constant(amount, work) * step * offsets).to(image.dtype)


def bayer() -> Table:
    """Ranks 0..63 of the 8x8 matrix of Bayer 1973, "An optimum method for two-level rendition of continuous-tone"."""
    ranks = ((0,),)
    while len(ranks) < 8:
        upper = tuple(tuple(4 * r for r in row) + tuple(4 * r + 2 for r in row) for row in ranks)
        lower = tuple(tuple(4 * r + 3 for r in row) + tuple(4 * r + 1 for r in row) for row in ranks)
        ranks = upper + lower
    return ranks


@cache
def void_and_cluster() -> Table:
    """Ranks 0..255 of a 16x16 table of blue noise: Ulichney 1993, "The void-and-cluster method".

    A tenth of the cells start as ones, and the tightest cluster moves into the largest void until that moves none.
    Ones taken from the tightest cluster then rank downwards, cells put into the largest void upwards. Ulichney's third
    phase, which changes from voids of zeros to clusters of zeros at half, is the second seen from the other side: with
    a Gaussian that sums to a constant over the torus, both choose the same cells.
    """
    cells = [(row, column) for row in range(CLUSTER_SIZE) for column in range(CLUSTER_SIZE)]
    ones = _relaxed({cells[(97 * k) % len(cells)] for k in range(len(cells) // 10)})
    ranks: dict[Cell, int] = {}
    energy, left = _energy(ones), set(ones)
    while left:
        tightest = max(sorted(left), key=energy.__getitem__)
        left.remove(tightest)
        _spread(energy, tightest, -1)
        ranks[tightest] = len(left)
    energy, empty = _energy(ones), [cell for cell in cells if cell not in ones]
    while empty:
        void = min(empty, key=energy.__getitem__)
        empty.remove(void)
        _spread(energy, void, 1)
        ranks[void] = len(cells) - len(empty) - 1
    return tuple(tuple(ranks[row, column] for column in range(CLUSTER_SIZE)) for row in range(CLUSTER_SIZE))


def _relaxed(ones: set[Cell]) -> set[Cell]:
    """Move the tightest cluster into the largest void until the cell that leaves is the one that comes back."""
    ones = set(ones)
    energy = _energy(ones)
    while True:
        tightest = max(sorted(ones), key=energy.__getitem__)
        ones.remove(tightest)
        _spread(energy, tightest, -1)
        void = min((cell for cell in sorted(energy) if cell not in ones), key=energy.__getitem__)
        ones.add(void)
        _spread(energy, void, 1)
        if void == tightest:
            return ones


def _energy(ones: set[Cell]) -> dict[Cell, int]:
    """For each cell the sum of Gaussians about the ones, on a torus."""
    energy = {(row, column): 0 for row in range(CLUSTER_SIZE) for column in range(CLUSTER_SIZE)}
    for one in sorted(ones):
        _spread(energy, one, 1)
    return energy


def _spread(energy: dict[Cell, int], centre: Cell, sign: int) -> None:
    """Add the Gaussian about a cell, or take it away: in whole numbers, so that ties are ties on every machine."""
    for cell in energy:
        squares = (min(abs(a - b), CLUSTER_SIZE - abs(a - b)) ** 2 for a, b in zip(cell, centre, strict=True))
        energy[cell] += sign * round(2**30 * math.exp(-sum(squares) / (2 * CLUSTER_SIGMA**2)))
