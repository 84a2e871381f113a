"""Regression by the score alone: registers are found as codes, calls are counted, and it ends when it is told to."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from ispdsl.errors import RunError
from ispdsl.optimise.box import Box
from ispdsl.optimise.by_score import regress_by_score
from ispdsl.optimise.coordinates import coordinates
from ispdsl.optimise.differences import differences
from ispdsl.optimise.engine import Searcher
from ispdsl.optimise.regression import Search, regress_all
from ispdsl.optimise.tasks.task import Task
from ispdsl.optimise.tuning import Asked, Chosen
from ispdsl.optimise.views import RegressionError, View
from ispdsl.runtime.values import Settings
from ispdsl.runtime.vector import Vector
from tests.scenes import graph

GAINS = ["isp.gain_00", "isp.gain_01", "isp.gain_11"]
START = Settings.of(graph("hardware_isp")).update({"isp.gain_00": 1.75, "isp.gain_01": 1.25, "isp.gain_11": 1.5})
WANTED = START.update({"isp.gain_00": 2.203125, "isp.gain_01": 0.90234375, "isp.gain_11": 1.75})
RAMP = np.linspace(0.05, 0.5, 64, dtype=np.float32).reshape(1, 8, 8)


def render(settings: Settings) -> NDArray[np.float32]:
    """Three planes of twice white, each by its own gain and a little of the next one's."""
    gains = np.array([settings[address] for address in GAINS], np.float32)
    return 2 * np.sqrt((gains + 0.2 * np.roll(gains, 1))[:, None, None] * RAMP)


def view(target: NDArray[np.float32] | None = None) -> View:
    return View(render(WANTED) / np.float32(2) if target is None else target, START, render, None, 2.0)


def by_differences(_: Task) -> Chosen:
    def chosen(asked: Asked) -> Searcher:
        return differences(asked.residual)

    return chosen


def by_coordinates(_: Task) -> Chosen:
    return lambda _: coordinates()


VECTOR = Vector.of(START, "unit", GAINS)


def test_the_very_codes_are_found_for_several_pictures() -> None:
    found = regress_by_score([view(), view()], VECTOR, by_differences, search=Search(40))
    for address in GAINS:
        assert found.settings[address] == WANTED[address]
    assert found.psnr > 99
    assert found.calls == len(found.path) <= 40
    assert found.path[0] == pytest.approx(found.psnr_before)
    np.testing.assert_allclose(found.picture, render(WANTED) / np.float32(2), atol=1e-6)
    np.testing.assert_allclose(found.before, render(START) / np.float32(2), atol=1e-6)
    assert [each.found for each in found.estimates] == [WANTED[address] for address in GAINS]
    assert [each.start for each in found.estimates] == [1.75, 1.25, 1.5]
    assert all(each.error is None and not each.at_end for each in found.estimates)


def test_each_picture_has_codes_of_its_own() -> None:
    other = WANTED.update({"isp.gain_00": 1.875})
    second = View(render(other) / np.float32(2), START.update({"isp.gain_00": 1.625}), render, None, 2.0, name="b.png")
    found = regress_by_score([view(), second], VECTOR, by_differences, own=["isp.gain_00"], search=Search(60))
    for mine, wanted in zip(found.views, (WANTED, other), strict=True):
        assert [mine.settings[address] for address in GAINS] == [wanted[address] for address in GAINS]
    names = ["isp.gain_00 (picture 1)", "isp.gain_00 (b.png)", *GAINS[1:]]
    assert [each.name for each in found.estimates] == names
    assert [each.start for each in found.estimates] == [1.75, 1.625, 1.25, 1.5]
    assert [each.found for each in found.estimates] == [2.203125, 1.875, 0.90234375, 1.75]


def test_what_lies_at_the_end_of_its_range_is_said() -> None:
    dark = START.update({"isp.gain_00": 1.5, "isp.gain_01": 0.75, "isp.gain_11": 1.25})
    found = regress_by_score([view(render(dark) / np.float32(2))], VECTOR, by_coordinates, search=Search(200))
    assert all(each.at_end for each in found.estimates)


def test_outliers_count_by_their_size_where_that_is_asked_for() -> None:
    target = render(WANTED) / np.float32(2)
    target[:, :2] = 1.0
    far = {
        robust: regress_by_score([view(target)], VECTOR, by_coordinates, search=Search(150, robust=robust))
        for robust in (None, 0.01)
    }
    off = {
        robust: max(abs(float(found.settings[each]) - float(WANTED[each])) for each in GAINS)  # type: ignore[arg-type]
        for robust, found in far.items()
    }
    assert off[0.01] < 0.3 * off[None]
    with pytest.raises(ValueError, match="no sum of squares"):
        regress_by_score([view(target)], VECTOR, by_differences, search=Search(20, robust=0.01))


def test_it_ends_with_the_best_so_far_where_it_is_told_to() -> None:
    asked: list[float] = []
    found = regress_by_score(
        [view()], VECTOR, by_coordinates, search=Search(50), told=lambda *each: asked.append(each[3]),
        halt=lambda: len(asked) == 7,
    )  # fmt: skip
    assert found.calls == len(asked) == 7
    assert found.why == "it was interrupted"
    assert found.psnr == pytest.approx(asked[-1]) == pytest.approx(max(asked))


def test_a_call_that_fails_has_no_picture_and_is_counted() -> None:
    calls: list[int] = []

    def failing(settings: Settings) -> NDArray[np.float32]:
        calls.append(1)
        if len(calls) == 3:
            raise RunError("it fell over")
        return render(settings)

    one = View(render(WANTED) / np.float32(2), START, failing, None, 2.0)
    found = regress_by_score([one], VECTOR, by_coordinates, search=Search(30))
    assert found.calls == len(found.path) == 30
    assert found.path[2] == found.path[1]
    assert not any(map(math.isnan, found.path))
    assert found.psnr == pytest.approx(found.path[-1])


def test_a_search_by_derivatives_needs_a_model() -> None:
    with pytest.raises(RegressionError, match="nothing says where to go"):
        regress_all([view()], VECTOR, search=Search(5))
    assert Box.around(VECTOR, START).width.min() > 0
