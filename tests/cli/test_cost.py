"""`ispdsl plan --cost`: bytes, operations and the least time of each step."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ispdsl.synthetic.samples import write_demo_raw
from tests.cli.conftest import Invoke

ROOFS = ("--bandwidth", "40", "--arithmetic", "100", "--functions", "4")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "ispdsl" / "machine.json"


def test_a_plan_with_its_cost(invoke: Invoke, good: Path, cache: Path) -> None:
    result = invoke("plan", good, "--cost", "--size", "100x200", *ROOFS)
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == "main: 100 x 200 px, 0.0 MP"
    assert "40.0 GB/s, 100 G operations/s, 4.00 G functions/s" in lines[1]
    assert next(line for line in lines if line.startswith("twice")).split()[-1] == "memory"
    assert not cache.exists()


def test_json_of_a_raw_has_its_size(invoke: Invoke, tmp_path: Path) -> None:
    raw = tmp_path / "small.dng"
    write_demo_raw(raw, size=64)
    result = invoke("plan", "photo_finish", "--cost", "--raw", raw, *ROOFS, "--json")
    assert result.exit_code == 0, result.stderr
    said = json.loads(result.stdout)
    height, width = said["size"]
    assert max(height, width) == 64
    mosaic = next(step for step in said["steps"] if step["name"] == "black_white")
    assert mosaic["read"] == 4 * height * width
    assert {each["run"] for each in said["fused"] if len(each["nodes"]) > 1} >= {"pointwise 1"}
    assert said["machine"]["bandwidth"] == 40e9


def test_what_is_not_given_is_measured(invoke: Invoke, good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ispdsl.bench import machine

    monkeypatch.setattr(machine, "measure", lambda: machine.Roofs(bandwidth=7e9, arithmetic=8e9, functions=9e9))
    said = json.loads(invoke("plan", good, "--cost", "--size", "64x64", "--functions", "4", "--json").stdout)
    assert (said["machine"]["bandwidth"], said["machine"]["functions"]) == (7e9, 4e9)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--size", "64x64"), "add --cost"),
        (("--measure",), "add --cost"),
        (("--cost", "--size", "64"), "--size 64 is no size"),
        (("--cost", "--size", "4x64"), "is no size"),
        (("--cost", "--parameters"), "ask for one of them"),
        (("--cost", "--size", "64x64", "--raw", "a.dng"), "give one of them"),
        (("--cost", "--describe", "a.json"), "name it by --raw"),
        (("--cost", "--bandwidth", "0"), "--bandwidth"),
    ],
)
def test_options_that_do_not_fit_are_refused(invoke: Invoke, good: Path, words: tuple[str, ...], message: str) -> None:
    result = invoke("plan", good, *words)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_real_thing_cannot_be_counted(invoke: Invoke) -> None:
    result = invoke("plan", "libraw", "--cost", *ROOFS)
    assert result.exit_code == 2
    assert "cannot be counted" in result.stderr
