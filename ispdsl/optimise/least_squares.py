"""Levenberg-Marquardt within bounds, for residuals that are dear and derivatives that may be another's.

A few dozen sliders and a picture's worth of residuals is a Gauss-Newton problem: a handful of steps where others take
hundreds of renders. The residuals may be those of a real thing and the Jacobian that of its double; what the double has
wrong is then learned from the real thing's own answers by secant updates (Broyden). Residuals that no point can make
small, such as what another camera did, may be kept from having the say by a robust loss (reweighted least squares).

Sources: Marquardt, "An Algorithm for Least-Squares Estimation of Nonlinear Parameters", Journal of SIAM 11(2), 1963;
damping as in Nielsen, "Damping Parameter in Marquardt's Method", IMM-REP-1999-05, equation 2.4; the secant update of
Broyden, "A Class of Methods for Solving Nonlinear Simultaneous Equations", Mathematics of Computation 19, 1965; bounds
are held by an active set. The robust loss is that of Charbonnier et al., "Two Deterministic Half-Quadratic
Regularization Algorithms for Computed Imaging", ICIP 1994; its weights are those of Holland and Welsch, "Robust
Regression Using Iteratively Reweighted Least-Squares", Communications in Statistics 6(9), 1977.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ispdsl.optimise.blocks import Blocks

Numbers = NDArray[np.float64]
Residual = Callable[[Numbers], NDArray[np.floating]]
"""Residuals ``(M,)`` at a point ``(N,)``."""


class Equations(Protocol):
    """Derivatives of residuals ``(M,)`` by numbers ``(N,)`` that are not there, but what a step asks of them."""

    @property
    def rows(self) -> NDArray[np.int64]:
        """How many residuals depend on each number, ``(N,)``."""
        ...

    def system(
        self, residual: NDArray[np.floating], weights: NDArray[np.floating] | None, /
    ) -> tuple[Numbers, Numbers]:
        """``J^T W J``, ``(N, N)``, and ``J^T W r``, ``(N,)``."""
        ...


Jacobian = Callable[[Numbers], NDArray[np.floating] | Blocks | Equations]
"""Their derivatives ``(M, N)``, or the blocks of them that are not zero, or their normal equations."""

FARTHEST = 0.5
"""No step is longer than this in any direction, as a part of the unit interval: beyond, nothing is linear."""
STILL = 1e-9
"""A step below this, as a part of the unit interval, changes no picture."""
FLAT = 1e-9
"""A gain below this part of the cost is rounding."""
HOPELESS = 1e12
"""Damping beyond which no step is left to try."""


@dataclass(frozen=True)
class Step:
    """One evaluation of the residual.

    Attributes:
        point: where.
        cost: sum of squares there.
        accepted: whether it was the best so far.
    """

    point: Numbers
    cost: float
    accepted: bool


@dataclass(frozen=True, eq=False)
class Fit:
    """Where a search ended.

    Attributes:
        point: the best, ``(N,)``.
        cost: its sum of squares, or of the robust loss.
        residual, jacobian: what was seen there ``(M,)``, and the derivatives that were used.
        weights: of the residuals under the robust loss, ``(M,)``; None where all count alike.
        normal, slope: of the normal equations: ``J^T W J``, ``(N, N)``, and ``J^T W r``, ``(N,)``.
        steps: every evaluation, in order.
        why: what ended it, in words.
    """

    point: Numbers
    cost: float
    residual: NDArray[np.floating]
    jacobian: Blocks | Equations
    weights: NDArray[np.floating] | None
    normal: Numbers
    slope: Numbers
    steps: tuple[Step, ...]
    why: str


def minimise(
    residual: Residual,
    jacobian: Jacobian,
    start: Numbers,
    bounds: tuple[Numbers, Numbers],
    *,
    calls: int,
    enough: float = 0.0,
    flat: float = FLAT,
    secant: bool = False,
    renew: float | None = None,
    robust: float | None = None,
    first: NDArray[np.floating] | None = None,
    told: Callable[[Step], None] | None = None,
    halt: Callable[[], bool] | None = None,
) -> Fit:
    """Least squares from one start.

    Args:
        residual: what is made small; each call of it counts.
        jacobian: its derivatives, or those of something that is much like it; calls are not counted. Where they are
            `Equations`, nothing can be learnt of them: `secant` and `renew` must be off.
        start: ``(N,)``.
        bounds: lowest and highest, each ``(N,)``; the start is put between them.
        calls: of `residual`, at most.
        enough: a sum of squares to stop at.
        flat: stop where a step gains less than this part of the cost, or can be foreseen to.
        secant: learn from each answer what the Jacobian has wrong; of use where it is another's.
        renew: after a step that gained at least this part of what was foreseen derivatives are not asked for anew, but
            learnt from the answer; of use where they are dear. None asks for them after every step.
        robust: residuals well beyond this count by their size rather than by their square (Charbonnier).
        first: the residual at the start, where it is known: it is not asked for again.
        told: called after each evaluation.
        halt: asked before each evaluation but the first; where it says so, the search ends with the best so far.

    Raises:
        ValueError: there is no call and no `first`, a bound lies on the wrong side of the other, or something is to be
            learnt where there are `Equations`.
    """
    low, high = bounds
    if (calls < 1 and first is None) or np.any(low > high):
        raise ValueError("there is nothing to search: no calls, or bounds the wrong way round")
    steps: list[Step] = []

    def asked(point: Numbers, best: float) -> tuple[NDArray[np.floating], float]:
        answer = residual(point)
        new = cost_of(answer, robust)
        steps.append(Step(point, new, new < best))
        if told is not None:
            told(steps[-1])
        return answer, new

    x = np.clip(start, low, high)
    r, cost = asked(x, np.inf) if first is None else (first, cost_of(first, robust))
    own, stale = _derivatives(jacobian(x)), False  # stale: of a point before, and corrected by what was learnt since
    learnt = _learning(own) if secant or renew is not None else None
    known: tuple[Numbers, Numbers] | None = None
    damping, grows = 1e-3, 2.0
    settled = False

    def anew() -> None:
        nonlocal own, learnt, stale, settled, known
        own, stale, settled, known = _derivatives(jacobian(x)), False, settled and not stale, None
        if learnt is not None and not secant:
            learnt = _learning(own)

    while True:
        matrix = own if learnt is None or not isinstance(own, Blocks) else own.plus(learnt)
        weights = None if robust is None else _weights(r, robust)
        if known is None or learnt is not None:
            known = matrix.system(r, weights)
        normal, slope = known
        reached = np.clip(x + _move(normal, slope, damping, x, low, high), low, high)
        move = reached - x
        foreseen = -float(2 * move @ slope + move @ normal @ move)
        still = np.abs(move).max(initial=0.0) < STILL
        why = ""
        if cost <= enough:
            why = "it is as near as was asked for"
            break
        if settled or (foreseen < flat * cost and not still):
            why = "it does not get better"
        elif still or damping > HOPELESS:
            why = "no step makes it better"
        elif len(steps) >= calls:
            why = "no calls are left"
            break
        elif halt is not None and halt():
            why = "it was told to stop"
            break
        if why and stale:
            anew()
            continue
        if why:
            break
        tried, new = asked(reached, cost)
        if learnt is not None and isinstance(matrix, Blocks):
            changed = matrix.times(move)
            learnt.learn((tried - r).astype(changed.dtype) - changed, move)
        if new < cost:
            gain = (cost - new) / max(foreseen, 1e-300)
            settled, stale = cost - new < flat * cost, True
            x, r, cost = reached, tried, new
            damping, grows = max(damping * max(0.1, 1 - (2 * min(gain, 1.0) - 1) ** 3), 1e-12), 2.0
            if renew is None or gain < renew:
                stale = False
                anew()
        elif stale:
            anew()
        else:
            damping, grows = damping * grows, grows * 2
    return Fit(x, cost, r, matrix, weights, normal, slope, tuple(steps), why)


def _derivatives(given: NDArray[np.floating] | Blocks | Equations) -> Blocks | Equations:
    return Blocks.of(given) if isinstance(given, np.ndarray) else given


def _learning(own: Blocks | Equations) -> Blocks:
    """Room for what is to be learnt."""
    if not isinstance(own, Blocks):
        raise ValueError("nothing can be learnt of derivatives that are not there")
    return own.zeros()


def _move(normal: Numbers, slope: Numbers, damping: float, x: Numbers, low: Numbers, high: Numbers) -> Numbers:
    """The damped step within the bounds. What would leave them is put on its bound, and the others step anew."""
    move = np.zeros_like(x)
    free = ~(((x <= low) & (slope > 0)) | ((x >= high) & (slope < 0)))
    diagonal = np.diag(normal)
    scale = np.maximum(diagonal, 1e-6 * diagonal.max(initial=0.0)) + 1e-300
    matrix = normal + damping * np.diag(scale)
    while free.any():
        pull = slope[free] + matrix[np.ix_(free, ~free)] @ move[~free]
        move[free] = -np.linalg.lstsq(matrix[np.ix_(free, free)], pull, rcond=None)[0]
        move[free] *= min(1.0, FARTHEST / max(float(np.abs(move[free]).max()), 1e-300))
        beyond = free & ((x + move < low) | (x + move > high))
        if not beyond.any():
            break
        move[beyond] = np.clip(x + move, low, high)[beyond] - x[beyond]
        free &= ~beyond
    return move


def cost_of(residual: NDArray[np.floating], robust: float | None = None) -> float:
    """What is made small, in double precision: the sum of squares, or of ``2 s^2 (sqrt(1 + (r / s)^2) - 1)``."""
    square = np.square(residual, dtype=np.float64)
    if robust is not None:
        square = 2 * robust**2 * (np.sqrt(1 + square / robust**2) - 1)
    return float(np.sum(square))


def _weights(residual: NDArray[np.floating], robust: float) -> NDArray[np.floating]:
    return 1 / np.sqrt(1 + np.square(residual / robust))
