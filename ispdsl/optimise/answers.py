"""What was seen at points that were asked about: residuals, and their sums of squares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ispdsl.optimise.engine import Score
from ispdsl.optimise.least_squares import cost_of
from ispdsl.optimise.secants import Floats
from ispdsl.optimise.space import Numbers

Residual = Callable[[Numbers], Floats | None]
"""What was seen at a point whose score has just been asked for, ``(M,)``; None where that failed."""

MANY = 200_000
"""Residuals that are looked at, drawn once: there are fewer registers than that."""


@dataclass(frozen=True, eq=False)
class Place:
    """What was seen at a point.

    Attributes:
        point: legal, ``(N,)``.
        residual: ``(M,)``; none where it failed.
        cost: its sum of squares; infinite where it failed.
    """

    point: Numbers
    residual: Floats
    cost: float


@dataclass
class Answers:
    """Asks, and counts.

    Attributes:
        made: calls so far.
    """

    score: Score
    residual: Residual
    rng: np.random.Generator

    def __post_init__(self) -> None:
        self.made = 0
        self._rows: slice | NDArray[np.int64] | None = None
        self._known: set[bytes] = set()

    def known(self, point: Numbers) -> bool:
        """Whether a legal point was asked about."""
        return point.tobytes() in self._known

    def at(self, point: Numbers) -> Place:
        """What is seen at a legal point; each is a call."""
        self._known.add(point.tobytes())
        self.made += 1
        self.score(point)
        found = self.residual(point)
        if found is None:
            return Place(point, np.zeros(0, np.float32), np.inf)
        if self._rows is None:
            many = found.size > MANY
            self._rows = np.sort(self.rng.choice(found.size, MANY, replace=False)) if many else slice(None)
        found = found[self._rows].astype(np.float32)
        return Place(point, found, cost_of(found))
