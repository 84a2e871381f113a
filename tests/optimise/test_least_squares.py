"""Levenberg-Marquardt: exact where it should be, within bounds, sparing, and not led astray by a wrong Jacobian."""

from __future__ import annotations

import numpy as np
import pytest

from ispdsl.optimise.blocks import Blocks, side_by_side
from ispdsl.optimise.least_squares import Numbers, Step, cost_of, minimise

UNIT = np.zeros(3), np.ones(3)
MATRIX = np.random.default_rng(0).normal(size=(50, 3))
THERE = np.array([0.3, 0.6, 0.45])


def linear(x: Numbers) -> Numbers:
    return MATRIX @ (x - THERE)


def bent(x: Numbers) -> Numbers:
    """Far from linear, zero at `THERE`."""
    return np.tanh(3 * MATRIX @ x) - np.tanh(3 * MATRIX @ THERE)


def slope_of_bent(x: Numbers) -> Numbers:
    return 3 * MATRIX / np.cosh(3 * MATRIX @ x)[:, None] ** 2


def test_what_is_linear_is_found_in_a_few_steps() -> None:
    fit = minimise(linear, lambda _: MATRIX, np.full(3, 0.5), UNIT, calls=20, enough=1e-16)
    np.testing.assert_allclose(fit.point, THERE, atol=1e-8)
    assert len(fit.steps) <= 5
    assert fit.why == "it is as near as was asked for"
    np.testing.assert_allclose(fit.normal, MATRIX.T @ MATRIX)


@pytest.mark.parametrize("start", [0.0, 0.5, 1.0])
def test_what_is_bent_is_found(start: float) -> None:
    fit = minimise(bent, slope_of_bent, np.full(3, start), UNIT, calls=60, enough=1e-16)
    np.testing.assert_allclose(fit.point, THERE, atol=1e-6)


def test_bounds_hold_and_the_rest_moves_on() -> None:
    high = np.array([0.1, 1.0, 1.0])
    seen: list[Numbers] = []

    def residual(x: Numbers) -> Numbers:
        seen.append(x)
        return linear(x)

    fit = minimise(residual, lambda _: MATRIX, np.zeros(3), (np.zeros(3), high), calls=50)
    assert all((x >= 0).all() and (x <= high).all() for x in seen)
    rest = np.linalg.lstsq(MATRIX[:, 1:], MATRIX @ THERE - 0.1 * MATRIX[:, 0], rcond=None)[0]
    np.testing.assert_allclose(fit.point, [0.1, *rest], atol=1e-6)


def test_no_call_beyond_what_was_allowed_and_each_is_told() -> None:
    count, told = [0], list[Step]()

    def residual(x: Numbers) -> Numbers:
        count[0] += 1
        return bent(x)

    fit = minimise(residual, slope_of_bent, np.zeros(3), UNIT, calls=3, told=told.append)
    assert count[0] == 3 == len(fit.steps)
    assert list(fit.steps) == told
    assert fit.why == "no calls are left"
    assert fit.cost == min(step.cost for step in fit.steps)


def of_a_double(x: Numbers) -> Numbers:
    """Derivatives that are wrong in every direction."""
    return slope_of_bent(x) @ np.array([[1.0, 0.5, 0.0], [-0.4, 0.8, 0.3], [0.0, 0.2, 1.3]])


def test_what_a_double_has_wrong_is_learnt() -> None:
    def reached(secant: bool) -> float:
        found = minimise(bent, of_a_double, np.full(3, 0.5), UNIT, calls=18, secant=secant)
        return found.cost

    assert reached(secant=True) < 1e-12
    assert reached(secant=True) < reached(secant=False) / 100


def test_a_flat_cost_ends_the_search() -> None:
    fit = minimise(lambda _: np.ones(5), lambda _: np.zeros((5, 3)), np.full(3, 0.5), UNIT, calls=20)
    assert len(fit.steps) == 1
    assert fit.why == "no step makes it better"


def test_what_is_known_of_the_start_is_not_asked_again() -> None:
    asked: list[Numbers] = []

    def residual(x: Numbers) -> Numbers:
        asked.append(x)
        return linear(x)

    start = np.full(3, 0.5)
    known = minimise(residual, lambda _: MATRIX, start, UNIT, calls=0, first=linear(start))
    assert not asked
    assert not known.steps
    assert known.why == "no calls are left"
    fit = minimise(residual, lambda _: MATRIX, start, UNIT, calls=9, first=linear(start))
    assert not any((x == start).all() for x in asked)
    np.testing.assert_allclose(fit.point, THERE, atol=1e-4)


def test_no_step_is_asked_for_that_is_known_to_gain_nothing() -> None:
    noise = np.random.default_rng(1).normal(size=50)
    fit = minimise(
        lambda x: linear(x) + noise, lambda _: MATRIX, np.full(3, 0.5), (-9 * np.ones(3), 9 * np.ones(3)), calls=50
    )
    assert len(fit.steps) <= 6
    assert fit.why == "it does not get better"
    np.testing.assert_allclose(MATRIX.T @ (linear(fit.point) + noise), 0, atol=1e-2)
    np.testing.assert_allclose(fit.slope, MATRIX.T @ fit.residual, atol=1e-9)


@pytest.mark.parametrize(("calls", "bounds"), [(0, UNIT), (5, UNIT[::-1])])
def test_what_cannot_be_searched_is_refused(calls: int, bounds: tuple[Numbers, Numbers]) -> None:
    with pytest.raises(ValueError, match="nothing to search"):
        minimise(linear, lambda _: MATRIX, np.zeros(3), bounds, calls=calls)


def test_a_robust_loss_leaves_outliers_out() -> None:
    at = np.linspace(0, 1, 200)
    values = 0.3 + 0.4 * at
    values[::5] += 5.0

    def residual(x: Numbers) -> Numbers:
        return x[0] + x[1] * at - values

    def slopes(x: Numbers) -> Numbers:
        return np.stack([np.ones_like(at), at], axis=1)

    bounds = np.zeros(2), np.full(2, 3.0)
    plain = minimise(residual, slopes, np.zeros(2), bounds, calls=50)
    robust = minimise(residual, slopes, np.zeros(2), bounds, calls=50, robust=0.001)
    assert np.abs(plain.point - [0.3, 0.4]).max() > 0.5
    np.testing.assert_allclose(robust.point, [0.3, 0.4], atol=0.002)
    assert robust.weights is not None
    assert robust.weights[::5].max() < 0.001 < robust.weights[1::5].min()


def test_the_robust_loss_is_that_of_squares_where_all_is_small() -> None:
    small = np.linspace(-1e-3, 1e-3, 11)
    assert cost_of(small, 1.0) == pytest.approx(cost_of(small), rel=1e-5)
    assert cost_of(np.array([100.0]), 0.5) == pytest.approx(2 * 0.5 * 100, rel=0.01)


def test_a_search_that_is_told_to_stop_gives_what_it_has() -> None:
    fit = minimise(bent, slope_of_bent, np.zeros(3), (np.zeros(3), np.ones(3)), calls=50, halt=lambda: True)
    assert len(fit.steps) == 1
    assert fit.why == "it was told to stop"


@pytest.mark.parametrize("secant", [False, True])
def test_dear_derivatives_are_asked_for_less_often(secant: bool) -> None:
    def asked(renew: float | None) -> tuple[int, float]:
        count = 0

        def counted(x: Numbers) -> Numbers:
            nonlocal count
            count += 1
            return of_a_double(x) if secant else slope_of_bent(x)

        found = minimise(bent, counted, np.full(3, 0.5), UNIT, calls=40, secant=secant, renew=renew)
        return count, found.cost

    (often, near), (seldom, as_near) = asked(None), asked(0.5)
    assert seldom < often
    assert max(near, as_near) < 1e-12


def test_it_does_not_end_on_derivatives_of_another_point() -> None:
    """Rosenbrock's valley: what was learnt on the way soon says that there is nothing to gain."""

    def valley(x: Numbers) -> Numbers:
        return np.array([10 * (2 * x[1] - (2 * x[0]) ** 2), 1 - 2 * x[0]])

    def along(x: Numbers) -> Numbers:
        return np.array([[-80 * x[0], 20.0], [-2.0, 0.0]])

    found = minimise(valley, along, np.array([0.0, 0.9]), (np.zeros(2), np.ones(2)), calls=200, renew=0.01)
    np.testing.assert_allclose(found.point, [0.5, 0.5], atol=1e-6)


def test_one_number_at_its_bound_does_not_hold_the_others() -> None:
    """Two numbers that do nearly the same: where the first may not grow, the second has to go its own way."""
    matrix = np.array([[1.0, 1.0], [1.0, 0.9], [0.5, 0.7]])
    there = np.array([2.0, 0.2])
    high = np.array([0.5, 4.0])
    fit = minimise(
        lambda x: matrix @ (x - there), lambda _: matrix, np.array([0.4, 1.6]), (np.zeros(2), high), calls=30
    )
    best = np.linalg.lstsq(matrix[:, 1:], matrix @ there - matrix[:, 0] * 0.5, rcond=None)[0]
    np.testing.assert_allclose(fit.point, [0.5, best[0]], atol=1e-6)
    assert len(fit.steps) < 12


def test_blocks_are_the_matrix_that_they_leave_the_zeros_out_of() -> None:
    rng = np.random.default_rng(0)
    columns = [np.array([0, 2]), np.array([2, 1, 3])]
    parts = [rng.normal(size=(5, 2)), rng.normal(size=(7, 3))]
    full = np.zeros((12, 4))
    full[:5, columns[0]], full[5:, columns[1]] = parts
    blocks = side_by_side(list(zip(parts, columns, strict=True)), 4)
    weights, residual, move = rng.random(12), rng.normal(size=12), rng.normal(size=4)
    groups = rng.integers(0, 3, 12)
    np.testing.assert_allclose(blocks.times(move), full @ move)
    np.testing.assert_array_equal(blocks.rows, [5, 7, 12, 7])
    for given in (None, weights):
        scale = 1.0 if given is None else given[:, None]
        np.testing.assert_allclose(blocks.normal(given), full.T @ (scale * full))
        np.testing.assert_allclose(blocks.pull(residual, given), full.T @ (scale * residual[:, None])[:, 0])
    by_group = [(full * (residual * (groups == each))[:, None]).sum(axis=0) for each in range(3)]
    np.testing.assert_allclose(blocks.scores(residual, groups), by_group)
    whole = side_by_side([(part, np.arange(part.shape[1])) for part in (full[:5], full[5:])], 4)
    assert len(whole.parts) == 1
    np.testing.assert_array_equal(whole.parts[0].slopes, full)


def test_what_is_learnt_of_blocks_keeps_their_zeros() -> None:
    columns = [np.array([0, 1]), np.array([0, 2])]
    blocks = side_by_side([(np.ones((3, 2)), each) for each in columns], 3)
    learnt, move, missed = blocks.zeros(), np.array([0.5, -1.0, 0.25]), np.arange(6.0) + 1
    learnt.learn(missed, move)
    np.testing.assert_allclose(blocks.plus(learnt).times(move), blocks.times(move) + missed)
    elsewhere = np.array([1.0, 0.5, 0.0])  # across the move for the first three residuals
    np.testing.assert_allclose(learnt.times(elsewhere)[:3], 0, atol=1e-12)
    assert learnt.parts[0].slopes.shape == (3, 2)


def test_an_update_of_blocks_learns_what_each_has_wrong() -> None:
    """Three pictures with a number of their own each and one that they share; slopes are off by 1.4."""
    rng = np.random.default_rng(2)
    mixes = [rng.normal(size=(20, 2)) for _ in range(3)]
    places = [np.array([0, number]) for number in (1, 2, 3)]
    wanted = np.array([0.3, 0.7, 0.4, 0.6])

    def residual(x: Numbers) -> Numbers:
        return np.concatenate([mix @ (x - wanted)[each] for mix, each in zip(mixes, places, strict=True)])

    def of_a_double(_: Numbers) -> Blocks:
        return side_by_side([(1.4 * mix, each) for mix, each in zip(mixes, places, strict=True)], 4)

    unit = np.zeros(4), np.ones(4)
    fit = minimise(residual, of_a_double, np.full(4, 0.5), unit, calls=8, enough=1e-16, secant=True)
    np.testing.assert_allclose(fit.point, wanted, atol=1e-6)
