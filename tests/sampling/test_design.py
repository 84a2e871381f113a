"""Designs hold the points that they promise, within ranges, on codes, with equal shares."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

import ispdsl
from ispdsl.ir.params import Array
from ispdsl.runtime.values import Settings, SettingsError
from ispdsl.sampling.design import Kind, axes, design, varied
from tests.sampling.made import graph

WARMTH, LEVEL, MODE, LID, POINTS = (f"toning.{name}" for name in ("warmth", "level", "mode", "lid", "points"))


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings.of(graph(tmp_path_factory.mktemp("text"), "drawn"))


@pytest.fixture(scope="module")
def photo() -> Settings:
    return Settings.of(ispdsl.build(ispdsl.load(Path(__file__).parents[2] / "pipelines" / "photo_finish.isp")))


def mired(settings: Settings) -> float:
    value = settings[WARMTH]
    assert isinstance(value, float)
    return 1e6 / value


def curve(settings: Settings) -> tuple[float, ...]:
    value = settings[POINTS]
    assert isinstance(value, Array)
    return value.values


def test_what_is_free_is_varied_and_what_was_set_is_not(settings: Settings, photo: Settings) -> None:
    free = [slot.address for slot in varied(photo)]
    assert free == [
        "exposure.ev",
        *("tone_map.highlights", "tone_map.shadows", "colour_balance.temperature", "colour_balance.tint"),
        *("saturation.amount", "texture.amount", "look_table.amount", "contrast.amount"),
    ]
    assert "contrast.amount" not in [slot.address for slot in varied(photo.set("contrast.amount", "5%"))]
    assert [slot.address for slot in varied(settings, ["toning.m*", LID])] == [MODE, LID]
    assert {slot.address for slot in varied(settings, ["*"])} >= {WARMTH, LEVEL, MODE, LID, POINTS}
    assert varied(photo, vary={"demosaic.method": "all"})[0].address == "demosaic.method"


@pytest.mark.parametrize(
    ("only", "vary", "words"),
    [
        (["toning.warmht"], {}, "did you mean toning.warmth"),
        (["demosaic.method"], {}, "fixed"),
        (None, {WARMTH: "2000..9"}, "outside the range"),
        (None, {WARMTH: "9000..2000"}, "above"),
        (None, {MODE: "soft, weird"}, "weird"),
        (None, {LEVEL: "0.001..0.002"}, "no code"),
        (None, {POINTS: "0.1, 0.2"}, "over a range"),
    ],
)
def test_what_cannot_be_varied_is_said(
    settings: Settings, only: list[str] | None, vary: dict[str, str], words: str
) -> None:
    with pytest.raises(SettingsError, match=words):
        design(settings, "latin", 4, 0, only=only, vary=vary)


def test_a_latin_hypercube_has_one_point_in_each_part_of_each_axis(settings: Settings) -> None:
    points = design(settings, "latin", 40, 7, only=[WARMTH, POINTS])
    low, high = 1e6 / 8000, 1e6 / 3000
    parts = [int(40 * (mired(point) - low) / (high - low)) for point in points]
    assert sorted(parts) == list(range(40))
    for element in range(4):
        numbers = [curve(point)[element] for point in points]
        assert sorted(int(40 * number) for number in numbers) == list(range(40))


def test_registers_are_drawn_on_their_codes_and_choices_in_equal_shares(settings: Settings) -> None:
    points = design(settings, "latin", 60, 1, only=[LEVEL, MODE, LID])
    codes = [64 * float(str(point[LEVEL])) for point in points]
    assert all(code == int(code) and 0 <= code <= 192 for code in codes)
    assert len(set(codes)) > 50
    assert Counter(point[MODE] for point in points) == {"soft": 20, "middle": 20, "hard": 20}
    assert Counter(point[LID] for point in points) == {True: 30, False: 30}


def test_soft_and_hard_ranges(settings: Settings) -> None:
    soft = [point[WARMTH] for point in design(settings, "latin", 50, 0, "soft", [WARMTH])]
    hard = [point[WARMTH] for point in design(settings, "latin", 50, 0, "hard", [WARMTH])]
    assert all(3000 <= float(str(value)) <= 8000 for value in soft)
    assert min(float(str(value)) for value in hard) < 2000
    assert max(float(str(value)) for value in hard) > 10000
    told = [point[WARMTH] for point in design(settings, "latin", 50, 0, "hard", [WARMTH], {WARMTH: "5000K..5100K"})]
    assert all(5000 <= float(str(value)) <= 5100 for value in told)


def test_sobol_is_more_even_than_chance(settings: Settings) -> None:
    points = design(settings, "sobol", 64, 3, only=[WARMTH, POINTS], vary={WARMTH: "4000..8000"})
    cells = Counter((int(8 * (mired(point) - 125) / 125), int(8 * curve(point)[0])) for point in points)
    assert len(points) == 64
    assert len(cells) >= 56  # of 64 points drawn without order 40 cells would be met


def test_a_grid_is_as_fine_as_the_count_allows(settings: Settings) -> None:
    points = design(settings, "grid", 31, 0, only=[WARMTH, LEVEL, MODE])
    assert len(points) == 27
    assert sorted({round(float(str(point[WARMTH]))) for point in points}) == [3000, 4364, 8000]
    assert {point[LEVEL] for point in points} == {0.0, 1.5, 3.0}
    with pytest.raises(SettingsError, match="ask for 12 with --count"):
        design(settings, "grid", 11, 0, only=[WARMTH, LEVEL, MODE])


def test_corners_are_ends_and_are_drawn_where_they_are_many(settings: Settings) -> None:
    points = design(settings, "corners", 100, 0, only=[WARMTH, LEVEL, MODE])
    assert len({(p[WARMTH], p[LEVEL], p[MODE]) for p in points}) == len(points) == 12
    assert {p[LEVEL] for p in points} == {0.0, 3.0}
    some = design(settings, "corners", 20, 0, only=[WARMTH, LEVEL, MODE, LID, POINTS])
    assert len({repr(sorted(p.changed.items())) for p in some}) == 20
    assert {number for point in some for number in curve(point)} == {0.0, 1.0}


def test_one_at_a_time_moves_one_number_from_end_to_end(settings: Settings) -> None:
    start, *points = design(settings, "one-at-a-time", 24, 0, only=[WARMTH, MODE, POINTS])
    assert start.changed == {}
    assert [list(point.changed) for point in points] == [[WARMTH]] * 3 + [[MODE]] * 3 + [[POINTS]] * 12
    identity = np.linspace(0, 1, 4)
    for index, point in enumerate(points[6:]):
        wanted = identity.copy()
        wanted[index // 3] = (0.0, 0.5, 1.0)[index % 3]
        assert np.allclose(curve(point), wanted)


@pytest.mark.parametrize("kind", get_args(Kind))
def test_equal_seeds_give_equal_designs_and_others_do_not(photo: Settings, kind: Kind) -> None:
    def drawn(seed: int) -> list[dict[str, object]]:
        return [dict(point.changed) for point in design(photo, kind, 30 if kind != "grid" else 600, seed)]

    assert drawn(1) == drawn(1)
    assert (drawn(1) != drawn(2)) == (kind in ("latin", "sobol", "corners"))


def test_what_starts_at_metadata_is_drawn_in_its_soft_range(photo: Settings) -> None:
    values = [float(str(point["exposure.ev"])) for point in design(photo, "latin", 32, 0)]
    assert -4 <= min(values) < -3.5
    assert 3.5 < max(values) <= 4
    assert all(math.isfinite(value) for value in values)


def test_where_nothing_varies_the_points_are_the_same(settings: Settings) -> None:
    assert design(settings, "latin", 5, 0, only=[]) == [settings] * 5
    assert axes(settings, only=[]) == ()
