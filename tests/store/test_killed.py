"""Two writers are killed at random moments: what was acknowledged is there, once, and reads back."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ispdsl.store.collect import damaged, gc
from ispdsl.store.runs import get, open_run, rows
from tests.store.made import files_below, made

ROOT = Path(__file__).parents[2]
WRITERS = ("a", "b")


@contextmanager
def writers(folder: Path, log: Path, first: int) -> Generator[list[subprocess.Popen[bytes]]]:
    """Two of them; whatever happens they are killed."""
    words = [sys.executable, "-m", "tests.store.writer", str(folder), str(log)]
    started = [subprocess.Popen([*words, name, str(first)], cwd=ROOT) for name in WRITERS]
    try:
        yield started
    finally:
        for each in started:
            each.kill()
        assert [each.wait() for each in started] == [-9, -9], "one ended by itself"


def acknowledged(log: Path) -> list[str]:
    """The keys that a writer was told are kept; the last line may have been cut short."""
    return log.read_text().split("\n")[:-1] if log.exists() else []


def wait_for(log: Path, count: int) -> None:
    until = time.monotonic() + 60
    while len(acknowledged(log)) < count:
        assert time.monotonic() < until, "the writers do nothing"
        time.sleep(0.002)


def check_killed(tmp_path: Path, times: int, longest: float) -> None:
    moments = random.Random(times)
    run, log = made(tmp_path / "run"), tmp_path / "log"
    first = 0
    for _ in range(times):
        with writers(run.path, log, first) as both:
            wait_for(log, len(acknowledged(log)) + 2)
            for each in moments.sample(both, 2):
                time.sleep(moments.uniform(0, longest))
                each.kill()
        first = max(row.number for row in rows(run)) - 1  # the next ones meet keys that are there
    told = acknowledged(log)
    assert len(told) >= 2 * times
    assert len(set(told)) == len(told), "a key was acknowledged twice"
    found = rows(open_run(run.path))
    assert {row.key for row in found} >= set(told), "an acknowledged key was lost"
    assert len({row.key for row in found}) == len(found)
    for row in found:
        assert get(run, row.blob).images["image"][0, 0, 0] == row.number
        assert row.key in (f"{row.number}", f"{row.number}.a", f"{row.number}.b")
    assert list(damaged(run)) == []
    gc(run, age=-1.0)
    assert files_below(run.path / "drafts") == set()
    assert files_below(run.path / "blobs") == {f"{row.blob[:2]}/{row.blob}.safetensors" for row in found}


def test_killed_six_times(tmp_path: Path) -> None:
    check_killed(tmp_path, 6, 0.1)


@pytest.mark.slow
def test_killed_fifty_times(tmp_path: Path) -> None:
    check_killed(tmp_path, 50, 0.3)
