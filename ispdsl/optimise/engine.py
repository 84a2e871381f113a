"""One engine: a `Space` is free, a function of its points is measured, and a searcher decides where to look.

found = search(cma_es, score, space, calls=200, seed=0, ledger=Ledger(path, about))
found.point, found.value, found.path

Every call is counted and written down. A search that is begun again with the same ledger asks for the same points, is
given the answers that are there, and so goes on where it was stopped.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ispdsl.optimise.ledger import Ledger
from ispdsl.optimise.space import Numbers, Space

Score = Callable[[Numbers], float]
"""What is made small, at a legal point ``(N,)`` of the unit cube."""

HUGE = 1e30
"""What a searcher is told where nothing has been measured yet and the first score is no number."""


REPEATS = 20
"""Times that every point of a small space is measured on average before there is nothing more to learn of it."""


class SpentError(Exception):
    """There is no call left. Searchers let it pass."""


@dataclass(frozen=True, eq=False)
class Ended:
    """What a searcher says at its end.

    Attributes:
        why: it ended, in words.
        recommended: the point ``(N,)`` that it holds to be the best, where that is not the one with the lowest score.
            Under noise the lowest of many scores is the luckiest one; who knows better names its point here.
    """

    why: str
    recommended: Numbers | None = None


class Searcher(Protocol):
    """Decides where to look.

    It calls `score` as often as it likes, up to `calls` times; the one after raises `SpentError`, which it lets pass.
    The same seed and the same answers make the same calls. Points are snapped to what is legal before they are
    measured. It returns why it ended, in words, or with the point that it recommends: then it makes no call too many.
    """

    def __call__(self, score: Score, space: Space, calls: int, seed: int, start: Numbers | None, /) -> str | Ended:
        """Search."""
        ...


@dataclass(frozen=True, eq=False)
class Evaluation:
    """One call.

    Attributes:
        point: where, ``(N,)``.
        value: the score there; not finite where it failed.
        seconds: that it took.
    """

    point: Numbers
    value: float
    seconds: float


@dataclass(frozen=True, eq=False)
class Found:
    """Where a search ended.

    Attributes:
        evaluations: all calls, in order.
        why: what ended it, in words.
        named: the point that the searcher recommends, where it named one.
    """

    evaluations: tuple[Evaluation, ...]
    why: str
    named: Numbers | None = None

    @property
    def recommended(self) -> Numbers:
        """What to go on with: the point that the searcher recommends, else where the score was lowest."""
        return self.point if self.named is None else self.named

    @property
    def best(self) -> Evaluation:
        """The first of the lowest scores."""
        return min(self.evaluations, key=lambda each: each.value if math.isfinite(each.value) else math.inf)

    @property
    def point(self) -> Numbers:
        """Where the score was lowest."""
        return self.best.point

    @property
    def value(self) -> float:
        """The lowest score."""
        return self.best.value

    @property
    def path(self) -> Numbers:
        """The lowest score so far, after each call."""
        values = np.array([each.value for each in self.evaluations])
        return np.minimum.accumulate(np.where(np.isfinite(values), values, np.inf))


def search(
    searcher: Searcher,
    score: Score,
    space: Space,
    *,
    calls: int,
    seed: int = 0,
    start: Numbers | None = None,
    enough: float = -math.inf,
    ledger: Ledger | None = None,
    told: Callable[[int, float], None] | None = None,
) -> Found:
    """Make a score small.

    Args:
        searcher: who decides where to look.
        score: what is measured. Where it is not finite the call counts as failed, and the searcher is told the worst
            finite score so far.
        space: what is free.
        calls: of `score`, at most.
        seed: of everything that is drawn.
        start: where to begin, ``(N,)``; searchers that need no beginning measure it first.
        enough: stop at this score.
        ledger: where calls are written down, and where those of a search that was stopped are read.
        told: called after each call with their number and the lowest score so far.

    Raises:
        ValueError: there is nothing to search, or no call.
        LedgerError: the ledger is of another search, or cannot be written.
    """
    if not space.size or calls < 1:
        raise ValueError("there is nothing to search: no free number, or no calls")
    made: list[Evaluation] = []
    best = worst = math.nan
    most = REPEATS * math.prod(axis.levels or 1 for axis in space.axes) if space.discrete.all() else math.inf

    def asked(point: Numbers) -> float:
        nonlocal best, worst
        if len(made) >= min(calls, most) or best <= enough:
            raise SpentError
        legal = space.snap(point)
        known = None if ledger is None else ledger.answer(len(made), legal)
        if known is None:
            begun = time.perf_counter()
            value = float(score(legal))
            evaluation = Evaluation(legal, value, time.perf_counter() - begun)
            if ledger is not None:
                ledger.add(legal, (value,), evaluation.seconds)
        else:
            (value,), seconds = known
            evaluation = Evaluation(legal, value, seconds)
        made.append(evaluation)
        if math.isfinite(evaluation.value):
            best, worst = np.fmin(best, evaluation.value), np.fmax(worst, evaluation.value)
        if told is not None:
            told(len(made), float(best))
        if math.isfinite(evaluation.value):
            return evaluation.value
        return HUGE if math.isnan(worst) else float(worst)

    try:
        said = searcher(asked, space, calls, seed, None if start is None else space.snap(start))
    except SpentError:
        spent = "no calls are left" if len(made) >= calls else "every point was measured many times"
        said = "it is as near as was asked for" if best <= enough else spent
    ended = said if isinstance(said, Ended) else Ended(said)
    return Found(tuple(made), ended.why, None if ended.recommended is None else space.snap(ended.recommended))
