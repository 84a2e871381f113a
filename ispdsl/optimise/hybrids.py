"""Searchers made of searchers: a polish at the end, a double that is searched first, a double that is corrected.

Each is a searcher of the real thing: what it asks of the double counts nowhere, and what it finds is what the real
thing gave.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from ispdsl.optimise.coordinates import Made, coordinates
from ispdsl.optimise.engine import Ended, Found, Score, Searcher, SpentError, search
from ispdsl.optimise.space import Axis, Numbers, Space

POLISH = 0.01
"""The first step of a polish, as a part of the range."""

AGAIN = 5
"""Calls that ask again about what a searcher recommends under noise."""

APART = 0.03
"""How far candidates of the double lie apart in some direction, as a part of the range."""

WIDEST, NARROWEST = 0.35, 2e-3
"""Half the width of the first trust region, and of the last, as parts of the range."""

GOOD, POOR = 0.7, 0.2
"""Shares of the foreseen gain from which the trust region grows, and below which it shrinks."""

STIFF = 1e-3
"""How much the trend of what a double has wrong is held flat: in squares of parts of the range."""


class _ShareSpentError(SpentError):
    """One searcher among several has had its share of the calls."""


@dataclass(eq=False)
class _Share:
    """A part of the calls, and the best of it."""

    score: Score
    space: Space
    calls: int
    point: Numbers | None = None
    value: float = math.inf
    asked: int = 0
    noisy: bool = False
    """Whether a point that was asked about twice gave two answers."""
    known: dict[bytes, float] = field(default_factory=dict[bytes, float])
    _end: _ShareSpentError = field(default_factory=_ShareSpentError)

    def __call__(self, point: Numbers) -> float:
        if self.asked >= self.calls:
            raise self._end
        value = self.score(point)
        self.asked += 1
        key = self.space.snap(point).tobytes()
        self.noisy = self.noisy or self.known.get(key, value) != value
        self.known[key] = value
        if value < self.value:
            self.point, self.value = self.space.snap(point), value
        return value

    def run(self, searcher: Searcher, seed: int, start: Numbers | None) -> Numbers | None:
        """Let a searcher have it, and what it recommends, if anything; that all calls are spent passes."""
        try:
            said = searcher(self, self.space, self.calls, seed, start)
        except _ShareSpentError as error:
            if error is not self._end:
                raise
            return None
        named = said.recommended if isinstance(said, Ended) else None
        return None if named is None else self.space.snap(named)


def polished(searcher: Searcher, share: float = 0.2) -> Searcher:
    """A searcher, and then a search along single axes, over neighbouring codes and other names.

    Where answers do not repeat, the lowest is the luckiest one, and a search along axes only gets luckier. If the
    searcher then recommends a point, a few of the calls that are left ask about that one again, and it is recommended.

    Args:
        searcher: who comes first.
        share: the part of the calls that is kept for the end; what the first leaves comes on top.
    """

    def run(score: Score, space: Space, calls: int, seed: int, start: Numbers | None, /) -> str | Ended:
        first = _Share(score, space, max(calls - round(share * calls), 1))
        if start is not None:
            first(start)  # what comes after may be worse
            first.asked = 0  # who searches begins there as well, and has all its calls
        named = first.run(searcher, seed, start)
        if named is not None and (first.noisy or first.point is None or not np.array_equal(named, first.point)):
            for _ in range(min(AGAIN, calls - first.asked)):
                score(named)
            return Ended("answers do not repeat, and what the searcher recommends was asked for again", named)
        return coordinates(POLISH, first.known)(score, space, calls - first.asked, seed, first.point)

    return run


def verified(believed: Score, searcher: Searcher, calls: int, best: int = 5) -> Made:
    """Search on a double, then ask the real thing about the best few.

    Args:
        believed: the score that the double gives.
        searcher: who searches there.
        calls: of the double, at most.
        best: how many the real thing is asked about.
    """

    def run(score: Score, space: Space, real_calls: int, seed: int, start: Numbers | None, /) -> str:
        found = search(searcher, believed, space, calls=calls, seed=seed, start=start)
        for point in candidates(found, space, min(best, real_calls)):
            score(point)
        return "the best of the double are verified"

    return run


def candidates(found: Found, space: Space, count: int) -> list[Numbers]:
    """The best points of a search that lie apart from each other, best first."""
    ordered = np.array([axis.ordered for axis in space.axes])
    kept: list[Numbers] = []
    for each in sorted(found.evaluations, key=lambda one: one.value if math.isfinite(one.value) else math.inf):
        far = np.where(ordered, APART, 1e-9)
        if len(kept) == count:
            break
        if all(np.any(np.abs(each.point - other) > far) for other in kept):
            kept.append(each.point)
    return kept


def refined(believed: Score, searcher: Searcher, calls: int) -> Made:
    """Search a double inside a trust region, ask the real thing, correct the double by the answer, and again.

    What the double has wrong at the points that the real thing was asked about is interpolated between them and added
    to what it says. The region follows the best point, grows where the corrected
    double foresees what comes, and shrinks where it does not: Alexandrov, Dennis, Lewis, Torczon, "A Trust-Region
    Framework for Managing the Use of Approximation Models in Optimization", Structural Optimization 15, 1998.

    Args:
        believed: the score that the double gives.
        searcher: who searches there.
        calls: of the double, at most, for each call of the real thing.
    """

    def run(score: Score, space: Space, real_calls: int, seed: int, start: Numbers | None, /) -> str:
        x = space.snap(np.full(space.size, 0.5) if start is None else start)
        points, values = [x], [score(x)]
        wrong = [values[0] - believed(x)]
        radius, turn = WIDEST, 0
        while radius > NARROWEST:
            turn += 1
            at, best = points[int(np.argmin(values))], min(values)
            correction = _interpolated(points, wrong)

            def corrected(point: Numbers, correction: Score = correction) -> float:
                return believed(point) + correction(point)

            place, foreseen = _inside(corrected, searcher, space, at, radius, calls, seed + turn)
            if any(np.array_equal(place, each) for each in points):
                radius /= 2
                continue
            value = score(place)
            points.append(place)
            values.append(value)
            wrong.append(value - believed(place))
            gained = (best - value) / max(best - foreseen, 1e-12)
            radius = min(radius * 1.5, 0.5) if gained > GOOD else radius / 2 if gained < POOR else radius
        return "the trust region is as small as it gets"

    return run


def _inside(
    score: Score, searcher: Searcher, space: Space, at: Numbers, radius: float, calls: int, seed: int
) -> tuple[Numbers, float]:
    """The best legal point of a region about a point, by its own search, and its score."""
    ordered = np.array([axis.ordered for axis in space.axes])
    low = np.where(ordered, np.maximum(at - radius, 0), 0.0)
    width = np.where(ordered, np.minimum(at + radius, 1) - low, 1.0)
    region = Space(tuple(Axis(axis.name) if axis.ordered else axis for axis in space.axes))

    def legal(place: Numbers) -> Numbers:
        return space.snap(low + place * width)

    found = search(
        searcher, lambda place: score(legal(place)), region, calls=calls, seed=seed, start=(at - low) / width
    )
    return legal(found.point), found.value


def _interpolated(points: list[Numbers], values: list[float]) -> Score:
    """A function through values at points: a trend as flat as they allow, and what is left by radial basis functions.

    The trend goes on beyond the points; without it nothing would be learnt of where the real thing falls.
    """
    places, wanted = np.array(points), np.nan_to_num(np.array(values))
    middle = places.mean(axis=0)
    apart = places - middle
    slope = apart.T @ np.linalg.solve(apart @ apart.T + STIFF * np.eye(len(places)), wanted - wanted.mean())
    count = len(places)
    system = np.zeros((count + 1, count + 1))
    system[:count, :count] = np.linalg.norm(places[:, None] - places[None], axis=2)
    system[:count, count] = system[count, :count] = 1.0
    weights = np.linalg.lstsq(system, np.append(wanted - apart @ slope, 0.0), rcond=None)[0]

    def correction(point: Numbers) -> float:
        far = np.linalg.norm(places - point, axis=1)
        return float((point - middle) @ slope + far @ weights[:count] + weights[count])

    return correction
