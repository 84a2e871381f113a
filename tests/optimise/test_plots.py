"""Pictures of searches show what was found: every line lies where its numbers are."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ispdsl.evaluation.plots import BLUE, INK, ORANGE
from ispdsl.optimise.engine import Evaluation, Found
from ispdsl.optimise.morris import Effect
from ispdsl.optimise.plots import plot_convergence, plot_effects, plot_front, plot_parallel, plot_paths
from ispdsl.optimise.space import Space

SPACE = Space.continuous(["exposure.ev", "contrast.amount"])


def found(values: list[float], seed: int = 0) -> Found:
    points = np.random.default_rng(seed).random((len(values), 2))
    return Found(tuple(Evaluation(point, value, 0.5) for point, value in zip(points, values, strict=True)), "")


def heights(path: Path, colour: tuple[int, int, int], columns: slice = slice(None)) -> NDArray[np.int64]:
    """Rows of the picture that have a colour, within some of its columns."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))[:, columns]
    return np.flatnonzero((pixels == colour).all(axis=2).any(axis=1))


def test_the_better_searcher_lies_lower_and_failed_calls_leave_no_gap(tmp_path: Path) -> None:
    runs = {
        "good": [found([math.nan, 5.0, 1.0]), found([4.0, 3.0, 1.0, 0.5])],
        "bad": [found([9.0, 8.0, math.inf, 7.0])],
    }
    plot_convergence(tmp_path / "a.png", runs, "score")
    panels = slice(130, 860)
    assert heights(tmp_path / "a.png", ORANGE, panels).min() < heights(tmp_path / "a.png", BLUE, panels).min()
    assert heights(tmp_path / "a.png", ORANGE, panels)[0] < 300, "both have a line"


def test_what_people_read_may_rise(tmp_path: Path) -> None:
    runs = {"one": [found([1e-2, 1e-3, 1e-6])]}
    plot_convergence(tmp_path / "a.png", runs, "dB", lambda score: -10 * math.log10(score))
    with Image.open(tmp_path / "a.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))[120:600, 130:860]
    rows, columns = np.nonzero((pixels == BLUE).all(axis=2))
    assert rows[columns.argmin()] > rows[columns.argmax()], "the last is the highest"


def test_every_number_has_a_panel_and_every_call_a_dot(tmp_path: Path) -> None:
    plot_paths(tmp_path / "a.png", found([3.0, math.nan, 1.0, 2.0]), SPACE, "where it looked")
    with Image.open(tmp_path / "a.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    for columns in (slice(60, 600), slice(660, 1200)):
        assert (pixels[:, columns] == (186, 202, 226)).all(axis=2).any()
        assert (pixels[:, columns] == BLUE).all(axis=2).any()


def test_the_best_call_is_drawn_last_and_in_its_colour(tmp_path: Path) -> None:
    plot_parallel(tmp_path / "a.png", found([3.0, 1.0, math.nan, 2.0]), SPACE, "all calls")
    point = found([3.0, 1.0, math.nan, 2.0]).point
    with Image.open(tmp_path / "a.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    (rows,) = np.nonzero((pixels[:, 120] == ORANGE).all(axis=1))
    assert abs(rows.mean() / 2 - (290 - 230 * point[0])) < 3


def test_bars_are_as_long_as_effects(tmp_path: Path) -> None:
    effects = (Effect("a", 4.0, 4.0, 0.0), Effect("b", 1.0, -1.0, 0.0))
    plot_effects(tmp_path / "a.png", effects, "what matters")
    with Image.open(tmp_path / "a.png") as picture:
        blue = (np.asarray(picture.convert("RGB")) == BLUE).all(axis=2)
    lengths = blue.sum(axis=1)
    assert lengths.max() / lengths[lengths > 60].min() == pytest.approx(4, rel=0.15)


def test_the_front_is_in_colour_and_the_rest_is_not(tmp_path: Path) -> None:
    values = np.array([[0.0, 1.0], [1.0, 0.0], [0.9, 0.9], [np.nan, 0.0]])
    plot_front(tmp_path / "a.png", values, np.array([True, True, False, False]), ("noise", "blur"), "both")
    with Image.open(tmp_path / "a.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert (pixels == ORANGE).all(axis=2).any()
    assert (pixels == (186, 202, 226)).all(axis=2).any()


def test_a_goal_of_which_more_is_better_is_drawn_the_other_way(tmp_path: Path) -> None:
    values, best = np.array([[0.0, 1.0], [0.2, 0.5], [1.0, 0.0]]), np.ones(3, np.bool_)
    rows: list[float] = []
    for sign in (1, -1):
        plot_front(tmp_path / "a.png", values, best, ("noise", "blur"), "both", (1, sign), 1)
        with Image.open(tmp_path / "a.png") as picture:
            pixels = np.asarray(picture.convert("RGB"))
        rows.append(float(np.argwhere((pixels == ORANGE).all(axis=2))[:20, 1].mean()))
        assert (pixels == INK).all(axis=2).any()
    assert rows[0] < 200, "the highest is far left"
    assert rows[1] > 500, "the highest is far right"


def test_nothing_to_show_is_refused(tmp_path: Path) -> None:
    none = Found((), "")
    with pytest.raises(ValueError, match="no search"):
        plot_convergence(tmp_path / "a.png", {"one": [none]}, "score")
    with pytest.raises(ValueError, match="no search"):
        plot_paths(tmp_path / "a.png", none, SPACE, "")
    with pytest.raises(ValueError, match="no search"):
        plot_parallel(tmp_path / "a.png", none, SPACE, "")
    with pytest.raises(ValueError, match="no effect"):
        plot_effects(tmp_path / "a.png", (), "")
    with pytest.raises(ValueError, match="no answer"):
        plot_front(tmp_path / "a.png", np.full((1, 2), np.nan), np.zeros(1, np.bool_), ("a", "b"), "")
