"""The page of `make reproduce-prediction` says what was measured, and what does not hold."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from benchmarks.reproduce.prediction.cases import VIEWED
from benchmarks.reproduce.prediction.page import claims, interval, page
from benchmarks.reproduce.prediction.play import WAYS
from benchmarks.reproduce.prediction.shots import Condition, drawn, matted, taken
from ispdsl.synthetic import sample_photo


def answer(seed: int, multi: float) -> dict[str, Any]:
    noise = np.random.default_rng(seed).normal(20, 0.5, 40)
    scores = {way: (noise + (multi if way == "multi" else 0.0)).tolist() for way in WAYS}
    seconds = {"fixed": 1.0, "none": 2.0, "self": 2.0, "single": 3.0, "multi": 3.0}
    return {"seed": seed, "scores": scores, "seconds": seconds, "trained_on": 9, "fixed": {}}


def result(multi: float) -> dict[str, Any]:
    large = {
        "file": "a.dng",
        "size": [30, 40],
        "seconds": 0.5,
        "processor_seconds_a_thread": 0.4,
        "threads": 2,
        "times": 5,
    }
    machine = {"device": "cpu", "cores": 2, "torch": "2.13"}
    return {"cases": {"viewing": [answer(seed, multi) for seed in range(3)]}, "large": large, "machine": machine,
            "seconds": 9.0}  # fmt: skip


def test_the_page_has_every_way_and_the_differences() -> None:
    text = page(result(1.0))
    assert re.search(r"\| multi \| \*\*2[01]\.\d{3}\*\* \|", text)
    assert "| multi over none | +1.000 | +1.000 to +1.000 | 3 of 3 |" in text
    assert "0.50 s on 2 threads" in text


def test_what_does_not_hold_is_said() -> None:
    assert all("yes, beyond the interval" in each for each in claims(result(1.0)))
    assert "not beyond `fixed` and `mean`" in claims(result(0.0))[0]
    assert "not beyond `none` and `single`" in claims(result(-1.0))[1]


def test_differences_are_of_the_same_pictures_and_intervals_of_pictures_too() -> None:
    answers = result(1.0)["cases"]["viewing"]
    alone, apart = interval(answers, "multi"), interval(answers, "multi", "none")
    assert alone.high - alone.low > 0.05
    assert apart == pytest.approx((1.0, 1.0, 1.0))


def test_conditions_are_what_the_raws_show() -> None:
    rng = np.random.default_rng(0)
    some = drawn(100, VIEWED, rng)
    assert max(each.stops for each in some) <= VIEWED.stops[1]
    assert {round(np.log2(each.red) / VIEWED.gains) for each in some} == {-1, 0, 1}
    photo = sample_photo("cat", 64)[:, :32, :32] * np.float32(0.5)
    even, dark, red = taken(
        [photo] * 3, [Condition(*c) for c in ((0, 1, 1, 1e-4), (1, 1, 1, 1e-4), (0, 2, 1, 1e-4))], rng
    )
    light = [float((each[0, 0::2, 0::2] - 512).mean()) for each in (even, dark, red)]
    assert light[1] / light[0] == pytest.approx(0.5, abs=0.05)
    assert light[2] / light[0] == pytest.approx(0.5, abs=0.05), "a gain of two more is half the light"


def test_around_a_window_there_is_black_or_what_clips() -> None:
    rng = np.random.default_rng(0)
    codes = taken([sample_photo("cat", 64)[:, :32, :32]] * 4, drawn(4, VIEWED, rng), rng)
    found, windows = matted(codes, rng, 16383.0)
    inside = windows > 0
    np.testing.assert_array_equal(found[inside], codes[inside])
    assert set(found[~inside].unique().tolist()) <= {0.0, 16383.0}
    assert 0.1 < float(windows.mean()) < 0.7
