"""Tree-structured Parzen estimators: for choices and numbers mixed, and any number of calls."""

from __future__ import annotations

from ispdsl.optimise.engine import Score
from ispdsl.optimise.searchers.study import silent, studied
from ispdsl.optimise.space import Numbers, Space


def tpe(score: Score, space: Space, calls: int, seed: int, start: Numbers | None, /) -> str:
    """Bergstra et al. 2011 as optuna has it, all axes at once (Falkner et al. 2018); twice as many starts as axes."""
    with silent():
        from optuna.samplers import TPESampler

        sampler = TPESampler(seed=seed, multivariate=True, n_startup_trials=max(10, min(2 * space.size, calls // 4)))
    studied(sampler, score, space, calls, start)
    return "all calls are made"
