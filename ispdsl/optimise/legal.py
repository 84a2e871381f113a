"""The best legal point of a quadratic model: numbers within their ranges, registers at codes.

Codes are not those next to the real minimum: registers that do much the same are not rounded apart. They are gone
through one after the other, each moved to where the model is lowest given the others.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear

from ispdsl.optimise.space import Numbers, Space

FARTHEST = 0.3
"""No number is moved farther than this, as a part of its range."""

SWEEPS = 8
"""How often all codes of a step are gone through."""


def lowest(space: Space, x: Numbers, free: NDArray[np.intp], normal: Numbers, slope: Numbers) -> Numbers:
    """The legal point ``x + s`` where ``s^T A s + 2 s^T b`` is lowest, as near as coordinate descent finds it.

    Args:
        space: what is legal.
        x: where the model is of, legal, ``(N,)``.
        free: the numbers that are moved, ``(F,)``.
        normal: A, positive definite, ``(F, F)``.
        slope: b, ``(F,)``.
    """
    low, high = np.maximum(-x[free], -FARTHEST), np.minimum(1 - x[free], FARTHEST)
    root = np.linalg.cholesky(normal).T
    aim = -np.linalg.solve(root.T, slope)
    move = np.linalg.solve(root, aim)
    if np.any((move < low) | (move > high)):
        move = lsq_linear(root, aim, (low - 1e-12, high + 1e-12)).x
    levels = np.array([space.axes[axis].levels or 0 for axis in free])
    point = x.copy()
    point[free] += _coded(x[free], levels - 1, move, normal, slope)
    return space.snap(point)


def _coded(at: Numbers, steps: NDArray[np.int64], move: Numbers, normal: Numbers, slope: Numbers) -> Numbers:
    """A legal move near a real one: its codes, one after the other, where the model is lowest given the others."""
    places, last, curved = at.tolist(), steps.tolist(), np.diag(normal).tolist()

    def moved(place: int, by: float) -> float:
        """The nearest legal move of one number."""
        there = min(max(places[place] + min(max(by, -FARTHEST), FARTHEST), 0.0), 1.0)
        return (round(there * last[place]) / last[place] if last[place] > 0 else there) - places[place]

    found = [moved(place, by) for place, by in enumerate(move.tolist())]
    pull = slope + normal @ found
    for _ in range(SWEEPS):
        before = found.copy()
        for place in np.flatnonzero(steps > 0).tolist():
            to = moved(place, found[place] - float(pull[place]) / curved[place])
            if to != found[place]:
                pull += normal[:, place] * (to - found[place])
                found[place] = to
        if before == found:
            break
    return np.array(found)
