"""Powell's method: lines along directions that it makes conjugate. For smooth functions with little noise."""

from __future__ import annotations

from ispdsl.optimise.engine import Score
from ispdsl.optimise.searchers.restarts import restarted
from ispdsl.optimise.space import Numbers, Space


def powell(score: Score, space: Space, calls: int, seed: int, start: Numbers | None, /) -> str:
    """Powell 1964 as scipy has it, with bounds and restarts."""
    from scipy.optimize import minimize

    def local(part: Score, point: Numbers, steps: Numbers) -> None:
        options = {"xtol": 1e-4, "ftol": 1e-8, "maxfev": calls + 1}
        minimize(part, point, method="Powell", bounds=[(0.0, 1.0)] * len(point), options=options)

    return restarted(local, score, space, seed, start)
