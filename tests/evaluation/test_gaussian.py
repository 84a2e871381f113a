"""The Gaussian process: it learns curves and slopes, says where it knows nothing, and is not led by what is noise."""

from __future__ import annotations

import numpy as np

from ispdsl.evaluation import gaussian
from ispdsl.evaluation.gaussian import fit


def test_it_learns_a_curve_and_a_slope() -> None:
    rng = np.random.default_rng(0)
    x = rng.random((90, 6))
    truth = np.sin(5 * x[:, 0]) + 2 * x[:, 4]
    process = fit(x[:60], truth[:60] + 0.05 * rng.normal(size=60), [0, 0, 0, 1, 1, 1])
    mean, deviation = process.predict(x[60:])
    assert np.sqrt(np.mean(np.square(mean - truth[60:]))) < 0.2 * truth.std()
    assert np.all(deviation < 0.4)


def test_far_from_all_values_it_is_less_sure() -> None:
    rng = np.random.default_rng(1)
    x = rng.random((50, 2))
    process = fit(x, np.sin(6 * x[:, 0]), [0, 0])
    _, deviation = process.predict(np.array([[0.5, 0.5], [4.0, 0.5]]))
    assert deviation[1] > 5 * deviation[0]


def test_a_slope_goes_on_outside() -> None:
    x = np.linspace(0, 1, 30)[:, None]
    mean, _ = fit(x, 40 - 10 * x[:, 0], [0]).predict(np.array([[1.5]]))
    assert abs(mean[0] - 25) < 1


def test_noise_is_not_learned_by_heart() -> None:
    rng = np.random.default_rng(2)
    x, noise = rng.random((60, 8)), rng.normal(size=60)
    mean, deviation = fit(x, noise, [0] * 8).predict(rng.random((60, 8)))
    assert np.std(mean) < 0.5
    assert np.median(deviation) > 0.7


def test_the_unit_of_features_and_values_does_not_matter() -> None:
    rng = np.random.default_rng(3)
    x = rng.random((40, 2))
    y = x[:, 0] ** 2
    plain, _ = fit(x, y, [0, 1]).predict(x[:5])
    scaled, _ = fit(x * [100, 0.01] + 7, 1000 * y - 3, [0, 1]).predict(x[:5] * [100, 0.01] + 7)
    np.testing.assert_allclose(scaled, 1000 * plain - 3, rtol=1e-3, atol=1)


def test_the_gradient_of_the_likelihood_is_its_slope() -> None:
    rng = np.random.default_rng(4)
    x, y = rng.random((20, 3)), rng.normal(size=20)
    parts = gaussian._parts(x, np.array([0, 0, 1]))
    at = np.array([-2.0, -5.0, 0.5, 1.0, 0.2, -1.0])
    _, gradient = gaussian._unlikelihood(at, parts, y)
    steps = 1e-5 * np.eye(6)
    slopes = [
        (gaussian._unlikelihood(at + step, parts, y)[0] - gaussian._unlikelihood(at - step, parts, y)[0]) / 2e-5
        for step in steps
    ]
    np.testing.assert_allclose(gradient, slopes, rtol=1e-4, atol=1e-6)
