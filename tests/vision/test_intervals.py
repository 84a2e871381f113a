"""Intervals by the bootstrap."""

from __future__ import annotations

import numpy as np
import pytest

from ispdsl.vision.intervals import bootstrap, of_mean


def test_the_interval_of_a_mean_is_two_standard_errors_to_each_side() -> None:
    values = np.random.default_rng(0).normal(3.0, 1.0, 400)
    value, low, high = of_mean(values)
    assert value == pytest.approx(values.mean())
    error = values.std() / 20
    assert low == pytest.approx(value - 1.96 * error, abs=0.2 * error)
    assert high == pytest.approx(value + 1.96 * error, abs=0.2 * error)


def test_pairs_are_drawn_together() -> None:
    """What makes a picture hard for both ways does not widen the interval of their difference."""
    hard = np.random.default_rng(1).normal(0.0, 10.0, 200)
    first, second = hard + 1, hard
    found = bootstrap(lambda drawn: float(first[drawn].mean() - second[drawn].mean()), 200)
    assert found == pytest.approx((1.0, 1.0, 1.0))


def test_equal_seeds_give_equal_intervals() -> None:
    values = np.arange(20.0)
    assert of_mean(values, seed=4) == of_mean(values, seed=4) != of_mean(values, seed=5)


def test_no_picture_has_no_interval() -> None:
    with pytest.raises(ValueError, match="no picture"):
        of_mean(np.zeros(0))
