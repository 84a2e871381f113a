"""Turns: everybody in every round, another one first each time."""

from __future__ import annotations

import pytest

from ispdsl.bench.turns import LEAST, MOST, Spread, in_turns, ratio, spread


class Clock:
    """Goes on as far as the calls say."""

    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


def test_calls_take_turns_and_begin_in_turn() -> None:
    clock, order = Clock(), list[str]()

    def call(name: str, seconds: float):
        def work() -> None:
            order.append(name)
            clock.time += seconds

        return work

    found = in_turns({"a": call("a", 1), "b": call("b", 2), "c": call("c", 3)}, 20, clock)
    assert "".join(order) == "abcbcacababc"
    assert found == {"a": (1,) * 4, "b": (2,) * 4, "c": (3,) * 4}


def test_slow_calls_have_their_least_and_fast_ones_their_most() -> None:
    clock = Clock()

    def slow() -> None:
        clock.time += 100

    assert len(in_turns({"a": slow}, 1, clock)["a"]) == LEAST
    assert len(in_turns({"a": lambda: None}, 1, clock)["a"]) == MOST
    assert in_turns({}, 1, clock) == {}


def test_whoever_watches_hears_of_every_call() -> None:
    heard: list[tuple[int, str]] = []
    clock = Clock()

    def slow() -> None:
        clock.time += 1

    in_turns({"a": slow, "b": slow}, 0.1, clock, lambda done, total, name: heard.append((done, name)))
    assert heard == [(0, "a"), (1, "b"), (2, "b"), (3, "a"), (4, "a"), (5, "b")]


def test_ratios_are_of_the_same_round() -> None:
    # The machine was ten times as slow in the second round: the ratio does not see it.
    assert ratio((2.0, 20.0, 2.0), (1.0, 10.0, 1.0)) == Spread(2, 2, 2)
    with pytest.raises(ValueError, match="argument 2"):
        ratio((1.0,), (1.0, 2.0))


def test_a_spread_is_quartiles() -> None:
    assert spread((5.0, 1.0, 2.0, 3.0, 4.0)) == Spread(2, 3, 4)
    assert spread((7.0,)) == Spread(7, 7, 7)
