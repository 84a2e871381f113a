"""CMA-ES: for numbers of all kinds, from a few hundred calls on, and the one to beat."""

from __future__ import annotations

import math
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ispdsl.optimise.engine import Ended, Score
from ispdsl.optimise.searchers.designs import spread
from ispdsl.optimise.space import Numbers, Space

SIGMA = 0.25
"""First standard deviation, of the range of an axis."""
FEW = 64
"""Axes with at most so many levels are integers to pycma; more are as good as any number."""
NOBODY = -1
"""Owner of a number that means nothing."""
LEAST = 50
"""Calls from which on one is spent to see whether answers repeat."""


@dataclass(frozen=True, eq=False)
class Coding:
    """What numbers of pycma mean: one is an axis, or a level of an axis without order, of which the largest wins.

    Attributes:
        space: of the points.
        owner: the axis of each number.
        high: its upper bound; the lower is 0. Integers count levels.
        integers: which numbers are integers.
    """

    space: Space
    owner: list[int] = field(default_factory=list[int])
    high: list[float] = field(default_factory=list[float])
    integers: list[int] = field(default_factory=list[int])

    @staticmethod
    def of(space: Space) -> Coding:
        """The coding of a space."""
        coding = Coding(space)
        for index, axis in enumerate(space.axes):
            if not axis.ordered and (axis.levels or 0) > 2:
                coding.owner.extend([index] * (axis.levels or 1))
                coding.high.extend([1.0] * (axis.levels or 1))
            elif axis.levels is not None and 1 < axis.levels <= FEW:
                coding.integers.append(len(coding.owner))
                coding.owner.append(index)
                coding.high.append(axis.levels - 1.0)
            else:
                coding.owner.append(index)
                coding.high.append(1.0)
        if len(coding.owner) == 1:  # pycma knows no problem of one number: a second one means nothing
            coding.owner.append(NOBODY)
            coding.high.append(1.0)
        return coding

    def encoded(self, point: Numbers) -> Numbers:
        """The numbers that pycma knows a point by."""
        owner = np.array(self.owner)
        numbers = point[owner] * self.high
        for index, axis in enumerate(self.space.axes):
            if (own := owner == index).sum() > 1:
                chosen = round(float(point[index]) * ((axis.levels or 1) - 1))
                numbers[own] = np.where(np.arange(own.sum()) == chosen, 0.6, 0.4)
        return numbers

    def decoded(self, numbers: Numbers) -> Numbers:
        """The point that numbers of pycma's mean."""
        owner, relative = np.array(self.owner), np.asarray(numbers, np.float64) / self.high
        parts = (relative[owner == index] for index in range(self.space.size))
        return np.array([part[0] if len(part) == 1 else part.argmax() / (len(part) - 1) for part in parts])


def cma_es(score: Score, space: Space, calls: int, seed: int, start: Numbers | None, /) -> Ended:
    """Covariance matrix adaptation (Hansen and Ostermeier 2001) by pycma, with bounds and integers.

    The mean begins at the start (which is measured first), or at a random point. When a run has converged, another with
    twice as many points in a generation begins at a random one (Auger and Hansen 2005). Where answers do not repeat, it
    recommends the mean of its distribution, of the run whose last generation had the lowest median.
    """
    rng = np.random.default_rng(seed)
    coding = Coding.of(space)
    begin = spread(space, rng.random(space.size)) if start is None else start
    used, noisy = 0, False
    if start is not None or calls >= LEAST:
        first, used = score(begin), 1
        if calls >= LEAST:
            noisy, used = score(begin) != first, 2
    means: list[tuple[float, Numbers]] = []
    popsize = 4 + math.floor(3 * math.log(len(coding.owner)))
    while used < calls:
        strategy, state = _strategy(coding, begin, popsize, int(rng.integers(1, 2**31)))
        median = math.inf
        while used < calls and not strategy.stop():
            with _drawing(state):
                asked = strategy.ask()
            values = [score(coding.decoded(each)) for each in asked[: calls - used]]
            used += len(values)
            median = float(np.median(values))
            if len(values) < len(asked):
                break
            with _drawing(state):
                strategy.tell(asked, values)
        means.append((median, space.snap(coding.decoded(strategy.result.xfavorite))))
        popsize, begin = 2 * popsize, spread(space, rng.random(space.size))
    best = min(means, key=lambda each: each[0])[1] if noisy and means else None
    return Ended("no calls are left", best)


def _strategy(coding: Coding, begin: Numbers, popsize: int, seed: int) -> tuple[Any, list[Any]]:
    """A run of pycma's, and the state of its random numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there is no matplotlib
        import cma
    state = [np.random.RandomState(seed).get_state()]
    high = np.array(coding.high)
    options = {
        "bounds": [[0.0] * len(high), coding.high],
        "CMA_stds": high,
        "integer_variables": coding.integers,
        "popsize": popsize,
        "seed": np.nan,
        "verbose": -9,
        "maxfevals": np.inf,
    }
    with _drawing(state):
        return cma.CMAEvolutionStrategy(coding.encoded(begin), SIGMA, options), state


@contextmanager
def _drawing(state: list[Any]) -> Generator[None]:
    """Let pycma draw from numpy's common generator as if it were its own, and say nothing."""
    before = np.random.get_state()
    np.random.set_state(state[0])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        state[0] = np.random.get_state()
        np.random.set_state(before)
