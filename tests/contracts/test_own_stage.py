"""The example repository of one stage: its contract passes, and a planted fault is named."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "own_stage"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(EXAMPLE, tmp_path / "own_stage"))


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240, check=False
    )


@pytest.mark.slow
def test_pytest_alone_tests_the_stage(copy: Path) -> None:
    found = run(copy, "-q", "--isp-examples", "10", "-m", "not isp_export")
    assert found.returncode == 0, found.stdout + found.stderr
    assert " passed" in found.stdout
    assert "failed" not in found.stdout
    assert not (copy / "counterexamples").exists()


def test_a_planted_fault_is_named(copy: Path) -> None:
    program = copy / "my_isp.py"
    text = program.read_text(encoding="utf-8")
    assert "(1 - lift)" in text
    program.write_text(text.replace("(1 - lift)", "(1 + lift)"), encoding="utf-8")
    stage = (copy / "fade.isp").read_text(encoding="utf-8").splitlines()
    line = next(number for number, each in enumerate(stage, 1) if "preserves white" in each)
    found = run(copy, "-q", "--isp-examples", "30", "-k", "preserves or identity")
    assert found.returncode == 1
    assert f"fade.isp:{line}:3: fade: property preserves white, grey" in found.stdout
    assert "fails for program my_isp:fade: white changes" in found.stdout
    assert "image -> fade(lift = " in found.stdout
    assert "1 failed, 1 passed" in found.stdout
    (kept,) = (copy / "counterexamples").iterdir()
    assert {path.name for path in kept.iterdir()} >= {"call.isp", "numbers.npz", "images.png"}
