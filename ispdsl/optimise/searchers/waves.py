"""A model of noisy answers: a sum of functions of one axis each, and what hangs on several axes at once.

Each axis has a line, a parabola and 32 waves; axes whose levels have no order have a number for each level. What hangs
on several axes are products of two and random waves in all directions (random Fourier features: Rahimi and Recht 2007).
The weights are Gaussian, with a variance for each band of features that is found from the answers, as the noise is, by
maximising the evidence (MacKay 1992, "Bayesian interpolation"): so answers say how smooth a function is and whether its
axes act apart, and no one else.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, get_lapack_funcs, solve_triangular

from ispdsl.optimise.space import Axis, Numbers, Space

WAVES = 32
OCTAVES = (3, 8, 16, WAVES)
"""Where bands of waves end: each has a variance of its own."""
PLACES = 129
"""Of an axis, among which the lowest is looked for."""
DIRECTIONS = 64
"""Random waves of each width."""
WIDTHS = (0.6, 2.0)
"""Of the bumps that random waves make up, in mean distances of two points."""
MOST_PAIRS = 300
LEAST_NOISE = 1e-6
"""Variance; less would leave the weights to rounding."""
LINE, PARABOLA, NAMES, PAIRS = range(4)
FIRST_OCTAVE = 4
FIRST_WIDTH = FIRST_OCTAVE + len(OCTAVES)
BANDS = FIRST_WIDTH + len(WIDTHS)


@dataclass(frozen=True, eq=False)
class Box:
    """A part of the unit cube: what is within `half` of `centre`."""

    centre: Numbers
    half: Numbers

    def inward(self, points: Numbers) -> Numbers:
        """Points as seen from the box, -1 to 1; what is outside is brought to its side."""
        return np.clip((points - self.centre) / self.half, -1.0, 1.0)

    @property
    def low(self) -> Numbers:
        """Its lower corner, within the cube."""
        return np.maximum(self.centre - self.half, 0.0)

    @property
    def whole(self) -> bool:
        """Whether it is all of the cube."""
        return bool((self.half >= 0.5).all())

    @property
    def high(self) -> Numbers:
        """Its upper corner, within the cube."""
        return np.minimum(self.centre + self.half, 1.0)


@dataclass(frozen=True, eq=False)
class Ruler:
    """The features of one axis at the places that it may take within a box.

    Attributes:
        places: in the cube, ``(P,)``.
        table: their features, ``(P, M)``.
        coordinates: what features of several axes are made of: ``(P, 1)``, or a column for each level without order.
        bands: which band each feature is of, ``(M,)``.
    """

    places: Numbers
    table: Numbers
    coordinates: Numbers
    bands: NDArray[np.int_]


@dataclass(frozen=True, eq=False)
class Features:
    """What a model is made of.

    Attributes:
        axes: of the space.
        box: where it holds.
        directions: of random waves, ``(C, J)`` for all coordinates; None where axes act apart.
        phases: of random waves, ``(J,)``.
    """

    axes: tuple[Axis, ...]
    box: Box
    directions: Numbers | None
    phases: Numbers

    @staticmethod
    def of(space: Space, box: Box, seed: int | None) -> Features:
        """Features of a space: of single axes, and where there is a seed of several at once."""
        if seed is None:
            return Features(space.axes, box, None, np.zeros(0))
        rng = np.random.default_rng(seed)
        count = sum(1 if axis.ordered else axis.levels or 1 for axis in space.axes)
        widths = np.repeat(WIDTHS, DIRECTIONS) * np.sqrt(2 * space.size / 3)
        return Features(
            space.axes,
            box,
            rng.standard_normal((count, len(widths))) / widths,
            rng.uniform(0, 2 * np.pi, len(widths)),
        )

    def coordinates(self, axis: int, points: Numbers) -> Numbers:
        """What stands for an axis in features of several, ``(n, 1)`` or ``(n, levels)``."""
        levels = self.axes[axis].levels
        if self.axes[axis].ordered or levels is None:
            return ((points - self.box.centre[axis]) / self.box.half[axis]).clip(-1, 1)[:, None]
        return np.eye(levels)[np.round(points * (levels - 1)).astype(int)]

    def single(self, axis: int, points: Numbers) -> tuple[Numbers, list[int]]:
        """The features of one axis alone at its ``(n,)`` values, and their bands."""
        inward = self.coordinates(axis, points)
        kind = self.axes[axis]
        if not kind.ordered:
            return inward - 1 / inward.shape[1], [NAMES] * inward.shape[1]
        count = WAVES if kind.levels is None else min(WAVES, max(kind.levels - 2, 0))
        numbers = np.arange(1, count + 1)
        waves = np.cos(np.pi / 2 * numbers * (inward + 1))
        bands = [LINE, PARABOLA, *(FIRST_OCTAVE + int(np.searchsorted(OCTAVES, number)) for number in numbers)]
        return np.concatenate([inward, inward**2 - 1 / 3, waves], 1), bands

    @cached_property
    def rulers(self) -> tuple[Ruler, ...]:
        """Of every axis."""
        found: list[Ruler] = []
        for axis, kind in enumerate(self.axes):
            low, high = self.box.low[axis], self.box.high[axis]
            if kind.levels is None:
                places = np.linspace(low, high, PLACES)
            else:
                levels = np.arange(kind.levels) / max(kind.levels - 1, 1)
                inside = (levels >= low - 1e-9) & (levels <= high + 1e-9)
                places = levels[inside] if kind.ordered and inside.any() else levels
                if len(places) > 4 * PLACES:
                    places = places[np.linspace(0, len(places) - 1, 4 * PLACES).round().astype(int)]
            table, bands = self.single(axis, places)
            found.append(Ruler(places, table, self.coordinates(axis, places), np.array(bands)))
        return tuple(found)

    @cached_property
    def pairs(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Axes whose product is a feature."""
        ordered = np.array([axis for axis, kind in enumerate(self.axes) if kind.ordered], np.intp)
        one, other = np.triu_indices(len(ordered), 1)
        if self.directions is None or len(one) > MOST_PAIRS:
            return ordered[:0], ordered[:0]
        return ordered[one], ordered[other]

    @cached_property
    def bands(self) -> NDArray[np.int_]:
        """The band of every feature."""
        joint = [PAIRS] * len(self.pairs[0])
        joint += [FIRST_WIDTH + number // DIRECTIONS for number in range(len(self.phases))]
        return np.concatenate([*(ruler.bands for ruler in self.rulers), np.array(joint, int)])

    @cached_property
    def ends(self) -> list[int]:
        """Where the features of each axis end; those of several axes come after."""
        return list(np.cumsum([len(ruler.bands) for ruler in self.rulers]))

    def at(self, points: Numbers) -> Numbers:
        """All features at points ``(n, N)``."""
        parts = [self.single(axis, points[:, axis])[0] for axis in range(len(self.axes))]
        if self.directions is not None:
            inward = self.box.inward(points)
            parts.append(inward[:, self.pairs[0]] * inward[:, self.pairs[1]])
            every = np.concatenate([self.coordinates(axis, points[:, axis]) for axis in range(len(self.axes))], 1)
            parts.append(np.cos(every @ self.directions + self.phases))
        return np.concatenate(parts, 1)


@dataclass(frozen=True, eq=False)
class Prior:
    """What the evidence is largest with: a variance for each band, and that of the noise, of answers with variance 1.

    Attributes:
        variances: ``(BANDS,)``.
        noise: its variance.
        scale: what the answers were divided by.
    """

    variances: Numbers
    noise: float
    scale: float


@dataclass(frozen=True, eq=False)
class Model:
    """What answers say of a function.

    Attributes:
        features: that it is made of.
        prior: what the evidence chose, of answers with mean 0 and variance 1.
        weights: the mean of the posterior.
        root: lower Cholesky factor of the posterior's precision.
        middle: mean of each feature, which the weights do not see.
        mean: of the answers.
        scale: of the answers.
    """

    features: Features
    prior: Prior
    weights: Numbers
    root: Numbers
    middle: Numbers
    mean: float
    scale: float

    @property
    def noise(self) -> float:
        """Standard deviation of what the model does not know of an answer."""
        return self.scale * float(np.sqrt(self.prior.noise))

    def foretell(self, points: Numbers) -> Numbers:
        """Mean of the answers at points ``(n, N)``."""
        return (self.features.at(points) - self.middle) @ self.weights * self.scale + self.mean

    def withheld(self, points: Numbers, answers: Numbers) -> Numbers:
        """Errors of what the model would foretell of each of its answers had it not seen that one.

        They follow from the answers' own say in the fit (Allen 1974, PRESS), with variances as they are.
        """
        table = self.features.at(points) - self.middle
        say = (solve_triangular(self.root, table.T, lower=True, check_finite=False) ** 2).sum(0) / self.prior.noise
        return (answers - table @ self.weights * self.scale - self.mean) / np.maximum(1 - say, 1e-6)

    def drawn(self, count: int, rng: np.random.Generator) -> Numbers:
        """Functions that the answers allow, as weights ``(M, count)``."""
        draws = rng.standard_normal((len(self.weights), count))
        return self.weights[:, None] + solve_triangular(self.root, draws, lower=True, trans=1)


def fit(
    features: Features, points: Numbers, answers: Numbers, prior: Prior | None, rounds: int = 8, floor: float = 0.0
) -> Model:
    """Fit a model.

    Args:
        features: that it is made of.
        points: ``(n, N)``.
        answers: at these points, ``(n,)``.
        prior: of an earlier model, to begin with.
        rounds: of maximising the evidence; with one, the prior stays.
        floor: variance that the noise has at least.
    """
    table = features.at(points)
    middle = table.mean(0)
    table -= middle
    mean, scale = float(answers.mean()), float(answers.std()) or 1.0
    rest = (answers - mean) / scale
    bands, sizes = features.bands, np.bincount(features.bands, minlength=BANDS)
    if prior is None:
        prior = Prior(0.5 / np.maximum(sizes, 1) / np.count_nonzero(sizes), 0.5, scale)
    least = max(LEAST_NOISE, floor / scale**2)
    prior = Prior(prior.variances, float(np.clip(prior.noise * (prior.scale / scale) ** 2, least, 1.5)), scale)
    (invert,) = get_lapack_funcs(("potri",), (table,))
    gram, right, power = table.T @ table, table.T @ rest, float(rest @ rest)
    while True:
        variances = prior.variances[bands]
        precision = gram / prior.noise
        precision[np.diag_indices_from(precision)] += 1 / variances
        root = cholesky(precision, lower=True, check_finite=False)
        weights = cho_solve((root, True), right / prior.noise, check_finite=False)
        rounds -= 1
        if rounds < 1:
            return Model(features, prior, weights, root, middle, mean, scale)
        spread = np.diag(invert(root, lower=1)[0])
        known = np.bincount(bands, 1 - spread / variances, BANDS)  # how many weights of a band the answers tell
        squares = np.bincount(bands, weights**2, BANDS)
        slow = (squares + np.bincount(bands, spread, BANDS)) / np.maximum(sizes, 1)
        quick = squares / np.maximum(known, 0.5)
        left = power - 2 * weights @ right + weights @ gram @ weights
        noise = float(np.clip(left / max(len(answers) - known.sum(), 0.05 * len(answers)), least, 1.5))
        prior = Prior(np.clip(np.where(known > 0.5, quick, slow), 1e-9, 10.0), noise, scale)


def lowest(features: Features, weights: Numbers, start: Numbers, sweeps: int = 3) -> Numbers:
    """Where functions are lowest within the box: exactly where axes act apart, else axis by axis from a start.

    Args:
        features: of the functions.
        weights: ``(M, count)``.
        start: ``(N,)`` or ``(count, N)``.
        sweeps: over all axes, where they do not act apart.

    Returns:
        Points ``(count, N)``.
    """
    count = weights.shape[1]
    parts = np.split(weights, features.ends)
    own = [ruler.table @ part for ruler, part in zip(features.rulers, parts[:-1], strict=True)]
    if features.directions is None:
        return np.stack([ruler.places[each.argmin(0)] for ruler, each in zip(features.rulers, own, strict=True)], 1)
    points = np.broadcast_to(start, (count, len(own))).copy()
    one, other = features.pairs
    products, waves = parts[-1][: len(one)], parts[-1][len(one) :]
    columns = np.split(features.directions, np.cumsum([ruler.coordinates.shape[1] for ruler in features.rulers])[:-1])
    coordinates = [features.coordinates(axis, points[:, axis]) for axis in range(len(own))]
    phases = np.concatenate(coordinates, 1) @ features.directions + features.phases
    for _ in range(sweeps):
        for axis, ruler in enumerate(features.rulers):
            phases -= coordinates[axis] @ columns[axis]
            turn = ruler.coordinates @ columns[axis]
            value = own[axis] + np.cos(turn) @ (np.cos(phases).T * waves) - np.sin(turn) @ (np.sin(phases).T * waves)
            with_one, with_other = one == axis, other == axis
            if with_one.any() or with_other.any():
                inward = features.box.inward(points)
                slope = (products[with_one] * inward[:, other[with_one]].T).sum(0)
                slope += (products[with_other] * inward[:, one[with_other]].T).sum(0)
                value = value + ruler.coordinates[:, :1] * slope
            best = value.argmin(0)
            points[:, axis] = ruler.places[best]
            coordinates[axis] = ruler.coordinates[best]
            phases += coordinates[axis] @ columns[axis]
    return points
