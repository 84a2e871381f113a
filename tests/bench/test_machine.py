"""Roofs of a machine: how times follow from them, and what is kept of a measure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from ispdsl.bench import machine, quiet
from ispdsl.bench.machine import Roofs, known_roofs, store
from ispdsl.bench.quiet import Moment


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "ispdsl" / "machine.json"


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often the machine was measured: every answer is another one."""
    calls: list[int] = []

    def measure() -> Roofs:
        calls.append(1)
        return Roofs(bandwidth=len(calls), arithmetic=2, functions=3)

    monkeypatch.setattr(machine, "measure", measure)
    return calls


def test_the_slower_of_memory_and_arithmetic_counts() -> None:
    roofs = Roofs(bandwidth=10, arithmetic=100, functions=5)
    assert roofs.seconds(20, 100, 0) == 2
    assert roofs.seconds(0, 100, 10) == 3


def test_a_measure_is_kept_for_these_threads(cache: Path, measured: list[int]) -> None:
    assert store() == cache
    assert known_roofs() == known_roofs()
    assert len(measured) == 1
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(threads + 1)
        assert known_roofs().bandwidth == 2
    finally:
        torch.set_num_threads(threads)
    assert known_roofs().bandwidth == 1
    assert known_roofs(anew=True).bandwidth == 3
    assert len(json.loads(cache.read_bytes())) == 2


def test_a_noisy_measure_is_not_kept(cache: Path, measured: list[int]) -> None:
    known_roofs(keep=False)
    assert not cache.exists()
    assert measured


@pytest.mark.parametrize("text", ["", "[]]", '[{"facts": 1}]', '[{"roofs": {"bandwidth": -1}}]', "\0"])
def test_a_damaged_file_is_measured_anew(cache: Path, measured: list[int], text: str) -> None:
    cache.parent.mkdir()
    cache.write_text(text)
    assert known_roofs().bandwidth == 1
    assert known_roofs().bandwidth == 1


def test_a_folder_that_cannot_be_written_is_no_error(cache: Path, measured: list[int]) -> None:
    cache.parent.write_text("no folder")
    assert known_roofs().bandwidth == 1


def test_measuring_gives_numbers_and_leaves_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "COPIED", 1 << 16)
    threads = torch.get_num_threads()
    found = machine.measure(0)
    assert min(found.bandwidth, found.arithmetic, found.functions) > 0
    assert torch.get_num_threads() == threads


def test_others_are_everybody_without_us() -> None:
    assert quiet.others(Moment(0, 100, 10), Moment(2, 104, 11)) == 1.5
    assert quiet.others(Moment(0, 100, 10), Moment(2, 100, 13)) == 0
    assert quiet.others(None, Moment(2, 100, 13)) is None
    assert quiet.now(Path("/nowhere")) is None


def test_busy_machines_are_warned_of() -> None:
    assert quiet.warning(None) is None
    assert quiet.warning(0.05) is None
    assert "1.5 cores busy" in (quiet.warning(1.5) or "")
