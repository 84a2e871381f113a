"""What a process of its own does: one seed. It has to be importable, which `__main__` is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.reproduce import record
from benchmarks.reproduce.style import play

NAME = "style"


def ask(work: Path, data: Path, seed: int, device: str) -> dict[str, Any]:
    """The answer of a seed, which is kept."""
    return record.kept(work, f"{NAME}-{seed}", lambda: play.play(data, seed, device))
