"""Sampling: ask the real thing for what the ledger of a run lacks, and keep what it gives."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from ispdsl.backends.blackbox import COMPOSITE, declared, request
from ispdsl.darkroom import mosaic_input
from ispdsl.executors.faults import ExecutorError
from ispdsl.executors.kinds import lanes as side_by_side
from ispdsl.executors.kinds import open_executor
from ispdsl.executors.model import Answer, Declared, Executor, Request
from ispdsl.executors.pool import run_all
from ispdsl.executors.trust import check_allowed
from ispdsl.passes.select import match
from ispdsl.sampling.asks import Ask
from ispdsl.sampling.recipe import Recipe, sample_of, view_of
from ispdsl.sampling.workers import Failed, Made, Result, Start, render_all
from ispdsl.store.blobs import put_blob
from ispdsl.store.runs import Entry, Run, acknowledge_all, done_keys, fail, held

Batch = list[tuple[Ask, Result]]
"""What became of some asks, to be acknowledged together."""

LOOK = 0.1
"""Seconds between two looks at what other processes have done, at least."""

SHARE = 50
"""How many times as long as a look the time until the next one is, at least."""


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
    made = failed = 0
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
    with held(run.path), closing(by(run, recipe, todo, jobs, start)) as batches:
        for batch in batches:
            kept = _entered(run, batch)
            for ask, result in batch:
                todo.mine.add(ask.key)
                if isinstance(result, Failed):
                    failed += 1
                    if failing is not None:
                        failing(ask, result)
                elif ask.key in kept:
                    made += 1
                tell()
    return Outcome(made, failed, len(asks) - made - failed, time.monotonic() - begun)


def _entered(run: Run, batch: Batch) -> set[str]:
    """Enter into the ledger what became of some asks; the keys of those that are new there."""
    for ask, result in batch:
        if isinstance(result, Failed):
            fail(run, ask.key, ask.number, result.fault, result.message)
    entries = [
        Entry(ask.key, ask.number, result.stored, result.seconds) for ask, result in batch if isinstance(result, Made)
    ]
    new = acknowledge_all(run, entries) if entries else []
    return {entry.key for entry, is_new in zip(entries, new, strict=True) if is_new}


class _Todo:
    """The asks that the ledger lacks, one after the other; looks again now and then what others have done."""

    def __init__(self, run: Run, asks: Sequence[Ask], shuffled: bool) -> None:
        self._run = run
        self._done = done_keys(run)
        self._next = time.monotonic() + LOOK
        self.asks = [ask for ask in asks if ask.key not in self._done]
        self._wanted = {ask.key for ask in asks}
        if shuffled:
            random.shuffle(self.asks)
        self.mine: set[str] = set()
        """Keys that this process has dealt with."""

    @property
    def present(self) -> int:
        """Samples that there are and that this process has not made, as of the last look."""
        return len(self._done & self._wanted - self.mine)

    def lacking(self, asks: Iterable[Ask]) -> Iterator[Ask]:
        """Those of some asks that nobody has dealt with when it is their turn."""
        for ask in asks:
            self._look()
            if ask.key not in self._done:
                yield ask

    def _look(self) -> None:
        begun = time.monotonic()
        if begun >= self._next:
            self._done = done_keys(self._run)
            taken = time.monotonic() - begun
            self._next = begun + max(LOOK, SHARE * taken)


# ---- by the programs of the stages --------------------------------------------------------------------------


def _by_programs(run: Run, recipe: Recipe, todo: _Todo, jobs: int, start: Start | None) -> Generator[Batch]:
    yield from render_all(todo.lacking(todo.asks), run.path, recipe, min(jobs, len(todo.asks)), start)


# ---- by a real thing ----------------------------------------------------------------------------------------


def _by_real_thing(run: Run, recipe: Recipe, todo: _Todo, jobs: int, start: Start | None) -> Generator[Batch]:
    check_allowed(declared(recipe.graph), recipe.allow_exec)
    kinds = {str(ask.part.frame.type): ask for ask in todo.asks}  # a real thing is opened for one type of mosaic
    for type_, ask in kinds.items():
        found = declared(recipe.graph, match(recipe.graph, {mosaic_input(recipe.graph): ask.part.frame.type}))
        asks = [ask for ask in todo.asks if str(ask.part.frame.type) == type_]
        requests = _Requests(recipe, found, todo.lacking(asks), len(asks))
        lanes = side_by_side(found, min(jobs, len(asks)))

        def opened(lane: int, found: Declared = found) -> Executor:
            return open_executor(found, lane=lane)

        for number, answer in run_all(opened, requests, lanes):
            made, names = requests.taken[number]
            yield [(made, _kept(run, recipe, made, names, answer))]


class _Requests:
    """The asks as requests, made when a lane takes them; `taken` are those that were, in order."""

    def __init__(self, recipe: Recipe, found: Declared, asks: Iterator[Ask], count: int) -> None:
        self._recipe, self._found, self._asks, self._count = recipe, found, asks, count
        self._names: dict[str | None, tuple[str, ...]] = {}
        self.taken: list[tuple[Ask, tuple[str, ...]]] = []

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Request]:
        for ask in self._asks:
            if ask.stage not in self._names:
                self._names[ask.stage] = view_of(self._recipe, ask).names
            names = self._names[ask.stage]
            self.taken.append((ask, names))
            settings = replace(self._recipe.settings, changed=ask.changed)
            taps = [name for name in names if name in self._found.taps]
            yield request(self._found, ask.part.frame, settings, taps)


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
