"""Bayesian optimisation of a composite function: what is squared is modelled, and not the score.

A score says one number of a picture. That of a denoiser falls while noise goes and rises while detail goes: a model of
the score has to learn that valley, a model of the pictures has not. So each picture that was rendered is an answer of
thousands of numbers, all of them with one Gaussian process's covariance; what a picture would cost is the sum of the
squares of what the process foretells, with all its uncertainty. Numbers, register codes and names are looked for
together, and some tens of calls take the place of hundreds where few settings are many-sided.

Calls go by turns to where the expected improvement is largest anywhere, and to where the cost is expected to be lowest
near the best.

Sources: Astudillo and Frazier, "Bayesian Optimization of Composite Functions", ICML 2019; one covariance for many
outputs: Maddox, Balandat, Wilson and Bakshy, "Bayesian Optimization with High-Dimensional Outputs", NeurIPS 2021;
the expected improvement: Jones, Schonlau and Welch, Journal of Global Optimization 13, 1998.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.stats import qmc

from ispdsl.optimise.differences import Residual
from ispdsl.optimise.engine import Score, Searcher
from ispdsl.optimise.searchers.answers import Indices
from ispdsl.optimise.searchers.designs import spread
from ispdsl.optimise.searchers.gaussian_process import coordinates, covariance, likeliest, solved
from ispdsl.optimise.space import Numbers, Space

MANY = 40_000
"""Residuals that are looked at, drawn once."""

MOST = 200
"""Pictures that are modelled, the best; what fitting takes grows with the cube of their number."""

FIRST = 1.0
"""Points for each axis that the first model is made of, drawn as a Latin hypercube; four at least."""

WEIGHT = 4.0
"""How many independent answers a picture counts as when lengths are fitted."""

DRAWS = 32
"""Functions that the answers allow, which the expected improvement is the mean of."""

ANYWHERE, NEAR, BEST = 300, 150, 4
"""Candidates anywhere, near each of the best points, and how many best points."""

CLIMBS, TOP, AROUND = 4, 3, 60
"""How often the candidates near the most promising ones are looked at: of how many, and how many each."""

SMALLEST, LARGEST = -2.5, -0.5
"""Powers of ten between which moves near a point lie, as parts of the range."""

Turn = Literal["best", "anywhere", "names"]

TURNS: tuple[Turn, ...] = ("best", "anywhere")
"""What calls go to by turns; where there are names, to other names for the best point as well."""

EXHAUSTED = "no candidate is left that was not measured"


def composite(residual: Residual) -> Searcher:
    """A search by a model of pictures, for scores that fall where a sum of squares does.

    Args:
        residual: what is squared.
    """

    def search(score: Score, space: Space, calls: int, seed: int, start: Numbers | None, /) -> str:
        rng = np.random.default_rng(seed)
        known = _Known(score, residual, space, rng)
        first = max(round(FIRST * space.size), 4)
        points = spread(space, qmc.LatinHypercube(space.size, rng=rng).random(first))
        for point in points[: max(calls // 3, 1)] if start is None else [start, *points[1 : max(calls // 3, 1)]]:
            known.ask(point)
        parameters: Numbers | None = None
        turns = TURNS if all(axis.ordered or axis.levels == 1 for axis in space.axes) else (*TURNS, "names")
        turn = 0
        while known.lowest > 0:
            model, point = known.model(parameters), None
            if model is not None:
                parameters = model.log_parameters
                point = known.unseen(_promising(model, known, rng, turns[turn % len(turns)]))
            if point is None:
                point = known.unseen(spread(space, rng.random((ANYWHERE, space.size))))
            if point is None:
                return EXHAUSTED
            known.ask(point)
            turn += 1
        return "nothing is left of the difference"

    return search


@dataclass(frozen=True, eq=False)
class Model:
    """What pictures at some points say of those at others.

    A picture is the mean of all plus `K` principal components of unit length; each is a Gaussian process, and all have
    one covariance but for their scales.

    Attributes:
        space: of the points.
        places: of the pictures, as the covariance sees them, ``(n, C)``.
        owner: the axis of each coordinate.
        log_parameters: of the covariance.
        root: lower Cholesky factor of the pictures' covariance.
        solved: the covariance's inverse times the components, each in its own scale, ``(n, K)``.
        middle: of each component, how much of it the mean picture has, ``(K,)``.
        scales: standard deviations of the components, ``(K,)``.
        rest: sum of the squares of the mean picture beyond the components.
    """

    space: Space
    places: Numbers
    owner: Indices
    log_parameters: Numbers
    root: Numbers
    solved: Numbers
    middle: Numbers
    scales: Numbers
    rest: float

    def costs(self, points: Numbers, normal: Numbers) -> Numbers:
        """Logarithms ``(P, S)`` of the sums of squares at points ``(P, N)`` by standard normal draws ``(S, K)``.

        What no model foretells of a picture, as its blocks match or not, costs as much as it does on average.
        """
        across = covariance(coordinates(self.space, points)[0], self.places, self.log_parameters, self.owner)
        mean = across @ self.solved * self.scales + self.middle
        told = solve_triangular(self.root, across.T, lower=True, check_finite=False)
        signal, noise = np.exp(self.log_parameters[-2:])
        deviation = np.sqrt(np.maximum(signal - (told**2).sum(0), 0.0))[:, None] * self.scales
        squares = (mean**2).sum(1)[:, None] + 2 * (mean * deviation) @ normal.T + deviation**2 @ (normal**2).T
        return np.log(np.maximum(squares + noise * (self.scales**2).sum() + self.rest, 1e-30))


class _Known:
    """What has been asked, and the inner products of all pictures: more of them is never needed."""

    def __init__(self, score: Score, residual: Residual, space: Space, rng: np.random.Generator) -> None:
        self.score, self.residual, self.space, self.rng = score, residual, space, rng
        self.points: list[Numbers] = []
        self.products = np.zeros((0, 0))
        self._pictures: list[Numbers] = []
        self._rows: NDArray[np.int64] | None = None
        self._seen: set[bytes] = set()

    @property
    def costs(self) -> Numbers:
        """Sums of squares, ``(n,)``."""
        return np.diag(self.products)

    @property
    def lowest(self) -> float:
        """The lowest sum of squares."""
        return float(self.costs.min(initial=np.inf))

    def ask(self, point: Numbers) -> None:
        """Measure at a point, and keep its picture; what failed counts as the worst picture until then."""
        legal = self.space.snap(point)
        self._seen.add(legal.tobytes())
        self.score(legal)
        found = self.residual(legal)
        if found is not None and np.isfinite(found).all():
            if self._rows is None:
                most = min(found.size, MANY)
                self._rows = np.sort(self.rng.choice(found.size, most, replace=False))
            picture = found[self._rows].astype(np.float64)
        elif self._pictures:
            picture = self._pictures[int(self.costs.argmax())]
        else:
            return
        self.points.append(legal)
        self._pictures.append(picture)
        new = np.array([each @ picture for each in self._pictures])
        self.products = np.block([[self.products, new[:-1, None]], [new[None, :]]])

    def unseen(self, points: Numbers) -> Numbers | None:
        """The first point that was not measured yet."""
        return next((point for point in self.space.snap(points) if point.tobytes() not in self._seen), None)

    def model(self, parameters: Numbers | None) -> Model | None:
        """The model of the best pictures, from covariance parameters that fitted before; None if all are the same."""
        used = np.sort(np.argsort(self.costs, kind="stable")[:MOST])
        if len(used) < 2:
            return None
        products, count = self.products[np.ix_(used, used)], len(used)
        rows = products.mean(0)
        variances, vectors = np.linalg.eigh(products - rows - rows[:, None] + rows.mean())
        kept = np.flatnonzero(variances > 1e-9 * max(variances[-1], products.max() * 1e-9))[::-1]
        if not kept.size:
            return None
        variances, vectors = variances[kept], vectors[:, kept]
        middle = (rows - rows.mean()) @ vectors / np.sqrt(variances)
        places, owner = coordinates(self.space, np.array(self.points)[used])
        answers = vectors * np.sqrt(count)
        found = likeliest(places, answers, owner, WEIGHT * variances / variances.sum(), parameters, self.space.size)
        root, pulled = solved(found, places, answers, owner)
        rest = max(float(rows.mean() - middle @ middle), 0.0)
        return Model(self.space, places, owner, found, root, pulled, middle, np.sqrt(variances / count), rest)


def _promising(model: Model, known: _Known, rng: np.random.Generator, turn: Turn) -> Numbers:
    """Legal candidates ``(P, N)``, the most promising first."""
    space, normal = model.space, rng.standard_normal((DRAWS, len(model.scales)))
    best = np.array(known.points)[np.argsort(known.costs, kind="stable")[:BEST]]
    lowest = np.log(known.lowest)

    def promise(points: Numbers) -> Numbers:
        """The expected improvement, or where the best is made use of, how low the cost is expected to be."""
        costs = model.costs(points, normal)
        return -costs.mean(1) if turn != "anywhere" else np.maximum(lowest - costs, 0.0).mean(1) - 1e-6 * costs.mean(1)

    base = _elsewhere(space, np.array(known.points), known.costs, rng) if turn == "names" else best[0]
    if turn != "anywhere":
        points = _near(space, base, NEAR, rng, turn != "names")
    else:
        anywhere = space.snap(spread(space, rng.random((ANYWHERE, space.size))))
        points = np.concatenate([anywhere, *(_near(space, each, NEAR, rng) for each in best)])
    values = promise(points)
    for _ in range(CLIMBS):
        top = np.argsort(-values, kind="stable")[:TOP]
        others = np.concatenate([_near(space, points[each], AROUND, rng, turn != "names") for each in top])
        points, values = np.concatenate([points, others]), np.concatenate([values, promise(others)])
    return points[np.argsort(-values, kind="stable")]


def _near(space: Space, point: Numbers, count: int, rng: np.random.Generator, names: bool = True) -> Numbers:
    """Legal points ``(count, N)`` near one: some axes move, far or little, by a code at least; names change or not."""
    shape = count, space.size
    moved = rng.random(shape) < rng.choice([1, 2, 4, space.size], (count, 1)) / space.size
    moved[np.arange(count), rng.integers(space.size, size=count)] = True
    step = rng.normal(size=shape) * 10 ** rng.uniform(SMALLEST, LARGEST, (count, 1))
    codes = np.array([0.0 if axis.levels is None else 1 / max(axis.levels - 1, 1) for axis in space.axes])
    step = np.copysign(np.maximum(np.abs(step), codes * rng.choice([1, 1, 2], shape)), step)
    ordered = np.array([axis.ordered for axis in space.axes])
    other = np.where(ordered, point + step, spread(space, rng.random(shape)) if names else point)
    return space.snap(np.where(moved, other, point))


def _elsewhere(space: Space, points: Numbers, costs: Numbers, rng: np.random.Generator) -> Numbers:
    """A point to go on from under other names than the best one has.

    It is the best under one of the names that were measured, the more likely the better it is in their order; or the
    best one of all with a name changed, as often as were it the second of them.
    """
    names = np.flatnonzero([not axis.ordered and (axis.levels or 1) > 1 for axis in space.axes])
    order = np.argsort(costs, kind="stable")
    _, first = np.unique(points[order][:, names], axis=0, return_index=True)
    others = points[order[np.sort(first)]]
    weights = 1 / np.arange(1, len(others) + 1)
    weights[0] = weights[1:2].sum() or 1.0
    chosen = others[rng.choice(len(others), p=weights / weights.sum())].copy()
    if np.array_equal(chosen, others[0]):
        index = rng.choice(names)
        levels = space.axes[index].levels or 1
        at = round(float(chosen[index]) * (levels - 1))
        chosen[index] = (at + rng.integers(1, levels)) % levels / (levels - 1)
    return chosen
