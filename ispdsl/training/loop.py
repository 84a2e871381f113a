"""The training of one double: from batches to the weights that are best on raws which it was not trained on.

Whatever is drawn comes from the seed, the double's name and the number of the step. So a training that was killed goes
on from its last checkpoint and, on a CPU with one thread, ends with the very bits of one that was not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ispdsl.training import checkpoint, curves
from ispdsl.training.budget import REPLANS, Pace, due, rate_at
from ispdsl.training.checkpoint import CHECKPOINT, Progress
from ispdsl.training.data import Batch, Source, TrainingError, inside, seeded
from ispdsl.training.distributed import ALONE, Group
from ispdsl.training.looks import Look, shown, weighed

EVALUATIONS = 24
"""How often a training looks at the held-out raws."""
PATIENCE = 10
"""Evaluations without a better one, after which it stops."""
PATIENT = 0.5
"""The part of a training in which they are not counted: a high rate makes everything worse at first."""
TIMED = 10
"""Steps that are timed before the number of steps is known."""
LATE, GRACE_SECONDS = 1.05, 3.0
"""A training that has used this much of its time, and the grace, ends with its next step."""
CHECKPOINT_SECONDS = 10.0
TOLD_SECONDS = 0.25
BEST_PSNR = 120.0
"""What no error at all counts as, in dB."""


Loss = Callable[[Tensor, Tensor], Tensor]
"""From images `(N, C, H, W)` or pixels `(N, C)`, both over their white, to a number."""


@dataclass(frozen=True)
class Recipe:
    """How one double is trained.

    Attributes:
        name: of the double.
        batch: pixels or patches of a step, for each process.
        rate: the highest learning rate.
        loss: name of the loss.
        seed: of all that is drawn.
        steps: their number; without it as many as fit into `seconds`.
        seconds: of training, evaluations included.
        patience: evaluations without a better one after which it stops.
        bf16: whether the network computes in bfloat16.
        peaks: what counts as white in each image that comes out.
        looks: how the error of each counts.
        data: says which samples these are; another set is another training.
    """

    name: str
    batch: int
    rate: float
    loss: str
    seed: int
    steps: int | None = None
    seconds: float | None = None
    patience: int = PATIENCE
    bf16: bool = False
    peaks: tuple[float, ...] = (1.0,)
    looks: tuple[Look, ...] = ("free",)
    data: str = ""

    @property
    def identity(self) -> dict[str, Any]:
        """All that the trained numbers depend on."""
        return {name: value for name, value in asdict(self).items() if name != "seconds"}


@dataclass(frozen=True)
class Told:
    """How a training stands."""

    name: str
    step: int
    steps: int
    loss: float
    psnr: float | None
    seconds_left: float
    finished: bool = False


@dataclass(frozen=True)
class Work:
    """All that a training is given: the double and its loss, where batches come from, what it is judged by."""

    model: nn.Module
    loss: Loss
    source: Source
    held_out: Sequence[Batch]
    recipe: Recipe
    folder: Path
    group: Group = ALONE


def train(work: Work, told: Callable[[Told], None] | None = None, resume: bool = False) -> Progress:
    """Train a double; the model holds its best weights afterwards.

    Args:
        work: what to train, on what.
        told: called several times a second.
        resume: go on from the checkpoint in the folder, where there is one.

    Returns:
        How far it came: steps, seconds, and the held-out PSNR in dB (minus infinity where nothing is held out).

    Raises:
        TrainingError: the loss is no number any more, the checkpoint is of another training, the disk is full.
    """
    recipe, device = work.recipe, work.group.device
    model = work.model.to(device).train()
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.Adam(parameters, lr=recipe.rate, fused=True)
    pace = Pace.of_steps(recipe.steps) if recipe.steps is not None else Pace.unknown()
    progress, best = Progress(pace=pace, recipe=recipe.identity), _copied(model)
    path = work.folder / CHECKPOINT
    if resume and path.exists():
        progress, best = checkpoint.load(path, recipe.identity, model, optimiser)
    with curves.written(work.folder, progress.step, work.group.writes) as curve:
        session = _Session(work, optimiser, progress, best, curve, told)
        while not session.progress.finished:
            session.step()
        session.save()
    model.load_state_dict({name: value.to(device) for name, value in session.best.items()})
    model.eval()
    return session.progress


class _Session:
    """A training that runs: what changes from step to step."""

    def __init__(
        self,
        work: Work,
        optimiser: torch.optim.Optimizer,
        progress: Progress,
        best: dict[str, Tensor],
        curve: curves.Curve,
        told: Callable[[Told], None] | None,
    ) -> None:
        self.work, self.optimiser, self.progress, self.best = work, optimiser, progress, best
        self._curve, self._told = curve, told
        self._begun = self._saved = self._planned = time.monotonic()
        self._planned_step, self._before, self._heard = progress.step, progress.seconds, 0.0
        self._losses: list[Tensor] = []
        self._psnr: float | None = progress.best[0] if math.isfinite(progress.best[0]) else None

    def step(self) -> None:
        """One step of the optimiser, and what is due after it."""
        work, recipe, number = self.work, self.work.recipe, self.progress.step
        if recipe.steps is None:
            self._pace()
        if self.progress.pace.at(number) >= 1.0:
            self._finish()
            return
        batch = work.source.draw(
            seeded(recipe.seed, recipe.name, number), recipe.batch, work.group.rank, work.group.world
        )
        for settings in self.optimiser.param_groups:
            settings["lr"] = rate_at(self.progress.pace, number, recipe.rate)
        self.optimiser.zero_grad(set_to_none=True)
        loss = loss_of(work.model, batch, work.loss, recipe, work.group.device)
        loss.backward()
        work.group.average(work.model)
        self.optimiser.step()
        self._losses.append(loss.detach())
        self.progress = replace(self.progress, step=number + 1, seconds=self._seconds())
        if due(self.progress.pace, number + 1, [part / EVALUATIONS for part in range(1, EVALUATIONS + 1)]):
            self._evaluate()
        if time.monotonic() - self._saved > CHECKPOINT_SECONDS:
            self.save()
        self._tell()

    def save(self) -> None:
        """Write the checkpoint."""
        if self.work.group.writes:
            checkpoint.save(self.work.folder / CHECKPOINT, self.progress, self.work.model, self.optimiser, self.best)
        self._saved = time.monotonic()

    def _seconds(self) -> float:
        return self._before + time.monotonic() - self._begun

    def _pace(self) -> None:
        """Set the pace by the time that is left: after the first steps, and at some parts of the training.

        It is written down before any step follows it.
        """
        pace, step, recipe = self.progress.pace, self.progress.step, self.work.recipe
        assert recipe.seconds is not None, "steps or seconds"
        late = self._seconds() > LATE * recipe.seconds + GRACE_SECONDS
        wanted = step == TIMED or late or (step > TIMED and due(pace, step, REPLANS))
        if not wanted or pace.pieces[-1][0] == step or pace.at(step) >= 1.0:
            return
        now = time.monotonic()
        a_step = (now - self._planned) / max(step - self._planned_step, 1)
        left = recipe.seconds - self._seconds()
        if step == TIMED:
            score(self.work.model, self.work.held_out, recipe, self.work.group.device)
            left -= EVALUATIONS * (time.monotonic() - now)
        left, a_step = self.work.group.agreed(left), self.work.group.agreed(a_step)
        self.progress = replace(self.progress, pace=pace.replanned(step, left, a_step))
        self._planned, self._planned_step = time.monotonic(), step
        self.save()

    def _evaluate(self) -> None:
        """Look at the held-out raws; keep the weights where they are better than ever."""
        work, progress = self.work, self.progress
        loss = float(torch.stack(self._losses).mean()) if self._losses else math.nan
        self._losses.clear()
        if not math.isfinite(loss):
            hint = "lower the --rate, or look for samples that are not finite"
            raise TrainingError(f"the loss of {work.recipe.name} is {loss} after {progress.step} steps", hint)
        if work.held_out:
            self._psnr = work.group.agreed(score(work.model, work.held_out, work.recipe, work.group.device))
        if self._psnr is None or self._psnr > progress.best[0]:
            best = (self._psnr if self._psnr is not None else -math.inf, progress.step)
            self.progress, self.best = replace(progress, best=best, stale=0), _copied(work.model)
        else:
            self.progress = replace(progress, stale=progress.stale + (progress.pace.at(progress.step) > PATIENT))
        rate = rate_at(progress.pace, progress.step, work.recipe.rate)
        self._curve.add(progress.step, progress.seconds, loss, self._psnr, rate)
        if self.progress.stale >= work.recipe.patience:
            self._finish()

    def _finish(self) -> None:
        self.progress = replace(self.progress, finished=True, seconds=self._seconds())

    def _tell(self) -> None:
        now = time.monotonic()
        if self._told is None or (now - self._heard < TOLD_SECONDS and not self.progress.finished):
            return
        self._heard = now
        progress, steps = self.progress, self.progress.pace.ends()
        a_step = (now - self._begun) / max(progress.step - self._planned_step, 1)
        left = (steps - progress.step) * a_step
        if self.work.recipe.seconds is not None and self.work.recipe.steps is None:
            left = max(self.work.recipe.seconds - progress.seconds, 0.0)
        loss = float(self._losses[-1]) if self._losses else math.nan
        self._told(Told(self.work.recipe.name, progress.step, steps, loss, self._psnr, left, progress.finished))


def loss_of(model: nn.Module, batch: Batch, loss: Loss, recipe: Recipe, device: str = "cpu") -> Tensor:
    """The loss of a batch: the mean over the images that come out, each over its white and without the margin."""
    predicted = predict(model, batch, recipe.bf16, device)
    losses: list[Tensor] = []
    for found, wanted, peak, look in zip(predicted, batch.targets, recipe.peaks, recipe.looks, strict=True):
        wanted = wanted.to(device)
        if wanted.dim() > 2:
            by = wanted.shape[-1] / batch.images[0].shape[-1]
            found, wanted = inside(found, batch.margin, by), inside(wanted, batch.margin, by)
        losses.append(loss(*weighed(found.float() / peak, wanted / peak, look)))
    return torch.stack(losses).mean()


def predict(model: Any, batch: Batch, bf16: bool = False, device: str = "cpu") -> tuple[Tensor, ...]:
    """What the double makes of a batch; images beyond its own are those of the program that it corrects."""
    images = tuple(image.to(device, non_blocking=True) for image in batch.images)
    with torch.autocast(device.partition(":")[0], torch.bfloat16, enabled=bf16):
        count = len(model.card.task.inputs)
        condition = batch.condition.to(device)
        if len(images) == count:
            return model.predict(images, condition, batch.cfa)
        return model.predict(images[:count], condition, batch.cfa, images[count:])


@torch.no_grad()
def score(model: nn.Module, held_out: Sequence[Batch], recipe: Recipe, device: str = "cpu") -> float:
    """Mean over held-out scenes and images of the PSNR in dB of what would be seen (`shown`); without scenes NaN.

    In float32, as doubles run, whatever they were trained in.
    """
    if not held_out:
        return math.nan
    model.eval()
    found: list[float] = []
    for batch in held_out:
        made = predict(model, batch, device=device)
        for image, wanted, peak, look in zip(made, batch.targets, recipe.peaks, recipe.looks, strict=True):
            apart = shown(image.float() / peak, look) - shown(wanted.to(device) / peak, look)
            found.append(psnr(float(apart.square().mean())))
    model.train()
    return sum(found) / len(found)


def psnr(error: float) -> float:
    """PSNR in dB of a mean squared error over a peak of 1, at most `BEST_PSNR`; not a number counts as the worst."""
    if not math.isfinite(error):
        return -BEST_PSNR
    return min(-10 * math.log10(max(error, 1e-300)), BEST_PSNR)


def _copied(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().to("cpu").clone() for name, value in model.state_dict().items()}


def identity_of(samples: Mapping[str, Any]) -> str:
    """One hash of what samples these are."""
    import hashlib
    import json

    return hashlib.sha256(json.dumps(samples, sort_keys=True).encode()).hexdigest()[:16]
