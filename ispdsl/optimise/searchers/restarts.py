"""Local searches that begin again while calls are left, for those that know only numbers and get stuck."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ispdsl.optimise.engine import Score
from ispdsl.optimise.searchers.designs import spread
from ispdsl.optimise.space import Numbers, Space

Local = Callable[[Score, Numbers, Numbers], None]
"""Makes a function of ``(n,)`` numbers from 0 to 1 small, from a point; last come the steps from one legal value
of each number to the next, 0 where there is none."""


def restarted(local: Local, score: Score, space: Space, seed: int, start: Numbers | None) -> str:
    """Search locally from the start, and from random points after that, until there is no call left.

    Axes without order stay as they are within a local search. After it their levels are tried one after the other;
    where one is better, the search goes on from there.
    """
    rng = np.random.default_rng(seed)
    free = np.array([axis.ordered and axis.levels != 1 for axis in space.axes])
    steps = np.array([0.0 if axis.levels is None else 1 / max(axis.levels - 1, 1) for axis in space.axes])[free]
    point = spread(space, rng.random(space.size)) if start is None else start
    while True:
        best, lowest = point, score(point)

        def part(numbers: Numbers, frame: Numbers = point) -> float:
            nonlocal best, lowest
            whole = frame.copy()
            whole[free] = np.clip(numbers, 0.0, 1.0)
            value = score(whole)
            if value < lowest:
                best, lowest = space.snap(whole), value
            return value

        if free.any():
            local(part, point[free], steps)
        before, point = lowest, best
        for axis in np.flatnonzero(~free):
            levels = space.axes[axis].levels or 1
            for level in range(levels):
                other = best.copy()
                other[axis] = level / max(levels - 1, 1)
                if other[axis] != best[axis] and (value := score(other)) < lowest:
                    best, lowest = other, value
        point = best if lowest < before else spread(space, rng.random(space.size))
