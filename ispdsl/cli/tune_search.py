"""How `ispdsl tune` searches: what renders is opened, a task is measured on it, and what was found is judged."""

from __future__ import annotations

import math
import sys
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ispdsl.cli.boundary import CommandError, ExitCode
from ispdsl.cli.means import packages_of
from ispdsl.cli.options import Backend
from ispdsl.cli.progress import progress
from ispdsl.cli.searchers import DIFFERENCES, GRADIENTS, check_searcher, searcher_of
from ispdsl.cli.tune_given import Data, Job, about, summed
from ispdsl.cli.tuned import Answer, Judged, applied

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from ispdsl.backends.composite import Composite, Rendering
    from ispdsl.cli.means import Means
    from ispdsl.optimise.gradients import Relaxed
    from ispdsl.optimise.ledger import Ledger
    from ispdsl.optimise.morris import Effect
    from ispdsl.optimise.rendering import Render
    from ispdsl.optimise.tasks.task import Task
    from ispdsl.optimise.tuning import Method, Tuned

BELIEVED = {"verify": 2000, "refine": 200}
"""Calls of the double where nobody says how many."""


class Mode(StrEnum):
    """What is searched."""

    REAL = "real"
    VERIFY = "verify"
    REFINE = "refine"


@dataclass(frozen=True)
class Way:
    """How one goal is searched for, as the command line has it."""

    mode: Mode
    searcher: str | None
    believed_calls: int | None
    best: int
    polish: float


def way_of(
    mode: Mode | None, searcher: str | None, believed_calls: int | None, best: int, polish: float, means: Means
) -> Way:
    """How to search; with doubles they are searched unless somebody says otherwise, or their slopes are.

    Raises:
        CommandError: there is no double that the mode could search, or no such searcher.
    """
    chosen = mode or (Mode.REFINE if means.doubles and searcher != GRADIENTS else Mode.REAL)
    if chosen is not Mode.REAL and means.doubles is None and means.backend is Backend.COMPOSITE:
        raise CommandError(f"--mode {chosen.value} searches a double, and there is none", "give --doubles RUN")
    if searcher is not None:
        check_searcher(searcher)
    return Way(chosen, searcher, believed_calls, best, polish)


def search(job: Job, way: Way) -> Answer:
    """Search for one goal, and judge what was found.

    Raises:
        CommandError: nothing could be measured, or the tasks do not fit what is rendered.
    """
    with redirect_stdout(sys.stderr), ExitStack() as stack:  # what a program prints is no result of ours
        real, version = stack.enter_context(opened(job, job.data))
        doubled = job.means.doubles is not None or way.mode is not Mode.REAL
        double = stack.enter_context(opened(job, job.data, stand_in=True))[0] if doubled else None
        task = summed(job, job.data)
        who, method = _method(job, way, task)
        more = {"believed_calls": method.believed_calls, "best": method.best, "polish": method.polish}
        book = stack.enter_context(booked(job, task.name, who, {"mode": method.mode, **more}))
        found = _tuned(job, task, real, method, double, book)
        effects = effects_of(job, real)
        judged = _judged(job, found)
    if not math.isfinite(found.score):
        hint = "try the task on one picture by hand, or begin elsewhere with --set"
        raise CommandError(f"{task.name}: nothing that was tried could be measured", hint, ExitCode.EXECUTOR)
    return Answer(found, task, judged, version or "the pipeline's own programs", who, method, effects)


def _method(job: Job, way: Way, task: Task) -> tuple[str, Method]:
    """Who searches, and how."""
    from ispdsl.optimise.tuning import Method

    who, chosen = searcher_of(way.searcher, task, lambda: _relaxed(job, task))
    polish = 0.0 if who == DIFFERENCES and way.mode is Mode.REAL else way.polish
    believed_calls = way.believed_calls or BELIEVED.get(way.mode, 1)
    return who, Method(chosen, way.mode.value, job.calls, believed_calls, way.best, polish, job.seed)


def _relaxed(job: Job, task: Task) -> Relaxed:
    """The loss of a task as torch differentiates it, of what the programs or doubles render.

    Raises:
        CommandError: the task has no slope, or a stage has no program and no double.
    """
    from ispdsl.backends.composite import compile
    from ispdsl.backends.vector import tensors as settings_tensors
    from ispdsl.comparison.pair import peak_of
    from ispdsl.darkroom import mosaic_input, tensors
    from ispdsl.errors import NoProgramError
    from ispdsl.optimise.gradients import Relaxed, Shot, upright
    from ispdsl.optimise.relaxation import Relaxation
    from ispdsl.passes.select import match

    if task.loss is None:
        hint = "use it with --task match alone, or choose another searcher"
        raise CommandError(f"--searcher {GRADIENTS} follows slopes, and {task.name} has none", hint)
    graph, means, frames, loss = job.graph, job.means, job.data.frames, task.loss
    compiled: dict[str, Composite] = {}
    for frame in frames:
        types = match(graph, {mosaic_input(graph): frame.type})
        try:
            compiled[str(frame.type)] = compiled.get(str(frame.type)) or compile(
                graph, types=types, impl=means.impl, taps=(), trust=packages_of(graph, means.trust),
                allow_exec=means.allow_exec, doubles=means.doubles,
            )  # fmt: skip
        except NoProgramError as error:
            what = f"nothing says where to go: {error.message}"
            raise CommandError(what, "--doubles RUN: networks that show the way (docs/doubles.md)") from error
    shots = [
        Shot(compiled[str(frame.type)], settings_tensors(job.chosen.resolved(frame.metadata)), *tensors(frame))
        for frame in frames
    ]
    peaks = [peak_of(graph.outputs[0].type, frame.metadata) for frame in frames]

    def look(made: Sequence[Rendering]) -> Tensor:
        each = zip(made, peaks, frames, strict=True)
        return loss([upright(one.image / peak, frame.orientation) for one, peak, frame in each])

    return Relaxed(Relaxation(job.free), shots, look)


def _tuned(job: Job, task: Task, real: Render, method: Method, double: Render | None, book: Ledger | None) -> Tuned:
    from ispdsl.optimise.tuning import tune

    with progress(job.plain) as bar, as_command():
        return tune(
            job.free, task, real, method, believed=double, ledger=book,
            told=lambda call, value: bar(call, job.calls, task.shown(value) if math.isfinite(value) else "failed"),
        )  # fmt: skip


def _judged(job: Job, found: Tuned) -> Judged | None:
    """Start and answer on the raws that are held out; None where there are none."""
    if not job.kept.frames:
        return None
    task = summed(job, job.kept)
    with opened(job, job.kept) as (shot, _):
        after = applied(job.chosen, found.settings, job.free)
        return Judged(*(task.measure(shot(each)) for each in (job.chosen, after)))


@contextmanager
def opened(job: Job, data: Data, stand_in: bool = False) -> Generator[tuple[Render, str]]:
    """What renders some raws, and its version: the real thing, or what stands in for it."""
    from ispdsl.optimise.rendering import renderer

    means = job.means
    backend = Backend.COMPOSITE if stand_in else means.backend
    doubles, impl = (means.doubles, means.impl) if stand_in and means.doubles is not None else (None, None)
    with renderer(
        job.graph,
        data.frames,
        backend.value,
        trust=packages_of(job.graph, job.means.trust),
        allow_exec=means.allow_exec,
        doubles=doubles,
        impl=impl,
    ) as (render, version):
        yield render, version


@contextmanager
def booked(job: Job, task: str, who: str, more: dict[str, object]) -> Generator[Ledger | None]:
    """The ledger that was asked for, open; None where there is none."""
    from ispdsl.optimise.ledger import Ledger

    if job.places.ledger is None:
        yield None
        return
    with Ledger(job.places.ledger, about(job, task, who) | more) as book:
        yield book


@contextmanager
def as_command() -> Generator[None]:
    """Within, what does not fit is an error of the command line."""
    try:
        yield
    except ValueError as error:
        raise CommandError(str(error)) from error


def effects_of(job: Job, render: Render) -> tuple[Effect, ...]:
    """How much each setting matters: the RMS change of all pictures. Nothing where nobody asked."""
    import numpy as np

    from ispdsl.optimise.morris import morris
    from ispdsl.optimise.space import Numbers

    if not job.sensitivity:
        return ()
    calls, most = 0, job.sensitivity * (job.free.space.size + 1)
    with progress(job.plain) as bar:

        def seen(point: Numbers) -> NDArray[np.float32]:
            nonlocal calls
            calls += 1
            bar(calls, most, "sensitivity")
            return np.concatenate([picture.reshape(-1) for picture in render(*job.free.all_at(point))])

        return morris(seen, job.free.space, trajectories=job.sensitivity, seed=job.seed)
