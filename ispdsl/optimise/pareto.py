"""Several goals at once: NSGA-II, and the front of what no other answer beats in all of them.

Source: Deb, Pratap, Agarwal and Meyarivan, "A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II", IEEE
Transactions on Evolutionary Computation 6(2), 2002, as Optuna has it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ispdsl.interrupts import said
from ispdsl.optimise.engine import HUGE
from ispdsl.optimise.ledger import Ledger
from ispdsl.optimise.space import Numbers, Space

Goals = Callable[[Numbers], Sequence[float]]
"""What is made small, each, at a legal point ``(N,)`` of the unit cube."""


@dataclass(frozen=True, eq=False)
class Tried:
    """One call: where ``(N,)``, what each goal had there, and the seconds that it took."""

    point: Numbers
    scores: tuple[float, ...]
    seconds: float


@dataclass(frozen=True, eq=False)
class Front:
    """What a search for several goals found.

    Attributes:
        goals: their names.
        tried: all calls, in order.
        why: it ended, in words.
    """

    goals: tuple[str, ...]
    tried: tuple[Tried, ...]
    why: str = "no calls are left"

    @property
    def scores(self) -> NDArray[np.float64]:
        """Of all calls, ``(calls, goals)``."""
        return np.array([each.scores for each in self.tried]).reshape(len(self.tried), len(self.goals))

    @property
    def best(self) -> tuple[Tried, ...]:
        """What no other call beats in all goals, by the first goal."""
        kept = [each for each, ok in zip(self.tried, unbeaten(self.scores), strict=True) if ok]
        return tuple(sorted(kept, key=lambda each: each.scores))


def unbeaten(scores: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which rows of ``(N, goals)`` no other is as good as in all goals and better than in one; the first of equals.

    Rows with a score that is not finite failed, and are beaten.
    """
    known = np.asarray(np.isfinite(scores).all(axis=1), np.bool_)
    found = np.zeros(len(scores), np.bool_)
    for index in np.flatnonzero(known):
        as_good = known & (scores <= scores[index]).all(axis=1)
        better = as_good & (scores < scores[index]).any(axis=1)
        found[index] = not better.any() and np.flatnonzero(as_good)[0] == index
    return found


def pareto(
    goals: Goals,
    space: Space,
    names: Sequence[str],
    *,
    calls: int,
    seed: int = 0,
    start: Numbers | None = None,
    population: int | None = None,
    ledger: Ledger | None = None,
    told: Callable[[int, int], None] | None = None,
) -> Front:
    """Look for answers that no other answer beats. Ctrl-C ends the search, not the answer: what was tried is returned.

    Args:
        goals: what is measured; a call with a score that is not finite counts as failed.
        space: what is free.
        names: of the goals, two or more.
        calls: of `goals`, at most.
        seed: of everything that is drawn.
        start: measured first, ``(N,)``.
        population: answers in a generation; None for as many as fit ten times into the calls, within 8 and 50.
        ledger: where calls are written down, and where those of a search that was stopped are read.
        told: called after each call with their number and how many of them nothing beats.

    Raises:
        ValueError: there is nothing to search, no call, or only one goal.
        LedgerError: the ledger is of another search, or cannot be written.
    """
    if not space.size or calls < 1 or len(names) < 2:
        raise ValueError("there is nothing to search: no free number, no calls, or fewer than two goals")
    tried: list[Tried] = []

    def asked(point: Numbers) -> tuple[float, ...]:
        legal = space.snap(point)
        known = None if ledger is None else ledger.answer(len(tried), legal)
        if known is None:
            begun = time.perf_counter()
            scores = tuple(float(each) for each in goals(legal))
            known = scores, time.perf_counter() - begun
            if ledger is not None:
                ledger.add(legal, *known)
        tried.append(Tried(legal, *known))
        if told is not None:
            told(len(tried), int(unbeaten(np.array([each.scores for each in tried])).sum()))
        return known[0]

    why = "no calls are left"
    try:
        _search(asked, space, len(names), calls, seed, start, population or min(max(calls // 10, 8), 50))
    except KeyboardInterrupt as error:
        why = said(error)
    return Front(tuple(names), tuple(tried), why)


def _search(
    asked: Callable[[Numbers], tuple[float, ...]],
    space: Space,
    goals: int,
    calls: int,
    seed: int,
    start: Numbers | None,
    population: int,
) -> None:
    import optuna

    from ispdsl.optimise.searchers.study import distributions, parameters, place, silent

    directions: list[Literal["minimize", "maximize"]] = ["minimize"] * goals
    with silent():
        sampler = optuna.samplers.NSGAIISampler(population_size=population, seed=seed)
        study = optuna.create_study(directions=directions, sampler=sampler)
        if start is not None:
            study.enqueue_trial(parameters(space, space.snap(start)))
    for _ in range(calls):
        with silent():
            trial = study.ask(distributions(space))
        scores = asked(place(space, trial.params))
        with silent():
            study.tell(trial, [each if math.isfinite(each) else HUGE for each in scores])
