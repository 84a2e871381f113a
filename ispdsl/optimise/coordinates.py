"""One number after the other, as long as it helps: neighbouring codes of registers, other names of choices.

The pattern search of Hooke and Jeeves, "Direct Search Solution of Numerical and Statistical Problems", Journal of the
ACM 8(2), 1961, without its diagonal moves: steps grow where they help and are halved where none does, down to one code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from ispdsl.optimise.engine import Score
from ispdsl.optimise.space import Axis, Numbers, Space

FIRST, LAST = 0.1, 1e-3
"""The first step of a number that may be anything, and the smallest, as parts of its range."""

Made = Callable[[Score, Space, int, int, Numbers | None], str]
"""A searcher that always says in words why it ended, and recommends what scored lowest."""

NOTHING: Mapping[bytes, float] = MappingProxyType({})


def coordinates(first: float = FIRST, known: Mapping[bytes, float] = NOTHING) -> Made:
    """A search along one axis at a time, which asks about no point twice.

    Args:
        first: the first step, as a part of the range.
        known: scores of legal points that are known already, by their bytes.
    """

    def search(asked: Score, space: Space, calls: int, seed: int, start: Numbers | None, /) -> str:
        answers = dict(known)

        def score(point: Numbers) -> float:
            key = point.tobytes()
            if key not in answers:
                answers[key] = asked(point)
            return answers[key]

        rng = np.random.default_rng(seed)
        x = space.snap(np.full(space.size, 0.5) if start is None else start)
        best = score(x)
        least = np.array([_least(axis) for axis in space.axes])
        steps = np.maximum(first, least)
        while True:
            before, moved = best, np.zeros(space.size, np.bool_)
            for axis in rng.permutation(space.size):
                then = best
                x, best = _along(score, space, x, best, int(axis), steps)
                moved[axis] = best < then
            if best < before:
                continue
            if np.all(steps <= least):
                return "no neighbour is better"
            steps = np.maximum(steps / 2, least)

    return search


def _least(axis: Axis) -> float:
    """The smallest step of an axis: one code of a register."""
    return LAST if axis.levels is None else 1 / max(axis.levels - 1, 1)


def _along(score: Score, space: Space, x: Numbers, best: float, axis: int, steps: Numbers) -> tuple[Numbers, float]:
    """The best point that is found along an axis, and its score; the axis's step grows where it helped."""
    if not space.axes[axis].ordered:
        for level in range(space.axes[axis].levels or 1):
            x, best, _ = _tried(score, space, x, best, axis, level / max((space.axes[axis].levels or 1) - 1, 1))
        return x, best
    for sign in (1, -1):
        better, length = True, steps[axis]
        while better:
            x, best, better = _tried(score, space, x, best, axis, x[axis] + sign * length)
            length *= 2 if better else 1
        if length > steps[axis]:
            break
    return x, best


def _tried(score: Score, space: Space, x: Numbers, best: float, axis: int, place: float) -> tuple[Numbers, float, bool]:
    """Move to a place of an axis where that is better."""
    other = x.copy()
    other[axis] = place
    other = space.snap(other)
    if np.array_equal(other, x):
        return x, best, False
    value = score(other)
    return (other, value, True) if value < best else (x, best, False)
