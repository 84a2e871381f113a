"""What a training is asked for, and how each kind of network is best trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ispdsl.training.stages import Network

DEFAULT_MINUTES = 5.0


@dataclass(frozen=True)
class Habit:
    """How a kind of network is trained unless something else is asked for.

    Attributes:
        batch: pixels or patches of a step.
        rate: the highest learning rate.
        patch: px of a patch; 0 for pixels.
        held_out: how many held-out scenes it is judged by.
        side: px of each of them.
    """

    batch: int
    rate: float
    patch: int
    held_out: int
    side: int


HABITS = {
    "pointwise": Habit(1024, 0.01, 0, 32, 0),
    "bank": Habit(1024, 0.01, 0, 32, 0),
    "coring": Habit(1024, 0.01, 0, 32, 0),
    "areawise": Habit(4, 0.003, 64, 24, 96),
    "srcnn": Habit(8, 0.001, 64, 24, 96),
    "unet": Habit(4, 0.001, 128, 12, 128),
    "camera": Habit(24, 0.003, 32, 24, 128),
}
"""Small batches win on a CPU: a step costs little, and many of them are needed."""
OTHER = HABITS["areawise"]


def habit_of(kind: str) -> Habit:
    """How this kind of network is trained."""
    return HABITS.get(kind, OTHER)


@dataclass(frozen=True)
class Options:
    """What a training is asked for.

    Attributes:
        file: text of the pipeline that was sampled.
        variant: name of the set of doubles.
        whole: one double of everything.
        stages, skip: addresses of the stages to train; empty for all, but for those to skip.
        networks: by address, or ``*`` for all.
        minutes: for everything together; without it and `steps`, `DEFAULT_MINUTES`.
        steps: of each double.
        batch, rate, loss: of each double; None for what suits its network.
        seed: of all that is drawn.
        jobs: processes, of one thread each.
        ensemble: doubles of each stage, each of another seed.
        hold_out: names of raws.
        fine_tune: minutes, of all, for training the doubles in a row.
        resume: go on from checkpoints.
        device: ``cpu`` or ``cuda``.
        bf16: compute in bfloat16.
        trust: packages whose programs may run.
    """

    file: Path
    variant: str = "default"
    whole: bool = False
    stages: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    networks: Mapping[str, Network] = field(default_factory=dict[str, Network])
    minutes: float | None = None
    steps: int | None = None
    batch: int | None = None
    rate: float | None = None
    loss: str | None = None
    seed: int = 0
    jobs: int = 1
    ensemble: int = 1
    hold_out: tuple[str, ...] = ()
    fine_tune: float = 0.0
    resume: bool = False
    device: str = "cpu"
    bf16: bool = False
    trust: tuple[str, ...] = ()

    @property
    def seconds(self) -> float | None:
        """For everything; None where steps are counted."""
        if self.steps is not None:
            return None
        return 60.0 * (self.minutes if self.minutes is not None else DEFAULT_MINUTES)


@dataclass(frozen=True)
class Job:
    """One double to train: member 0 of an ensemble is the double itself."""

    address: str
    network: Network
    member: int = 0

    @property
    def name(self) -> str:
        """What it is called while it is trained."""
        return self.address if self.member == 0 else f"{self.address} #{self.member}"

    def variant(self, of: str) -> str:
        """The folder of its double: members of an ensemble have folders of their own."""
        return of if self.member == 0 else f"{of}.{self.member}"


@dataclass(frozen=True)
class Outcome:
    """What became of a double: where it is and how good, or why there is none."""

    name: str
    kind: str
    path: Path | None = None
    steps: int = 0
    seconds: float = 0.0
    psnr: float | None = None
    error: str | None = None
    hint: str | None = None
