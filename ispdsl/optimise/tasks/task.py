"""A task: a number for what a pipeline made of some raws, smaller is better, and how people read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

Picture = NDArray[np.float32]
"""What a pipeline made, ``(C, H, W)``, upright, 1 for white."""

Measure = Callable[[Sequence[Picture]], float]
"""A number for the pictures of all raws, in their order."""


@dataclass(frozen=True, eq=False)
class View:
    """What is known of a picture.

    Attributes:
        name: of its raw.
        space: its colour space.
        metadata: of its raw; read for the colour space ``camera`` alone.
    """

    name: str
    space: str
    metadata: Mapping[str, ArrayLike]


@dataclass(frozen=True, eq=False)
class Task:
    """What is made small.

    Attributes:
        name: of the task.
        measure: the number; smaller is better. Where it is not finite, the pictures count as failed.
        shown: the number as people read it, such as ``PSNR 31.2 dB``.
        residual: where the number only falls when the sum of their squares does, what these are, ``(M,)``.
        loss: what torch differentiates, of the same pictures as tensors: a number ``()`` that falls with the measure;
            None where there is none.
        sign: -1 where people think of its negative, of which more is better, as of a PSNR.
    """

    name: str
    measure: Measure
    shown: Callable[[float], str]
    residual: Callable[[Sequence[Picture]], NDArray[np.float32]] | None = None
    sign: int = 1
    loss: Callable[[Sequence[Tensor]], Tensor] | None = None


def weighted(tasks: Sequence[tuple[Task, float]]) -> Task:
    """Several tasks as one: the sum of their numbers, each times its weight.

    Raises:
        ValueError: there is none, or a weight is not above 0.
    """
    if not tasks or not all(weight > 0 for _, weight in tasks):
        raise ValueError("a weight is a number above 0")
    if len(tasks) == 1:
        return tasks[0][0]
    names = " + ".join(f"{weight:g} {task.name}" for task, weight in tasks)

    def measure(pictures: Sequence[Picture]) -> float:
        return sum(weight * task.measure(pictures) for task, weight in tasks)

    losses = [(task.loss, weight) for task, weight in tasks]
    known = [(loss, weight) for loss, weight in losses if loss is not None]

    def loss(pictures: Sequence[Tensor]) -> Tensor:
        return torch.stack([weight * each(pictures) for each, weight in known]).sum()

    whole = loss if len(known) == len(losses) else None
    return Task(names, measure, lambda value: f"{names} = {value:.5g}", loss=whole)
