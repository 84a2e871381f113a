"""What a process of its own does: one seed, on one thread. It has to be importable, which `__main__` is not."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.reproduce.tasks.cases import CASES, Case


def ask(name: str, data: Path, answers: Path, seed: int) -> str:
    """Play one seed of a case, and keep the answer; what it says in a line."""
    from benchmarks.reproduce.tasks.play import play

    case = next(each for each in CASES if each.name == name)
    answer = play(case, case.load(data), seed)
    kept = place(answers, case, seed)
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(answer), encoding="utf-8")
    return ", ".join(f"{way} {score[0]:.3f}" for way, score in answer["scores"].items())


def place(answers: Path, case: Case, seed: int) -> Path:
    """Where the answer of a seed is kept."""
    return answers / case.name / f"{seed}.json"


def one_thread() -> None:
    """Begin a process."""
    import torch

    torch.set_num_threads(1)
