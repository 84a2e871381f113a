"""Grids of settings, and what becomes of every point."""

from __future__ import annotations

from pathlib import Path

import pytest

import ispdsl
from ispdsl.executors.faults import ExecutorError
from ispdsl.runtime.frame import Frame
from ispdsl.sweep import grid, keys, sweep
from tests import stand_in_executor
from tests.backends.test_blackbox import family, frame, graph

__all__ = ["family", "frame"]


@pytest.fixture
def settings(tmp_path: Path) -> ispdsl.Settings:
    return ispdsl.Settings.of(graph(tmp_path))


def test_a_grid_holds_every_combination(settings: ispdsl.Settings):
    points = grid(settings, {"lift.gain": "0..4:3", "lift.mode": "all", "lift.part": "25%, 75%"})
    assert len(points) == 12
    assert points[1].name == "lift.gain=0, lift.mode=soft, lift.part=75%"
    assert [point.settings["lift.gain"] for point in points[::4]] == [0.0, 2.0, 4.0]


def test_a_range_has_five_values_of_itself(settings: ispdsl.Settings):
    assert [point.settings["lift.gain"] for point in grid(settings, {"lift.gain": "1..2"})] == [1, 1.25, 1.5, 1.75, 2]


@pytest.mark.parametrize(
    ("address", "text", "words"),
    [
        ("lift.gian", "1", "did you mean lift.gain"),
        ("lift.gain", "1..99", "outside the range 0..8"),
        ("lift.gain", "1..2:1", "two values at least"),
        ("lift.mode", "soft, weird", "weird"),
        ("lift.part", "0%..100%:1000000000", "at most 100000"),
    ],
)
def test_what_cannot_be_varied_is_said(settings: ispdsl.Settings, address: str, text: str, words: str):
    with pytest.raises(ispdsl.SettingsError, match=words):
        grid(settings, {address: text})


def test_real_things_work_side_by_side_and_one_that_fails_stops_none(tmp_path: Path, frame: Frame):
    built = graph(tmp_path)
    points = grid(ispdsl.Settings.of(built), {"lift.gain": "1, 7, 2, 3"})
    told: list[tuple[int, int, int]] = []
    found = dict(
        sweep(built, frame, points, backend="stand_in", lanes=2, told=lambda *each: told.append(each))  # type: ignore
    )
    assert sorted(found) == [0, 1, 2, 3]
    assert isinstance(found[1], ExecutorError)
    shown = [found[number] for number in (0, 2, 3)]
    peaks = [each.outputs["out"].image.max() for each in shown if isinstance(each, ispdsl.Development)]
    assert peaks == [peaks[0], 2 * peaks[0], 3 * peaks[0]]
    assert told[-1] == (4, 4, 1)
    assert stand_in_executor.OPEN == []


def test_who_stops_listening_closes_the_real_things(tmp_path: Path, frame: Frame):
    built = graph(tmp_path)
    points = grid(ispdsl.Settings.of(built), {"lift.gain": "0..6:40"})
    found = sweep(built, frame, points, backend="stand_in", lanes=2)
    next(found)
    found.close()
    assert stand_in_executor.OPEN == []


def test_programs_are_swept_too(frame: Frame):
    built = ispdsl.build(ispdsl.load(Path(__file__).parent.parent / "pipelines" / "photo_finish.isp"))
    points = grid(ispdsl.Settings.of(built), {"exposure.ev": "-1ev, 1ev"})
    dark, bright = (result for _, result in sweep(built, frame, points))
    assert isinstance(dark, ispdsl.Development)
    assert isinstance(bright, ispdsl.Development)
    assert bright.outputs["display"].image.mean() > dark.outputs["display"].image.mean()


def test_the_points_of_a_sweep_share_one_image(tmp_path: Path, frame: Frame):
    built = graph(tmp_path)
    list(sweep(built, frame, grid(ispdsl.Settings.of(built), {"lift.gain": "1, 2, 3"}), backend="stand_in"))
    asked = stand_in_executor.ASKED
    assert len({id(each.images["mosaic"]) for each in asked}) == 1
    assert sorted(str(each.settings["lift.gain"]) for each in asked) == ["1.0", "2.0", "3.0"]


def test_what_decides_a_point_decides_its_key(tmp_path: Path, frame: Frame):
    built = graph(tmp_path)
    start = ispdsl.Settings.of(built)
    points = grid(start, {"lift.gain": "1"})
    (plain,) = keys(built, frame, points, "stand_in").values()
    others = [
        keys(built, frame, grid(start.set("lift.mode", "hard"), {"lift.gain": "1"}), "stand_in"),
        keys(built, frame.crop(0, 0, 8, 8), points, "stand_in"),
        keys(built, frame, points, "composite"),
        keys(built, frame, points, "stand_in", {"lift": "executor"}),
        keys(graph(tmp_path, '"rm"'), frame, points, "stand_in"),
    ]
    assert len({plain, *(each for found in others for each in found.values())}) == 6
    assert keys(graph(tmp_path), frame, points, "stand_in") == {points[0].name: plain}
