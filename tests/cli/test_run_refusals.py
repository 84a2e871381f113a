"""What `run` refuses before it works, and what of a program's own output it keeps out of its results."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ispdsl.synthetic import write_demo_raw

PIPELINE = """
stage loud(mosaic: raw<C, u16>) -> raw<C, u16> {
  program "loud_isp:loud"
  property pointwise
}

pipeline p(mosaic: raw<C, u16>) -> (out: raw<C, u16>) {
  out = mosaic -> loud
}
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ispdsl", "run", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=120, check=False, env=environment
    )


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    write_demo_raw(tmp_path / "a.dng", size=96)
    return tmp_path / "a.dng"


def test_a_preset_that_is_no_regular_file(raw: Path) -> None:
    os.mkfifo(raw.parent / "pipe.json")
    done = run(raw.parent, "learned_isp", "a.dng", "-o", "a.png", "--preset", "pipe.json")
    assert done.returncode == 3
    assert "no regular file" in done.stderr


def test_places_that_cannot_be_written(raw: Path) -> None:
    (raw.parent / "folder.png").mkdir()
    done = run(raw.parent, "learned_isp", "a.dng", "-o", "folder.png")
    assert done.returncode == 5
    assert "it is a folder" in done.stderr
    done = run(raw.parent, "learned_isp", "a.dng", "-o", "a.png", "--taps", "a.dng")
    assert done.returncode == 5
    assert "no folder" in done.stderr
    assert not (raw.parent / "a.png").exists()


def test_what_a_program_prints_is_no_result(raw: Path) -> None:
    (raw.parent / "loud_isp.py").write_text("def loud(mosaic):\n    print('loud')\n    return mosaic\n")
    (raw.parent / "p.isp").write_text(PIPELINE)
    done = run(raw.parent, "p.isp", "a.dng", "-o", "a.npy", "--trust", "loud_isp", "--json", "--no-sidecar")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["outputs"] == ["a.npy"]
    assert "loud" in done.stderr
