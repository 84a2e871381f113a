"""What a process of its own does: one seed of one case. It has to be importable, which `__main__` is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.reproduce.prediction.cases import CASES
from benchmarks.reproduce.record import kept


def ask(name: str, data: Path, answers: Path, seed: int, device: str) -> dict[str, Any]:
    """The answer of a seed, made or found."""
    from benchmarks.reproduce.prediction.play import play

    case = next(each for each in CASES if each.name == name)
    return kept(answers, f"{name}-{seed}", lambda: play(case, case.load(data, seed, device), seed, device))


def one_thread() -> None:
    """Begin a process."""
    import torch

    torch.set_num_threads(1)
