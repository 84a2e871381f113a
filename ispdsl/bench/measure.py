"""Measure a pipeline beside its rivals: whole forward passes, gradients, stages, cold starts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ispdsl.bench import quiet
from ispdsl.bench.cold import Cold, Request, start
from ispdsl.bench.contender import Call, Contender, ContenderError, Prepare, missing
from ispdsl.bench.job import Job, frame_of, part_of
from ispdsl.bench.ours import prepared
from ispdsl.bench.stages import StageTime, stage_times
from ispdsl.bench.turns import Spread, Told, in_turns, ratio, spread
from ispdsl.errors import UserError

FURTHER = 0.5
"""Share of the seconds of the forward passes that gradients and stages have each."""


@dataclass(frozen=True)
class Outcome:
    """What became of one contender."""

    name: str
    does: str
    seconds: tuple[float, ...] = ()
    """Of each round; empty where it took no part."""
    missing: str | None = None
    """What it lacks on this machine, and how to get it."""
    failed: str | None = None
    """What went wrong."""
    cold: Cold | None = None

    @property
    def spread(self) -> Spread:
        """Of the seconds."""
        return spread(self.seconds)


@dataclass(frozen=True)
class Field:
    """Outcomes of contenders that took turns, on an image of a size."""

    size: tuple[int, int]
    outcomes: tuple[Outcome, ...]

    @property
    def measured(self) -> tuple[Outcome, ...]:
        """Those that took part."""
        return tuple(each for each in self.outcomes if each.seconds)

    @property
    def reference(self) -> Outcome | None:
        """The first of those that took part."""
        return next(iter(self.measured), None)

    def rate(self, outcome: Outcome) -> float:
        """Megapixels a second."""
        return self.size[0] * self.size[1] / 1e6 / outcome.spread.median

    def ratio(self, outcome: Outcome) -> Spread:
        """How many times as long it takes as the reference, round by round."""
        reference = self.reference
        assert reference is not None, "somebody took part"
        return ratio(outcome.seconds, reference.seconds)


@dataclass(frozen=True)
class Measured:
    """All that was found out."""

    pipeline: str
    raw: str
    job: Job = field(repr=False)
    forward: Field
    gradient: Field | None
    stages: tuple[StageTime, ...]
    busy: float | None
    """Cores that other programs kept busy meanwhile; None where the system does not say."""


@dataclass(frozen=True)
class Wanted:
    """How much to measure."""

    seconds: float = 20.0
    """For the forward passes of all contenders; gradients and stages have half as long each."""
    gradients: bool = True
    stages: bool = True
    cold: bool = True
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    """Of the cold processes, besides that of this one."""


def measure(
    job: Job, contenders: Sequence[Contender], pipeline: str, raw: str, wanted: Wanted, told: Told | None = None
) -> Measured:
    """Measure a job.

    Args:
        job: what all of them develop.
        contenders: the first that takes part is what others are compared with.
        pipeline: its name, for the report.
        raw: what the job's raw is or is made of, for the report.
        wanted: how much to measure.
        told: hears what is being done.

    Raises:
        RawError, PlanError, CompileError, SettingsError: the job itself is wrong, whoever would do it.
    """
    tell = told or _nobody
    size = frame_of(job).size
    tell(0, 1, "compile")
    prepared(job, part_of(job))  # what is wrong with the job itself is no fault of a contender
    begun = quiet.now()
    forward = _field(job, contenders, lambda each: each.prepare, size, wanted.seconds, tell)
    gradient = None
    if wanted.gradients:
        able = [each for each in contenders if each.gradient is not None]
        gradient = _field(
            job, able, lambda each: each.gradient or each.prepare, part_of(job).size, FURTHER * wanted.seconds, tell
        )
    stages: tuple[StageTime, ...] = ()
    if wanted.stages:
        tell(0, 1, "stages")
        stages = tuple(stage_times(job, FURTHER * wanted.seconds))
    busy = quiet.others(begun, quiet.now())
    if wanted.cold:
        outcomes = [_started(each, job, wanted.environment, tell) for each in forward.outcomes]
        forward = Field(forward.size, tuple(outcomes))
    return Measured(pipeline, raw, job, forward, gradient, stages, busy)


def _field(
    job: Job,
    contenders: Iterable[Contender],
    way: Callable[[Contender], Prepare],
    size: tuple[int, int],
    seconds: float,
    told: Told,
) -> Field:
    """Prepare all that can take part, warm them up, and let them take turns."""
    chosen = list(contenders)
    calls: dict[str, Call] = {}
    absent: dict[str, Outcome] = {}
    for place, each in enumerate(chosen):
        told(place, len(chosen), f"prepare {each.name}")
        lacks = missing(each)
        if lacks is not None:
            absent[each.name] = Outcome(each.name, each.does, missing=lacks)
            continue
        try:
            call = way(each)(job)
            call()
        except UserError as error:
            absent[each.name] = Outcome(each.name, each.does, failed=_line(error.message, error.hint))
        except Exception as error:  # a rival's own fault is a finding, and no reason to lose the others
            absent[each.name] = Outcome(each.name, each.does, failed=_line(f"{type(error).__name__}: {error}"))
        else:
            calls[each.name] = call
    taken = in_turns(calls, seconds, told=told)
    outcomes = (absent.get(each.name) or Outcome(each.name, each.does, taken[each.name]) for each in chosen)
    return Field(size, tuple(outcomes))


def _started(outcome: Outcome, job: Job, environment: Mapping[str, str], told: Told) -> Outcome:
    """The outcome with what a cold start of this contender costs."""
    if not outcome.seconds:
        return outcome
    told(0, 1, f"start {outcome.name}")
    try:
        cold = start(Request(contender=outcome.name, job=job), dict(environment))
    except ContenderError as error:
        return Outcome(outcome.name, outcome.does, outcome.seconds, failed=_line(error.message))
    return Outcome(outcome.name, outcome.does, outcome.seconds, cold=cold)


def _line(message: str, hint: str | None = None) -> str:
    first = next(iter(message.strip().splitlines()), "it failed")
    return f"{first}; {hint}" if hint else first


def _nobody(done: int, total: int, name: str) -> None:
    """Hears nothing."""
