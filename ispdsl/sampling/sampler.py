"""Sampling: ask the real thing for what the ledger of a run lacks, and keep what it gives."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from ispdsl.backends.blackbox import COMPOSITE, declared, request
from ispdsl.darkroom import mosaic_input
from ispdsl.executors.faults import ExecutorError
from ispdsl.executors.kinds import lanes as side_by_side
from ispdsl.executors.kinds import open_executor
from ispdsl.executors.model import Answer, Executor, Request
from ispdsl.executors.pool import run_all
from ispdsl.executors.trust import check_allowed
from ispdsl.passes.select import match
from ispdsl.sampling.asks import Ask
from ispdsl.sampling.recipe import Recipe, sample_of, view_of
from ispdsl.sampling.workers import Failed, Made, Result, Start, render_all
from ispdsl.store.blobs import put_blob
from ispdsl.store.runs import Run, acknowledge, done_keys, fail

LOOK = 1.0
"""Seconds between two looks at what other processes have done."""


@dataclass(frozen=True)
class Progress:
    """How far sampling is."""

    done: int
    """Of the whole run, by whomever."""
    total: int
    failures: int
    rate: float
    """Samples a second since the beginning, ours only."""
    left: float | None
    """Seconds until the end; None until something was sampled."""


@dataclass(frozen=True)
class Outcome:
    """What a call of `sample` did."""

    made: int
    """Samples that were acknowledged."""
    failed: int
    present: int
    """Samples that were there, or that another process made meanwhile."""
    seconds: float


def sample(
    run: Run,
    recipe: Recipe,
    asks: Sequence[Ask],
    *,
    jobs: int,
    shuffled: bool = False,
    start: Start | None = None,
    told: Callable[[Progress], None] | None = None,
    failing: Callable[[Ask, Failed], None] | None = None,
) -> Outcome:
    """Ask for every sample that the run lacks. Several processes may do this with one run at once.

    A sample is acknowledged once it is on the disk and in the ledger; whatever happens then, it stays. What fails is
    kept with its fault, and asked for again by the next call.

    Args:
        run: where samples go.
        recipe: what the asks are of.
        asks: all of the run.
        jobs: processes, or real things, that work side by side.
        shuffled: take the asks in an order of its own, so that several processes seldom meet at one.
        start: called in each worker process of the composite before anything else.
        told: called after each sample, and at the beginning.
        failing: called with what failed.

    Raises:
        CompileError, PlanError: nothing can be rendered.
        ExecutorError: the real thing is not allowed, or cannot be opened.
        StoreError: nothing can be written; what was acknowledged stays.
    """
    todo = _Todo(run, asks, shuffled)
    made = failed = lost = 0
    begun = time.monotonic()

    def tell() -> None:
        if told is not None:
            seconds = time.monotonic() - begun
            rate = (made + failed) / max(seconds, 1e-9)
            done = min(todo.present + made, len(asks))
            left = (len(asks) - done - failed) / rate if made + failed else None
            told(Progress(done, len(asks), failed, rate, left))

    tell()
    by = _by_programs if recipe.backend == COMPOSITE else _by_real_thing
    with closing(by(run, recipe, todo, jobs, start)) as results:
        for ask, result in results:
            if isinstance(result, Failed):
                fail(run, ask.key, ask.number, result.fault, result.message)
                failed += 1
                if failing is not None:
                    failing(ask, result)
            elif acknowledge(run, ask.key, ask.number, result.stored, result.seconds):
                made += 1
            else:
                lost += 1
            todo.mine.add(ask.key)
            tell()
    return Outcome(made, failed, len(asks) - made - failed, time.monotonic() - begun)


class _Todo:
    """The asks that the ledger lacks, one after the other; looks again now and then what others have done."""

    def __init__(self, run: Run, asks: Sequence[Ask], shuffled: bool) -> None:
        self._run = run
        self._done = done_keys(run)
        self._looked = time.monotonic()
        self._asks = [ask for ask in asks if ask.key not in self._done]
        self._wanted = {ask.key for ask in asks}
        if shuffled:
            random.shuffle(self._asks)
        self.mine: set[str] = set()
        """Keys that this process has dealt with."""

    def __len__(self) -> int:
        return len(self._asks)

    @property
    def present(self) -> int:
        """Samples that there are and that this process has not made, as of the last look."""
        return len(self._done & self._wanted - self.mine)

    def __iter__(self) -> Iterator[Ask]:
        for ask in self._asks:
            if time.monotonic() - self._looked > LOOK:
                self._done = done_keys(self._run)
                self._looked = time.monotonic()
            if ask.key not in self._done:
                yield ask


# ---- by the programs of the stages --------------------------------------------------------------------------


def _by_programs(
    run: Run, recipe: Recipe, todo: _Todo, jobs: int, start: Start | None
) -> Generator[tuple[Ask, Result]]:
    yield from render_all(iter(todo), run.path, recipe, min(jobs, max(len(todo), 1)), start)


# ---- by a real thing ----------------------------------------------------------------------------------------


def _by_real_thing(
    run: Run, recipe: Recipe, todo: _Todo, jobs: int, start: Start | None
) -> Generator[tuple[Ask, Result]]:
    if not len(todo):
        return
    found = declared(recipe.graph)
    check_allowed(found, recipe.allow_exec)
    taken: list[Ask] = []

    def opened(lane: int) -> Executor:
        return open_executor(found, lane=lane)

    requests = _Requests(recipe, todo, taken)
    for number, answer in run_all(opened, requests, side_by_side(found, min(jobs, len(todo)))):
        ask = taken[number]
        yield ask, _kept(run, recipe, ask, requests.names[number], answer)
        requests.forget(number)


class _Requests:
    """The asks as requests, made when a lane takes them."""

    def __init__(self, recipe: Recipe, todo: _Todo, taken: list[Ask]) -> None:
        self._recipe, self._todo, self._taken = recipe, todo, taken
        self.names: dict[int, tuple[str, ...]] = {}

    def __len__(self) -> int:
        return len(self._todo)

    def __iter__(self) -> Iterator[Request]:
        for ask in self._todo:
            self.names[len(self._taken)] = view_of(self._recipe, ask).names
            self._taken.append(ask)
            yield self._request(ask)

    def _request(self, ask: Ask) -> Request:
        graph, frame = self._recipe.graph, ask.part.frame
        found = declared(graph, match(graph, {mosaic_input(graph): frame.type}))
        settings = replace(self._recipe.settings, changed=ask.changed)
        names = self.names[len(self._taken) - 1]
        return request(found, frame, settings, [name for name in names if name in found.taps])

    def forget(self, number: int) -> None:
        """What was dealt with is not needed any more."""
        self.names.pop(number, None)


def _kept(run: Run, recipe: Recipe, ask: Ask, names: Sequence[str], answer: Answer | ExecutorError) -> Result:
    if isinstance(answer, ExecutorError):
        return Failed(str(answer.fault), answer.message)
    frame = ask.part.frame
    found = {mosaic_input(recipe.graph): frame.image, **answer.outputs, **answer.taps}
    images = {name: found[name].astype("float32") for name in names}
    made = sample_of(recipe, ask, images)
    if answer.notes:
        made = replace(made, extra={**made.extra, "notes": list(answer.notes)})
    return Made(put_blob(run.path, made), answer.cost.seconds)
