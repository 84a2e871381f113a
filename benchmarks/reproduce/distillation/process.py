"""What a process of its own does: one fold of one seed. It has to be importable, which `__main__` is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.reproduce.distillation.cases import CASES

TRAIN = 2000
"""Photographs that are learned from."""


def ask(case: str, who: str, data: Path, work: Path, seed: int, fold: int, device: str) -> dict[str, Any]:
    """One fold of one seed, kept in `work`."""
    import torch

    from benchmarks.reproduce.cifar import photographs, splits
    from benchmarks.reproduce.distillation.play import play
    from benchmarks.reproduce.record import kept

    torch.set_num_threads(1)
    images, labels = photographs(data)
    split = list(splits(len(images), TRAIN, seed))[fold]
    found = next(each for each in CASES if each.name == case)
    place = work / f"{case}-{who}"
    return kept(place, f"{seed}-{fold}", lambda: play(found, data, who, images, labels, split, seed, device))
