"""The file of a student, and what it costs to run it beside a pipeline and its network."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ispdsl.errors import CompileError
from ispdsl.learned.classifiers import classifier
from ispdsl.learned.student import Levels, Student
from ispdsl.learned.weights import load, read_card

PLAIN = Levels((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
"""Stands for the levels that the file holds."""


def load_student(path: Path, trust: Collection[str] = ()) -> Student:
    """A student that `ispdsl distil` wrote, ready to be used.

    Raises:
        CompileError: the file is none, or its network is not trusted.
    """
    card = read_card(path, "student")
    try:
        network, classes = str(card.arguments["network"]), int(card.arguments["classes"])
        cfa, side = str(card.arguments["cfa"]), card.arguments["side"]
    except (KeyError, TypeError, ValueError):
        raise CompileError(f"{path}: its card does not say which network it is", "train it again") from None
    side = side if isinstance(side, int) else None
    student = Student(classifier(network, classes, None, trust), cfa, PLAIN, PLAIN, side)
    load(path, student, "student")
    return student


def operations(model: nn.Module, images: Tensor) -> int:
    """Floating-point operations of one image, ``(N, C, H, W)`` given: those of matrix products and convolutions.

    As `torch.utils.flop_counter` counts: a multiplication and an addition are two; what goes pixel by pixel, as most
    stages of a pipeline do, is not counted, so that seconds say more of a pipeline.
    """
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(images)
    return counter.get_total_flops() // len(images)


def seconds(call: Callable[[Tensor], Tensor], images: Tensor, least: float = 0.5) -> float:
    """Seconds for one image, the median of batches ``(N, C, H, W)`` for at least so long, after one to warm up."""

    def once() -> float:
        begun = time.perf_counter()
        with torch.no_grad():
            call(images).sum().item()
        return time.perf_counter() - begun

    once()
    spent = [once()]
    while sum(spent) < least:
        spent.append(once())
    return sorted(spent)[len(spent) // 2] / len(images)
