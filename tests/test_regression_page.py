"""The page of `make reproduce-regression` says what was measured, and who was ahead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.reproduce.regression.cases import CASES
from benchmarks.reproduce.regression.page import first_at, median_path, page, plot

MACHINE = {"cores": 2}


def answer(seed: int, path: list[float], **more: Any) -> dict[str, Any]:
    known = {"seed": seed, "raw": "a.dng", "free": ["a", "b"], "before": 12.0, "seconds": 2.0, "renders": 5}
    return {**known, "path": path, "psnr": path[-1], "calls": len(path), **more}


def case(players: dict[str, list[dict[str, Any]]], **wanted: float) -> dict[str, Any]:
    return {
        "title": "A title", "free": ["a", "b"], "calls": 15, "rivals_calls": 6, "wanted": wanted, "seeds": [0, 1],
        "raws": ["a.dng"], "players": players, "seconds": 3.0, "machine": MACHINE,
    }  # fmt: skip


OURS = [answer(0, [30.0, 50.0, 80.0]), answer(1, [20.0, 60.0, 90.0])]
BEHIND = [answer(0, [10.0, 12.0, 14.0, 15.0, 16.0, 17.0]), answer(1, [12.0, 13.0, 14.0, 15.0, 16.0, 17.0])]
LUCKY = [answer(0, [10.0, 70.0, 71.0, 72.0, 73.0, 74.0]), answer(1, [12.0, 71.0, 72.0, 73.0, 74.0, 75.0])]


def test_a_search_that_ended_stays_where_it_was_and_the_best_counts() -> None:
    np.testing.assert_allclose(median_path(OURS, 5), [25, 55, 85, 85, 85])
    falls = [answer(0, [20.0, 10.0, 30.0])]
    np.testing.assert_allclose(median_path(falls, 4), [20, 20, 30, 30])


def test_the_table_has_wanted_and_seen_and_says_who_is_ahead_where() -> None:
    text = page({"cases": {"four": case({"grey box": OURS, "cma-es": BEHIND, "tpe": LUCKY}, **{"grey box": 75.0})}})
    assert "| grey box | 75.0 | **85.0** | 80.0 | 3 (at most 3) | 85.0 |" in text
    assert "| cma-es | - | **17.0** | 17.0 | 6 (at most 6) | 16.0 |" in text
    assert "ahead of cma-es at every number of calls; ahead of tpe but not at 2 up to 6" in text


def test_adam_is_timed_to_what_least_squares_reached() -> None:
    ours = [answer(0, [40.0, 90.0]), answer(1, [40.0, 60.0])]
    quick = [[1.0, 30.0], [8.0, 65.0]]
    adam = [answer(0, [65.0], rate=0.1, runs={"0.1": quick}), answer(1, [50.0], rate=0.1, runs={"0.1": [[4.0, 50.0]]})]
    text = page({"cases": {"programs": case({"programs": ours, "adam": adam}, programs=65.0)}})
    assert "| 0 | 90.0 | 2 + 5 | 2.00 | 65.0 | 0.1 | 65 | 8.0 | 4.0 |" in text
    assert "| 1 | 60.0 | 2 + 5 | 2.00 | 50.0 | 0.1 | 60 | > 4.0 | > 2.0 |" in text
    assert "**3.0 times**" in text
    assert "1 of 2 never got there" in text
    assert first_at(quick, 31.0) == 8.0
    assert first_at(quick, 66.0) is None


def test_curves_are_drawn_for_cases_with_rivals(tmp_path: Path) -> None:
    plot(tmp_path / "a.png", {"cases": {"four": case({"grey box": OURS, "cma-es": BEHIND})}})
    with Image.open(tmp_path / "a.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    assert {(38, 98, 178), (218, 110, 30)} <= {tuple(pixel) for pixel in pixels.tolist()}, "a line for each"
    plot(tmp_path / "b.png", {"cases": {"programs": case({"programs": OURS})}})
    assert not (tmp_path / "b.png").exists()


@pytest.mark.parametrize("each", CASES, ids=lambda each: each.name)
def test_every_case_wants_something_of_a_player_that_it_has(each: Any) -> None:
    assert each.wanted.keys() <= set(each.players)
    assert each.wanted
