"""The engine counts, writes down, and goes on where it was stopped."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from ispdsl.optimise.engine import HUGE, REPEATS, Ended, Score, search
from ispdsl.optimise.ledger import Ledger, LedgerError
from ispdsl.optimise.space import Axis, Numbers, Space

SPACE = Space((Axis("a"), Axis("b"), Axis("code", 5)))
ABOUT = {"searcher": "steps", "seed": 3}


def steps(score: Score, space: Space, calls: int, seed: int, start: Numbers | None, /) -> str:
    """Never ends; looks half as far from the lowest point with each call."""
    rng = np.random.default_rng(seed)
    best = rng.random(space.size) if start is None else start
    lowest, width = score(best), 0.5
    while True:
        point = best + width * rng.standard_normal(space.size)
        value = score(point)
        best, lowest = (point, value) if value < lowest else (best, lowest)
        width *= 0.9


def bowl(point: Numbers) -> float:
    return float(((point - [0.3, 0.8, 0.75]) ** 2).sum())


def test_no_more_calls_are_made_than_were_asked_for_and_all_of_them_legal() -> None:
    asked: list[Numbers] = []

    def score(point: Numbers) -> float:
        asked.append(point)
        return bowl(point)

    told: list[tuple[int, float]] = []
    found = search(steps, score, SPACE, calls=25, seed=1, told=lambda count, best: told.append((count, best)))
    assert len(asked) == len(found.evaluations) == 25
    assert found.why == "no calls are left"
    points = np.array(asked)
    assert points.min() >= 0
    assert points.max() <= 1
    np.testing.assert_array_equal(points[:, 2] * 4, np.round(points[:, 2] * 4))
    assert found.value == min(each.value for each in found.evaluations) == bowl(found.point)
    np.testing.assert_array_equal(found.recommended, found.point)
    assert told == list(enumerate(found.path, 1))


def test_it_ends_when_it_is_as_near_as_was_asked_for() -> None:
    found = search(steps, bowl, SPACE, calls=500, seed=1, enough=0.05)
    values = [each.value for each in found.evaluations]
    assert found.value <= 0.05 < min(values[:-1])
    assert found.why == "it is as near as was asked for"


def test_the_start_is_made_legal() -> None:
    found = search(steps, bowl, SPACE, calls=1, start=np.array([2.0, 0.5, 0.6]))
    np.testing.assert_array_equal(found.point, [1.0, 0.5, 0.5])


@pytest.mark.parametrize(("space", "calls"), [(Space(()), 3), (SPACE, 0)])
def test_nothing_to_search_is_refused(space: Space, calls: int) -> None:
    with pytest.raises(ValueError, match="nothing to search"):
        search(steps, bowl, space, calls=calls)


def test_failed_scores_count_and_are_told_as_the_worst_so_far() -> None:
    answers = iter([math.nan, 2.0, 5.0, math.inf, 1.0])
    heard: list[float] = []

    def listener(score: Score, space: Space, calls: int, seed: int, start: Numbers | None, /) -> str:
        heard.extend(score(np.full(3, 0.1 * number)) for number in range(5))
        return "five are enough"

    found = search(listener, lambda _: next(answers), SPACE, calls=9)
    assert heard == [HUGE, 2.0, 5.0, 5.0, 1.0]
    assert (len(found.evaluations), found.value, found.why) == (5, 1.0, "five are enough")
    np.testing.assert_array_equal(found.path, [np.inf, 2, 2, 2, 1])


def test_what_a_searcher_recommends_is_made_legal_and_stands_beside_the_lowest() -> None:
    def knowing(score: Score, space: Space, calls: int, seed: int, start: Numbers | None, /) -> Ended:
        score(np.full(3, 0.5))
        return Ended("it knows better", np.array([0.3, 0.8, 0.8]))

    found = search(knowing, bowl, SPACE, calls=4)
    assert found.why == "it knows better"
    np.testing.assert_array_equal(found.recommended, [0.3, 0.8, 0.75])
    np.testing.assert_array_equal(found.point, [0.5, 0.5, 0.5])


def test_a_search_that_crashed_goes_on_where_it_was(tmp_path: Path) -> None:
    whole = search(steps, bowl, SPACE, calls=20, seed=3)
    count = 0

    def fails_at_the_eighth(point: Numbers) -> float:
        nonlocal count
        count += 1
        if count == 8:
            raise RuntimeError("the power is gone")
        return bowl(point)

    path = tmp_path / "ledger.jsonl"
    with Ledger(path, ABOUT) as ledger, pytest.raises(RuntimeError, match="power"):
        search(steps, fails_at_the_eighth, SPACE, calls=20, seed=3, ledger=ledger)
    assert len(path.read_text().splitlines()) == 1 + 7
    asked: list[Numbers] = []

    def counted(point: Numbers) -> float:
        asked.append(point)
        return bowl(point)

    with Ledger(path, ABOUT) as ledger:
        again = search(steps, counted, SPACE, calls=20, seed=3, ledger=ledger)
        assert len(ledger) == 20
    assert len(asked) == 13
    for one, other in zip(whole.evaluations, again.evaluations, strict=True):
        np.testing.assert_array_equal(one.point, other.point)
        assert one.value == other.value


def written(path: Path, calls: int = 6) -> None:
    with Ledger(path, ABOUT) as ledger:
        search(steps, bowl, SPACE, calls=calls, seed=3, ledger=ledger)


def test_a_line_that_was_cut_off_is_measured_again(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    written(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    asked: list[Numbers] = []

    def counted(point: Numbers) -> float:
        asked.append(point)
        return bowl(point)

    with Ledger(path, ABOUT) as ledger:
        assert len(ledger) == 5
        search(steps, counted, SPACE, calls=6, seed=3, ledger=ledger)
    assert len(asked) == 1
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    before = [json.loads(line) for line in whole.decode().splitlines()]
    assert [row.get("point") for row in rows] == [row.get("point") for row in before]


def test_values_that_are_no_numbers_survive_the_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    for _ in range(2):
        answers = iter([math.nan, math.inf, 0.1])
        with Ledger(path, ABOUT) as ledger:
            found = search(steps, lambda _, answers=answers: next(answers), SPACE, calls=3, seed=3, ledger=ledger)
        assert [repr(each.value) for each in found.evaluations] == ["nan", "inf", "0.1"]


def test_the_ledger_of_another_search_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    written(path)
    before = path.read_bytes()
    with pytest.raises(LedgerError, match=r"another search \(seed 3\)"):
        Ledger(path, {**ABOUT, "seed": 4})
    with Ledger(path, ABOUT) as ledger, pytest.raises(LedgerError, match="call 1 was made at another point"):
        search(steps, bowl, SPACE, calls=6, seed=4, ledger=ledger)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "text", ["not json\n", '{"format": 1, "searcher": "steps", "seed": 3}\n{"point": 1}\n', "[]\n"]
)
def test_what_is_no_ledger_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text(text)
    with pytest.raises(LedgerError, match=r"ledger"):
        Ledger(path, ABOUT)
    assert path.read_text() == text


def test_a_small_space_is_measured_many_times_and_not_for_ever() -> None:
    space = Space((Axis("name", 3, ordered=False), Axis("switch", 2, ordered=False)))

    def drawing(score: Score, space: Space, calls: int, seed: int, start: Numbers | None, /) -> str:
        rng = np.random.default_rng(seed)
        while True:
            score(rng.random(space.size))

    found = search(drawing, lambda point: float(point.sum()), space, calls=100_000)
    assert len(found.evaluations) == 6 * REPEATS
    assert found.why == "every point was measured many times"
