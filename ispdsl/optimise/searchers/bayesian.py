"""Bayesian optimisation with Gaussian processes: for few, dear calls; with a local model also for thousands.

Up to `SMALL` calls it is optuna's GPSampler: one process of all answers, the next call where the logarithm of the
expected improvement is largest (Ament et al. 2023). What that costs grows with the cube of the answers. Beyond, it is
TuRBO-1 (Eriksson et al. 2019, "Scalable Global Optimization via Local Bayesian Optimization"): a process of at most
`MOST` answers in a trust region, from which batches are drawn by Thompson sampling among random candidates; the region
grows after successes, shrinks after failures, and begins anew elsewhere when it has become too small.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import qmc

from ispdsl.optimise.engine import Ended, Score
from ispdsl.optimise.searchers.answers import Indices, tamed
from ispdsl.optimise.searchers.designs import spread
from ispdsl.optimise.searchers.gaussian_process import Process, coordinates, fit
from ispdsl.optimise.searchers.study import silent, studied
from ispdsl.optimise.space import Numbers, Space

SMALL = 150
MOST = 300
BATCHES = 200
CANDIDATES = 1000
LONGEST, FIRST, SHORTEST = 1.6, 0.8, 2.0**-7
SUCCESSES = 3


def bayesian(score: Score, space: Space, calls: int, seed: int, start: Numbers | None, /) -> str | Ended:
    """Search with Gaussian processes; see the module.

    With more than `SMALL` calls it recommends, where answers do not repeat, the measured point whose mean is lowest.
    """
    if calls > SMALL:
        return _local(score, space, calls, seed, start)
    with silent():
        from optuna.samplers import GPSampler

        starts = max(10, min(2 * space.size, calls // 4))
        sampler = GPSampler(seed=seed, n_startup_trials=starts, deterministic_objective=False)
    studied(sampler, score, space, calls, start)
    return "all calls are made"


@dataclass
class _Region:
    """A trust region: its side, and what happened since it last changed."""

    side: float = FIRST
    successes: int = 0
    failures: int = 0

    def told(self, better: bool, patience: int) -> None:
        """Count a batch."""
        self.successes, self.failures = (self.successes + 1, 0) if better else (0, self.failures + 1)
        if self.successes == SUCCESSES:
            self.side, self.successes = min(2 * self.side, LONGEST), 0
        elif self.failures == patience:
            self.side, self.failures = self.side / 2, 0


def _local(score: Score, space: Space, calls: int, seed: int, start: Numbers | None) -> Ended:
    rng = np.random.default_rng(seed)
    batch = max(1, calls // BATCHES)
    patience = math.ceil(max(4 / batch, space.size / batch))
    used, exact = 0, False
    ends: list[tuple[float, Numbers]] = []
    while used < calls:
        draws = qmc.LatinHypercube(space.size, rng=rng).random(2 * space.size)
        asked = [spread(space, point) for point in draws]
        if start is not None and not ends:
            asked.insert(0, space.snap(start))
        if not ends:
            asked.insert(1, asked[0])  # twice: do answers repeat?
        points = np.array(asked[: calls - used])
        answers = np.array([score(point) for point in points])
        if not ends:
            exact = len(answers) > 1 and answers[0] == answers[1]
        used += len(points)
        region, parameters = _Region(), None
        while True:
            near, process, means = _fitted(space, points, answers, parameters)
            parameters = process.log_parameters
            best = int(answers.argmin()) if exact else int(near[means.argmin()])
            if used >= calls or region.side < SHORTEST:
                break
            wanted = _proposed(space, process, points[best], region.side, min(batch, calls - used), rng)
            new = np.array([score(point) for point in wanted])
            used += len(new)
            region.told(float(new.min()) < answers.min() - 1e-3 * abs(float(answers.min())), patience)
            points, answers = np.concatenate([points, wanted]), np.concatenate([answers, new])
        ends.append((float(answers.min() if exact else means.min()), points[best]))
    return Ended("all calls are made", None if exact else min(ends, key=lambda each: each[0])[1])


def _fitted(
    space: Space, points: Numbers, answers: Numbers, parameters: Numbers | None
) -> tuple[Indices, Process, Numbers]:
    """Which answers are modelled (those near the best, in lengths of the last model), the model, and its means."""
    places, owner = coordinates(space, points)
    near: Indices = np.arange(len(points), dtype=np.intp)
    if len(points) > MOST:
        lengths = 1.0 if parameters is None else np.exp(parameters[:-2])[owner]
        lowest = places[np.argsort(answers)[: max(len(answers) // 20, 1)]].mean(0)
        near = np.sort(np.argsort((((places - lowest) / lengths) ** 2).sum(1), kind="stable")[:MOST])
    process = fit(space, points[near], tamed(answers)[near], parameters)
    return near, process, process.foretell(places[near])


def _proposed(
    space: Space, process: Process, centre: Numbers, side: float, count: int, rng: np.random.Generator
) -> Numbers:
    """Candidates in the region around a centre at which functions that the answers allow are lowest, ``(count, N)``.

    Each differs from the centre in about twenty axes, as Eriksson et al. have it; axes without order take any level.
    """
    weights = process.lengths / np.exp(np.log(process.lengths).mean())
    low = np.clip(centre - weights * side / 2, 0, 1)
    high = np.clip(centre + weights * side / 2, 0, 1)
    draws = qmc.Sobol(space.size, rng=rng).random(2 ** math.ceil(math.log2(CANDIDATES)))[:CANDIDATES]
    ordered = np.array([axis.ordered for axis in space.axes])
    inside = np.where(ordered, low + draws * (high - low), [spread(space, draw) for draw in draws])
    changed = rng.random(draws.shape) < min(20 / space.size, 1.0)
    changed[np.arange(CANDIDATES), rng.integers(space.size, size=CANDIDATES)] = True
    candidates = np.array([space.snap(point) for point in np.where(changed, inside, centre)])
    values = process.drawn(coordinates(space, candidates)[0], count, rng)
    chosen: list[int] = []
    for column in values.T:
        order = np.argsort(column, kind="stable")
        chosen.append(int(next((index for index in order if index not in chosen), order[0])))
    return candidates[chosen]
