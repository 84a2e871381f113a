"""How sure a score of some pictures is: intervals by the bootstrap (Efron and Tibshirani 1993, chapter 13)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
SURE = 0.95


class Interval(NamedTuple):
    """A score, and where it lies with 95 %."""

    value: float
    low: float
    high: float


Statistic = Callable[[NDArray[np.int64]], float]
"""The score of some pictures, named by their numbers; a number may come more than once."""


def bootstrap(statistic: Statistic, count: int, *, seed: int = 0, resamples: int = RESAMPLES) -> Interval:
    """The percentile interval of a score of `count` pictures, which are drawn again with replacement.

    For the difference of two ways to look at the same pictures let `statistic` be the difference of their scores: both
    are then of the same draws, and what makes a picture hard for both does not widen the interval.

    Raises:
        ValueError: there is no picture.
    """
    if count < 1:
        raise ValueError("there is no picture to draw")
    rng = np.random.default_rng(seed)
    drawn = [statistic(rng.integers(0, count, count)) for _ in range(resamples)]
    low, high = np.quantile(drawn, [(1 - SURE) / 2, (1 + SURE) / 2])
    return Interval(statistic(np.arange(count)), float(low), float(high))


def of_mean(values: NDArray[np.float64], *, seed: int = 0, resamples: int = RESAMPLES) -> Interval:
    """The interval of the mean of ``(N,)`` values, such as one for each seed, or differences of pairs.

    Raises:
        ValueError: there is no value.
    """
    return bootstrap(lambda drawn: float(values[drawn].mean()), len(values), seed=seed, resamples=resamples)
