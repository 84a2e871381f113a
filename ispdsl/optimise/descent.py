"""Descent along gradients, within bounds: Adam and torch's other optimisers, and L-BFGS.

For losses that are no sum of squares, and for as many numbers as one likes; where the loss is one and the numbers are
few dozens, `ispdsl.optimise.least_squares` needs a fraction of the steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Numbers = NDArray[np.float64]
Loss = Callable[[Tensor], Tensor]
"""A number at a point ``(N,)``, differentiable."""

OPTIMISERS = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD", "rmsprop": "RMSprop", "rprop": "Rprop", "nadam": "NAdam"}
"""Of `torch.optim`, by the name that they are asked for."""

LBFGS = "l-bfgs"


@dataclass(frozen=True, eq=False)
class Descent:
    """Where a descent ended.

    Attributes:
        point: the best that was seen, ``(N,)``.
        loss: there.
        path: the loss at each step, in order.
        why: what ended it, in words.
    """

    point: Numbers
    loss: float
    path: tuple[float, ...]
    why: str


def descend(
    loss: Loss,
    start: Numbers,
    bounds: tuple[Numbers, Numbers],
    *,
    optimiser: str = "adam",
    rate: float = 0.03,
    steps: int = 300,
    enough: float = -np.inf,
    told: Callable[[int, float], None] | None = None,
) -> Descent:
    """Make a loss small.

    Args:
        loss: what is made small; each step asks for it and its gradient once.
        start: ``(N,)``.
        bounds: lowest and highest, each ``(N,)``. Steps that leave them are put back onto them.
        optimiser: one of `OPTIMISERS`, or `LBFGS`: L-BFGS-B (Byrd, Lu, Nocedal and Zhu, "A Limited Memory Algorithm for
            Bound Constrained Optimization", SIAM Journal on Scientific Computing 16(5), 1995), which chooses its steps.
        rate: learning rate, as a part of the range where that is 0..1; L-BFGS has none.
        steps: of it, at most.
        enough: stop at this loss.
        told: called after each step with its number and the loss.

    Raises:
        ValueError: there is no such optimiser, or no step.
    """
    if steps < 1 or optimiser not in {*OPTIMISERS, LBFGS}:
        known = ", ".join(sorted({*OPTIMISERS, LBFGS}))
        raise ValueError(f"{steps} steps of {optimiser}: there must be a step, of one of {known}")
    seen = _Seen(loss, enough, told)
    by = _lbfgs if optimiser == LBFGS else _torch
    try:
        why = by(seen, start, bounds, optimiser, rate, steps)
    except _EnoughError:
        why = "it is as near as was asked for"
    best = int(np.argmin(seen.path))
    return Descent(seen.points[best], seen.path[best], tuple(seen.path), why)


class _EnoughError(Exception):
    """The loss that was asked for is reached."""


class _Seen:
    """The loss, and what was seen of it."""

    def __init__(self, loss: Loss, enough: float, told: Callable[[int, float], None] | None) -> None:
        self._loss, self._enough, self._told = loss, enough, told
        self.points: list[Numbers] = []
        self.path: list[float] = []

    def __call__(self, x: Tensor) -> Tensor:
        found = self._loss(x)
        self.points.append(x.detach().cpu().double().numpy().copy())
        self.path.append(float(found.detach()))
        if self._told is not None:
            self._told(len(self.path), self.path[-1])
        if self.path[-1] <= self._enough:
            raise _EnoughError
        return found


def _torch(
    seen: _Seen, start: Numbers, bounds: tuple[Numbers, Numbers], optimiser: str, rate: float, steps: int
) -> str:
    low, high = (torch.from_numpy(np.asarray(end, np.float64)) for end in bounds)
    x = torch.from_numpy(np.clip(start, *bounds).astype(np.float64)).requires_grad_()
    stepping = getattr(torch.optim, OPTIMISERS[optimiser])([x], lr=rate)
    for _ in range(steps):
        stepping.zero_grad()
        seen(x).backward()
        stepping.step()
        with torch.no_grad():
            x.clamp_(low, high)
    return "no steps are left"


def _lbfgs(seen: _Seen, start: Numbers, bounds: tuple[Numbers, Numbers], _: str, __: float, steps: int) -> str:
    from scipy.optimize import minimize

    def both(point: Numbers) -> tuple[float, Numbers]:
        x = torch.from_numpy(point.copy()).requires_grad_()
        found = seen(x)
        (slope,) = torch.autograd.grad(found, x)
        return float(found.detach()), slope.numpy()

    ended = minimize(
        both, np.clip(start, *bounds), jac=True, method="L-BFGS-B", bounds=list(zip(*bounds, strict=True)),
        options={"maxfun": steps, "maxiter": steps, "ftol": 1e-15, "gtol": 1e-12},
    )  # fmt: skip
    return "no steps are left" if len(seen.path) >= steps else f"it does not get better ({ended.message.lower()})"
