"""The functions of `make reproduce-functions` are what the literature says, and its page says who was better."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.reproduce.functions import __main__ as command
from benchmarks.reproduce.functions.cases import FUNCTIONS, SIZE, Case
from benchmarks.reproduce.functions.page import page

BY_NAME = {each.name: each for each in FUNCTIONS}


@pytest.mark.parametrize(
    ("name", "at", "value"),
    [
        ("Ackley", 1.0, 20 - 20 * np.exp(-0.2)),
        ("Rastrigin", 0.5, 20.25 * SIZE),
        ("Step-2", 1.6, 4.0 * SIZE),
        ("Alpine-1", 2.0, (2 * np.sin(2.0) + 0.2) * SIZE),
    ],
)
def test_functions_have_the_values_of_their_formulas(name: str, at: float, value: float) -> None:
    function = BY_NAME[name]
    assert float(function.value(np.full(SIZE, at))) == pytest.approx(value)
    assert float(function.value(np.zeros(SIZE))) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda each: each.name)
@pytest.mark.parametrize("variant", ["centre", "shifted"])
def test_the_noise_is_three_per_cent_of_the_maximum(function: Any, variant: str) -> None:
    case = Case(function, variant, 3)
    assert case.true((case.optimum / function.half + 1) / 2) == pytest.approx(0.0, abs=1e-9)
    assert np.abs(case.optimum).max() <= 0.8 * function.half
    assert (variant == "centre") == (not case.optimum.any())
    places = np.random.default_rng(0).random((2000, SIZE)).round(1)  # corners and crests among them
    assert max(case.true(place) for place in places) <= case.maximum
    point = np.full(SIZE, 0.3)
    score = case.score()
    noise = np.array([score(point) for _ in range(2000)]) - case.true(point)
    assert noise.std() == pytest.approx(0.03 * case.maximum, rel=0.06)
    assert abs(noise.mean()) < 0.003 * case.maximum
    assert case.score()(point) == pytest.approx(case.true(point) + noise[0])  # the same for all searchers


def test_maxima_are_reached() -> None:
    assert Case(BY_NAME["Rastrigin"], "centre", 0).maximum == pytest.approx(807.06, abs=0.01)
    assert Case(BY_NAME["Step-2"], "centre", 0).maximum == 200_000
    assert Case(BY_NAME["Ackley"], "centre", 0).maximum == pytest.approx(22.32, abs=0.01)


def run(searcher: str, recommended: float, luckiest: float, seed: int = 0) -> dict[str, Any]:
    return {
        "function": "Ackley",
        "variant": "centre",
        "searcher": searcher,
        "seed": seed,
        "calls": 2000,
        "recommended": recommended,
        "luckiest": luckiest,
        "looked": [20.0, 10.0],
        "processor_seconds": 3.0,
        "machine": {"cores": 2},
    }


def test_the_page_says_who_is_better() -> None:
    runs = [run("surrogate", 2.0, 5.0), run("surrogate", 4.0, 5.0, 1), run("powell", 9.0, 9.0)]
    text = page(runs)
    assert "| `surrogate` | 2 | **3.00** ± 1.00 | - | - | - |" in text
    assert "| `surrogate`, luckiest | 2 | 5.00 ± 0.00 |" in text
    assert "| `powell` | 1 | 9.00 ± 0.00 |" in text
    assert "`powell`, luckiest" not in text
    assert "| Tseng et al. 2019: proxies | | 16.84 | 94.35 | 6359.00 | 24.48 |" in text
    assert "Ackley: `surrogate` is below all that was published; below every other searcher measured here" in text
    assert "(not measured: cma-es, bayesian, tpe, nelder-mead, latin, random)" in text
    beaten = page([*runs, run("cma-es", 6.0, 2.5)])
    assert "| `cma-es`, luckiest | 1 | **2.50** ± 0.00 |" in beaten
    assert "Ackley: `surrogate` is below all that was published; **behind `cma-es`**" in beaten
    assert "Ackley: `surrogate` is NOT below all" in page([run("surrogate", 17.0, 18.0)])


def test_runs_that_are_there_are_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["functions", "--searcher", "random", "--function", "Step-2", "--variant", "centre", "--calls", "30"]
    monkeypatch.setattr(sys, "argv", [*words, "--seeds", "1", "--output", str(tmp_path)])
    command.main()
    first = json.loads((tmp_path / "functions.json").read_text())["runs"]
    monkeypatch.setattr(sys, "argv", [*words, "--seeds", "2", "--output", str(tmp_path)])
    command.main()
    both = json.loads((tmp_path / "functions.json").read_text())["runs"]
    assert [each["seed"] for each in both] == [1, 2]
    assert both[0] == first[0]
    assert both[0]["calls"] == 30
    assert both[0]["recommended"] == both[0]["luckiest"] > 10_000
    assert "| `random` | 2 |" in (tmp_path / "functions.md").read_text()
    assert (tmp_path / "functions.png").stat().st_size > 5000
