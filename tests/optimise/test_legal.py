"""The best legal point of a quadratic model: on codes, within ranges, and better than rounding."""

from __future__ import annotations

import itertools

import numpy as np

from ispdsl.optimise.legal import FARTHEST, lowest
from ispdsl.optimise.space import Axis, Space

CODES = Space((Axis("a", 17), Axis("b", 9), Axis("c", 5, ordered=False)))
FREE = np.array([0, 1])
STIFF = np.array([[1.0, 0.9], [0.9, 1.0]])
"""One code of the first nearly undoes one of the second."""


def test_codes_that_do_much_the_same_are_not_rounded_apart() -> None:
    x = np.array([8 / 16, 4 / 8, 1.0])
    for aim in np.random.default_rng(0).uniform(-0.2, 0.2, (20, 2)):
        slope = -STIFF @ aim

        def model(move: np.ndarray, slope: np.ndarray = slope) -> float:
            return float(move @ STIFF @ move + 2 * slope @ move)

        moves = [np.array(each) for each in itertools.product(np.arange(-4, 5) / 16, np.arange(-2, 3) / 8)]
        found = lowest(CODES, x, FREE, STIFF, slope)
        np.testing.assert_array_equal(found, CODES.snap(found))
        assert found[2] == 1.0, "it is not free"
        rounded = CODES.snap(x + np.array([*aim, 0.0]))
        assert model((found - x)[:2]) <= model((rounded - x)[:2]) + 1e-12
        assert model((found - x)[:2]) <= min(map(model, moves)) + 0.003


def test_steps_stay_within_ranges_and_are_short() -> None:
    space = Space.continuous("ab")
    x = np.array([0.9, 0.5])
    np.testing.assert_allclose(lowest(space, x, FREE, np.eye(2), np.array([-1.0, 1.0])), [1.0, 0.5 - FARTHEST])
    inside = lowest(space, x, FREE, STIFF, -STIFF @ np.array([0.05, -0.1]))
    np.testing.assert_allclose(inside, [0.95, 0.4])


def test_what_is_at_its_bound_is_made_up_for_by_the_others() -> None:
    found = lowest(Space.continuous("ab"), np.array([1.0, 0.5]), FREE, STIFF, -STIFF @ np.array([0.1, 0.0]))
    np.testing.assert_allclose(found, [1.0, 0.59])
