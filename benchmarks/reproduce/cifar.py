"""The labelled photographs of CIFAR-10 under a folder of data, and how they are split."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Numbers = NDArray[np.int64]

TESTED = 4000
"""Pictures that a score should be of, where there are as many."""


def photographs(data: Path) -> tuple[Tensor, Tensor]:
    """All of ``vision/cifar10/*.npz``: ``(N, 3, 32, 32)``, sRGB in 0..1, and labels ``(N,)``.

    Raises:
        FileNotFoundError: there are none.
    """
    paths = sorted((data / "vision" / "cifar10").glob("*.npz"))
    if not paths:
        raise FileNotFoundError(f"{data / 'vision' / 'cifar10'} holds no .npz with images and labels")
    images, labels = [], []
    for path in paths:
        with np.load(path) as held:
            images.append(held["images"])
            labels.append(held["labels"])
    pictures = np.concatenate(images).transpose(0, 3, 1, 2).astype(np.float32) / 255
    return torch.from_numpy(pictures), torch.from_numpy(np.concatenate(labels).astype(np.int64))


def splits(count: int, train: int, seed: int, tested: int = TESTED) -> Iterator[tuple[Numbers, Numbers]]:
    """Numbers to train on and to test on, drawn by a seed: one split where that leaves enough to test, else folds.

    Each picture is in the test of one fold at most; there are as many folds as are needed for `tested` pictures in
    all, or for all there are.

    Raises:
        ValueError: there are no more pictures than are trained on.
    """
    if count <= train:
        raise ValueError(f"{count} pictures leave none to test beside {train} to train on")
    order = np.random.default_rng(seed).permutation(count)
    rest = count - train
    folds = -(-min(tested, count) // rest)
    for test in np.array_split(order, folds) if folds > 1 else [order[:rest]]:
        yield np.setdiff1d(order, test, assume_unique=True)[:train], test
