"""What a process of its own does: one fold of one seed. It has to be importable, which `__main__` is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.reproduce.joint.tables import TABLES

TRAIN = 2000
"""Photographs that are learned from, as in the guide."""


def ask(table: str, data: Path, work: Path, seed: int, fold: int, device: str) -> dict[str, Any]:
    """One fold of one seed, kept in `work`."""
    import torch

    from benchmarks.reproduce.cifar import photographs, splits
    from benchmarks.reproduce.joint.play import play
    from benchmarks.reproduce.record import kept

    torch.set_num_threads(1)
    images, labels = photographs(data)
    split = list(splits(len(images), TRAIN, seed))[fold]
    found = next(each for each in TABLES if each.name == table)
    return kept(work / table, f"{seed}-{fold}", lambda: play(found, images, labels, split, seed, device))
