"""`ispdsl build`, and `ispdsl run` of what it made."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ispdsl.darkroom import develop
from ispdsl.runtime.rawfile import read
from ispdsl.runtime.values import Settings
from ispdsl.synthetic.samples import write_demo_raw
from tests import compiling
from tests.backends.test_package import package
from tests.cli.conftest import Invoke


@pytest.fixture(autouse=True)
def own_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.mark.parametrize(
    ("words", "message", "code"),
    [
        (("-o", "out.zip"), "out.zip is no .pt2 file", 2),
        (("-o", "nowhere/out.pt2"), "there is no folder nowhere", 5),
        (("-o", "out.pt2", "--cfa", "rgbw"), "--cfa rgbw is no CFA", 2),
        (("-o", "out.pt2", "--size", "1x9"), "--size 1x9 is no size", 2),
        (("-o", "out.pt2", "--fix", "nothing.*"), "small has no parameter nothing.*", 2),
        (("-o", "out.pt2", "--set", "chequer.exponent=9"), "chequer.exponent", 2),
        (("-o", "out.pt2", "--cfa", "rggb", "--trust", "tests"), "there is no C++ compiler", 1),
    ],
)
def test_what_cannot_be_built_is_refused_at_once(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str, code: int
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CXX", "no-such-compiler")
    result = invoke("build", compiling.written(tmp_path), *words)
    assert message in result.stderr
    assert result.exit_code == code
    assert not list(tmp_path.glob("*.pt2"))


def test_a_package_does_not_overwrite_its_text(invoke: Invoke, tmp_path: Path):
    text = compiling.written(tmp_path)
    link = tmp_path / "odd.pt2"
    link.symlink_to(text)
    before = text.read_bytes()
    assert "would overwrite it" in invoke("build", text, "-o", link).stderr
    assert text.read_bytes() == before


def test_a_stranger_s_package_is_refused(invoke: Invoke, tmp_path: Path):
    result = invoke("run", package(tmp_path / "one.pt2"), tmp_path / "cat.dng", "-o", tmp_path / "out.png")
    assert result.exit_code == 3
    assert "holds native code" in result.stderr
    assert "--trust-package" in result.stderr


@pytest.mark.parametrize("inside", ["", "some words", "models/model.json"])
def test_what_is_no_package_is_not_taken_for_native_code(invoke: Invoke, tmp_path: Path, inside: str):
    path = tmp_path / "one.pt2"
    if inside.endswith(".json"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(f"one/{inside}", "{}")
    else:
        path.write_text(inside)
    result = invoke("run", path, tmp_path / "cat.dng", "-o", tmp_path / "out.png", "--trust-package")
    assert result.exit_code == 3
    assert ("was exported" if inside.endswith(".json") else "is no package, or a damaged one") in result.stderr
    assert "ispdsl build" in result.stderr


@pytest.mark.parametrize(
    "option",
    [
        *(("--taps", "taps"), ("--impl", "a=proxy"), ("--pipeline", "x"), ("--allow-exec",)),
        *(("--engine", "halide"), ("--tile", "64")),
    ],
)
def test_options_that_decide_what_is_compiled_or_how_it_runs_do_not_go_with_a_package(
    invoke: Invoke, tmp_path: Path, option: tuple[str, ...]
):
    words = ("run", package(tmp_path / "one.pt2"), "cat.dng", "-o", tmp_path / "out.png", *option)
    result = invoke(*words)
    assert result.exit_code == 2
    assert f"{option[0]} does not go with a package" in result.stderr


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="inductor starts a C++ compiler")
def test_a_package_develops_a_raw_as_the_pipeline_does(invoke: Invoke, tmp_path: Path):
    text, raw, made = compiling.written(tmp_path), tmp_path / "cat.dng", tmp_path / "made.pt2"
    write_demo_raw(raw, "cat")
    words = ("build", text, "-o", made, "--cfa", "rggb", "--trust", "tests", "--fix", "sharpen.*", "--json")
    result = invoke(*words, "--set", "sharpen.amount=90%")
    assert result.exit_code == 0, result.stderr
    shown = json.loads(result.stdout)
    assert max(shown["errors"].values()) <= 1e-5
    assert "sharpen.amount" not in shown["settings"]
    assert "chequer.exponent" in shown["settings"]
    run = ("run", made, raw, "-o", tmp_path / "out.npy", "--crop", "10,12,60,81", "--set", "chequer.exponent=0.8")
    result = invoke(*run, "--json")
    assert result.exit_code == 0, result.stderr
    frame = read(raw).crop(10, 12, 60, 81)
    graph = compiling.graph(tmp_path)
    settings = Settings.of(graph).update({"chequer.exponent": "0.8", "sharpen.amount": "90%"})
    wanted = develop(graph, frame, settings, trust=compiling.TRUST).outputs["display"].image
    assert np.abs(np.load(tmp_path / "out.npy") - wanted).max() <= 1e-5
    assert "part of this package's code" in invoke(*run, "--set", "demosaic.method=malvar").stderr
    linear = invoke("run", made, raw, "-o", tmp_path / "out.npy", "--crop", "11,12,60,81")
    assert "was built for the CFA rggb" in linear.stderr
