"""Gaussian processes with a Matern 5/2 covariance and a length for each axis (Rasmussen and Williams 2006)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from scipy.linalg import LinAlgError, cho_solve, cholesky
from scipy.optimize import minimize
from scipy.spatial.distance import cdist

from ispdsl.optimise.searchers.answers import Indices
from ispdsl.optimise.space import Numbers, Space

ROUNDS = 15
"""Of the search for lengths, which begins where the last one ended."""
LENGTHS = (0.02, 20.0)
SIGNALS = (0.05, 20.0)
NOISES = (1e-6, 2.0)


@dataclass(frozen=True, eq=False)
class Process:
    """What answers say of a function; answers have mean 0 and variance 1 within.

    Attributes:
        coordinates: of the answers, ``(n, C)``.
        log_parameters: logarithms of a length for each axis, of the signal's variance and of the noise's.
        root: lower Cholesky factor of the answers' covariance.
        solved: the covariance's inverse times the answers.
        mean: of the answers.
        scale: of the answers.
        owner: the axis of each coordinate.
    """

    coordinates: Numbers
    log_parameters: Numbers
    root: Numbers
    solved: Numbers
    mean: float
    scale: float
    owner: Indices

    @property
    def lengths(self) -> Numbers:
        """Of the axes."""
        return np.exp(self.log_parameters[:-2])

    def _across(self, coordinates: Numbers) -> Numbers:
        return covariance(coordinates, self.coordinates, self.log_parameters, self.owner)

    def foretell(self, coordinates: Numbers) -> Numbers:
        """Mean at places ``(n, C)``."""
        return self._across(coordinates) @ self.solved * self.scale + self.mean

    def drawn(self, coordinates: Numbers, count: int, rng: np.random.Generator) -> Numbers:
        """Functions that the answers allow, at places ``(n, C)``: ``(n, count)``."""
        across = self._across(coordinates)
        rest = cho_solve((self.root, True), across.T, check_finite=False)
        own = covariance(coordinates, coordinates, self.log_parameters, self.owner) - across @ rest
        own[np.diag_indices_from(own)] += 1e-6
        draws = _root(own) @ rng.standard_normal((len(own), count))
        return (across @ self.solved)[:, None] + draws


def coordinates(space: Space, points: Numbers) -> tuple[Numbers, Indices]:
    """Points as the covariance sees them, and the axis of each coordinate; a level of a choice has one of its own."""
    parts: list[Numbers] = []
    owner: list[int] = []
    for index, axis in enumerate(space.axes):
        own = points[:, index : index + 1]
        if not axis.ordered and axis.levels is not None:
            own = np.eye(axis.levels)[np.round(own[:, 0] * (axis.levels - 1)).astype(int)] / np.sqrt(2)
        parts.append(own)
        owner.extend([index] * own.shape[1])
    return np.concatenate(parts, 1), np.array(owner, np.intp)


def fit(space: Space, points: Numbers, answers: Numbers, log_parameters: Numbers | None) -> Process:
    """Fit lengths, signal and noise to answers ``(n,)`` at points ``(n, N)`` by marginal likelihood (2.30, 5.9)."""
    places, owner = coordinates(space, points)
    mean, scale = float(answers.mean()), float(answers.std()) or 1.0
    rest = (answers - mean) / scale
    best = likeliest(places, rest[:, None], owner, np.ones(1), log_parameters, space.size)
    root, weights = solved(best, places, rest, owner)
    return Process(places, best, root, weights, mean, scale, owner)


def likeliest(
    places: Numbers, answers: Numbers, owner: Indices, weights: Numbers, begin: Numbers | None, size: int
) -> Numbers:
    """Logarithms of the lengths, the signal and the noise under which answers are likeliest.

    Args:
        places: ``(n, C)``.
        answers: of K processes with one covariance, each with mean 0 and variance 1, ``(n, K)``.
        owner: the axis of each coordinate.
        weights: how often each process counts, ``(K,)``.
        begin: what fitted before.
        size: number of axes.
    """
    found = minimize(
        _unlikely,
        np.log([*([0.5] * size), 1.0, 0.1]) if begin is None else begin,
        args=(places, answers, owner, weights),
        jac=True,
        method="L-BFGS-B",
        bounds=[np.log(each) for each in (*[LENGTHS] * size, SIGNALS, NOISES)],
        options={"maxiter": ROUNDS},
    )
    return cast("Numbers", found.x)


def covariance(one: Numbers, other: Numbers, log_parameters: Numbers, owner: Indices) -> Numbers:
    """Of places ``(n, C)`` with places ``(m, C)``, without the noise: ``(n, m)``."""
    lengths = np.exp(log_parameters[:-2])[owner]
    far = np.sqrt(5) * cdist(one / lengths, other / lengths)
    return np.exp(log_parameters[-2]) * (1 + far + far**2 / 3) * np.exp(-far)


def solved(log_parameters: Numbers, places: Numbers, rest: Numbers, owner: Indices) -> tuple[Numbers, Numbers]:
    """Lower Cholesky factor of the answers' covariance, noise and all, and its inverse times the answers."""
    own = covariance(places, places, log_parameters, owner)
    own[np.diag_indices_from(own)] += np.exp(log_parameters[-1])
    root = _root(own)
    return root, cho_solve((root, True), rest, check_finite=False)


def _root(covariance: Numbers) -> Numbers:
    """Lower Cholesky factor; the diagonal is raised until there is one."""
    extra = 1e-8
    while True:
        try:
            return cholesky(covariance, lower=True, check_finite=False)
        except LinAlgError:
            covariance = covariance + extra * np.eye(len(covariance))
            extra *= 10


def _unlikely(
    log_parameters: Numbers, places: Numbers, rest: Numbers, owner: Indices, counts: Numbers
) -> tuple[float, Numbers]:
    """Negative log marginal likelihood of all processes, and its gradient."""
    root, pulled = solved(log_parameters, places, rest, owner)
    count = float(counts.sum())
    value = 0.5 * float((rest * pulled).sum(0) @ counts) + count * float(np.log(np.diag(root)).sum())
    inverse = cho_solve((root, True), np.eye(len(rest)), check_finite=False)
    pull = (pulled * counts) @ pulled.T - count * inverse
    lengths, signal = np.exp(log_parameters[:-2])[owner], np.exp(log_parameters[-2])
    scaled = places / lengths
    far = np.sqrt(5) * cdist(scaled, scaled)
    weights = pull * signal * (5 / 3) * (1 + far) * np.exp(-far)
    by_coordinate = 2 * (weights.sum(1) @ scaled**2 - (scaled * (weights @ scaled)).sum(0))
    by_length = np.bincount(owner, by_coordinate, len(log_parameters) - 2)
    by_signal = (pull * signal * (1 + far + far**2 / 3) * np.exp(-far)).sum()
    by_noise = np.exp(log_parameters[-1]) * np.trace(pull)
    # a weak wish for lengths of about half the cube, so that axes without effect do not run away
    wish = 0.1 * (log_parameters[:-2] - np.log(0.5))
    value += 0.5 * float(wish @ (log_parameters[:-2] - np.log(0.5)))
    return value, np.concatenate([-0.5 * by_length + wish, [-0.5 * by_signal, -0.5 * by_noise]])
