"""What is known of the answer of a regression: estimates with standard errors, and what the pictures cannot tell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ispdsl.optimise.least_squares import Fit
from ispdsl.optimise.sharing import Sharing
from ispdsl.optimise.space import Numbers
from ispdsl.runtime.values import Settings

BLOCK = 16
"""Pixels across the blocks within which what is left of a target may hang together: those of JPEG with its chroma."""

ALIKE = 0.25 / 255
"""Pictures whose values are closer than this (RMS; a quarter of a code of 8 bits) look the same."""

UNSEEN = 1e-12
"""Eigenvalues of the normal equations below this part of the largest are rounding: the direction does nothing."""

PROBE = 0.1
"""How far a direction is followed to see whether a picture changes: a tenth of the ranges."""


@dataclass(frozen=True)
class Estimate:
    """What was found of one number.

    Attributes:
        name: of the number: an address, or an element of a table.
        unit: that it is declared in.
        start, found: in this unit.
        error: standard error in this unit (one of them, not two); None at the end of a range, or where no picture
            depends on it.
        at_end: whether it lies at the end of what was searched.
    """

    name: str
    unit: str
    start: float
    found: float
    error: float | None
    at_end: bool


@dataclass(frozen=True)
class Confusion:
    """A direction that the pictures cannot tell: these numbers, moved together, leave them as they are.

    Attributes:
        parts: by name, the share of each in the direction (its sign says which way), largest first.
        change: RMS change of the pictures, 1 for white, when they are moved by a tenth of their ranges.
    """

    parts: tuple[tuple[str, float], ...]
    change: float


def estimates(
    sharing: Sharing, fit: Fit, settings: Sequence[Settings], scores: Callable[[NDArray[np.floating]], Numbers]
) -> tuple[Estimate, ...]:
    """What was found, with standard errors.

    Those are of least squares whose residuals hang together within blocks of pixels and not beyond (Liang and Zeger,
    "Longitudinal Data Analysis Using Generalized Linear Models", Biometrika 73(1), 1986, equation 7), and the step that
    was still to go is added in square.

    Args:
        sharing: what was searched.
        fit: where the search ended.
        settings: where it began, for each picture.
        scores: ``J^T v`` of every block of pixels by itself, ``(B, N)``, of any ``v`` ``(M,)``.
    """
    ends = (fit.point <= 0.0) | (fit.point >= 1.0)
    free = np.flatnonzero(~ends)
    errors = np.full(fit.point.size, np.nan)
    if free.size:
        values, vectors = np.linalg.eigh(fit.normal[np.ix_(free, free)])
        told = values > values[-1] * UNSEEN
        inverse = (vectors[:, told] / np.maximum(values[told], 1e-300)) @ vectors[:, told].T
        found = scores(fit.residual if fit.weights is None else fit.residual * fit.weights)[:, free]
        spread = np.diag(inverse @ (found.T @ found) @ inverse)
        errors[free] = np.sqrt(spread + np.square(inverse @ fit.slope[free]))
        errors[free[(vectors[:, ~told] ** 2).sum(axis=1) > 0.1]] = np.nan
    found, begun = sharing.declared(sharing.settings(fit.point, settings)), sharing.declared(settings)
    after, before = np.minimum(fit.point + 1e-4, 1.0), np.maximum(fit.point - 1e-4, 0.0)
    slopes = (sharing.physical(after) - sharing.physical(before)) / (after - before)
    return tuple(
        Estimate(
            name,
            sharing.units[place],
            float(begun[place]),
            float(found[place]),
            None if np.isnan(errors[place]) else float(abs(slopes[place]) * errors[place]),
            bool(ends[place]),
        )
        for place, name in enumerate(sharing.names)
    )


def blocks_of(places: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.int64]:
    """The block in which each number of a picture lies, counted from 0: all planes of a block together.

    Args:
        places: of the numbers in reading order, ``(M,)``.
        shape: of the picture, ``(C, H, W)``.
    """
    _, height, width = shape
    row, column = places % (height * width) // width, places % width
    return row // BLOCK * -(-width // BLOCK) + column // BLOCK


def confusions(names: Sequence[str], fit: Fit) -> tuple[Confusion, ...]:
    """Directions along which a tenth of the ranges changes the pictures by less than anyone sees, the worst first.

    What is one picture's own is judged by that picture alone.

    Args:
        names: of the numbers.
        fit: where the search ended.
    """
    rows = np.sqrt(np.maximum(fit.jacobian.rows, 1))
    values, vectors = np.linalg.eigh(fit.normal / np.outer(rows, rows))
    found: list[Confusion] = []
    for value, scaled in zip(values, vectors.T, strict=True):
        if value > (ALIKE / PROBE) ** 2:
            break
        direction = scaled / rows
        parts = _parts(names, direction / np.linalg.norm(direction))
        found.append(Confusion(parts, PROBE * float(np.sqrt(max(value, 0)))))
    return tuple(found)


def have_a_say(fit: Fit) -> NDArray[np.bool_]:
    """Which numbers change at all the pictures that see them, ``(N,)``."""
    return np.sqrt(np.diag(fit.normal) / np.maximum(fit.jacobian.rows, 1)) > ALIKE


def _parts(names: Sequence[str], direction: Numbers) -> tuple[tuple[str, float], ...]:
    """What moves in a direction, without what hardly does."""
    order = sorted(range(direction.size), key=lambda place: -abs(direction[place]))
    sign = np.sign(direction[order[0]]) or 1.0
    least = min(0.1, 0.5 * abs(direction[order[0]]))  # many pictures' own have small parts each
    return tuple(
        (names[place], round(float(sign * direction[place]), 3)) for place in order if abs(direction[place]) > least
    )
