"""Many frames on several boards at once, some of which misbehave; and an end in the middle that leaves nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ispdsl.executors import registers
from ispdsl.executors.faults import ExecutorError
from ispdsl.executors.kinds import open_executor
from ispdsl.executors.model import Declared, Request
from ispdsl.executors.pool import run_all
from ispdsl.executors.stopping import Stop, Stopped, stoppable
from tests.executors.devices import Client, Device, device, executor_line, request, scene


def _frames(found: Declared, count: int) -> Iterator[Request]:
    for index in range(count):
        yield request(found, scene(seed=index), gain_00=1 + index % 9, lut_power=float(index % 200))


@pytest.mark.parametrize("kind", ["tcp", pytest.param("serial", marks=pytest.mark.slow)])
def test_boards_that_misbehave_side_by_side(kind: str) -> None:
    arguments = ("--tcp", "0") if kind == "tcp" else ("--serial",)
    faults = "drop=0.1,power=0.05,stuck=0.1,stale=0.1"
    with ExitStack() as stack:
        boards = [stack.enter_context(device(*arguments, "--faults", faults, "--seed", str(n))) for n in (1, 2)]
        quiet = stack.enter_context(device())
        found = executor_line(kind, tuple(each.place for each in boards), timeout=2.0)
        clean = open_executor(executor_line("tcp", quiet.place))
        wanted = [clean.run(each).outputs["image"] for each in _frames(clean.declared, 40)]
        clean.close()
        opening = partial(open_executor, found, None)
        answers = dict(run_all(opening, _frames(found, 40), registers.lanes(found), retries=6))
    assert sorted(answers) == list(range(40))
    for number, answer in answers.items():
        assert not isinstance(answer, ExecutorError), f"frame {number}: {answer}"
        assert np.array_equal(answer.outputs["image"], wanted[number]), f"frame {number}"


@pytest.fixture(params=["tcp", "serial", "mmio"])
def silent(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Device]]:
    """A device that hangs on every frame, behind each transport."""
    kind: Any = request.param
    where = {"tcp": ("--tcp", "0"), "serial": ("--serial",), "mmio": ("--mmio", str(tmp_path / "b"), "--buffer", "1")}
    with device(*where[kind], "--faults", "hang=1") as found:
        yield kind, found


def test_a_wait_for_a_device_is_stopped_from_another_thread(silent: tuple[str, Device]) -> None:
    kind, board = silent
    executor = open_executor(executor_line(kind, board.place, timeout=30.0))
    stop, ended = Stop(), threading.Event()

    def work() -> None:
        with pytest.raises(Stopped), stoppable(stop):
            executor.run(request(executor.declared, scene()))
        ended.set()

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.3)
    assert not ended.is_set()
    stop.ask()
    thread.join(2)
    assert ended.is_set(), "the wait goes on"
    executor.close()


def test_a_pool_that_nobody_listens_to_any_more_ends_soon() -> None:
    with device("--tcp", "0", "--faults-at", "3:hang") as board:
        found = executor_line("tcp", board.place, timeout=30.0)
        answers = run_all(partial(open_executor, found, None), _frames(found, 10), 1)
        assert [next(answers)[0] for _ in range(2)] == [0, 1]
        time.sleep(0.3)
        start = time.monotonic()
        answers.close()
        assert time.monotonic() - start < 2
        with Client(board.place) as direct:
            assert direct.picture(scene()).shape == (3, 24, 32)
