"""Least squares on black boxes: a Jacobian of finite differences over what is legal, and steps from code to code.

A picture says more than its score: a step of Gauss and Newton needs one render for each number that is free, and then
hits all of them at once. So a few dozen registers are found in some hundred renders where searches that only see the
score take thousands. Between two Jacobians, each answer corrects the last one (Broyden's update). Steps go to the best
codes of the quadratic model, not to the codes next to its real minimum: registers that do much the same are not
rounded apart.

Sources: Levenberg, "A Method for the Solution of Certain Non-Linear Problems in Least Squares", Quarterly of Applied
Mathematics 2(2), 1944; Marquardt, Journal of SIAM 11(2), 1963; Broyden, Mathematics of Computation 19, 1965.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear
from scipy.stats import qmc

from ispdsl.optimise.coordinates import coordinates
from ispdsl.optimise.engine import Score, Searcher
from ispdsl.optimise.least_squares import cost_of
from ispdsl.optimise.space import Numbers, Space

Floats = NDArray[np.float32]

Residual = Callable[[Numbers], Floats | None]
"""What was seen at a point whose score has just been asked for, ``(M,)``; None where that failed."""

MANY = 200_000
"""Residuals that are looked at, drawn once: there are fewer registers than that."""

DRAWN, MOST_DRAWN = 50, 32
"""One call in so many goes to points of a Latin hypercube, to begin at the best; and how many of them at most."""

STEP, SMALLEST = 0.08, 0.004
"""The first difference, and the smallest, as parts of the range; never less than a code."""

WORTH = 0.03
"""The part of the cost that a step must gain for another one to be tried with the same Jacobian."""

TRIES = 4
"""Steps in a row that gain nothing, each damped more, before differences are taken again."""

FARTHEST = 0.3
"""No step is longer than this in any direction, as a part of the range."""

KICK, KICKS = 0.15, 4
"""Where it ends it is moved by so much (a standard deviation, as a part of the range) in half of the directions, and
goes on from there; how often in a row that may be in vain."""

ROOM = 4
"""Calls for each number without which no kick is begun."""

SWEEPS = 8
"""How often all codes of a step are gone through."""

POLISH = 0.02
"""The first step of the search along single axes, as a part of the range."""


def differences(residual: Residual) -> Searcher:
    """A search by least squares, for scores that fall where a sum of squares does.

    Args:
        residual: what is squared.
    """

    def search(score: Score, space: Space, calls: int, seed: int, start: Numbers | None, /) -> str:
        walk = _Walk(score, residual, space, np.random.default_rng(seed))
        walk.begin(start, min(calls // DRAWN, MOST_DRAWN))
        walk.settle(STEP)
        in_vain = 0
        while walk.cost > 0 and in_vain < KICKS and calls - walk.asks > ROOM * space.size:
            in_vain = 0 if walk.kick() else in_vain + 1
        if walk.cost == 0:
            return "nothing is left of the difference"
        return coordinates(POLISH)(score, space, calls, seed, walk.x)

    return search


@dataclass
class _Walk:
    """Where a search is, and what it knows there."""

    score: Score
    residual: Residual
    space: Space
    rng: np.random.Generator

    def __post_init__(self) -> None:
        self._levels = np.array([max((axis.levels or 2) - 1, 1) for axis in self.space.axes], np.float64)
        self._code = np.where(self.space.discrete, 1 / self._levels, 0.0)
        self._ordered = np.array([axis.ordered and axis.levels != 1 for axis in self.space.axes])
        self._rows: NDArray[np.int64] | None = None
        self.x = np.zeros(self.space.size)
        self.cost = np.inf
        self._r: Floats = np.zeros(0, np.float32)
        self._j: Floats = np.zeros((0, self.space.size), np.float32)
        self._seen: set[bytes] = set()
        self.asks = 0
        self._around: dict[bytes, tuple[Floats | None, float]] = {}  # what the last Jacobian was made of

    def asked(self, point: Numbers) -> tuple[Floats | None, float]:
        """The residual at a legal point, and its sum of squares; each is a call."""
        self._seen.add(point.tobytes())
        self.asks += 1
        self.score(point)
        found = self.residual(point)
        if found is None:
            return None, np.inf
        if self._rows is None:
            many = found.size > MANY
            self._rows = np.sort(self.rng.choice(found.size, MANY, replace=False)) if many else np.arange(found.size)
        found = found[self._rows].astype(np.float32)
        return found, cost_of(found)

    def _move(self, point: Numbers, found: Floats | None, cost: float) -> None:
        assert found is not None
        self.x, self._r, self.cost = point, found, cost

    def begin(self, start: Numbers | None, drawn: int) -> None:
        """Go to the best of the start and some points that are drawn."""
        points = [] if start is None else [start]
        points += list(qmc.LatinHypercube(self.space.size, rng=self.rng).random(max(drawn, 1 if start is None else 0)))
        for point in points:
            legal = self.space.snap(point)
            found, cost = self.asked(legal)
            if cost < self.cost:
                self._move(legal, found, cost)

    def settle(self, size: float) -> None:
        """Differences and steps by turns, the differences smaller and smaller, until nothing is gained."""
        while self.cost > 0:
            before = self.cost
            self.jacobian(size)
            self.descend()
            if self.cost > before * (1 - WORTH):
                if size <= SMALLEST:
                    return
                size /= 2

    def kick(self) -> bool:
        """Go on from somewhere near, and stay at the better end; whether that is worth it."""
        best = self.x, self._r, self.cost
        push = self.rng.normal(0, KICK, self.x.size) * (self.rng.random(self.x.size) < 0.5) * self._ordered
        other = self.space.snap(self.x + push)
        if other.tobytes() in self._seen:
            return False
        found, cost = self.asked(other)
        if found is None:
            return False
        self._move(other, found, cost)
        self.settle(STEP / 2)
        worth = self.cost < best[2] * (1 - WORTH)
        if self.cost >= best[2]:
            self._move(*best)
        return worth

    def jacobian(self, size: float) -> None:
        """Take differences of about this size, and go to the best of the points that were asked."""
        self._j = np.zeros((self._r.size, self.space.size), np.float32)
        best: tuple[float, Numbers, Floats | None] = (self.cost, self.x, self._r)
        known, self._around = self._around, {}
        for axis in self.rng.permutation(np.flatnonzero(self._ordered)):
            other = self._beside(int(axis), size, known)
            key = other.tobytes()
            found, cost = self._around[key] = known[key] if key in known else self.asked(other)
            if found is None:
                continue
            self._j[:, axis] = (found - self._r) / np.float32(other[axis] - self.x[axis])
            best = min(best, (cost, other, found), key=lambda each: each[0])
        if best[0] < self.cost:
            self._move(best[1], best[2], best[0])

    def _beside(self, axis: int, size: float, known: Collection[bytes]) -> Numbers:
        """A legal point about so far away along an axis: one whose answer is still known, or has never been asked."""
        length = max(size, self._code[axis])
        sign = self.rng.choice([-1, 1])
        others = [self._along(axis, each * length) for each in (sign, -sign, 2 * sign, -2 * sign)]
        others = [each for each in others if not np.array_equal(each, self.x)]
        fresh = [each for each in others if each.tobytes() in known or each.tobytes() not in self._seen]
        return (fresh or others)[0]

    def _along(self, axis: int, length: float) -> Numbers:
        other = self.x.copy()
        other[axis] += length
        other = self.space.snap(other)
        return other if abs(other[axis] - self.x[axis]) > 0.5 * abs(length) else self.x

    def descend(self) -> None:
        """Steps of Levenberg and Marquardt with one Jacobian, corrected by each answer."""
        damping, failed = 1e-2, 0
        while failed < TRIES:
            other = self._step(damping)
            if np.array_equal(other, self.x):
                return
            found, cost = (None, np.inf) if other.tobytes() in self._seen else self.asked(other)
            if found is None:
                failed, damping = failed + 1, damping * 8
                continue
            move = (other - self.x).astype(np.float32)
            missed = found - self._r - self._j @ move
            self._j += np.outer(missed, move / (move @ move)).astype(np.float32)
            if cost >= self.cost:
                failed, damping = failed + 1, damping * 8
                continue
            worth = cost < self.cost * (1 - WORTH)
            self._move(other, found, cost)
            if not worth:
                return
            failed, damping = 0, damping / 4

    def _step(self, damping: float) -> Numbers:
        """The legal point where the damped quadratic model is lowest, as near as coordinate descent finds it."""
        free = np.flatnonzero(self._ordered & (np.abs(self._j).max(axis=0, initial=0.0) > 0))
        if not free.size:
            return self.x
        jacobian = self._j[:, free].astype(np.float64)
        normal, slope = jacobian.T @ jacobian, jacobian.T @ self._r.astype(np.float64)
        scale = np.diag(normal) + 1e-3 * np.diag(normal).mean()
        normal = normal + damping * np.diag(scale)
        low = np.maximum(-self.x[free], -FARTHEST)
        high = np.minimum(1 - self.x[free], FARTHEST)
        root = np.linalg.cholesky(normal).T
        move = lsq_linear(root, -np.linalg.solve(root.T, slope), (low - 1e-12, high + 1e-12)).x
        return self._legal(free, move, normal, slope)

    def _legal(self, free: NDArray[np.intp], move: Numbers, normal: Numbers, slope: Numbers) -> Numbers:
        """A legal point by a move: its codes, one after the other, where the model is lowest given the others."""
        at, levels, coded = self.x[free], self._levels[free], self._code[free] > 0

        def moved(place: int, by: float) -> float:
            """The nearest legal move of one number."""
            there = min(max(at[place] + min(max(by, -FARTHEST), FARTHEST), 0.0), 1.0)
            return (round(there * levels[place]) / levels[place] if coded[place] else there) - at[place]

        rest = np.array([moved(place, by) for place, by in enumerate(move)])
        pull = slope + normal @ rest
        for _ in range(SWEEPS):
            before = rest.copy()
            for place in np.flatnonzero(coded).tolist():
                to = moved(place, rest[place] - pull[place] / normal[place, place])
                pull += normal[:, place] * (to - rest[place])
                rest[place] = to
            if np.array_equal(before, rest):
                break
        point = self.x.copy()
        point[free] += rest
        return self.space.snap(point)
