"""Samplers of optuna as searchers: a study in memory, silent, that is asked and told."""

from __future__ import annotations

import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from ispdsl.optimise.engine import HUGE, Score
from ispdsl.optimise.space import Numbers, Space

if TYPE_CHECKING:
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


def studied(sampler: BaseSampler, score: Score, space: Space, calls: int, start: Numbers | None) -> None:
    """Make all calls where a sampler wants them, the start first."""
    import optuna

    asked = distributions(space)
    levels = [axis.levels for axis in space.axes]
    with silent():
        study = optuna.create_study(sampler=sampler)
        if start is not None:
            pairs = zip(start, levels, strict=True)
            numbers = [float(x) if count is None else round(float(x) * (count - 1)) for x, count in pairs]
            study.enqueue_trial({str(index): number for index, number in enumerate(numbers)})
    for _ in range(calls):
        with silent():
            trial = study.ask(asked)
        numbers = [trial.params[str(index)] for index in range(space.size)]
        scale = [1 if count is None else max(count - 1, 1) for count in levels]
        value = score(np.array(numbers, np.float64) / scale)
        with silent():
            if value < HUGE:
                study.tell(trial, value)
            else:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)


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
