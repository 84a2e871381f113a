"""What `ispdsl run` may not import: libraries that take a second and that nothing of the work needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ispdsl.synthetic.samples import write_demo_raw


@pytest.mark.parametrize("pipeline", ["photo_finish", pytest.param("low_light", marks=pytest.mark.slow)])
def test_a_raw_is_developed_in_tiles_without_sympy(pipeline: str, tmp_path: Path) -> None:
    write_demo_raw(tmp_path / "small.dng", size=192)
    words = ["run", pipeline, str(tmp_path / "small.dng"), "-o", str(tmp_path / "small.png"), "--tile", "64"]
    script = (
        "import sys\n"
        "from ispdsl.cli.app import app\n"
        f"app({words!r}, standalone_mode=False)\n"
        "slow = {'sympy', 'networkx', 'rich', 'kornia', 'scipy', 'torchvision', 'onnx'} & set(sys.modules)\n"
        "sys.exit(f'imported {slow}' if slow else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, (tmp_path / "small.png").exists()) == (0, True), done.stderr
