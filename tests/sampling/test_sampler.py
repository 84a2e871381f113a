"""Sampling asks for what the ledger lacks, keeps faults, and goes on; by real things and by worker processes."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ispdsl
from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.executors.model import Answer, Request
from ispdsl.runtime.frame import Frame
from ispdsl.sampling import workers
from ispdsl.sampling.asks import Ask, Wish, asks_of
from ispdsl.sampling.recipe import Recipe
from ispdsl.sampling.sampler import Progress, sample
from ispdsl.sampling.workers import Failed, Made, render_all
from ispdsl.store.errors import DiskError
from ispdsl.store.runs import Run, done_keys, failures, get, rows
from tests import stand_in_executor
from tests.backends.test_blackbox import family
from tests.backends.test_blackbox import graph as real_graph
from tests.sampling.made import frame, graph, listed, new_run, parts, recipe

__all__ = ["family"]


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Frame]:
    folder = tmp_path_factory.mktemp("raw")
    return {name: frame(name, folder) for name in ("coffee", "cat")}


@dataclass(frozen=True)
class Real:
    """A run of the stand-in."""

    run: Run
    recipe: Recipe
    asks: tuple[Ask, ...]

    def sample(self, **more: Any) -> Any:
        return sample(self.run, self.recipe, self.asks, jobs=2, **more)


@pytest.fixture
def real(tmp_path: Path, frames: dict[str, Frame]) -> Real:
    built = real_graph(tmp_path)
    settings = ispdsl.Settings.of(built)
    wish = Wish(count=12, only=("lift.*",))
    asks = asks_of(built, parts(frames), settings, wish, "stand_in", "stand-in 1.0")
    return Real(new_run(tmp_path / "run", built), Recipe(built, settings, None, asks.border, "stand_in"), asks.asks)


def test_a_real_thing_is_sampled_with_its_taps(real: Real) -> None:
    outcome = real.sample()
    assert (outcome.made, outcome.failed, outcome.present) == (12, 0, 0)
    found = rows(real.run)
    assert [row.number for row in found] == list(range(12))
    for row, ask in zip(found, real.asks, strict=True):
        made = get(real.run, row.blob)
        assert set(made.images) == {"mosaic", "before", "out"}
        assert np.array_equal(made.images["mosaic"], ask.part.frame.image)
        gain = ask.changed["lift.gain"]
        assert np.allclose(made.images["out"], ask.part.frame.image * np.float32(str(gain)))
        assert made.extra["notes"] == ["it stood in"]
    assert stand_in_executor.OPEN == []


def test_what_fails_is_kept_and_asked_again_next_time(real: Real, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = {str(ask.changed["lift.gain"]) for ask in real.asks[3:5]}
    before = stand_in_executor.StandIn.run

    def run(self: stand_in_executor.StandIn, request: Request) -> Answer:
        if str(request.settings["lift.gain"]) in bad:
            raise ExecutorError(Fault.SHAPE, "it is too small")
        return before(self, request)

    monkeypatch.setattr(stand_in_executor.StandIn, "run", run)
    told: list[Progress] = []
    outcome = real.sample(told=told.append)
    assert (outcome.made, outcome.failed) == (10, 2)
    assert [(each.number, each.fault, each.message) for each in failures(real.run)] == [
        (3, "shape", "it is too small"),
        (4, "shape", "it is too small"),
    ]
    assert (told[-1].done, told[-1].total, told[-1].failures) == (10, 12, 2)
    bad.clear()
    asked = len(stand_in_executor.ASKED)
    again = real.sample()
    assert (again.made, again.failed, again.present) == (2, 0, 10)
    assert len(stand_in_executor.ASKED) == asked + 2
    assert failures(real.run) == []


def test_two_writers_share_the_work_and_store_nothing_twice(real: Real) -> None:
    outcomes: list[Any] = []
    threads = [threading.Thread(target=lambda: outcomes.append(real.sample(shuffled=True))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(outcome.made for outcome in outcomes) == 12
    assert all(outcome.made + outcome.present == 12 for outcome in outcomes)
    assert {row.key for row in rows(real.run)} == {ask.key for ask in real.asks}


def test_what_others_have_done_meanwhile_is_not_asked(real: Real, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ispdsl.sampling.sampler.LOOK", 0.0)
    real_keys = done_keys
    others = {ask.key for ask in real.asks[6:]}
    looks: list[int] = []

    def seen(run: Run) -> set[str]:
        looks.append(1)
        return real_keys(run) | (others if len(looks) > 1 else set())

    monkeypatch.setattr("ispdsl.sampling.sampler.done_keys", seen)
    monkeypatch.setattr("ispdsl.sampling.sampler.SHARE", 0)
    assert real.sample().made == 6
    assert len(stand_in_executor.ASKED) == 6


def test_nobody_has_allowed_it(real: Real, tmp_path: Path) -> None:
    built = real_graph(tmp_path, 'program = "rm"')
    with pytest.raises(ExecutorError) as caught:
        sample(real.run, replace(real.recipe, graph=built), real.asks, jobs=1)
    assert caught.value.fault is Fault.DENIED
    assert rows(real.run) == []


# ---- worker processes ---------------------------------------------------------------------------------------


def test_a_worker_that_dies_costs_one_sample(
    tmp_path: Path, frames: dict[str, Frame], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "LINGER", 0.0)  # one by one
    built = graph(tmp_path)
    asks = listed(built, frames, Wish(count=8))
    run = new_run(tmp_path / "run", built)
    found: list[tuple[Ask, Made | Failed]] = []
    for ask, result in chain.from_iterable(render_all(iter(asks.asks), run.path, recipe(built, asks), 1)):
        found.append((ask, result))
        if len(found) == 2:
            (child,) = _children("spawn_main")
            os.kill(child, signal.SIGKILL)
    assert sorted(ask.number for ask, _ in found) == list(range(8))
    failed = [result for _, result in found if isinstance(result, Failed)]
    assert len(failed) <= 1  # none where it had finished already
    assert all(each.fault == "crash" and "SIGKILL" in each.message for each in failed)
    assert _children("spawn_main") == []


def test_a_full_disk_stops_everything(tmp_path: Path, frames: dict[str, Frame]) -> None:
    built = graph(tmp_path)
    asks = listed(built, frames, Wish(count=8))
    run = new_run(tmp_path / "run", built)
    with pytest.raises(DiskError):
        list(render_all(iter(asks.asks), Path("/dev/full"), recipe(built, asks), 1))
    assert rows(run) == []
    assert _children("spawn_main") == []


def _children(word: str) -> list[int]:
    """Processes that this one has started and whose command has a word in it."""
    return [pid for pid, line in _family() if word in line]


def _family() -> Iterator[tuple[int, str]]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                status = (folder / "stat").read_text().rpartition(")")[2].split()
                line = (folder / "cmdline").read_text()
            except OSError:
                continue
            if int(status[1]) == os.getpid() and status[0] != "Z":
                yield int(folder.name), line
