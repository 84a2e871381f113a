from __future__ import annotations

import pytest

from ispdsl.training.budget import Pace, due, lanes, rate_at, seconds_of, share


def test_all_processes_have_about_the_same_to_do() -> None:
    kinds = {
        "exposure": "pointwise",
        "tone": "pointwise",
        "texture": "areawise",
        "look": "pointwise",
        "srgb": "pointwise",
    }
    found = lanes(kinds, 2)
    assert sorted(name for lane in found for name in lane.names) == sorted(kinds)
    assert [lane.load for lane in found] == [4.0, 4.0]


def test_no_more_processes_than_stages() -> None:
    assert len(lanes({"a": "unet"}, 4)) == 1
    assert len(lanes({"a": "unet", "b": "unet", "c": "unet"}, 2)) == 2


def test_a_lane_shares_its_time_and_passes_on_what_is_left() -> None:
    lane = lanes({"a": "pointwise", "b": "areawise"}, 1)[0]
    assert lane.names == ("a", "b"), "the largest comes last"
    assert seconds_of(lane, 0, 100.0) == pytest.approx(20.0)
    assert seconds_of(lane, 1, 95.0) == pytest.approx(95.0)
    assert seconds_of(lane, 1, -3.0) == 0.0


def test_what_looks_around_gets_more() -> None:
    assert share("unet") > share("areawise") > share("pointwise")
    assert share("something of somebody") > 0


@pytest.mark.parametrize("steps", [1, 2, 7, 49, 1000, 12345])
def test_a_pace_ends_with_its_last_step(steps: int) -> None:
    pace = Pace.of_steps(steps)
    assert pace.at(0) == 0.0
    assert pace.at(steps - 1) < 1.0
    assert pace.at(steps) == 1.0
    assert pace.ends() == steps
    parts = [part / 24 for part in range(1, 25)]
    assert sum(due(pace, step, parts) for step in range(steps + 1)) == min(steps, 24)


def test_a_new_pace_goes_on_where_the_old_one_was() -> None:
    pace = Pace.of_steps(100).replanned(50, seconds_left=20.0, seconds_a_step=0.1)
    assert pace.at(25) == pytest.approx(0.25)
    assert pace.at(50) == pytest.approx(0.5)
    assert pace.at(150) == pytest.approx(0.75)
    assert pace.ends() == 250
    assert pace.at(250) == 1.0


def test_without_time_one_step_is_left() -> None:
    pace = Pace.unknown().replanned(10, seconds_left=-5.0, seconds_a_step=0.1)
    assert pace.ends() == 11


def test_the_rate_rises_and_falls() -> None:
    pace = Pace.of_steps(1000)
    rates = [rate_at(pace, step, 0.01) for step in range(1000)]
    top = max(range(1000), key=rates.__getitem__)
    assert rates[0] < 0.001
    assert 25 <= top <= 35
    assert 0.0099 < rates[top] <= 0.01
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[-1] < 0.0002
