"""Nelder and Mead's simplex, for few numbers and little noise."""

from __future__ import annotations

import numpy as np

from ispdsl.optimise.engine import Score
from ispdsl.optimise.searchers.restarts import restarted
from ispdsl.optimise.space import Numbers, Space

STEP = 0.25
"""Side of the first simplex."""


def nelder_mead(score: Score, space: Space, calls: int, seed: int, start: Numbers | None, /) -> str:
    """Nelder and Mead 1965, with coefficients that suit the number of axes (Gao and Han 2012), bounds, and restarts."""
    from scipy.optimize import minimize

    def local(part: Score, point: Numbers, steps: Numbers) -> None:
        inward = np.where(point < 0.5, 1.0, -1.0) * np.maximum(STEP, steps)
        minimize(
            part,
            point,
            method="Nelder-Mead",
            bounds=[(0.0, 1.0)] * len(point),
            options={
                "initial_simplex": np.vstack([point, point + np.diag(inward)]),
                "adaptive": len(point) > 2,
                "xatol": 1e-4,
                "fatol": np.inf,
                "maxfev": calls + 1,
                "maxiter": calls + 1,
            },
        )

    return restarted(local, score, space, seed, start)
