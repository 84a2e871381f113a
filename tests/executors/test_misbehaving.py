"""Whatever a program does wrong ends in its own fault, in time, with nothing left alive and no picture believed."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ispdsl.executors import sandbox
from ispdsl.executors.command import Command
from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.executors.model import MIB, Limits
from tests.executors.command_support import picture, run, wired
from tests.executors.processes import alive

PROGRAMS = Path(__file__).parent / "misbehaving/programs.py"
LIMITS = Limits(seconds=30, memory=200 * MIB, output=2 * MIB)
SHORT = replace(LIMITS, seconds=0.7)
"""For those that never end by themselves."""

LATE = 3.0
"""Seconds beyond the limit that a busy machine may take."""

FAULTS = {
    "hang": {Fault.HANG},
    "deaf": {Fault.HANG},
    "busy": {Fault.HANG},
    "brood": {Fault.HANG},
    "bomb": {Fault.FLOOD, Fault.HANG, Fault.MEMORY},
    "daemon": {Fault.MISSING},
    "segfault": {Fault.CRASH},
    "refuse": {Fault.CRASH},
    "parricide": {Fault.CRASH},
    "hog": {Fault.MEMORY},
    "hogs": {Fault.MEMORY},
    "chatter": {Fault.FLOOD},
    "flood": {Fault.FLOOD},
    "floods": {Fault.FLOOD},
    "silent": {Fault.MISSING},
    "empty": {Fault.MISSING},
    "link": {Fault.FOREIGN},
    "twin": {Fault.FOREIGN},
    "fifo": {Fault.FOREIGN},
    "folder": {Fault.FOREIGN},
    "stale": {Fault.STALE},
    "cropped": {Fault.SHAPE},
    "grey": {Fault.SHAPE},
    "undefined": {Fault.VALUES},
    "infinite": {Fault.VALUES},
    "glaring": {Fault.VALUES},
    "text": {Fault.GARBAGE},
    "torn": {Fault.GARBAGE},
    "pickled": {Fault.GARBAGE},
    "gigapixel": {Fault.SHAPE, Fault.GARBAGE},
}
"""What each program has to end in. A fork bomb meets whichever limit comes first."""


def program(folder: Path, name: str, mark: str) -> Command:
    form = "png8" if name == "gigapixel" else "npy"
    command = f'["{sys.executable}", "-I", "-S", "{PROGRAMS}", "{name}", "{{image}}", "{{result}}", "{mark}"]'
    limits = SHORT if Fault.HANG in FAULTS.get(name, ()) else LIMITS
    return wired(folder, f"arguments = {command}, image = npy, result = {form}", limits=limits)


def suffer(folder: Path, name: str, times: int) -> None:
    mark = f"mark-{name}-{os.urandom(8).hex()}"
    executor = program(folder, name, mark)
    for _ in range(times):
        begun = time.monotonic()
        with pytest.raises(ExecutorError) as caught:
            run(executor, picture())
        took = time.monotonic() - begun
        left = alive(mark)
        assert caught.value.fault in FAULTS[name], caught.value
        assert took < (SHORT if Fault.HANG in FAULTS[name] else LIMITS).seconds + LATE
        assert not left, f"{left} of {name} are still alive"
        assert mark in caught.value.command
        assert caught.value.hint is None or "Traceback" not in caught.value.hint


@pytest.mark.parametrize("name", FAULTS)
def test_it_ends_in_its_own_fault(tmp_path: Path, name: str) -> None:
    suffer(tmp_path, name, 1 if Fault.HANG in FAULTS[name] else 2)  # each time takes the whole limit


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_it_does_so_a_hundred_times(tmp_path: Path, name: str) -> None:
    suffer(tmp_path, name, 100)


def test_a_program_that_does_well_is_believed(tmp_path: Path) -> None:
    """Without this the faults above could be those of the harness."""
    answer = run(program(tmp_path, "well", "mark"), picture())
    (result,) = answer.outputs.values()
    np.testing.assert_array_equal(result, np.full((3, 6, 8), 0.5, np.float32))


def test_side_by_side_they_disturb_nobody(tmp_path: Path) -> None:
    """Between them are programs that do well, and these are believed."""
    names = [each for name in FAULTS for each in (name, "well")]
    mark = f"mark-{os.urandom(8).hex()}"
    executors = {name: program(tmp_path, name, mark) for name in dict.fromkeys(names)}

    def fault(name: str) -> Fault | None:
        try:
            run(executors[name], picture())
        except ExecutorError as error:
            return error.fault
        return None

    with ThreadPoolExecutor(3) as pool:
        found = list(zip(names, pool.map(fault, names), strict=True))
    assert [(name, each) for name, each in found if each not in FAULTS.get(name, {None})] == []
    assert not alive(mark)


def test_what_it_said_is_told(tmp_path: Path) -> None:
    with pytest.raises(ExecutorError) as caught:
        run(program(tmp_path, "refuse", "mark"), picture())
    assert caught.value.status == 1
    assert "no such profile: linear" in caught.value.tail
    assert "no such profile: linear" in caught.value.message


def test_nothing_is_left_in_the_folder_for_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox.dismiss()
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    for name in ("floods", "hang", "parricide", "folder"):
        with pytest.raises(ExecutorError):
            run(program(tmp_path, name, "mark"), picture())
    run(program(tmp_path, "well", "mark"), picture())
    sandbox.dismiss()
    assert list(place.iterdir()) == []
