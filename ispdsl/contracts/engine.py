"""Try to break every line of a contract, for each implementation, and shrink what breaks it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from hypothesis.errors import Flaky, Unsatisfiable

from ispdsl.contracts.checks import CHECKERS
from ispdsl.contracts.implementations import Implementation, implementations, proportioned
from ispdsl.contracts.subject import Line, Subject
from ispdsl.contracts.trial import Trial, ViolationError

PROFILE = settings(
    deadline=None,
    database=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
    print_blob=False,
)

Outcome = Literal["holds", "fails", "untested"]

RARE: Mapping[str, int] = {"exports": 200}
"""Lines whose every example costs seconds and hangs on the numbers little: one example for so many of the others."""

FRESH = 10
"""Legal calls of one run of Hypothesis: after ten it tries five variations of each new one, which break little."""

PATIENCE = 20.0
"""Seconds that shrinking may take."""


@dataclass(frozen=True)
class Verdict:
    """What became of one line for one implementation.

    ``holds``: `examples` calls did not break it. ``fails``: `violation` breaks it. ``untested``: no legal call met its
    conditions, so that nothing is known.
    """

    subject: Subject = field(repr=False)
    line: Line
    implementation: str
    outcome: Outcome
    examples: int = 0
    seconds: float = 0.0
    violation: ViolationError | None = field(default=None, repr=False)


Progress = Callable[[int, int, str], None]
"""Called before each line with its number from 0, how many there are, and what it is."""


@dataclass(frozen=True)
class Task:
    """A line to be tested for an implementation."""

    subject: Subject
    line: Line
    implementation: Implementation
    others: Mapping[str, Implementation]

    @property
    def title(self) -> str:
        """What is tested, in words."""
        return f"{self.subject.name}: {self.line}"


def tasks(
    found: Iterable[Subject],
    kind: str | None = None,
    trust: Collection[str] = (),
    lines: Callable[[Line], bool] = lambda line: True,
) -> list[Task]:
    """What there is to test.

    Raises:
        CompileError: a program is not trusted, not there, or disagrees with its stage.
        PlanError: a pipeline cannot be planned.
    """
    todo: list[Task] = []
    for declared in found:
        every = implementations(declared, None, trust)
        subject = proportioned(declared, every[0]) if every else declared
        here = [each for each in every if kind in (None, each.kind)]
        for line in filter(lines, subject.lines):
            for implementation in here:
                others = _others(subject, line, implementation, every, trust)
                if line.name != "agreement" or others:
                    todo.append(Task(subject, line, implementation, others))
    return todo


def _others(
    subject: Subject, line: Line, this: Implementation, every: Collection[Implementation], trust: Collection[str]
) -> dict[str, Implementation]:
    """What a line compares the implementation with."""
    if line.name == "agreement":
        return {str(each): each for each in every if each.target != this.target}
    found: dict[str, Implementation] = {}
    for name in line.property.names if line.name in ("round_trips", "equivalent") else ():
        if name in ("program", "proxy", "executor"):
            found.update((name, each) for each in every if each.kind == name and each.target != this.target)
        else:
            found[name] = implementations(subject.other(name), None, trust)[0]
    return found


def verify(
    found: Iterable[Subject],
    *,
    examples: int = 100,
    seed: int = 0,
    kind: str | None = None,
    trust: Collection[str] = (),
    lines: Callable[[Line], bool] = lambda line: True,
    progress: Progress | None = None,
) -> Iterator[Verdict]:
    """Test the contracts of stages and pipelines, line by line.

    Args:
        found: what to test.
        examples: legal calls tried for each line and implementation.
        seed: the same one tries the same calls.
        kind: ``program``, ``proxy`` or ``executor``; None is all that can run.
        trust: top-level packages besides `ispdsl.programs` whose programs may run.
        lines: which lines to test.
        progress: called before each line.

    Raises:
        CompileError: a program is not trusted, not there, or disagrees with its stage.
        PlanError: a pipeline cannot be planned.
    """
    todo = tasks(found, kind, trust, lines)
    for number, task in enumerate(todo):
        if progress is not None:
            progress(number, len(todo), task.title)
        yield check(task, examples, seed)


def check(task: Task, examples: int, seed: int = 0) -> Verdict:
    """Test one line for one implementation."""
    checker, begun = CHECKERS[task.line.name], time.perf_counter()
    wanted = max(1, examples // RARE.get(task.line.name, 1))
    tried, last, failed = 0, None, 0.0

    def attempt(data: st.DataObject) -> None:
        nonlocal tried, last, failed
        if failed and time.perf_counter() - failed > PATIENCE:
            return
        trial = Trial(task.subject, task.line, task.implementation, task.others, data.draw)
        try:
            with torch.no_grad():
                checker(trial)
        except ViolationError as violation:
            last, failed = violation, failed or time.perf_counter()
            raise
        tried += 1

    for begin in range(0, wanted, FRESH):
        test = settings(PROFILE, max_examples=min(FRESH, wanted - begin))(given(st.data())(attempt))
        try:
            seeded(seed * 1_000_003 + begin)(test)()
        except (ViolationError, Flaky, ExceptionGroup):
            assert last is not None, "only violations are raised"
            break
        except Unsatisfiable:
            continue
    outcome = "fails" if last is not None else "holds" if tried else "untested"
    seconds = time.perf_counter() - begun
    return Verdict(task.subject, task.line, str(task.implementation), outcome, tried, seconds, last)
