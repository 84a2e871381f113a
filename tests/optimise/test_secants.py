"""A model of residuals learns from answers that are rounded, says how unsure it is, and can be moved."""

from __future__ import annotations

import numpy as np
import pytest

from ispdsl.optimise.secants import Secants

RNG = np.random.default_rng(3)
TRUE = RNG.normal(size=(4000, 3)) * np.array([40.0, 4.0, 0.4])
BASE = RNG.normal(size=4000)
ORDERED = np.array([True, True, False])


def answer(move: np.ndarray) -> np.ndarray:
    """What is seen, in whole codes."""
    return np.round(BASE + TRUE @ move).astype(np.float32)


def model(ordered: np.ndarray = ORDERED) -> Secants:
    """What one difference along each axis says."""
    first = answer(np.zeros(3))
    jacobian = np.stack([answer(0.04 * axis) - first for axis in np.eye(3)], axis=1) / np.float32(0.04)
    return Secants.of(first, (jacobian * ordered).astype(np.float32), ordered, 0.04)


def test_many_answers_say_what_one_difference_does_not() -> None:
    found = model(np.ones(3, np.bool_))
    before = np.abs(found.jacobian - TRUE).mean(axis=0)
    for seed in range(60):
        move = np.random.default_rng(seed).normal(0, [0.03, 0.2, 0.3])
        found.learn(move, answer(move), 1.0)
    after = np.abs(found.jacobian - TRUE).mean(axis=0)
    assert np.all(after[1:] < 0.4 * before[1:]), "what hardly shows is drowned by rounding"
    assert after[0] < before[0]
    assert np.mean((found.base - BASE) ** 2) < 0.3 / 12, "and the answer at the base is rounded, too"


def test_doubt_falls_where_it_was_asked_and_never_grows_beyond_the_first() -> None:
    found = model()
    first = np.diag(found.doubt).copy()
    assert first[3] == 0, "an axis without order is not learnt"
    for _ in range(5):
        found.learn(np.array([0.0, 0.3, 0.0]), answer(np.array([0.0, 0.3, 0.0])), 1.0)
    assert found.doubt[2, 2] < 0.2 * first[2]
    assert found.doubt[1, 1] == pytest.approx(first[1])
    for _ in range(300):
        found.learn(np.array([0.1, 0.0, 0.0]), answer(np.array([0.1, 0.0, 0.0])), 1.0)
    assert np.all(np.diag(found.doubt) <= first * (1 + 1e-9))
    assert np.linalg.eigvalsh(found.doubt).min() > -1e-12 * first.max()


def test_what_is_long_ago_is_forgotten() -> None:
    found = model()
    move = np.array([0.1, 0.0, 0.0])
    for turn in range(400):
        now = TRUE if turn < 300 else 2 * TRUE
        sign = (-1) ** turn
        found.learn(sign * move, (sign * now @ move).astype(np.float32), 0.1)
    assert np.mean((found.jacobian[:, 0] - 2 * TRUE[:, 0]) ** 2) < 0.01 * np.mean(TRUE[:, 0] ** 2)


def test_a_model_that_is_moved_says_the_same() -> None:
    found, other = model(), model()
    move, more = np.array([0.02, -0.1, 0.0]), np.array([-0.01, 0.3, 0.0])
    other.shift(move)
    np.testing.assert_allclose(
        other.base + other.jacobian @ more, found.base + found.jacobian @ (move + more), atol=1e-4
    )
    one, two = np.concatenate([[1.0], move + more]), np.concatenate([[1.0], more])
    assert two @ other.doubt @ two == pytest.approx(one @ found.doubt @ one)


def test_normal_equations_are_means() -> None:
    found = model()
    normal, slope, level = found.normal()
    np.testing.assert_allclose(normal, found.jacobian.T.astype(float) @ found.jacobian / 4000, rtol=1e-5)
    np.testing.assert_allclose(slope, found.jacobian.T.astype(float) @ found.base / 4000, rtol=1e-4, atol=1e-4)
    assert level == pytest.approx(np.mean(found.base.astype(float) ** 2))
