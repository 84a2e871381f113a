"""`ispdsl sample`, alone or two on one run, is killed again and again: nothing acknowledged is lost or there twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from ispdsl.store.runs import get, open_run, rows
from tests.sampling.made import command, rows_in, write_pipeline, write_raws

SIZE = 32


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> tuple[object, ...]:
    folder = tmp_path_factory.mktemp("inputs")
    return ("sample", write_pipeline(folder), *write_raws(folder), "-p", "tiny", "--size", SIZE, "--jobs", 1)


def finish(process: subprocess.Popen[str]) -> None:
    _, told = process.communicate(timeout=300)
    assert process.returncode == 0, told


def started(words: tuple[object, ...], out: Path) -> subprocess.Popen[str]:
    process = command(*words, "-o", out)
    until = time.monotonic() + 120
    while not (out / "run.json").is_file() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    return process


def kill_at_random(processes: list[subprocess.Popen[str]], out: Path, more: int, rng: random.Random) -> int:
    """Let the run grow by a few samples, then kill each writer, or its whole group; how many there were."""
    before, until = len(rows_in(out)), time.monotonic() + 120
    while len(rows_in(out)) < before + more and time.monotonic() < until:
        if all(process.poll() is not None for process in processes):
            break
        time.sleep(0.005)
    for process in processes:
        time.sleep(rng.uniform(0, 0.03))
        with suppress(ProcessLookupError):
            if rng.random() < 0.5:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()  # its workers find out by themselves
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
    return len(rows_in(out))


def killed(words: tuple[object, ...], folder: Path, kills: int, count: int, at_once: int = 2) -> None:
    rng = random.Random(count)
    words = (*words, "--count", count)
    calm, wild = folder / "calm", folder / "wild"
    finish(command(*words, "-o", calm))
    acknowledged: dict[str, str] = {}
    writers = [started(words, wild), *(command(*words, "-o", wild, "--resume") for _ in range(at_once - 1))]
    for round_ in range(kills):
        kill_at_random(writers, wild, rng.randint(1, max(count // (kills + 1), 2)), rng)
        found = {row.key: row.blob for row in rows_in(wild)}
        assert acknowledged.items() <= found.items(), f"lost in round {round_}"
        acknowledged = found
        writers = [command(*words, "-o", wild, "--resume") for _ in range(at_once)]
    for writer in writers:
        finish(writer)
    assert_equal(calm, wild)
    assert no_orphans(wild)


def assert_equal(calm: Path, wild: Path) -> None:
    expected, found = rows(open_run(calm)), rows(open_run(wild))
    assert [(row.number, row.key, row.blob, row.bytes) for row in found] == [
        (row.number, row.key, row.blob, row.bytes) for row in expected
    ]
    for row in found:
        assert get(open_run(wild), row.blob).images["mosaic"].shape == (1, SIZE, SIZE)


def no_orphans(out: Path) -> bool:
    """Whether no process of the run lives on, after a moment to notice that its parent is gone."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        lines = [_command(folder) for folder in Path("/proc").iterdir() if folder.name.isdigit()]
        if not any(str(out) in line for line in lines):
            return True
        time.sleep(0.1)
    return False


def _command(folder: Path) -> str:
    try:
        return (folder / "cmdline").read_text()
    except OSError:
        return ""


@pytest.mark.slow
def test_a_writer_that_is_killed_loses_nothing(words: tuple[object, ...], tmp_path: Path) -> None:
    killed(words, tmp_path, kills=1, count=24, at_once=1)


@pytest.mark.slow
def test_writers_that_are_killed_fifty_times_lose_nothing(words: tuple[object, ...], tmp_path: Path) -> None:
    killed(words, tmp_path, kills=50, count=1200)
