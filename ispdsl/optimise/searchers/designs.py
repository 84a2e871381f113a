"""Points that no answer changes: at random, or a Latin hypercube. What every searcher should beat."""

from __future__ import annotations

import numpy as np
from scipy.stats import qmc

from ispdsl.optimise.engine import Score
from ispdsl.optimise.space import Numbers, Space


def random(score: Score, space: Space, calls: int, seed: int, start: Numbers | None, /) -> str:
    """Independent points, evenly over the cube; the start comes first."""
    count = calls - (start is not None)
    return _measured(score, space, np.random.default_rng(seed).random((count, space.size)), start)


def latin(score: Score, space: Space, calls: int, seed: int, start: Numbers | None, /) -> str:
    """A Latin hypercube (McKay et al. 1979): each axis is cut into as many pieces as there are points."""
    count = calls - (start is not None)
    return _measured(score, space, qmc.LatinHypercube(space.size, rng=np.random.default_rng(seed)).random(count), start)


def _measured(score: Score, space: Space, points: Numbers, start: Numbers | None) -> str:
    if start is not None:
        score(start)
    for point in points:
        score(spread(space, point))
    return "all points of the design are measured"


def spread(space: Space, point: Numbers) -> Numbers:
    """A point whose even draws hit every level of an axis equally often; rounding alone gives the two ends half."""
    levels = np.array([axis.levels or 0 for axis in space.axes])
    pieces = np.minimum(np.floor(point * levels), np.maximum(levels - 1, 0)) / np.maximum(levels - 1, 1)
    return np.where(levels > 0, pieces, point)
