"""A search by a model of pictures: numbers, codes and names at once, by few calls; never more, never one twice."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ispdsl.optimise.composite import EXHAUSTED, Model, composite
from ispdsl.optimise.engine import Found, search
from ispdsl.optimise.searchers.gaussian_process import coordinates, covariance, solved
from ispdsl.optimise.secants import Floats
from ispdsl.optimise.space import Axis, Numbers, Space

SPACE = Space(
    (Axis("strength"), Axis("threshold"), Axis("radius", levels=9), Axis("method", levels=3, ordered=False),
     Axis("colours", levels=2, ordered=False), Axis("of no account"))
)  # fmt: skip

START = SPACE.snap(np.array([0.02, 0.5, 0.0, 0.0, 0.0, 0.5]))

NOISE, DETAIL, COLOUR = np.random.default_rng(0).normal(size=(3, 400)).astype(np.float32) * [[1.0], [1.2], [0.4]]


def residual(point: Numbers) -> Floats:
    """What a denoiser might leave: noise that falls with its strength, detail that goes with it, and colour's noise."""
    strength = 2 * point[0] * (1 + point[2]) * (0.8 + 0.4 * point[1])
    method = round(2 * point[3])
    left = np.exp(-strength * (1.0, 1.8, 1.4)[method])
    lost = 0.35 * strength**2 * (1.0, 1.5, 0.5)[method] + 0.1 * (point[2] - 0.6) ** 2
    return np.asarray(left * NOISE + lost * DETAIL + (1 - 0.7 * point[4]) * COLOUR, np.float32)


def score(point: Numbers) -> float:
    return 10 * float(np.log10(np.mean(residual(point) ** 2)))


def found(calls: int, seed: int = 0, space: Space = SPACE, start: Numbers | None = START) -> Found:
    return search(composite(residual), score, space, calls=calls, seed=seed, start=start)


def lowest(*methods: float) -> float:
    """On a fine grid of everything, with some methods."""
    axes = [*(np.linspace(0, 1, count) for count in (41, 5, 9)), methods, (0.0, 1.0)]
    return min(score(np.array([*point, 0.5])) for point in itertools.product(*axes))


def test_numbers_codes_and_names_are_found_by_few_calls() -> None:
    best = lowest(0.0, 0.5, 1.0)
    ends = [found(32, seed).value for seed in range(3)]
    assert max(ends) < best + 0.1
    assert score(START) > best + 3


def test_it_begins_at_the_start_and_keeps_to_what_is_legal() -> None:
    one, other = found(20), found(20)
    np.testing.assert_array_equal(one.evaluations[0].point, START)
    assert [each.point.tolist() for each in one.evaluations] == [each.point.tolist() for each in other.evaluations]
    assert len(one.evaluations) == 20
    assert len({each.point.tobytes() for each in one.evaluations}) == 20, "no point is asked twice"
    for each in one.evaluations:
        np.testing.assert_array_equal(each.point, SPACE.snap(each.point))


def test_what_cannot_be_rendered_is_avoided() -> None:
    def failing(point: Numbers) -> Floats | None:
        return None if point[3] == 0.5 else residual(point)

    def told(point: Numbers) -> float:
        return float("nan") if point[3] == 0.5 else score(point)

    end = search(composite(failing), told, SPACE, calls=30, start=START)
    assert len(end.evaluations) == 30
    assert end.value < lowest(0.0, 1.0) + 0.1
    assert np.sum(np.isnan([each.value for each in end.evaluations])) <= 4, "where it failed is avoided"
    never = search(composite(lambda _: None), lambda _: float("nan"), SPACE, calls=12)
    assert len(never.evaluations) == 12


def test_it_ends_where_nothing_is_left() -> None:
    few = Space((Axis("radius", levels=4, ordered=False), *SPACE.axes[3:5]))  # of names alone

    def whole(point: Numbers) -> Numbers:
        return np.array([0.3, 0.5, *point, 0.5])

    end = search(composite(lambda p: residual(whole(p))), lambda p: score(whole(p)), few, calls=50)
    assert end.why == EXHAUSTED
    assert len(end.evaluations) == 24
    exact = search(composite(lambda p: p.astype(np.float32)), lambda p: float(p @ p), few, calls=50)
    assert exact.value == 0
    assert exact.why == "nothing is left of the difference"


def test_the_model_foretells_sums_of_squares_with_their_uncertainty() -> None:
    """Against the definition: every number of a picture a Gaussian process of its own, all with one covariance."""
    rng = np.random.default_rng(1)
    space = Space.continuous(["one", "other"])
    points, asked = rng.random((7, 2)), rng.random((3, 2))
    pictures = rng.normal(size=(7, 5)) + 2
    mean = pictures.mean(0)
    _, scales, components = np.linalg.svd(pictures - mean, full_matrices=False)
    scales = scales[:5] / np.sqrt(7)
    parameters = np.log([0.4, 0.7, 1.3, 0.05])
    places, owner = coordinates(space, points)
    answers = (pictures - mean) @ components.T / scales
    root, pulled = solved(parameters, places, answers, owner)
    model = Model(space, places, owner, parameters, root, pulled, components @ mean, scales, 0.0)
    across = covariance(coordinates(space, asked)[0], places, parameters, owner)
    own = covariance(places, places, parameters, owner) + 0.05 * np.eye(7)
    expected = mean + across @ np.linalg.solve(own, pictures - mean)
    certain = (expected**2).sum(1) + 0.05 * (scales**2).sum()
    np.testing.assert_allclose(model.costs(asked, np.zeros((1, 5)))[:, 0], np.log(certain), rtol=1e-6)
    drawn = np.exp(model.costs(asked, rng.standard_normal((200_000, 5)))).mean(1)
    variance = 1.3 - np.sum(across * np.linalg.solve(own, across.T).T, axis=1)
    np.testing.assert_allclose(drawn, certain + variance * (scales**2).sum(), rtol=0.02)


@pytest.mark.parametrize("calls", [1, 3])
def test_very_few_calls_are_enough_for_an_answer(calls: int) -> None:
    assert len(found(calls, start=None).evaluations) == calls
