"""The error against each parameter: where it is, and which parameter it comes from."""

from __future__ import annotations

import numpy as np
import pytest

from ispdsl.evaluation.sensitivity import explained, sensitivity
from ispdsl.proxies.task import Knob

KNOBS = (
    Knob(name="idle", address="a.idle", kind="number", low=0.0, high=1.0),
    Knob(name="ev", address="b.ev", kind="number", low=-4.0, high=4.0),
    Knob(name="t", address="c.t", kind="number", low=2000.0, high=10000.0, reciprocal=True),
    Knob(name="m", address="d.m", kind="choice", options=("fast", "good")),
)


def queries(count: int = 120) -> tuple[list[dict[str, object]], list[float]]:
    """Errors that come from `b.ev` above 2, and a little from the method."""
    rng = np.random.default_rng(0)
    settings: list[dict[str, object]] = []
    psnr: list[float] = []
    for _ in range(count):
        ev, method = rng.uniform(-4, 4), rng.choice(["fast", "good"])
        settings.append({"a.idle": rng.random(), "b.ev": ev, "c.t": 1 / rng.uniform(1e-4, 5e-4), "d.m": str(method)})
        psnr.append(45 - 10 * (ev > 2) - 3 * (method == "fast") + rng.normal())
    return settings, psnr


def test_the_parameter_behind_the_error_comes_first() -> None:
    settings, psnr = queries()
    found = sensitivity(KNOBS, settings, psnr)
    assert found[0].address == "b.ev"
    assert found[1].address == "d.m"
    assert found[0].explained > 0.6
    assert all(each.explained < 0.1 for each in found[2:]), "chance is taken off"


def test_bins_say_where_in_the_range_it_is_bad() -> None:
    settings, psnr = queries()
    found = next(each for each in sensitivity(KNOBS, settings, psnr) if each.address == "b.ev")
    bad = min(found.bins, key=lambda each: each.mean)
    assert (round(bad.low, 2), bad.high) == (2.67, 4.0)
    inside = [value for each, value in zip(settings, psnr, strict=True) if float(str(each["b.ev"])) > 4 - 4 / 3]
    assert (bad.count, bad.worst) == (len(inside), min(inside))
    assert bad.mean == pytest.approx(np.mean(inside))
    assert sum(each.count for each in found.bins) == len(psnr)


def test_temperatures_have_bins_of_equal_steps_of_their_reciprocal() -> None:
    settings, psnr = queries()
    found = next(each for each in sensitivity(KNOBS, settings, psnr) if each.address == "c.t")
    steps = np.diff([1 / each.low for each in found.bins] + [1 / found.bins[-1].high])
    np.testing.assert_allclose(steps, steps[0])


def test_names_are_bins_of_their_own() -> None:
    settings, psnr = queries()
    found = next(each for each in sensitivity(KNOBS, settings, psnr) if each.address == "d.m")
    assert [each.label for each in found.bins] == ["fast", "good"]
    assert found.bins[0].mean < found.bins[1].mean - 1


def test_what_is_explained_lies_within_0_and_1() -> None:
    of = np.array([0, 0, 1, 1])
    assert explained(of, np.array([1.0, 1.0, 5.0, 5.0])) == 1
    assert explained(of, np.array([1.0, 5.0, 1.0, 5.0])) == 0
    assert explained(of, np.ones(4)) == 0
    assert explained(np.zeros(4, int), np.arange(4.0)) == 0


def test_chance_explains_little_even_with_few_queries() -> None:
    rng = np.random.default_rng(3)
    found = [explained(np.arange(24) % 6, rng.normal(size=24)) for _ in range(200)]
    assert np.mean(found) < 0.12, "without the correction it would be 5/23"
