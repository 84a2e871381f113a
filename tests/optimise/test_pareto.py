"""Several goals at once: what nothing beats, a front that closes in on the true one, budgets and ledgers."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from ispdsl.optimise.ledger import Ledger
from ispdsl.optimise.pareto import Front, pareto, unbeaten
from ispdsl.optimise.space import Axis, Numbers, Space

SPACE = Space((Axis("a"), Axis("b"), Axis("code", 5), Axis("name", 3, ordered=False)))
NAMES = ("noise", "blur")


def goals(x: Numbers) -> tuple[float, float]:
    """The true front: `b` 0.5, the code 4, the second name; `a` trades one goal for the other."""
    off = (x[1] - 0.5) ** 2 + (1 - x[2]) + (x[3] != 0.5)
    return float(x[0] ** 2 + off), float((1 - x[0]) ** 2 + off)


def test_what_nothing_beats_is_kept_and_the_first_of_equals() -> None:
    scores = np.array([[1.0, 2.0], [2.0, 1.0], [2.0, 2.0], [1.0, 2.0], [math.nan, 0.0], [0.0, math.inf], [3.0, 1.0]])
    np.testing.assert_array_equal(unbeaten(scores), [True, True, False, False, False, False, False])


def test_the_front_is_near_the_true_one_and_spread_along_it() -> None:
    found = pareto(goals, SPACE, NAMES, calls=400, seed=1)
    best = np.array([each.scores for each in found.best])
    assert len(found.tried) == 400
    assert len(best) >= 8
    assert (np.sqrt(best).sum(axis=1) < 1.25).all(), "on the true front the roots add up to one"
    assert best[:, 0].min() < 0.1
    assert best[:, 1].min() < 0.1
    chance = np.random.default_rng(1).random((400, 4))
    drawn = np.array([goals(SPACE.snap(each)) for each in chance])
    assert np.sqrt(best).sum(axis=1).mean() < np.sqrt(drawn[unbeaten(drawn)]).sum(axis=1).mean()


def test_every_point_is_legal_and_the_start_is_first() -> None:
    start = np.array([0.2, 0.7, 0.75, 1.0])
    found = pareto(goals, SPACE, NAMES, calls=40, seed=2, start=start)
    np.testing.assert_allclose(found.tried[0].point, start)
    for each in found.tried:
        np.testing.assert_array_equal(SPACE.snap(each.point), each.point)


def test_failed_calls_are_no_answers() -> None:
    found = pareto(lambda x: (math.nan, 0.0) if x[0] < 0.5 else goals(x), SPACE, NAMES, calls=60)
    assert all(each.point[0] >= 0.5 for each in found.best)
    assert len(found.tried) == 60


def test_a_search_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    whole = pareto(goals, SPACE, NAMES, calls=50, seed=3)
    asked: list[Numbers] = []

    def failing(x: Numbers) -> tuple[float, float]:
        if len(asked) == 20:
            raise RuntimeError
        asked.append(x)
        return goals(x)

    with pytest.raises(RuntimeError), Ledger(tmp_path / "a.jsonl", {"seed": 3}) as ledger:
        pareto(failing, SPACE, NAMES, calls=50, seed=3, ledger=ledger)
    asked.clear()
    told: list[tuple[int, int]] = []
    with Ledger(tmp_path / "a.jsonl", {"seed": 3}) as ledger:
        again = pareto(
            lambda x: asked.append(x) or goals(x), SPACE, NAMES, calls=50, seed=3, ledger=ledger,
            told=lambda *each: told.append(each),
        )  # fmt: skip
    assert len(asked) == 30, "twenty were there"
    np.testing.assert_array_equal(again.scores, whole.scores)
    assert [number for number, _ in told] == list(range(1, 51))
    assert told[-1][1] == len(again.best)


@pytest.mark.parametrize(("space", "names", "calls"), [(Space(()), NAMES, 5), (SPACE, ("one",), 5), (SPACE, NAMES, 0)])
def test_nothing_to_search_is_refused(space: Space, names: tuple[str, ...], calls: int) -> None:
    with pytest.raises(ValueError, match="nothing to search"):
        pareto(goals, space, names, calls=calls)


def test_a_front_of_nothing_is_empty() -> None:
    assert Front(NAMES, ()).best == ()
