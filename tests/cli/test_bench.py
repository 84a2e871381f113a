"""`ispdsl bench`: what is measured is said, written and drawn; nothing is skipped in silence."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from ispdsl.bench import contender
from ispdsl.bench.contender import ContenderError, missing
from ispdsl.bench.job import Job, frame_of, settings_of
from ispdsl.bench.registry import CONTENDERS, OURS
from ispdsl.cli.bench import THREADS, bounded, choose
from ispdsl.cli.memory import environment
from ispdsl.errors import CompileError
from ispdsl.synthetic.samples import write_demo_raw
from tests.bench.test_contenders import SMALL
from tests.cli.conftest import Invoke

BRIEF = ("--seconds", "0.1", "--no-cold", "--no-stages", "--no-gradients")


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    path = tmp_path / "small.dng"
    write_demo_raw(path, size=48)
    return path


def test_json_plot_and_table(invoke: Invoke, raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contender, "find_spec", lambda name: None)
    plot, figures = raw.with_name("speed.png"), raw.with_name("speed.json")
    words = ("bench", SMALL, raw, *BRIEF, "--against", "libraw-linear", "--against", "opencv")
    result = invoke(*words, "--plot", plot, "-o", figures)
    assert result.exit_code == 0, result.stderr
    assert "small on small.dng" in result.stdout
    assert "missing opencv: pip install opencv-python-headless" in result.stdout
    assert "\nlibraw-linear" in result.stdout
    assert "kornia" not in result.stdout
    assert plot.read_bytes().startswith(b"\x89PNG")
    said = json.loads(figures.read_text())
    rows = {each["name"]: each for each in said["forward"]["contenders"]}
    assert list(rows)[1:] == ["libraw-linear", "opencv"]
    first = said["forward"]["reference"]
    assert first == next(iter(rows))
    assert len(rows[first]["seconds"]) == len(rows["libraw-linear"]["seconds"]) >= 3
    assert rows["opencv"]["missing"] == "pip install opencv-python-headless"
    assert said["gradient"] is None


@pytest.mark.slow
def test_size_threads_and_settings_are_those_that_were_asked_for(invoke: Invoke, raw: Path) -> None:
    words = ("bench", SMALL, raw, *BRIEF, "--against", "libraw-linear", "--json", "--threads", "1")
    result = invoke(*words, "--size", "0.01", "--set", "exposure.ev=1ev")
    assert result.exit_code == 0, result.stderr
    said = json.loads(result.stdout)
    height, width = said["forward"]["size"]
    assert height * width == pytest.approx(10_000, rel=0.1)
    assert said["machine"]["threads"] == 1


def test_a_preset_is_measured_and_the_command_line_wins(tmp_path: Path, raw: Path) -> None:
    preset = tmp_path / "bright.json"
    preset.write_text('{"ispdsl": "1", "settings": {"exposure.ev": 2.0, "saturation.amount": 0.5}}')
    job = Job(str(SMALL), str(raw), 1, values=(("exposure.ev", "1ev"),), presets=(str(preset),))
    found = settings_of(job, frame_of(job))
    assert (found["exposure.ev"], found["saturation.amount"]) == (1.0, 0.5)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--preset", "nowhere.json"), 3, "nowhere.json"),
        (("--against", "opencw"), 2, "did you mean opencv?"),
        (("--against", "nothing"), 2, "halide, eager, compiled, halide-by-hand, libraw-linear"),
        (("--set", "exposure.ew=1ev"), 2, "exposure.ew"),
        (("--plot", "speed.gif"), 2, "speed.gif"),
        (("--size", "0"), 2, "--size"),
        (("-o", "nowhere/speed.json"), 5, "there is no folder nowhere"),
        (("--trust", "no_such_package"), 2, "no_such_package"),
    ],
)
def test_what_is_wrong_is_said_before_the_work(
    invoke: Invoke, raw: Path, words: tuple[str, ...], code: int, message: str
) -> None:
    result = invoke("bench", SMALL, raw, *BRIEF, *words)
    assert result.exit_code == code
    assert message in result.stderr


def test_plain_torch_stands_for_a_pipeline_that_halide_refuses(
    invoke: Invoke, raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise CompileError("it is too wide", "take torch")

    monkeypatch.setattr("ispdsl.backends.halide.compiled.trace", refused)
    result = invoke("bench", SMALL, raw, *BRIEF, "--against", "libraw-linear", "--json")
    assert result.exit_code == 0, result.stderr
    rows = {each["name"]: each for each in json.loads(result.stdout)["forward"]["contenders"]}
    assert list(rows) == ["eager", "halide", "libraw-linear"]
    assert "too wide" in rows["halide"]["failed"]
    assert len(rows["eager"]["seconds"]) >= 3


def test_a_pipeline_that_nothing_runs_is_an_error(invoke: Invoke, raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise ContenderError("not today", "try tomorrow")

    monkeypatch.setattr("ispdsl.cli.bench.choose", lambda _: [replace(each, prepare=refused) for each in OURS])
    result = invoke("bench", SMALL, raw, *BRIEF, "--plot", raw.with_name("speed.png"))
    assert result.exit_code == 4
    assert "small itself could not be measured" in result.stderr
    assert "speed.png is not written" in result.stderr


def test_results_overwrite_no_input(invoke: Invoke, raw: Path) -> None:
    result = invoke("bench", SMALL, raw, *BRIEF, "-o", raw)
    assert result.exit_code == 2
    assert "overwrite" in result.stderr


def test_a_raw_that_is_none_is_told(invoke: Invoke, tmp_path: Path) -> None:
    path = tmp_path / "none.dng"
    path.write_bytes(b"none")
    assert invoke("bench", SMALL, path, *BRIEF).exit_code == 3


def test_the_pipeline_is_always_among_those_that_take_part() -> None:
    first = next(each for each in CONTENDERS if missing(each) is None)
    assert choose([]) == list(CONTENDERS)
    assert first in choose(["kornia"])
    assert [each.name for each in choose(["kornia", "libraw-dht"])] == [first.name, "libraw-dht", "kornia"]


def test_threads_are_bounded_within_and_as_before_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("HL_NUM_THREADS", raising=False)
    with bounded(None) as count:
        assert count == 3
    with bounded(5) as count:
        assert count == 5
        assert {os.environ[name] for name in THREADS} == {"5"}
    assert os.environ["OMP_NUM_THREADS"] == "3"
    assert "HL_NUM_THREADS" not in os.environ


def test_processes_keep_pages_as_this_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ISPDSL_KEEP_PAGES", raising=False)
    assert environment()["MALLOC_MMAP_MAX_"] == "0"
    monkeypatch.setenv("ISPDSL_KEEP_PAGES", "0")
    assert environment() == {}
