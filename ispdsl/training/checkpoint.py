"""Where a training stands, in one file that is there whole or as it was before: it goes on from it to the bit."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from ispdsl.training.budget import Pace
from ispdsl.training.data import TrainingError

CHECKPOINT = "checkpoint.safetensors"
LOCK = "lock"


@dataclass(frozen=True)
class Progress:
    """How far a training is.

    Attributes:
        step: steps done.
        pace: how the rate falls; the pieces that are known so far.
        seconds: spent training, over all runs.
        best: highest held-out PSNR, and the step after which it was measured.
        stale: evaluations since then.
        finished: whether nothing is left to do.
        recipe: what decides the numbers; a checkpoint of another recipe is refused.
    """

    step: int = 0
    pace: Pace = field(default_factory=lambda: Pace.of_steps(1))
    seconds: float = 0.0
    best: tuple[float, int] = (float("-inf"), -1)
    stale: int = 0
    finished: bool = False
    recipe: Mapping[str, Any] = field(default_factory=dict[str, Any])


def save(
    path: Path, progress: Progress, model: nn.Module, optimiser: torch.optim.Optimizer, best: Mapping[str, Tensor]
) -> None:
    """Write a checkpoint: beside it first, then in its place."""
    found = {f"weights.{name}": value for name, value in model.state_dict().items()}
    found |= {f"best.{name}": value for name, value in best.items()}
    for number, state in optimiser.state_dict()["state"].items():
        found |= {f"optimiser.{number}.{key}": torch.as_tensor(value) for key, value in state.items()}
    about = {
        "step": progress.step,
        "pace": progress.pace.pieces,
        "seconds": progress.seconds,
        "best": progress.best,
        "stale": progress.stale,
        "finished": progress.finished,
        "recipe": dict(progress.recipe),
    }
    tensors = {name: value.detach().to("cpu").contiguous().clone() for name, value in found.items()}
    write_atomically(path, to_bytes(tensors, metadata={"training": json.dumps(about)}))


def load(
    path: Path, recipe: Mapping[str, Any], model: nn.Module, optimiser: torch.optim.Optimizer
) -> tuple[Progress, dict[str, Tensor]]:
    """Put model and optimiser where they were; how far the training was, and its best weights.

    Raises:
        TrainingError: the file is damaged, or of another recipe.
    """
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads(file.metadata()["training"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
        progress = _progress(about)
        _check_recipe(path, progress.recipe, recipe)
        model.load_state_dict(_below(tensors, "weights."))
        _restore(optimiser, _below(tensors, "optimiser."))
    except (OSError, ValueError, LookupError, TypeError, RuntimeError, SafetensorError) as error:
        raise TrainingError(
            f"{path} is no checkpoint of this training: {error}", "train anew, without --resume"
        ) from error
    return progress, _below(tensors, "best.")


def _check_recipe(path: Path, known: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    wanted = json.loads(json.dumps(dict(wanted)))
    other = [name for name in {**known, **wanted} if known.get(name) != wanted.get(name)]
    if other:
        was = ", ".join(f"{name} {known.get(name)}" for name in other)
        now = ", ".join(f"{name} {wanted.get(name)}" for name in other)
        raise TrainingError(f"{path} was made with {was}, and now it is {now}", "train anew, without --resume")


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _restore(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        number, _, key = name.partition(".")
        state.setdefault(int(number), {})[key] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that whoever reads it sees it whole, before and after a crash.

    Raises:
        TrainingError: the disk is full, or the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise TrainingError(f"cannot write {path}: {error.strerror}", "make room, then go on with --resume") from error


def peek(path: Path) -> Progress | None:
    """How far a training is, by its checkpoint; None where there is none that can be read."""
    try:
        with safe_open(path, framework="pt") as file:
            return _progress(json.loads(file.metadata()["training"]))
    except (OSError, ValueError, LookupError, TypeError, SafetensorError):
        return None


def _progress(about: Mapping[str, Any]) -> Progress:
    return Progress(
        int(about["step"]),
        Pace(tuple((int(step), float(done), float(slope)) for step, done, slope in about["pace"])),
        float(about["seconds"]),
        (float(about["best"][0]), int(about["best"][1])),
        int(about["stale"]),
        bool(about["finished"]),
        about["recipe"],
    )


@contextmanager
def locked(folder: Path, writes: bool = True) -> Generator[None]:
    """Nobody else trains into this folder meanwhile; the lock goes with the process, however that ends.

    Of several processes that train together, the one that writes holds it.

    Raises:
        TrainingError: somebody does.
    """
    if not writes:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            hint = "wait for it, or train another --variant"
            raise TrainingError(f"{folder} is being trained by another process", hint) from error
        yield
