"""Samplers of optuna as searchers: a study in memory, silent, that is asked and told."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from ispdsl.optimise.engine import HUGE, Score
from ispdsl.optimise.space import Numbers, Space

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler


@contextmanager
def silent() -> Generator[None]:
    """Keep optuna from talking: what it logs, and what it says of its own future."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(before)


BEST = 25
"""Answers that are never left out."""


def studied(
    sampler: BaseSampler, score: Score, space: Space, calls: int, start: Numbers | None, most: int | None = None
) -> None:
    """Make all calls where a sampler wants them, the start first.

    Args:
        sampler: decides where.
        score: what is asked, as for every searcher.
        space: where points lie.
        calls: how many are made.
        start: the first point, if one is given.
        most: answers that the sampler looks through; when there are more, half as many are kept, the best and some that
            are drawn. All of them without it.
    """
    import optuna

    asked = distributions(space)
    with silent():
        study = optuna.create_study(sampler=sampler)
        if start is not None:
            study.enqueue_trial(parameters(space, start))
    rng = np.random.default_rng(calls)
    for _ in range(calls):
        with silent():
            if most is not None and len(study.get_trials(deepcopy=False)) > most:
                study = thinned(study, most // 2, rng)
            trial = study.ask(asked)
        value = score(place(space, trial.params))
        with silent():
            if value < HUGE:
                study.tell(trial, value)
            else:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)


def thinned(study: Study, keep: int, rng: np.random.Generator) -> Study:
    """A study of the `BEST` answers of another and some of its others, in their order."""
    import optuna

    finished = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    order = np.argsort(np.array([trial.value for trial in finished], np.float64), kind="stable")
    drawn = rng.permutation(order[BEST:])[: keep - BEST]
    other = optuna.create_study(sampler=study.sampler)
    other.add_trials([finished[index] for index in sorted([*order[:BEST], *drawn])])
    return other


def parameters(space: Space, point: Numbers) -> dict[str, float | int]:
    """A legal point as optuna has it: numbers, and which of the levels."""
    pairs = enumerate(zip(point, space.axes, strict=True))
    return {
        str(index): float(x) if axis.levels is None else round(float(x) * (axis.levels - 1))
        for index, (x, axis) in pairs
    }


def place(space: Space, known: Mapping[str, Any]) -> Numbers:
    """The point that optuna's parameters mean; the inverse of `parameters`."""
    scale = [1 if axis.levels is None else max(axis.levels - 1, 1) for axis in space.axes]
    return np.array([known[str(index)] for index in range(space.size)], np.float64) / scale


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """What optuna calls the axes of a space."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, BaseDistribution] = {}
    for index, axis in enumerate(space.axes):
        if axis.levels is None:
            found[str(index)] = FloatDistribution(0.0, 1.0)
        elif axis.ordered:
            found[str(index)] = IntDistribution(0, axis.levels - 1)
        else:
            found[str(index)] = CategoricalDistribution(tuple(range(axis.levels)))
    return found
