"""`ispdsl run --backend`: a pipeline developed by the program that its text names, and only where that is allowed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ispdsl.runtime.pictures import read_picture
from ispdsl.synthetic.samples import write_demo_raw
from tests.cli.conftest import Invoke

DEVELOPER = """
import sys
import time
import numpy as np
mosaic, result, tap, gain, lid = sys.argv[1:]
image = np.load(mosaic).astype(np.float32)
top = image.max()
np.save(tap, np.repeat(image / top, 3, axis=0).astype(np.float32))
if float(gain) == 5:
    time.sleep(60)
if float(gain) == 3:
    sys.exit("the lens cap is on")
np.save(result, np.clip(np.repeat(image / top, 3, axis=0) * float(gain), 0, 1).astype(np.float32))
"""

TEXT = """stage develop(mosaic: raw<C, u16>) -> rgb<linear_srgb, f32> {{
}}
stage lift(image: rgb<linear_srgb, f32>) -> rgb<srgb, unit> {{
  slider gain in 0..8 = 1
  toggle lid = off
}}
pipeline own(mosaic: raw<C, u16>) -> (out: rgb<srgb, unit>) {{
  executor command(
    arguments = ["{python}", "{script}", "{{image}}", "{{result}}", "{{taps.seen}}", "{{lift.gain:g}}", "{{lift.lid}}"],
    image = npy, result = npy, tap = npy
  )
  out = mosaic -> develop -> tap seen -> lift
}}
"""


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("raw") / "small.dng"
    write_demo_raw(path, size=48)
    return path


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    script = tmp_path / "developer.py"
    script.write_text(DEVELOPER)
    path = tmp_path / "own.isp"
    path.write_text(TEXT.format(python=sys.executable, script=script))
    return path


def test_a_program_named_in_the_text_develops_a_raw(invoke: Invoke, file: Path, raw: Path, tmp_path: Path) -> None:
    output, taps = tmp_path / "out.png", tmp_path / "taps"
    words = ("run", file, raw, "-o", output, "--backend", "command", "--allow-exec", "--no-sidecar")
    result = invoke(*words, "--set", "lift.gain=0.5", "--taps", taps, "--tap-format", "npy", "--json")
    assert result.exit_code == 0, result.stderr
    image, _ = read_picture(output)
    assert 0.45 < image.max() <= 0.51
    shown = json.loads(result.stdout)
    assert shown["taps"] == [str(taps / "seen.npy")]
    assert shown["by"].startswith(Path(sys.executable).name)


def test_nothing_runs_that_nobody_allowed(invoke: Invoke, file: Path, raw: Path, tmp_path: Path) -> None:
    words = ("run", file, raw, "-o", tmp_path / "out.png", "--backend", "command", "--no-sidecar")
    refused = invoke(*words)
    assert (refused.exit_code, (tmp_path / "out.png").exists()) == (4, False)
    assert sys.executable in refused.stderr
    assert "--allow-exec" in refused.stderr
    assert invoke("trust", file).exit_code == 0
    allowed = invoke(*words)
    assert allowed.exit_code == 0, allowed.stderr
    file.write_text(file.read_text().replace("0..8", "0..9"))
    assert invoke(*words).exit_code == 4


def test_a_program_that_fails_is_shown_with_its_words(invoke: Invoke, file: Path, raw: Path, tmp_path: Path) -> None:
    words = ("run", file, raw, "-o", tmp_path / "out.png", "--backend", "command", "--allow-exec", "--no-sidecar")
    result = invoke(*words, "--set", "lift.gain=3")
    assert (result.exit_code, (tmp_path / "out.png").exists()) == (4, False)
    assert "the lens cap is on" in result.stderr
    assert result.stderr.startswith("error[crash]: ")
    told = json.loads(invoke(*words, "--set", "lift.gain=3", "--json").stderr.splitlines()[-1])
    assert (told["fault"], told["status"], told["command"][0]) == ("crash", 1, sys.executable)


def test_another_backend_than_the_text_has_is_refused(invoke: Invoke, file: Path, raw: Path, tmp_path: Path) -> None:
    result = invoke("run", file, raw, "-o", tmp_path / "out.png", "--backend", "darktable")
    assert result.exit_code == 2
    assert "its executor is command" in result.stderr
    result = invoke("run", "photo_finish", raw, "-o", tmp_path / "out.png", "--backend", "libraw")
    assert result.exit_code == 2
    assert "photo_finish has no executor" in result.stderr


def test_what_a_real_thing_runs_has_a_plan_and_a_table_of_parameters(invoke: Invoke, file: Path) -> None:
    result = invoke("plan", file)
    assert (result.exit_code, "run as a whole by command" in result.stdout) == (0, True)
    assert "lift.gain" in invoke("plan", file, "--parameters").stdout
    shown = json.loads(invoke("plan", file, "--json", "--cfa", "bggr").stdout)
    assert (shown["backend"], shown["inputs"]["mosaic"]) == ("command", "raw<bggr, u16>")
    assert [each["address"] for each in shown["parameters"]] == ["lift.gain", "lift.lid"]
    assert invoke("plan", file, "--backend", "libraw").exit_code == 2


def test_a_run_that_is_terminated_leaves_nothing(file: Path, raw: Path, tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir()
    words = ["run", file, raw, "-o", tmp_path / "out.png", "--backend", "command", "--allow-exec", "--no-sidecar"]
    process = subprocess.Popen(
        [sys.executable, "-m", "ispdsl", *map(str, words), "--set", "lift.gain=5"],
        env={**os.environ, "TMPDIR": str(private)},
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 30
    while not list(private.rglob("tap.seen.npy")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list(private.rglob("tap.seen.npy")), "the program runs"
    process.terminate()
    process.communicate(timeout=20)
    assert (process.returncode, list(private.iterdir())) == (143, [])
