"""Freed blocks stay mapped once `keep_pages` was called, and only then."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
import torch
from ispdsl.cli.memory import keep_pages
kept = keep_pages()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def work():
    torch.ones(1 << 23) * 2
for _ in range(16):  # until the heap has room for all that a round needs: small blocks lie in between
    work()
before = faults()
for _ in range(8):
    work()
print(kept, faults() - before)
"""


def faults_with(setting: str) -> tuple[str, int]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        check=True,
        env={"ISPDSL_KEEP_PAGES": setting, "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
    )
    kept, count = done.stdout.split()
    return kept, int(count)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mallopt is glibc's")
def test_pages_are_kept_unless_asked_not_to() -> None:
    kept, few = faults_with("1")
    left, many = faults_with("0")
    if kept == "False":
        pytest.skip("no glibc here")
    assert left == "False"
    assert few < many / 2
