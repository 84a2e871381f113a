"""Times of several calls taken by turns, so that whatever else the machine does disturbs all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ispdsl.bench.contender import Call

LEAST, MOST = 3, 400
"""Rounds."""

Clock = Callable[[], float]
Told = Callable[[int, int, str], None]
"""Called before each call with the number of calls made, how many there may be, and the name."""


@dataclass(frozen=True)
class Spread:
    """Quartiles of some numbers."""

    low: float
    median: float
    high: float


def in_turns(
    calls: Mapping[str, Call], seconds: float, clock: Clock = time.perf_counter, told: Told | None = None
) -> dict[str, tuple[float, ...]]:
    """Seconds of each call in each round. All are called in every round, each time another one first.

    Args:
        calls: by name; each has been called before, to warm up.
        seconds: after which no further round begins; there are at least 3.
        clock: seconds from some moment.
        told: hears of every call.
    """
    taken: dict[str, list[float]] = {name: [] for name in calls}
    names, begun, turn = list(calls), clock(), 0
    while names and turn < MOST and (turn < LEAST or clock() - begun < seconds):
        first = turn % len(names)
        for place, name in enumerate(names[first:] + names[:first]):
            if told is not None:
                told(turn * len(names) + place, (turn + 1) * len(names), name)
            before = clock()
            result = calls[name]()
            taken[name].append(clock() - before)
            del result
        turn += 1
    return {name: tuple(each) for name, each in taken.items()}


def spread(numbers: Sequence[float]) -> Spread:
    """The quartiles; of a single number that number."""
    if len(numbers) < 2:
        return Spread(numbers[0], numbers[0], numbers[0])
    low, median, high = statistics.quantiles(numbers, n=4, method="inclusive")
    return Spread(low, median, high)


def ratio(numerator: Sequence[float], denominator: Sequence[float]) -> Spread:
    """How many times as long one call takes as another, round by round."""
    return spread([above / below for above, below in zip(numerator, denominator, strict=True)])
