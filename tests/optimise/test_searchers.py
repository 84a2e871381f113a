"""Every searcher finds bottoms, keeps to what is legal, and does the same again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

from ispdsl.optimise.engine import Found, search
from ispdsl.optimise.searchers import SEARCHERS
from ispdsl.optimise.searchers.study import BEST, distributions, parameters, thinned
from ispdsl.optimise.searchers.waves import BANDS, FIRST_OCTAVE, PAIRS, PARABOLA, Box, Features, fit, lowest
from ispdsl.optimise.space import Axis, Numbers, Space

LEARNING = ("surrogate", "cma-es", "bayesian", "tpe", "nelder-mead", "powell")
SQUARE = Space.continuous(["a", "b", "c"])
MIXED = Space((Axis("gain"), Axis("code", 17), Axis("method", 3, ordered=False), Axis("on", 2, ordered=False)))
BOTTOM = np.array([0.3, 0.81, 0.56])
MIXED_BOTTOM = np.array([0.3, 0.75, 0.5, 1.0])


def bowl(point: Numbers) -> float:
    """Its axes hang together, and differ in their curvature."""
    turned = np.array([[1.0, 0.5, 0.0], [0.0, 2.0, 0.6], [0.3, 0.0, 1.0]]) @ (point - BOTTOM)
    return float(turned @ turned)


def mixed(point: Numbers) -> float:
    return float((point[0] - 0.3) ** 2 + (point[1] - 0.75) ** 2 + 0.3 * (point[2] != 0.5) + 0.2 * (point[3] != 1.0))


def points(found: Found) -> Numbers:
    return np.array([each.point for each in found.evaluations])


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name == "bayesian" else ()) for name in LEARNING]
)
def test_the_bottom_of_a_bowl_is_found(name: str) -> None:
    calls = {"bayesian": 20}.get(name, 120)
    found = search(SEARCHERS[name], bowl, SQUARE, calls=calls, seed=2)
    at_random = search(SEARCHERS["random"], bowl, SQUARE, calls=calls, seed=2)
    assert len(found.evaluations) == calls
    assert found.value < 0.3 * at_random.value
    assert found.value < 0.01


@pytest.mark.parametrize("name", SEARCHERS)
def test_levels_are_kept_and_the_start_is_measured(name: str) -> None:
    calls = {"bayesian": 14, "surrogate": 100, "tpe": 100}.get(name, 300)
    start = np.array([0.9, 0.25, 0.0, 0.0])
    asked: list[Numbers] = []

    def score(point: Numbers) -> float:
        asked.append(point.copy())
        return mixed(point)

    found = search(SEARCHERS[name], score, MIXED, calls=calls, seed=4, start=start)
    np.testing.assert_array_equal(asked[0], start)
    legal = np.array([MIXED.snap(point) for point in asked])
    np.testing.assert_array_equal(asked, legal)
    assert found.value < mixed(start)
    assert len({point[2] for point in asked}) == 3
    if name in LEARNING and name != "bayesian":
        assert found.value < 0.05
        np.testing.assert_array_equal(found.point[2:], MIXED_BOTTOM[2:])


@pytest.mark.parametrize("name", SEARCHERS)
def test_the_same_seed_makes_the_same_calls_whatever_else_draws(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    def run(seed: int) -> Numbers:
        rng = np.random.default_rng(0)

        def noisy(point: Numbers) -> float:
            np.random.standard_normal()  # what is measured may draw as well
            return bowl(point) + 0.1 * rng.standard_normal()

        return points(search(SEARCHERS[name], noisy, SQUARE, calls=13 if name == "bayesian" else 26, seed=seed))

    one, other = run(5), run(5)
    np.testing.assert_array_equal(one, other)
    assert not np.array_equal(one, run(6))
    assert capfd.readouterr() == ("", "")


def test_numpys_common_generator_is_left_as_it_was() -> None:
    np.random.seed(1)
    expected = np.random.random_sample()
    np.random.seed(1)
    search(SEARCHERS["cma-es"], bowl, SQUARE, calls=60, seed=2)
    assert np.random.random_sample() == expected


def noisy(function: Callable[[Numbers], float], deviation: float, seed: int) -> Callable[[Numbers], float]:
    rng = np.random.default_rng(seed)
    return lambda point: function(point) + deviation * rng.standard_normal()


def test_under_noise_the_surrogate_recommends_better_than_its_luckiest_answer() -> None:
    """Where noise is large in a part of the space, the lowest answer is from there."""
    space = Space.continuous([str(index) for index in range(5)])
    bottom = np.array([0.3, 0.81, 0.56, 0.12, 0.7])
    rng = np.random.default_rng(0)

    def far(point: Numbers) -> float:
        return float(((point - bottom) ** 2).sum())

    def rough(point: Numbers) -> float:
        return far(point) + (2.0 if point[0] > 0.7 else 0.1) * rng.standard_normal()

    found = search(SEARCHERS["surrogate"], rough, space, calls=150, seed=1)
    assert len(found.evaluations) == 150
    assert found.point[0] > 0.7
    assert far(found.recommended) < 0.15 < far(found.point)


def test_cma_es_recommends_the_mean_of_its_distribution_under_noise_only() -> None:
    found = search(SEARCHERS["cma-es"], noisy(bowl, 0.2, 0), SQUARE, calls=300, seed=1)
    assert found.named is not None
    assert not any(np.array_equal(found.named, each) for each in points(found))
    assert bowl(found.recommended) < 0.15
    assert search(SEARCHERS["cma-es"], bowl, SQUARE, calls=80, seed=1).named is None


@pytest.mark.slow
def test_bayesian_search_of_many_calls_is_local() -> None:
    found = search(SEARCHERS["bayesian"], noisy(bowl, 0.05, 0), SQUARE, calls=400, seed=1)
    assert len(found.evaluations) == 400
    assert bowl(found.recommended) < 0.02
    assert points(found)[-100:].std(0).max() < 0.2


def test_a_long_study_keeps_its_best_answers_and_some_others() -> None:
    from optuna import create_study
    from optuna.trial import create_trial

    study = create_study()
    asked = distributions(SQUARE)
    values = np.random.default_rng(3).permutation(80).astype(float)
    study.add_trials([create_trial(params=parameters(SQUARE, BOTTOM), distributions=asked, value=x) for x in values])
    kept = [trial.value or 0.0 for trial in thinned(study, 40, np.random.default_rng(0)).trials]
    assert len(set(kept)) == 40
    assert set(range(BEST)) < set(kept)
    assert max(kept) > 60
    assert kept == [value for value in values if value in kept]


def test_tpe_finds_the_bottom_with_few_answers_in_view(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ispdsl.optimise.searchers.tpe.MOST", 40)
    found = search(SEARCHERS["tpe"], bowl, SQUARE, calls=100, seed=2)
    assert len(found.evaluations) == 100
    assert found.value < 0.01


def test_the_answers_say_how_smooth_a_function_is_and_whether_axes_act_apart() -> None:
    rng = np.random.default_rng(0)
    space = Space.continuous(["a", "b"])
    box = Box(np.full(2, 0.5), np.full(2, 0.5))
    at = rng.random((300, 2))
    smooth = fit(Features.of(space, box, None), at, (at[:, 0] - 0.2) ** 2, None).prior.variances
    assert smooth[PARABOLA] > 100 * smooth[FIRST_OCTAVE:BANDS].max()
    joint = Features.of(space, box, 1)
    together = (at[:, 0] - 0.5) * (at[:, 1] - 0.3) + 0.01 * rng.standard_normal(300)
    model = fit(joint, at, together, None)
    assert model.prior.variances[PAIRS] > 10 * model.prior.variances[PARABOLA]
    found = lowest(joint, model.weights[:, None], np.array([0.2, 0.6]))[0]
    np.testing.assert_allclose(found, [0.0, 1.0], atol=0.05)
    assert model.noise < 0.02


def test_withheld_answers_are_foretold_as_by_a_model_that_did_not_see_them() -> None:
    rng = np.random.default_rng(0)
    space, box = Space.continuous(["a"]), Box(np.full(1, 0.5), np.full(1, 0.5))
    at = rng.random((40, 1))
    answers = np.sin(6 * at[:, 0]) + 0.3 * rng.standard_normal(40)
    features = Features.of(space, box, None)
    model = fit(features, at, answers, None)
    errors = model.withheld(at, answers)
    rest = np.arange(40) != 7
    without = fit(features, at[rest], answers[rest], model.prior, 1)
    assert abs(errors[7] - (answers[7] - without.foretell(at[7:8])[0])) < 0.1 * abs(errors[7])
    assert abs(errors[7]) > 1.02 * abs(answers[7] - model.foretell(at[7:8])[0])


def test_naming_searchers_imports_none_of_what_they_are_made_of() -> None:
    text = """
import sys
import ispdsl.cli.app
from ispdsl.optimise.searchers import SEARCHERS
assert len(SEARCHERS) == 8
print(*sorted({"cma", "optuna", "scipy", "torch"} & set(sys.modules)))
"""
    found = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=False)
    assert (found.returncode, found.stdout.split(), found.stderr) == (0, [], "")


@pytest.mark.parametrize("steep", [0.0, 1.0, 30.0])
def test_cma_es_searches_a_single_number(steep: float) -> None:
    found = search(SEARCHERS["cma-es"], lambda p: steep * abs(p[0] - 0.999), Space((Axis("one"),)), calls=60, seed=1)
    assert len(found.evaluations) == 60
    assert found.value <= 0.01 * steep
