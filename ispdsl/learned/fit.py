"""Gradient descent on whatever is free: the weights of a network, settings, or a raw itself.

Every learned pass is a loss and a `Recipe`. What is drawn comes from the seed and the number of the step, so that a
training that was killed goes on from its checkpoint and, on a CPU with one thread, ends where one that was not would.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ispdsl.errors import RunError
from ispdsl.interrupts import at_leisure
from ispdsl.training import checkpoint
from ispdsl.training.budget import Pace
from ispdsl.training.checkpoint import Progress

CHECKPOINT_SECONDS = 10.0

Loss = Callable[[int, torch.Generator], Tensor]
"""The loss ``()`` of a step, by its number from 0; whatever is drawn for it comes from the generator."""

OPTIMISERS = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "sgd": lambda parameters, lr: torch.optim.SGD(parameters, lr, momentum=0.9, nesterov=True),
}


@dataclass(frozen=True)
class Recipe:
    """How something is trained.

    Attributes:
        steps: of the optimiser.
        rate: the highest learning rate; it falls to `last` of it.
        optimiser: ``adam``, ``adamw``, ``rmsprop``, or ``sgd`` with Nesterov's momentum 0.9.
        fall: how the rate falls: as a ``cosine``, by a ``drop`` in the middle (Qin et al. 2022), or not.
        last: the part of `rate` at the end.
        warm: steps in which the rate rises to its height, so that the first steps of an optimiser, which knows no sizes
            of gradients yet, are small.
        clip: the largest norm of a gradient; 0 for any.
        judged: how often, evenly spread, the judge is asked after the start; the last time at the end.
        seed: of all that is drawn.
        about: whatever else decides the numbers; a checkpoint of something else is refused.
    """

    steps: int
    rate: float
    optimiser: Literal["adam", "adamw", "rmsprop", "sgd"] = "adam"
    fall: Literal["cosine", "drop", "none"] = "cosine"
    last: float = 0.01
    warm: int = 0
    clip: float = 0.0
    judged: int = 10
    seed: int = 0
    about: str = ""

    def __post_init__(self) -> None:
        if self.steps < 1 or self.rate <= 0 or not 0 < self.last <= 1:
            raise ValueError(f"{self.steps} steps at the rate {self.rate:g}, at the end {self.last:g} of it")

    def rate_at(self, step: int) -> float:
        """The learning rate of a step."""
        done = step / max(self.steps - 1, 1)
        risen = min((step + 1) / (self.warm + 1), 1.0)
        match self.fall:
            case "cosine":
                return risen * self.rate * (self.last + (1 - self.last) * (1 + math.cos(math.pi * done)) / 2)
            case "drop":
                return risen * self.rate * (1.0 if done < 0.5 else self.last)
            case "none":
                return risen * self.rate

    def is_judged(self, done: int) -> bool:
        """Whether the judge is asked after so many steps."""
        return done * self.judged // self.steps > (done - 1) * self.judged // self.steps


@dataclass(frozen=True)
class Told:
    """How a training stands: steps done and to do, loss of the last, the judge's last score, seconds left."""

    step: int
    steps: int
    loss: float
    score: float | None
    seconds_left: float


@dataclass(frozen=True)
class Fitted:
    """What came of a training.

    Attributes:
        losses: of the steps that this process made, in order.
        scores: by number of steps done, what the judge said.
        best: the highest of them, and after how many steps; with no judge, None.
        seconds: spent, over all processes.
    """

    losses: tuple[float, ...]
    scores: tuple[tuple[int, float], ...]
    best: tuple[float, int] | None
    seconds: float


def fit(
    model: nn.Module,
    loss: Loss,
    recipe: Recipe,
    judge: Callable[[], float] | None = None,
    *,
    told: Callable[[Told], None] | None = None,
    kept: Path | None = None,
    resume: bool = False,
) -> Fitted:
    """Train what of a module requires gradients, in place; where nothing the judge saw is better, it stays as it was.

    Args:
        model: left at the weights that the judge liked best, or without one at the last.
        loss: of a step.
        recipe: how.
        judge: a score of the model as it is, larger is better; it runs without gradients and in evaluation mode.
        told: called after each step.
        kept: file of a checkpoint, written every few seconds and at the end.
        resume: go on from that file, where it is there.

    Raises:
        RunError: nothing requires gradients, or the loss is no number any more.
        TrainingError: the checkpoint is damaged or of another recipe.
        KeyboardInterrupt: Ctrl-C, or `Terminated`: after the step that was under way, with the checkpoint written.
    """
    free = [each for each in model.parameters() if each.requires_grad]
    if not free:
        raise RunError("there is nothing to train: no weight of the model requires gradients")
    optimiser = OPTIMISERS[recipe.optimiser](free, lr=recipe.rate)
    progress, best = Progress(pace=Pace.of_steps(recipe.steps), recipe=asdict(recipe)), _copied(model)
    if resume and kept is not None and kept.exists():
        progress, best = checkpoint.load(kept, asdict(recipe), model, optimiser)
    losses: list[float] = []
    scores: list[tuple[int, float]] = []
    before, first = progress.seconds, progress.step
    if judge is not None and first == 0:  # what is no better than the start is not kept
        scores.append((0, _judged(model, judge)))
        if math.isfinite(scores[-1][1]):
            progress = replace(progress, best=(scores[-1][1], 0))
    begun = saved = time.monotonic()
    with at_leisure() as stopped:
        while progress.step < recipe.steps:
            step = progress.step
            losses.append(_step(model, loss, recipe, optimiser, step))
            if not math.isfinite(losses[-1]):
                raise RunError(f"the loss is {losses[-1]} after {step + 1} steps", f"lower the rate of {recipe.rate:g}")
            now = time.monotonic()
            progress = replace(progress, step=step + 1, seconds=before + now - begun)
            if judge is not None and recipe.is_judged(step + 1):
                scores.append((step + 1, _judged(model, judge)))
                if scores[-1][1] > progress.best[0]:
                    progress, best = replace(progress, best=(scores[-1][1], step + 1)), _copied(model)
            ended, end = progress.step == recipe.steps, stopped()
            if kept is not None and (ended or end or time.monotonic() - saved > CHECKPOINT_SECONDS):
                checkpoint.save(kept, replace(progress, finished=ended), model, optimiser, best)
                saved = time.monotonic()
            if told is not None:
                left = (time.monotonic() - begun) / (progress.step - first) * (recipe.steps - progress.step)
                told(Told(progress.step, recipe.steps, losses[-1], scores[-1][1] if scores else None, left))
            if end:
                raise type(end)(f"{kept} has {progress.step} of {recipe.steps} steps" if kept else "")
    judged = judge is not None and math.isfinite(progress.best[0])
    if judged:
        model.load_state_dict(best)
    model.eval()
    return Fitted(tuple(losses), tuple(scores), progress.best if judged else None, progress.seconds)


def _step(model: nn.Module, loss: Loss, recipe: Recipe, optimiser: torch.optim.Optimizer, step: int) -> float:
    model.train()
    for group in optimiser.param_groups:
        group["lr"] = recipe.rate_at(step)
    optimiser.zero_grad(set_to_none=True)
    value = loss(step, drawing(recipe.seed, step))
    value.backward()
    if recipe.clip:
        nn.utils.clip_grad_norm_([each for each in model.parameters() if each.requires_grad], recipe.clip)
    optimiser.step()
    return float(value.detach())


def drawing(seed: int, step: int) -> torch.Generator:
    """What a step draws from: the same for the same seed and number, whatever was drawn before."""
    return torch.Generator().manual_seed((seed * 1_000_003 + step) % (1 << 63))


@torch.no_grad()
def _judged(model: nn.Module, judge: Callable[[], float]) -> float:
    model.eval()
    return judge()


def _copied(model: nn.Module) -> dict[str, Any]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
