"""The benchmark of what the engine adds to a trivial command."""

from __future__ import annotations

import time

import pytest

from benchmarks import overhead


def test_the_median_of_the_differences_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([9.0, 9.0, 0.002, 0.005, 0.001, 0.006, 0.003, 0.005])
    begun: list[float] = []
    monkeypatch.setattr(time, "perf_counter", lambda: sum(begun))
    found = overhead.in_turns("pause", lambda: begun.append(next(seconds)), lambda: begun.append(next(seconds)), 3)
    assert (found.bare, found.ours, found.added) == pytest.approx((2, 5, 3))
    assert found.quartiles == pytest.approx((2, 5))
    assert found.ratio == pytest.approx(2.5)
    assert "pause" in str(found)


@pytest.mark.parametrize("measure", [overhead.sandbox, overhead.command])
def test_both_ways_do_the_same_on_a_small_number_of_rounds(measure) -> None:
    found = measure(3)
    assert found.rounds == 3
    assert 0 < found.bare < 1000
    assert 0 < found.ours < 1000


@pytest.mark.bench
@pytest.mark.parametrize("measure", [overhead.sandbox, overhead.command])
def test_a_trivial_command_is_not_held_up(measure) -> None:
    found = measure(200)
    assert found.added < overhead.LIMIT, str(found)
