"""Tuning: the settings with which a pipeline does a task best, as the real thing renders them.

What is free, what is measured and who searches are each a value: `Free`, `Task`, `Method`. A double may be searched in
the real thing's place, but the score of the answer is the real thing's, and what the double believed stands beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from ispdsl.errors import UserError
from ispdsl.interrupts import said
from ispdsl.optimise.engine import Ended, Found, Score, Searcher, search
from ispdsl.optimise.free import Free
from ispdsl.optimise.hybrids import polished, refined, verified
from ispdsl.optimise.ledger import Ledger
from ispdsl.optimise.secants import Floats
from ispdsl.optimise.space import Numbers, Space
from ispdsl.optimise.tasks.task import Picture, Task
from ispdsl.runtime.values import Settings

if TYPE_CHECKING:
    from ispdsl.optimise.rendering import Render

Mode = Literal["real", "verify", "refine"]
"""Search on the real thing; on the double, and verify the best; on the double, corrected by the real thing."""

PATIENCE = 5
"""Calls that may fail one after the other."""


class Asked:
    """What renders and measures at points of a space: the real thing, or a double.

    It remembers its first pictures, the last, and those with the lowest score; and what the last failure said.
    """

    def __init__(self, free: Free, task: Task, render: Render) -> None:
        """Nothing is rendered yet."""
        self.free = free
        self.task = task
        self.calls = 0
        self.failed = 0
        self.fault: str | None = None
        self._render = render
        self._in_a_row = 0
        self._best = math.inf
        self._bad = b""
        self._kept: dict[str, tuple[bytes, Sequence[Picture]]] = {}

    def pictures(self, point: Numbers) -> Sequence[Picture]:
        """What is rendered at a legal point.

        Raises:
            UserError: it cannot be rendered.
        """
        key = point.tobytes()
        for known, pictures in self._kept.values():
            if known == key:
                return pictures
        return self._made(point)

    def _made(self, point: Numbers) -> Sequence[Picture]:
        self.calls += 1
        made = point.tobytes(), self._render(*self.free.all_at(point))
        self._kept["last"] = made
        self._kept.setdefault("first", made)
        return made[1]

    def score(self, point: Numbers) -> float:
        """The task's number at a point, rendered anew, for answers may not repeat; nan where it cannot be rendered.

        Raises:
            UserError: nothing has ever been rendered, or too many calls failed one after the other.
        """
        try:
            pictures = self._made(point)
            value = float(self.task.measure(pictures))
        except UserError as error:
            self._bad = point.tobytes()
            self.fault = str(error)
            self.failed += 1
            self._in_a_row += 1
            if self.failed == self.calls or self._in_a_row >= PATIENCE:
                raise
            return math.nan
        self._in_a_row = 0
        if value < self._best:
            self._best = value
            self._kept["best"] = point.tobytes(), pictures
        return value

    def residual(self, point: Numbers) -> Floats | None:
        """What is squared in the score at a point; None where it cannot be rendered.

        Raises:
            ValueError: the task is no sum of squares.
        """
        if self.task.residual is None:
            raise ValueError(f"{self.task.name} is no sum of squares")
        legal = self.free.space.snap(point)
        if self._bad == legal.tobytes():
            return None
        try:
            return self.task.residual(self.pictures(legal))
        except UserError:
            return None


Chosen = Callable[[Asked], Searcher]
"""Who searches, given what is asked: most searchers look at the score alone."""


@dataclass(frozen=True)
class Method:
    """How to search.

    Attributes:
        searcher: who searches.
        mode: on what.
        calls: of the real thing, at most; a call renders all raws once.
        believed_calls: of the double, at most; with ``refine`` for each call of the real thing.
        best: with ``verify``, how many points the real thing is asked about.
        polish: the part of the calls that is kept for a search along single axes at the end.
        seed: of everything that is drawn.
        enough: stop at this score.
    """

    searcher: Chosen
    mode: Mode = "real"
    calls: int = 200
    believed_calls: int = 2000
    best: int = 5
    polish: float = 0.2
    seed: int = 0
    enough: float = -math.inf


@dataclass(frozen=True, eq=False)
class Tuned:
    """The answer.

    Attributes:
        each: the settings that were found: one for all images, or of each where some are an image's own. They are where
            the score was lowest, or under noise what the searcher recommends, if that was asked for.
        score, score_before: of the real thing with them, and at the start; the mean of all calls there.
        believed, believed_before: what the double says of both; None without one.
        pictures, before: as the real thing renders them.
        found: every call of the real thing, the first at the start.
        calls, believed_calls: of the real thing and of the double.
        failed: calls of the real thing that gave no picture.
        fault: what the last of them said; None where none failed, or not since the ledger was read.
    """

    each: tuple[Settings, ...]
    score: float
    score_before: float
    believed: float | None
    believed_before: float | None
    pictures: Sequence[Picture]
    before: Sequence[Picture]
    found: Found
    believed_calls: int
    failed: int
    fault: str | None

    @property
    def settings(self) -> Settings:
        """What was found; of the first image."""
        return self.each[0]

    @property
    def calls(self) -> int:
        """Of the real thing."""
        return len(self.found.evaluations)

    @property
    def recommended(self) -> Numbers | None:
        """Where the searcher recommended it: the scores of all calls there, of which `score` is the mean; else None."""
        named = self.found.named
        return None if named is None else _scores_at(self.found, named)


def tune(
    free: Free,
    task: Task,
    render: Render,
    method: Method,
    *,
    believed: Render | None = None,
    ledger: Ledger | None = None,
    told: Callable[[int, float], None] | None = None,
) -> Tuned:
    """Find the settings with which a task is done best.

    Ctrl-C ends the search, not the answer: what was best until then is returned.

    Args:
        free: what is free, and where the search begins.
        task: what is made small.
        render: the real thing.
        method: how.
        believed: a double of the real thing; ``verify`` and ``refine`` search on it.
        ledger: where calls of the real thing are written down, and where those of a search that was stopped are read.
        told: called after each call of the real thing with their number and the lowest score so far.

    Raises:
        ValueError: the mode needs a double, the searcher a sum of squares, or what is rendered does not fit the task.
        UserError: the real thing cannot render the start.
        LedgerError: the ledger is of another search, or cannot be written.
    """
    real = Asked(free, task, render)
    double = None if believed is None else Asked(free, task, believed)
    start = free.space.snap(free.start)

    def whole(score: Score, space: Space, calls: int, seed: int, begin: Numbers | None, /) -> str | Ended:
        rest = _after(score, start)
        try:
            return _searcher(real, double, method)(rest, space, calls - 1, seed, begin)
        except KeyboardInterrupt as error:
            return said(error)

    found = search(
        whole, real.score, free.space, calls=method.calls, seed=method.seed, start=start, enough=method.enough,
        ledger=ledger, told=told,
    )  # fmt: skip
    if found.named is not None and not _scores_at(found, found.named).size:
        found = replace(found, named=None)  # no call was left to ask about it
    best = found.recommended
    return Tuned(
        each=free.all_at(best),
        score=found.value if found.named is None else float(_scores_at(found, best).mean()),
        score_before=found.evaluations[0].value,
        believed=None if double is None else double.score(best),
        believed_before=None if double is None else double.score(start),
        pictures=real.pictures(best),
        before=real.pictures(start),
        found=found,
        believed_calls=0 if double is None else double.calls,
        failed=real.failed,
        fault=real.fault,
    )


def _scores_at(found: Found, point: Numbers) -> Numbers:
    """What was measured at a point, without calls that failed."""
    values = [each.value for each in found.evaluations if np.array_equal(each.point, point)]
    return np.array([value for value in values if math.isfinite(value)])


def _searcher(real: Asked, double: Asked | None, method: Method) -> Searcher:
    """Who searches the real thing, all in all."""
    if method.mode == "real":
        return polished(method.searcher(real), method.polish)
    if double is None:
        raise ValueError(f"{method.mode} searches a double, and there is none")
    if method.mode == "verify":
        first = verified(double.score, method.searcher(double), method.believed_calls, method.best)
    else:
        first = refined(double.score, method.searcher(double), method.believed_calls)
    return polished(first, method.polish)


def _after(score: Score, start: Numbers) -> Score:
    """A score whose value at the start is known: who searches and who polishes are told it, and spend no call."""
    first = [score(start)] * 2

    def asked(point: Numbers) -> float:
        if first and np.array_equal(point, start):
            return first.pop()
        return score(point)

    return asked
