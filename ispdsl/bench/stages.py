"""How long each stage of a pipeline takes in plain torch: its program alone, and with its derivatives."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ispdsl.bench.job import Job, part_of
from ispdsl.bench.ours import Prepared, prepared
from ispdsl.bench.turns import Spread, in_turns, spread
from ispdsl.bench.watching import Results, results_of, watched

if TYPE_CHECKING:
    from torch import Tensor

    from ispdsl.backends.steps import Step


@dataclass(frozen=True)
class StageTime:
    """Seconds of one node, forward alone and forward with a reverse pass to its images and free numbers."""

    node: str
    stage: str
    pixels: int
    """Of the image that both were measured on."""
    forward: Spread
    gradient: Spread


def stage_times(job: Job, seconds: float) -> list[StageTime]:
    """Times of every node, in the order in which they run, on the middle of the raw.

    Programs are timed where they are called, so that each gets what it gets in the pipeline; forward passes and those
    with derivatives take turns.

    Raises:
        PlanError, CompileError: the pipeline cannot be compiled for such a frame.
    """
    ready = prepared(job, part_of(job))
    plain, reverse = _Watch(), _Watch()
    calls = {"forward": _call(ready, plain.forward), "gradient": _call(ready, reverse.gradient)}
    for call in calls.values():
        call()
    plain.taken.clear()
    reverse.taken.clear()
    in_turns(calls, seconds)
    pixels = ready.image.shape[-2] * ready.image.shape[-1]
    return [
        StageTime(step.node, step.stage, pixels, spread(plain.taken[step.node]), spread(reverse.taken[step.node]))
        for step in ready.composite.steps
        if step.node in plain.taken
    ]


def _call(ready: Prepared, around: Any) -> Callable[[], object]:
    composite = watched(ready.composite, around)
    return lambda: composite(ready.image, ready.settings, ready.metadata, ready.previous).image


class _Watch:
    """Seconds of every call by node."""

    def __init__(self) -> None:
        self.taken: dict[str, list[float]] = {}

    def forward(
        self, step: Step, program: Callable[..., Results], images: tuple[Tensor, ...], keywords: dict[str, Any]
    ) -> Results:
        """The program alone."""
        import torch

        before = time.perf_counter()
        with torch.no_grad():
            results = program(*images, **keywords)
        self.taken.setdefault(step.node, []).append(time.perf_counter() - before)
        return results

    def gradient(
        self, step: Step, program: Callable[..., Results], images: tuple[Tensor, ...], keywords: dict[str, Any]
    ) -> Results:
        """The program, and the derivatives of the sum of its results to its images and numbers."""
        import torch

        leaves = [image.detach().requires_grad_() for image in images]
        numbers = {name: keywords[name] for name, _ in step.parameters if isinstance(keywords[name], torch.Tensor)}
        free = {name: value.detach().requires_grad_() for name, value in numbers.items()}
        before = time.perf_counter()
        with torch.enable_grad():
            results = program(*leaves, **{**keywords, **free})
            total = sum(each.sum() for each in results_of(results))
            if isinstance(total, torch.Tensor) and total.requires_grad:
                torch.autograd.grad(total, [*leaves, *free.values()], allow_unused=True)
        self.taken.setdefault(step.node, []).append(time.perf_counter() - before)
        detached = tuple(each.detach() for each in results_of(results))
        return detached[0] if isinstance(results, torch.Tensor) else detached
