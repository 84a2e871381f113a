"""The registers' page says how many seeds hold, from the numbers themselves; and the search does find registers."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import ispdsl
from benchmarks.reproduce.registers import play
from benchmarks.reproduce.registers.__main__ import known_answers
from benchmarks.reproduce.registers.page import page, plot
from benchmarks.reproduce.registers.play import in_process
from ispdsl.optimise.differences import differences
from ispdsl.optimise.engine import Evaluation, Found, Score, Searcher, search
from ispdsl.optimise.free import Free
from ispdsl.optimise.space import Numbers, Space
from ispdsl.optimise.tasks.match import match
from ispdsl.optimise.tasks.task import View
from ispdsl.optimise.tuning import Asked
from ispdsl.runtime.pictures import read_picture
from ispdsl.runtime.values import Settings
from ispdsl.synthetic.samples import write_demo_raw
from tests.scenes import graph


def answer(seed: int, ours: float, rival: float) -> dict[str, Any]:
    def player(level: float, calls: int) -> dict[str, Any]:
        path = [[33, 20.0], [1500, level - 1 if calls > 1500 else level]] + ([[10_000, level]] if calls > 1500 else [])
        return {"psnr": level, "path": path, "equal_codes": 20, "seconds": 9.0}

    players = {"differences": player(ours, 1500), "cma-es": player(rival, 10_000)}
    return {"seed": seed, "raw": "a.dng", "before": 15.0, "players": players}


def result(*pairs: tuple[float, float]) -> dict[str, Any]:
    answers = [answer(seed, *pair) for seed, pair in enumerate(pairs)]
    return {"ours": 1500, "rival": 10_000, "side": 128, "answers": answers, "seconds": 60.0, "machine": {"cores": 2}}


def test_the_page_counts_seeds_that_hold() -> None:
    text = page(result((60.0, 50.0), (49.8, 50.0), (49.6, 50.0)))
    assert "**2 of 3 seeds end within 0.3 dB of CMA-ES or above it**" in text
    assert "the worst -0.4 dB" in text
    assert "| 1 | a.dng | 15.0 | 49.80 | 20 of 32 | 9 | 49.00 | 50.00 | 9 |" in text


def test_curves_are_drawn(tmp_path: Path) -> None:
    plot(tmp_path / "curves.png", result((60.0, 50.0), (49.8, 50.0)))
    assert read_picture(tmp_path / "curves.png")[0].std() > 0.01


def test_cma_es_is_not_asked_the_same_question_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def searched(searcher: Searcher, score: Score, space: Space, *, calls: int, seed: int, start: Numbers) -> Found:
        asked.append(calls)
        return Found((Evaluation(start, score(start), 0.0),), "it is there")

    monkeypatch.setattr(play, "search", searched)
    write_demo_raw(tmp_path / "coffee.dng", "coffee", size=64)
    region: Any = SimpleNamespace(name="coffee", read=lambda: ispdsl.read(tmp_path / "coffee.dng"))
    first = play.ask(region, 0)
    assert asked == [play.OURS, play.RIVAL]
    first["players"]["cma-es"]["psnr"] = 77.0
    (tmp_path / "registers.json").write_text(json.dumps({**result(), "answers": [first]}), encoding="utf-8")
    known = known_answers(tmp_path / "registers.json")
    again = play.ask(region, 0, known[0])
    assert asked == [play.OURS, play.RIVAL, play.OURS]
    assert again["players"]["cma-es"]["psnr"] == 77.0
    play.ask(region, 0, {**known[0], "before": known[0]["before"] + 0.1})
    assert asked[3:] == [play.OURS, play.RIVAL], "another picture is another question"
    (tmp_path / "registers.json").write_text(
        json.dumps({**result(), "rival": 99, "answers": [first]}), encoding="utf-8"
    )
    assert not known_answers(tmp_path / "registers.json"), "fewer renders"
    assert not known_answers(tmp_path / "none.json")


@pytest.mark.slow
def test_32_registers_are_found_in_a_few_hundred_renders(tmp_path: Path) -> None:
    write_demo_raw(tmp_path / "coffee.dng", "coffee", size=64)
    frame = ispdsl.read(tmp_path / "coffee.dng")
    free = Free.of(Settings.of(graph("hardware_isp")))
    rng = np.random.default_rng(0)
    hidden, start = (free.space.snap(each) for each in rng.random((2, free.space.size)))
    render = in_process(graph("hardware_isp"), frame)
    real = Asked(free, match(render(free.at(hidden)), [View("coffee", "srgb", {})]), render)
    found = search(differences(real.residual), real.score, free.space, calls=300, start=start)
    assert found.value < -42
    assert found.value < found.path[0] - 15
