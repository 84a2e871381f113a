"""Costs: bytes of steps and of runs of pointwise steps, the roofline, and how they are shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ispdsl.backends.composite import compile
from ispdsl.bench.cost import Costs, costs
from ispdsl.bench.cost_text import content, table
from ispdsl.bench.machine import Facts, Roofs
from tests.bench.test_counting import CHAIN
from tests.doubled import written

ROOFS = Roofs(bandwidth=1e9, arithmetic=1e9, functions=1e8)
FACTS = Facts(processor="a processor", threads=2, torch="9")
PIXELS = 100 * 200
IMAGE = 3 * 4 * PIXELS


def of(folder: Path, text: str = CHAIN, taps: tuple[str, ...] = (), roofs: Roofs = ROOFS) -> Costs:
    return costs(compile(written(folder, text), taps=taps), (100, 200), {}, {}, roofs)


def test_a_run_reads_once_and_writes_once(tmp_path: Path) -> None:
    found = of(tmp_path)
    assert [step.name for step in found.steps] == ["exposure", "sharpen", "colour_matrix", "gamma", "srgb"]
    assert [each.nodes for each in found.fused] == [("exposure",), ("sharpen",), ("colour_matrix", "gamma", "srgb")]
    assert all((step.read, step.written) == (IMAGE, IMAGE) for step in found.steps)
    run = found.fused[-1]
    assert (run.name, run.run, run.read, run.written) == ("pointwise 1", "pointwise 1", IMAGE, IMAGE)
    members = found.steps[2:]
    assert run.work.operations == sum(step.work.operations for step in members)
    assert run.work.functions == sum(step.work.functions for step in members)
    assert sum(each.seconds for each in found.fused) <= sum(step.seconds for step in found.steps)


def test_what_a_tap_sees_is_written_too(tmp_path: Path) -> None:
    found = of(tmp_path, CHAIN.replace("-> gamma", "-> gamma -> tap between"), taps=("between",))
    assert found.fused[-1].written == 2 * IMAGE


def test_what_takes_longest_is_the_bound(tmp_path: Path) -> None:
    slow = of(tmp_path, roofs=Roofs(bandwidth=1e6, arithmetic=1e12, functions=1e12))
    assert {step.bound for step in slow.steps} == {"memory"}
    assert slow.steps[0].seconds == pytest.approx(2 * IMAGE / 1e6)
    busy = of(tmp_path, roofs=Roofs(bandwidth=1e15, arithmetic=1e6, functions=1e5))
    assert {step.bound for step in busy.steps} == {"arithmetic"}
    work = busy.steps[-1].work
    assert busy.steps[-1].seconds == pytest.approx(work.operations / 1e6 + work.functions / 1e5)


def test_the_table_has_steps_runs_and_sums(tmp_path: Path) -> None:
    lines = table(of(tmp_path), FACTS).splitlines()
    assert lines[0] == "main: 100 x 200 px, 0.0 MP"
    assert lines[1].startswith("a processor, 2 threads: 1.0 GB/s, 1 G operations/s, 0.10 G functions/s")
    names = [line.split("  ")[0] for line in lines]
    for name in ("exposure", "srgb", "pointwise 1: colour_matrix .. srgb", "steps one by one", "runs as one step"):
        assert name in names


def test_json_has_bytes_and_numbers(tmp_path: Path) -> None:
    said = json.loads(json.dumps(content(of(tmp_path), FACTS)))
    assert said["size"] == [100, 200]
    assert said["machine"]["bandwidth"] == 1e9
    assert said["steps"][0]["read"] == IMAGE
    assert said["steps"][0]["operations"] == pytest.approx(3 * PIXELS, abs=10)
    assert said["fused"][-1]["nodes"] == ["colour_matrix", "gamma", "srgb"]
    assert said["seconds"]["fused"] < said["seconds"]["steps"]
