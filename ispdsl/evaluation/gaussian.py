"""A Gaussian process: a smooth function of a few dozen features from a few hundred noisy values, with how sure it is.

Rasmussen and Williams, "Gaussian Processes for Machine Learning", MIT Press 2006: chapter 2 for the predictions,
section 2.7 for the straight part (ridge regression as a process), equation 5.8 for the likelihood that is maximised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ENOUGH = 300
"""Values that the hyperparameters are found from; with more it takes seconds, and they change little."""

WIDEST = 12.0
"""Logarithms of hyperparameters stay within this distance of zero."""


@dataclass(frozen=True, eq=False)
class Process:
    """A process that has seen values.

    Attributes:
        inputs: features `(N, D)` that it has seen, standardised.
        values: what it has seen there, `(N,)`, standardised.
        groups: which group `(D,)` each feature is of; the features of a group share their scales.
        logarithms: of the hyperparameters: a straight weight for every group, a length for every group, the height of
            the curved part, the noise.
        centre, spread: `(D,)` of the features before they were standardised; `offset` and `unit` of the values.
    """

    inputs: Array
    values: Array
    groups: NDArray[np.intp]
    logarithms: Array
    centre: Array
    spread: Array
    offset: float
    unit: float

    def predict(self, features: Array) -> tuple[Array, Array]:
        """Expected values `(M,)` at features `(M, D)`, and the standard deviation of a value seen there."""
        from scipy.linalg import solve_triangular

        at = (features - self.centre) / self.spread
        cross = _kernel(at, self.inputs, self.groups, self.logarithms)
        factor, weights = self._solved
        reduced = solve_triangular(factor, cross.T, lower=True)
        own = _diagonal(at, self.groups, self.logarithms) + np.exp(self.logarithms[-1])
        variance = np.maximum(own - np.square(reduced).sum(axis=0), 1e-12)
        return self.offset + self.unit * (cross @ weights), self.unit * np.sqrt(variance)

    @property
    def _solved(self) -> tuple[Array, Array]:
        return _solve(self.inputs, self.values, self.groups, self.logarithms)


def fit(features: Array, values: Array, groups: Sequence[int]) -> Process:
    """The process whose hyperparameters make the values seen the likeliest.

    Args:
        features: `(N, D)`.
        values: `(N,)`.
        groups: of each feature, numbered from 0.
    """
    from scipy.optimize import minimize

    centre, spread = features.mean(axis=0), features.std(axis=0)
    spread = np.where(spread > 1e-9, spread, 1.0)
    offset, unit = float(values.mean()), float(values.std()) or 1.0
    inputs, targets = (features - centre) / spread, (values - offset) / unit
    of = np.asarray(groups, np.intp)
    count = int(of.max()) + 1
    step = -(-len(values) // ENOUGH)
    some, seen = inputs[::step], targets[::step]
    parts = _parts(some, of)
    start = np.concatenate([np.full(count, -3.0), np.full(count, 1.0), [0.0, -1.5]])
    found = minimize(
        _unlikelihood, start, (parts, seen), "L-BFGS-B", jac=True, bounds=_bounds(count), options={"maxiter": 100}
    )
    return Process(inputs, targets, of, np.asarray(found.x, np.float64), centre, spread, offset, unit)


def _bounds(groups: int) -> list[tuple[float, float]]:
    """Of the logarithms: lengths below half of the spread would learn the values by heart, as would no noise."""
    return [(-WIDEST, 4.0)] * groups + [(-0.7, WIDEST)] * groups + [(-WIDEST, 4.0), (-7.0, 2.0)]


def _parts(inputs: Array, groups: NDArray[np.intp]) -> tuple[Array, Array]:
    """Of each group the products and the squared distances `(G, N, N)` of all inputs, over its number of features."""
    from scipy.spatial.distance import cdist

    own = [inputs[:, groups == group] for group in range(int(groups.max()) + 1)]
    products = np.stack([each @ each.T / max(each.shape[1], 1) for each in own])
    return products, np.stack([cdist(each, each, "sqeuclidean") / max(each.shape[1], 1) for each in own])


def _unlikelihood(logarithms: Array, parts: tuple[Array, Array], values: Array) -> tuple[float, Array]:
    """Negative logarithm of the marginal likelihood and its gradient (equation 5.9).

    A weak prior holds the hyperparameters of which the values say nothing.
    """
    from scipy.linalg import cho_solve, cholesky

    products, distances = parts
    count = len(products)
    weights, inverse = np.exp(logarithms[:count]), np.exp(-2 * logarithms[count : 2 * count])
    curved = np.exp(logarithms[-2] - 0.5 * np.tensordot(inverse, distances, 1))
    noise = float(np.exp(logarithms[-1]))
    covariance = np.tensordot(weights, products, 1) + curved
    covariance[np.diag_indices(len(values))] += noise + 1e-8
    factor = cholesky(covariance, lower=True)
    solved = cho_solve((factor, True), values)
    beyond = logarithms - np.clip(logarithms, -4, 3)
    value = 0.5 * float(values @ solved) + float(np.log(np.diag(factor)).sum()) + 0.02 * float(beyond @ beyond)
    inner = 0.5 * (cho_solve((factor, True), np.eye(len(values))) - np.outer(solved, solved))
    by_curve = inner * curved
    gradient = np.concatenate(
        [
            weights * np.tensordot(products, inner, 2),
            inverse * np.tensordot(distances, by_curve, 2),
            [by_curve.sum(), noise * np.trace(inner)],
        ]
    )
    return value, np.asarray(gradient + 0.04 * beyond, np.float64)


def _solve(inputs: Array, values: Array, groups: NDArray[np.intp], logarithms: Array) -> tuple[Array, Array]:
    """The Cholesky factor of the covariance of what was seen, and the values divided by that covariance."""
    from scipy.linalg import cho_solve, cholesky

    covariance = _kernel(inputs, inputs, groups, logarithms)
    covariance[np.diag_indices(len(values))] += np.exp(logarithms[-1]) + 1e-8
    factor = cholesky(covariance, lower=True)
    return factor, cho_solve((factor, True), values)


def _scaled(inputs: Array, groups: NDArray[np.intp], logarithms: Array) -> tuple[Array, Array]:
    """Features as the straight part weighs them and as the curved part measures them, by the size of their group."""
    count = (len(logarithms) - 2) // 2
    size = np.bincount(groups, minlength=count)[groups]
    straight = np.exp(0.5 * logarithms[:count])[groups] / np.sqrt(size)
    curved = np.exp(-logarithms[count : 2 * count])[groups] / np.sqrt(size)
    return inputs * straight, inputs * curved


def _kernel(first: Array, second: Array, groups: NDArray[np.intp], logarithms: Array) -> Array:
    """Covariance `(N, M)`: a straight part of every group and one squared exponential over all."""
    from scipy.spatial.distance import cdist

    (one, curved), (two, other) = (_scaled(each, groups, logarithms) for each in (first, second))
    return one @ two.T + np.exp(logarithms[-2] - 0.5 * cdist(curved, other, "sqeuclidean"))


def _diagonal(inputs: Array, groups: NDArray[np.intp], logarithms: Array) -> Array:
    straight, _ = _scaled(inputs, groups, logarithms)
    return np.square(straight).sum(axis=1) + np.exp(logarithms[-2])
