"""The page of `make reproduce-tasks` says what was measured, and whether tuned is ahead."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.reproduce.tasks import __main__ as command
from benchmarks.reproduce.tasks.cases import CASES, Problem
from benchmarks.reproduce.tasks.page import medians, page, verdict
from benchmarks.reproduce.tasks.play import brightened, interval, pipeline, split
from benchmarks.reproduce.tasks.raws import STOPS, metadata, mosaics, shot
from ispdsl.synthetic import sample_photo

MACHINE = {"cores": 2, "torch": "2.13"}


def answer(seed: int, scores: dict[str, float], gain: float, spread: float = 0.01) -> dict[str, Any]:
    settings = {way: {"brightness": 1.0 + seed} for way in ("default", "brightened", "by hand", "tuned")}
    return {
        "seed": seed, "train": 20, "test": 30, "tuning_seconds": 2.0, "path": [1.0], "settings": settings,
        "scores": {way: [score, score - spread, score + spread] for way, score in scores.items()},
        "gains": {way: [gain, gain - spread, gain + spread] for way in ("default", "brightened")},
    }  # fmt: skip


SCORES = {"clean": 0.9, "default": 0.5, "brightened": 0.6, "by hand": 0.65, "tuned": 0.7}


def result(*answers: dict[str, Any]) -> dict[str, Any]:
    known = {"title": "A title", "about": "About.", "score": "accuracy", "steps": 5, "together": 4, "rate": 0.05}
    return {"cases": {"classification": {**known, "answers": list(answers), "seconds": 9.0, "machine": MACHINE}}}


def test_the_table_has_means_and_intervals_and_how_far_tuned_is_ahead() -> None:
    text = page(result(answer(0, SCORES, 0.1), answer(1, {**SCORES, "tuned": 0.8}, 0.2)))
    assert "| tuned | **0.750** | 0.700 to 0.800 | - | - |" in text
    assert "| brightened | **0.600** | 0.600 to 0.600 | +0.150 (+0.100 to +0.200) | 2 of 2 |" in text
    assert "| 1 | 0.900 (0.890-0.910) |" in text
    assert "| `brightness` | 1.5 | 1.5 | 1.5 | 1 | 2 |" in text
    assert f"{STOPS:g} stops" in text


def test_the_verdict_does_not_flatter() -> None:
    ahead = [answer(seed, SCORES, 0.1) for seed in range(4)]
    assert "ahead of `default` (over its pictures the interval lies above 0 in 4 of 4 seeds)" in verdict(ahead)
    doubtful = [answer(seed, SCORES, gain, spread=0.2) for seed, gain in enumerate((0.1, -0.1, 0.1, -0.1))]
    assert "not surely ahead of `default` (over its pictures the interval lies above 0 in 0 of 4 seeds)" in verdict(
        doubtful
    )


def test_settings_are_told_by_their_median() -> None:
    assert medians([answer(seed, SCORES, 0.1) for seed in (0, 1, 8)], "tuned") == {"brightness": 2.0}


# ---- what is measured ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_picture_is_tuned_on_and_scored(case: Any) -> None:
    training, testing = split(2500, case, 3)
    assert not set(training.tolist()) & set(testing.tolist())
    assert (len(training), len(testing)) == (case.train, case.test)
    assert training.tolist() != split(2500, case, 4)[0].tolist()


def test_a_dark_raw_has_so_many_stops_less_light_and_its_own_noise() -> None:
    photo = sample_photo("cat", 32)[:, :16, :32]
    bright, dark = (shot(photo, 0, stops).truth for stops in (0.0, 3.0))
    middle = bright.mean(axis=0) < 0.4  # the synthetic camera keeps highlights
    np.testing.assert_allclose(dark[:, middle], bright[:, middle] / 8, rtol=1e-3, atol=1e-5)
    first, second = mosaics([photo, photo], 0)
    assert (first != second).any()
    torch.testing.assert_close(mosaics([photo, photo], 0)[1], second, rtol=0, atol=0)
    assert float(metadata()["baseline_exposure"]) == 0, "the file does not tell"


def test_brightening_reaches_the_mean_luma_of_the_clean_photographs() -> None:
    photos = [sample_photo(name, 32)[:, :16, :16] for name in ("cat", "coffee")]
    dark = pipeline()
    codes = mosaics(photos, 0)
    pictures = dark.pictures(brightened(dark, codes, photos), codes).numpy()
    weights = np.array([0.2126, 0.7152, 0.0722])
    assert weights @ pictures.mean((0, 2, 3)) == pytest.approx(weights @ np.stack(photos).mean((0, 2, 3)), abs=0.01)
    assert weights @ dark.pictures(dark.settings, codes).numpy().mean((0, 2, 3)) < 0.2


def test_differences_are_of_the_same_draws() -> None:
    problem = Problem([], lambda *_: torch.zeros(()), lambda *_: [], lambda ones: float(np.mean(ones)))
    hard = np.random.default_rng(0).normal(size=50)
    assert interval(problem, list(hard + 1), list(hard)) == pytest.approx((1.0, 1.0, 1.0))
    assert interval(problem, list(hard)).high > hard.mean()


def test_what_processes_run_can_be_imported() -> None:
    """A spawned process does not import `__main__`."""
    assert {each.__module__ for each in (command.ask, command.one_thread)} == {"benchmarks.reproduce.tasks.process"}
