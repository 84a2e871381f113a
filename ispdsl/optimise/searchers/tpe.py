"""Tree-structured Parzen estimators: for choices and numbers mixed, and any number of calls.

Each call looks through all answers, so that the time of many calls grows with their square. The 25 best make the
density of good points (optuna's rule), the others that of the rest, which a few hundred of them describe as well. So no
more than `MOST` answers are looked through: the best, and some of the rest that are drawn.
"""

from __future__ import annotations

from ispdsl.optimise.engine import Score
from ispdsl.optimise.searchers.study import silent, studied
from ispdsl.optimise.space import Numbers, Space

MOST = 500
"""Answers that a call looks through at most; as many as half of them are left when it is passed."""


def tpe(score: Score, space: Space, calls: int, seed: int, start: Numbers | None, /) -> str:
    """Bergstra et al. 2011 as optuna has it, all axes at once (Falkner et al. 2018); twice as many starts as axes."""
    with silent():
        from optuna.samplers import TPESampler

        sampler = TPESampler(seed=seed, multivariate=True, n_startup_trials=max(10, min(2 * space.size, calls // 4)))
    studied(sampler, score, space, calls, start, MOST)
    return "all calls are made"
