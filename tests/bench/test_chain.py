"""The program of C++ that the eight stages are measured against computes those stages."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks.chain import by_cpp, scene
from benchmarks.gauss_newton import METADATA
from ispdsl.backends.vector import tensors


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
def test_the_loop_of_cpp_is_the_pipeline(tmp_path: Path):
    composite, settings, image = scene(5, 9)
    wanted = composite(image * 8 - 0.2, tensors(settings), METADATA).image
    found = by_cpp(settings, image * 8 - 0.2, 2, tmp_path)()
    assert float((found - wanted).abs().max()) <= 1e-5
