"""Lanes work side by side, try again what may pass, and stop when nobody listens."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from ispdsl.executors import pool, sandbox
from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.executors.model import Answer, Cost, Declared, Executor, Limits, Request, one_by_one
from ispdsl.executors.pool import Progress, run_all
from tests.executors.processes import alive, lives

Act = Callable[[int, int], None]
"""What a call does besides: told the number of its request and how often that has been tried before."""


def request(number: int) -> Request:
    return Request({}, {"number": number})


def number_of(request: Request) -> int:
    return cast("int", request.settings["number"])


def fail(fault: Fault) -> ExecutorError:
    return ExecutorError(fault, f"it is {fault}")


@dataclass
class Bench:
    """Executors of lanes that keep a record of what is done with them."""

    act: Act = lambda number, tries: None
    batch: int = 1
    opened: list[int] = field(default_factory=list[int])
    closed: list[int] = field(default_factory=list[int])
    batches: list[list[int]] = field(default_factory=list[list[int]])
    tries: dict[int, int] = field(default_factory=dict[int, int])

    def open(self, lane: int) -> Executor:
        self.opened.append(lane)
        return Fake(self, lane)


@dataclass(frozen=True)
class Fake:
    bench: Bench
    lane: int
    version: str = "fake 1"

    @property
    def declared(self) -> Declared:
        raise AssertionError("nobody has to ask")

    @property
    def batch(self) -> int:
        return self.bench.batch

    def run(self, request: Request) -> Answer:
        number = number_of(request)
        tries = self.bench.tries.get(number, 0)
        self.bench.tries[number] = tries + 1
        self.bench.act(number, tries)
        return Answer({}, {}, Cost(0.0, 0.0), (f"{number}",))

    def run_many(self, requests: Sequence[Request]) -> list[Answer | ExecutorError]:
        self.bench.batches.append([number_of(each) for each in requests])
        return one_by_one(self, requests)

    def close(self) -> None:
        self.bench.closed.append(self.lane)


@pytest.fixture(autouse=True)
def _nothing_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(pool, "PAUSE", 0.001)
    yield
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("lane")] == []
    sandbox.dismiss()


def faults(found: dict[int, Answer | ExecutorError]) -> dict[int, Fault]:
    return {number: each.fault for number, each in found.items() if isinstance(each, ExecutorError)}


@pytest.mark.parametrize("lanes", [1, 2, 5])
@pytest.mark.parametrize("batch", [1, 4])
def test_each_request_is_answered_once(lanes: int, batch: int) -> None:
    bench = Bench(batch=batch)
    found = list(run_all(bench.open, [request(n) for n in range(23)], lanes))
    assert sorted(number for number, _ in found) == list(range(23))
    assert all(isinstance(answer, Answer) and answer.notes == (str(number),) for number, answer in found)
    assert sorted(bench.opened) == sorted(bench.closed)
    assert len(set(bench.opened)) == len(bench.opened) <= lanes


def test_nothing_to_do() -> None:
    bench = Bench()
    assert list(run_all(bench.open, [], 3)) == []
    assert bench.opened == []


def test_lanes_work_at_the_same_time() -> None:
    together = threading.Barrier(3, timeout=10)
    bench = Bench(act=lambda number, tries: cast("None", together.wait()))
    assert len(list(run_all(bench.open, [request(n) for n in range(6)], 3))) == 6


def test_they_come_in_order_of_completion() -> None:
    second = threading.Event()

    def act(number: int, tries: int) -> None:
        assert number != 0 or second.wait(10)

    found = run_all(Bench(act=act).open, [request(n) for n in range(2)], 2)
    assert next(found)[0] == 1
    second.set()
    assert next(found)[0] == 0
    assert next(found, None) is None


def test_batches_are_full_and_the_end_is_shared() -> None:
    bench = Bench(batch=8)
    list(run_all(bench.open, [request(n) for n in range(40)], 2))
    assert max(len(batch) for batch in bench.batches) == 8
    assert len(bench.batches[-1]) == 1, "one lane took the whole end"


def test_what_may_pass_is_tried_again() -> None:
    def act(number: int, tries: int) -> None:
        if number == 3 and tries == 0:
            raise fail(Fault.CRASH)

    bench = Bench(act=act)
    assert faults(dict(run_all(bench.open, [request(n) for n in range(6)], 2))) == {}
    assert bench.tries[3] == 2


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_but_not_for_ever(retries: int) -> None:
    def act(number: int, tries: int) -> None:
        if number == 3:
            raise fail(Fault.MISSING)

    bench = Bench(act=act)
    found = faults(dict(run_all(bench.open, [request(n) for n in range(6)], 2, retries=retries)))
    assert found == {3: Fault.MISSING}
    assert bench.tries[3] == 1 + retries


@pytest.mark.parametrize("fault", sorted(set(Fault) - pool.PASSING))
def test_what_will_not_pass_is_not(fault: Fault) -> None:
    def act(number: int, tries: int) -> None:
        raise fail(fault)

    bench = Bench(act=act)
    assert faults(dict(run_all(bench.open, [request(0)], 1, retries=5))) == {0: fault}
    assert bench.tries == {0: 1}


@pytest.mark.parametrize(("fault", "openings"), [(Fault.LINK, 2), (Fault.HANG, 2), (Fault.CRASH, 1), (Fault.SHAPE, 1)])
def test_a_broken_lane_is_opened_again(fault: Fault, openings: int) -> None:
    def act(number: int, tries: int) -> None:
        if number == 1 and tries == 0:
            raise fail(fault)

    bench = Bench(act=act)
    assert len(list(run_all(bench.open, [request(n) for n in range(4)], 1))) == 4
    assert (bench.opened, bench.closed) == ([0] * openings, [0] * openings)


def test_a_lane_that_cannot_be_opened_leaves_its_work_to_others() -> None:
    """Also to one that had nothing left to do."""
    tried = threading.Event()
    bench = Bench(act=lambda number, tries: cast("None", tried.wait(10)))

    def opening(lane: int) -> Executor:
        if lane == 0:
            return bench.open(lane)
        bench.opened.append(lane)
        tried.set()
        time.sleep(0.05)
        raise fail(Fault.LINK)

    assert len(list(run_all(opening, [request(n) for n in range(2)], 2))) == 2
    assert bench.opened.count(1) == pool.OPENINGS
    assert bench.closed == [0]


@pytest.mark.parametrize(("fault", "tries"), [(Fault.LINK, pool.OPENINGS), (Fault.ABSENT, 1), (Fault.VERSION, 1)])
def test_without_any_lane_there_is_no_use(fault: Fault, tries: int) -> None:
    opened: list[int] = []

    def opening(lane: int) -> Executor:
        opened.append(lane)
        raise fail(fault)

    with pytest.raises(ExecutorError) as caught:
        list(run_all(opening, (request(n) for n in itertools.count()), 1))
    assert caught.value.fault is fault
    assert opened == [0] * tries


def test_a_fault_of_the_executor_itself_ends_the_run() -> None:
    def act(number: int, tries: int) -> None:
        if number == 5:
            raise ZeroDivisionError

    bench = Bench(act=act)
    with pytest.raises(ZeroDivisionError):
        list(run_all(bench.open, (request(n) for n in itertools.count()), 2))
    assert sorted(bench.opened) == sorted(bench.closed)


def test_a_fault_of_the_requests_ends_the_run() -> None:
    def requests() -> Iterator[Request]:
        yield request(0)
        raise LookupError("no more")

    with pytest.raises(LookupError):
        list(run_all(Bench().open, requests(), 2))


def test_progress_is_told() -> None:
    def act(number: int, tries: int) -> None:
        if number % 2:
            raise fail(Fault.VALUES)

    told: list[Progress] = []
    list(run_all(Bench(act=act).open, [request(n) for n in range(10)], 2, told.append))
    assert [each.done for each in told] == list(range(1, 11))
    assert (told[-1].failures, told[-1].total, told[-1].left) == (5, 10, 0)
    assert all(each.rate > 0 for each in told)
    list(run_all(Bench().open, iter([request(0)]), 1, told.append))
    assert (told[-1].total, told[-1].left) == (None, None)


def test_an_endless_run_is_read_as_it_goes_and_ends_when_it_is_closed() -> None:
    read: list[int] = []

    def requests() -> Iterator[Request]:
        for number in itertools.count():
            read.append(number)
            yield request(number)

    bench = Bench()
    found = run_all(bench.open, requests(), 2)
    for _ in range(5):
        next(found)
    time.sleep(0.05)
    found.close()
    assert len(read) <= 5 + 4 * 2 + 2 + 2, "more was read than can wait"
    assert sorted(bench.opened) == sorted(bench.closed)


@dataclass(frozen=True)
class Sleeper:
    """Each call is a program that sleeps, and has a child that does so in a session of its own."""

    mark: str
    folder: Path
    batch: int = 1
    version: str = "sleep 1"

    @property
    def declared(self) -> Declared:
        raise AssertionError("nobody has to ask")

    def run(self, request: Request) -> Answer:
        command = ["sh", "-c", f"setsid sh -c 'sleep 60; :' {self.mark} & sleep 60; :", self.mark]
        sandbox.run_program(command, self.folder, Limits())
        raise AssertionError("it has slept")

    def run_many(self, requests: Sequence[Request]) -> list[Answer | ExecutorError]:
        return one_by_one(self, requests)

    def close(self) -> None:
        pass


def test_an_interrupt_kills_what_runs(tmp_path: Path) -> None:
    mark = f"mark-{os.urandom(8).hex()}"

    def interrupt() -> None:
        assert lives(mark)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    other = threading.Thread(target=interrupt)
    other.start()
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        list(run_all(lambda lane: Sleeper(mark, tmp_path), (request(n) for n in itertools.count()), 3))
    other.join()
    assert time.monotonic() - begun < 10
    assert not alive(mark)
