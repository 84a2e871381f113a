"""Try to break every line of a contract, for each implementation, and shrink what breaks it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from unittest import SkipTest

import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from hypothesis.database import InMemoryExampleDatabase
from hypothesis.errors import Flaky, Unsatisfiable

from ispdsl.contracts.case import Case
from ispdsl.contracts.checks import CHECKERS
from ispdsl.contracts.checks.responses import Response, expected, responds
from ispdsl.contracts.doubled import beyond, narrowed
from ispdsl.contracts.implementations import Implementation, implementations, proportioned
from ispdsl.contracts.implied import PROGRAMS
from ispdsl.contracts.subject import Line, Subject
from ispdsl.contracts.trial import Trial, ViolationError

SOUGHT = 300
"""Calls after which a parameter that changed nothing is taken to do nothing."""

COMPARING = ("round_trips", "equivalent")
"""Properties that name what a stage is compared with."""

Outcome = Literal["holds", "fails", "untested"]

RARE: Mapping[str, int] = {"exports": 200}
"""Lines whose every example costs seconds and hangs on the numbers little: one example for so many of the others."""

ENTROPY = 8192
"""Random bytes from which one call is drawn: more than any needs."""

REFUSED = 10
"""Calls that may miss the line's conditions for each one that is wanted."""

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
    reason: str = ""
    """Why it is untested, where that is not for want of a legal call."""


Progress = Callable[[int, int, str], None]
"""Called before each line with its number from 0, how many there are, and what it is."""


@dataclass(frozen=True)
class Task:
    """A line to be tested for an implementation."""

    subject: Subject
    line: Line
    implementation: Implementation
    others: Mapping[str, Implementation]
    reason: str = ""
    """Why it cannot be tested."""

    @property
    def title(self) -> str:
        """What is tested, in words."""
        return f"{self.subject.name}: {self.line}"


def tasks(
    found: Iterable[Subject],
    kind: str | None = None,
    trust: Collection[str] = (),
    lines: Callable[[Line], bool] = lambda line: True,
    also: Mapping[str, Sequence[Implementation]] | None = None,
    allow_exec: bool = False,
    doubles: Path | None = None,
) -> list[Task]:
    """What there is to test; see `verify`. Lines that compare with what cannot run here are left out.

    Raises:
        CompileError: a program is not trusted, not there, or disagrees with its stage.
        PlanError: a pipeline cannot be planned.
    """
    todo: list[Task] = []
    for declared in found:
        mine = implementations(declared, "executor" if kind == "executor" else None, trust, allow_exec, doubles)
        every = (*mine, *(also or {}).get(declared.name, ()))
        subject = proportioned(declared, every[0]) if every else declared
        here = [each for each in every if kind in (None, each.kind)]
        for line in filter(lines, subject.lines):
            for implementation in here:
                others = _others(subject, line, implementation, every, trust)
                if _applies(subject, line, implementation, others):
                    todo.append(_task(subject, line, implementation, others))
    return todo


def _task(subject: Subject, line: Line, implementation: Implementation, others: Mapping[str, Implementation]) -> Task:
    """A line for an implementation; of doubles within what they were trained on."""
    cards = [each.card for each in (implementation, *others.values()) if each.card is not None]
    for card in cards:
        subject = narrowed(subject, card)
    reasons = (beyond(line, card) for card in cards)
    return Task(subject, line, implementation, others, next(filter(None, reasons), ""))


def _applies(
    subject: Subject, line: Line, implementation: Implementation, others: Mapping[str, Implementation]
) -> bool:
    """Whether a line can be tested: some are for programs alone, some compare with what must run here too."""
    if line.name in PROGRAMS:
        return implementation.kind == "program"
    if line.name == "differentiable":
        return implementation.kind != "executor"
    if line.name == "responds":
        return bool(expected(subject)) and implementation.kind == "program" and not subject.is_pipeline
    if line.name == "agreement":
        return bool(others)
    compared = line.stated.names if line.name in COMPARING else ()
    return all(name in others or name == implementation.kind for name in compared)


def _others(
    subject: Subject, line: Line, this: Implementation, every: Collection[Implementation], trust: Collection[str]
) -> dict[str, Implementation]:
    """What a line compares the implementation with."""
    if line.name == "agreement":
        return {str(each): each for each in every if each.target != this.target}
    found: dict[str, Implementation] = {}
    for name in line.stated.names if line.name in COMPARING else ():
        if name in ("program", "proxy", "executor"):
            found.update((name, each) for each in every if each.kind == name and each.target != this.target)
        else:
            found.update((name, each) for each in implementations(subject.other(name), None, trust)[:1])
    return found


def verify(
    found: Iterable[Subject],
    *,
    examples: int = 100,
    seed: int = 0,
    kind: str | None = None,
    trust: Collection[str] = (),
    lines: Callable[[Line], bool] = lambda line: True,
    also: Mapping[str, Sequence[Implementation]] | None = None,
    allow_exec: bool = False,
    progress: Progress | None = None,
    doubles: Path | None = None,
) -> Iterator[Verdict]:
    """Test the contracts of stages and pipelines, line by line.

    Args:
        found: what to test.
        examples: legal calls tried for each line and implementation.
        seed: the same one tries the same calls.
        kind: ``program``, ``proxy`` or ``executor``; None is all but executors, whose every call starts a real thing.
        trust: top-level packages besides `ispdsl.programs` whose programs may run.
        lines: which lines to test.
        also: implementations besides those that the files declare, by the name of the stage.
        allow_exec: test executors whose program or device the text names, whoever wrote it.
        progress: called before each line.
        doubles: a run, folder or file with trained doubles; each is held to the contract of its stage.

    Raises:
        CompileError: a program is not trusted, not there, or disagrees with its stage.
        PlanError: a pipeline cannot be planned.
    """
    todo = tasks(found, kind, trust, lines, also, allow_exec, doubles)
    for number, task in enumerate(todo):
        if progress is not None:
            progress(number, len(todo), task.title)
        yield check(task, examples, seed)


def check(task: Task, examples: int, seed: int = 0) -> Verdict:
    """Test one line for one implementation."""
    if task.reason:
        return Verdict(task.subject, task.line, str(task.implementation), "untested", reason=task.reason)
    return _sought(task, seed) if task.line.name == "responds" else _refuted(task, examples, seed)


def _sought(task: Task, seed: int) -> Verdict:
    """Seek calls at which each name changes the result; a name for which none is found breaks the line."""
    begun, tried = time.perf_counter(), 0
    violation: ViolationError | None = None
    for wanted in expected(task.subject):
        calls, violation = _seek(task, wanted, seed)
        tried += calls
        if violation is not None:
            break
    outcome = "holds" if violation is None else "fails"
    seconds = time.perf_counter() - begun
    return Verdict(task.subject, task.line, str(task.implementation), outcome, tried, seconds, violation)


def _seek(task: Task, wanted: Response, seed: int) -> tuple[int, ViolationError | None]:
    """The calls that it took, and what stood against it in the end."""
    tried: list[Case] = []
    found, violation = False, None

    def attempt(data: st.DataObject) -> None:
        nonlocal found, violation
        trial = Trial(task.subject, task.line, task.implementation, task.others, data.draw)
        try:
            with torch.no_grad():
                found = responds(trial, wanted, len(tried))
        except ViolationError as broken:
            violation = broken
        tried.append(trial.case)

    draw_one, source = _test(attempt, seed).hypothesis.fuzz_one_input, random.Random(seed)
    for _ in range(REFUSED * SOUGHT):
        draw_one(source.randbytes(ENTROPY))
        if found or violation is not None:
            return len(tried), violation
        if len(tried) == SOUGHT:
            break
    last = tried[-1] if tried else Case({}, {}, {})
    return len(tried), ViolationError(f"{wanted} changes nothing: {len(tried)} calls give the same result", last)


def _refuted(task: Task, examples: int, seed: int) -> Verdict:
    """Try calls until one breaks the line, and shrink that one."""
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
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            what = f"the results cannot be compared: {type(error).__name__}: {str(error).partition(chr(10))[0]}"
            last, failed = ViolationError(what, trial.case), failed or time.perf_counter()
            raise last from error
        tried += 1

    test = _test(attempt, seed)
    draw_one, source = test.hypothesis.fuzz_one_input, random.Random(seed)
    try:
        if wanted > 1:
            draw_one(bytes(ENTROPY))  # the plainest call: black, everything at rest
        for _ in range(REFUSED * wanted):
            if tried == wanted:
                break
            draw_one(source.randbytes(ENTROPY))
    except ViolationError:
        with suppress(ViolationError, Flaky, Unsatisfiable, ExceptionGroup, SkipTest):
            test()  # shrinks what was found
    outcome = "fails" if last is not None else "holds" if tried else "untested"
    seconds = time.perf_counter() - begun
    return Verdict(task.subject, task.line, str(task.implementation), outcome, tried, seconds, last)


def _test(attempt: Callable[[st.DataObject], None], seed: int) -> Any:
    """A test that draws each call by itself from random bytes, and shrinks those that fail.

    Left to generate calls, Hypothesis tries five variations of each new one: of a hundred only twenty differ in kind.
    """
    profile = settings(
        deadline=None,
        derandomize=False,
        database=InMemoryExampleDatabase(),
        phases=(Phase.reuse, Phase.shrink),
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.filter_too_much,
            HealthCheck.data_too_large,
            HealthCheck.large_base_example,
        ],
        report_multiple_bugs=False,
        print_blob=False,
    )
    return profile(seeded(seed)(given(st.data())(attempt)))  # in this order: `seed` forgets the database
