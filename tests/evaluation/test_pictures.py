"""Plots and pictures: there, of the right size, and showing what they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ispdsl.evaluation.pictures import Shot, sheet
from ispdsl.evaluation.plots import BLUE, DOT, ORANGE, plot_sensitivity, plot_stages, plot_trust, ticks
from ispdsl.evaluation.sensitivity import sensitivity
from ispdsl.ir.types import Type
from ispdsl.runtime.contact_sheet import MARGIN, THUMBNAIL
from ispdsl.runtime.pictures import read_picture
from tests.evaluation.stand_ins import KNOBS, drawn


def has(path: Path, colour: tuple[int, int, int]) -> int:
    """How many pixels have a colour."""
    image, _ = read_picture(path)
    codes = np.rint(image * 255).astype(int)
    return int(np.count_nonzero((codes == np.array(colour)[:, None, None]).all(axis=0)))


def test_the_error_against_parameters_is_drawn(tmp_path: Path) -> None:
    evidence = drawn(40)
    found = sensitivity(KNOBS, [each.settings for each in evidence], [each.psnr for each in evidence])
    plot_sensitivity(tmp_path / "all.png", found, "PSNR")
    plot_sensitivity(tmp_path / "one.png", found[:1], "PSNR")
    assert has(tmp_path / "all.png", DOT) > 3 * has(tmp_path / "one.png", DOT) > 0
    assert has(tmp_path / "one.png", BLUE) > 0
    with pytest.raises(ValueError, match="no parameter"):
        plot_sensitivity(tmp_path / "none.png", [], "PSNR")


def test_a_longer_bar_is_a_higher_psnr(tmp_path: Path) -> None:
    plot_stages(tmp_path / "low.png", ["a", "b"], [30.0, None], [20.0, 60.0])
    plot_stages(tmp_path / "high.png", ["a", "b"], [50.0, None], [20.0, 60.0])
    assert has(tmp_path / "high.png", BLUE) > 1.5 * has(tmp_path / "low.png", BLUE)
    assert has(tmp_path / "high.png", ORANGE) == has(tmp_path / "low.png", ORANGE)


def test_a_psnr_below_zero_has_no_bar(tmp_path: Path) -> None:
    plot_stages(tmp_path / "bad.png", ["a"], [-12.0], [30.0])
    plot_stages(tmp_path / "none.png", ["a"], [None], [30.0])
    assert has(tmp_path / "bad.png", BLUE) < 1.2 * has(tmp_path / "none.png", BLUE)


def test_queries_outside_of_their_interval_have_another_colour(tmp_path: Path) -> None:
    expected = np.array([[40.0, 38.0, 42.0], [35.0, 33.0, 37.0]])
    plot_trust(tmp_path / "held.png", expected, np.array([41.0, 36.0]), "Trust")
    plot_trust(tmp_path / "missed.png", expected, np.array([41.0, 45.0]), "Trust")
    assert has(tmp_path / "held.png", ORANGE) == 0
    assert has(tmp_path / "missed.png", ORANGE) > 0


@pytest.mark.parametrize(("low", "high"), [(0, 1), (34.2, 47.9), (-12, 100), (5, 5.3)])
def test_ticks_are_round_and_few(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 2 <= len(found) <= 7
    assert all(low - 1e-9 <= value <= high + 1e-9 for value in found)


def test_a_row_shows_real_double_and_ten_times_the_difference(tmp_path: Path) -> None:
    real = np.full((3, 40, 60), 0.5, np.float32)
    double = real + np.float32(0.04)
    shot = Shot(("worst", "ev 3", "a.dng"), real, double, Type.parse("rgb<srgb, unit>"), 1.0)
    sheet(tmp_path / "worst.png", [shot, shot])
    image, _ = read_picture(tmp_path / "worst.png")
    assert image.shape[2] == 3 * (THUMBNAIL + MARGIN) + MARGIN
    centre = MARGIN + THUMBNAIL // 3
    tiles = [image[0, centre, MARGIN + index * (THUMBNAIL + MARGIN) + 200] for index in range(3)]
    assert tiles == pytest.approx([0.5, 0.54, 0.4], abs=0.01)
    with pytest.raises(ValueError, match="no query"):
        sheet(tmp_path / "none.png", [])
