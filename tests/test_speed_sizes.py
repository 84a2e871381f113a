"""benchmarks/speed: the pipeline that is measured, and the sweep over sizes."""

from __future__ import annotations

import json
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from benchmarks.speed import __main__ as sweep
from ispdsl.graph import build
from ispdsl.lower.loader import load
from ispdsl.plan import plan

ABOUT = {"machine": {"processor": "A", "threads": 2, "others_busy": 0.25}, "versions": {"torch": "2", "kornia": None}}


def result(name: str, size: int, rate: float) -> dict[str, Any]:
    rows = [{"name": name, "megapixels_a_second": rate, "median": 1.0}, {"name": "gone", "missing": "pip install it"}]
    return {"forward": {"size": [size, 1000], "contenders": rows}, "gradient": None, **ABOUT}


def test_the_pipeline_has_eight_pointwise_stages_behind_two_stencils() -> None:
    steps = plan(build(load(sweep.HERE / "small.isp")), cfa="rggb").steps
    assert [step.node for step in steps if step.footprint != "pointwise"] == ["malvar", "sharpen"]
    assert len([step for step in steps if step.group == "pointwise 2"]) == 8


def test_every_size_is_measured_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    asked: list[list[str]] = []

    def measured(command: list[str]) -> dict[str, Any]:
        asked.append(command)
        size = float(command[-1])
        return {"failed": "out of memory"} if size > 3 else result("eager", int(size * 1000), 10 * size)

    monkeypatch.setattr(sweep, "measured", measured)
    sweep.main(["--raw", "a.dng", "--sizes", "1", "2", "4", "--against", "kornia", "--output", str(tmp_path)])
    assert all(command[2] == "a.dng" and "--no-cold" in command for command in asked)
    assert asked[0][0] == "--against=kornia"
    said = json.loads((tmp_path / "sizes.json").read_text())
    assert list(said) == ["1", "2", "4"]
    assert sweep.rates(said, "forward") == {"eager": {1.0: 10.0, 2.0: 20.0}}
    assert sweep.rates(said, "gradient") == {}
    assert (tmp_path / "sizes.png").read_bytes().startswith(b"\x89PNG")
    table = (tmp_path / "sizes.md").read_text()
    assert "| contender | 1 MP | 2 MP |\n|---|---|---|\n| `eager` | 10 (1) | 20 (1) |\n| `gone` | - | - |\n" in table
    assert "4 MP failed: out of memory." in table
    assert "A, 2 threads; other programs kept up to 0.25 cores busy; torch 2." in table
    shown = capsys.readouterr().out
    assert "1 MP: MP/s eager 10.0, gone -" in shown
    assert "4 MP: failed: out of memory" in shown


def test_what_fails_is_its_last_line() -> None:
    found = sweep.measured(["no_such_pipeline", "no.dng"])
    assert set(found) == {"failed"}
    assert found["failed"]


def test_where_all_together_are_too_large_each_is_measured_beside_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    def measured(command: list[str]) -> dict[str, Any]:
        beside = command[command.index("--against") + 1] if "--against" in command else None
        if beside in (None, "kornia"):
            return {"failed": sweep.KILLED}
        rows = [
            {"name": name, "megapixels_a_second": rate, "median": 1.0, "times_reference": {"median": 9.0 / rate}}
            for name, rate in (("halide", 9.0), (beside, 2.0))
        ]
        return {"forward": {"size": [1000, 1000], "contenders": rows[: 1 if beside == "halide" else 2]}, **ABOUT}

    monkeypatch.setattr(sweep, "measured", measured)
    sweep.main(["--raw", "a.dng", "--sizes", "100", "--output", str(tmp_path)])
    said = json.loads((tmp_path / "sizes.json").read_text())["100"]
    names = [each["name"] for each in said["forward"]["contenders"]]
    assert said["in_pairs"]
    assert names == [each.name for each in sweep.CONTENDERS]
    failed = [each for each in said["forward"]["contenders"] if "failed" in each]
    assert failed == [{"name": "kornia", "failed": sweep.KILLED}]
    table = (tmp_path / "sizes.md").read_text()
    assert "| `eager` | 2 (4.5) |" in table
    assert "At 100 MP each ran beside the first one alone." in table
    assert "halide 9.0, eager 2.0" in capsys.readouterr().out


def test_a_process_that_the_system_ended_is_told_from_one_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep.subprocess, "run", partial(ended, -9))
    assert sweep.measured(["small", "a.dng"]) == {"failed": sweep.KILLED}
    monkeypatch.setattr(sweep.subprocess, "run", partial(ended, 4))
    assert sweep.measured(["small", "a.dng"]) == {"failed": "what went wrong"}


def ended(code: int, command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.CompletedProcess(command, code, "", "a note\nwhat went wrong\n")
