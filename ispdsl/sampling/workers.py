"""Worker processes for the composite: each compiles once, renders ask after ask, and writes its blobs itself.

Each worker has one thread for torch and some that write, so that hashing and syncing blobs overlap with rendering the
next. Results come several at a time, so that one transaction acknowledges them. A pipe joins it to the parent, with a
few asks on their way; a worker that finds its pipe closed ends by itself, so that none outlives a parent that was
killed.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from ispdsl.errors import CompileError, PlanError, RunError, StageError, UserError
from ispdsl.interrupts import held_back, leave_to_parent
from ispdsl.runtime.values import SettingsError
from ispdsl.sampling.asks import Ask
from ispdsl.sampling.recipe import Recipe
from ispdsl.store.blobs import Stored, put_blob
from ispdsl.store.errors import StoreError
from ispdsl.store.sample import Sample

WRITERS = 3
"""Blobs that a worker writes at once: each waits for the disk, while the next are rendered."""

AHEAD = WRITERS + 2
"""Asks that a worker has: those that it writes, one that it renders, one that waits."""

LINGER = 0.1
"""Seconds that the first result of several waits for the others."""

PATIENCE = 3.0
"""Seconds that a worker has to finish what it is at when it shall end."""

DEATHS = 3
"""Workers in a row that may die without having rendered anything."""


@dataclass(frozen=True)
class Made:
    """A sample that lies on the disk, and the seconds that the programs took."""

    stored: Stored
    seconds: float


@dataclass(frozen=True)
class Failed:
    """An ask that could not be answered: the kind of fault, and what happened."""

    fault: str
    message: str


Result = Made | Failed
Start = Callable[[], object]
"""Called in each worker before anything else."""


# ---- in the worker ------------------------------------------------------------------------------------------


def _work(pipe: Connection, folder: Path, recipe: Recipe, start: Start | None) -> None:
    """What a worker does until its pipe is closed."""
    leave_to_parent()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.dup2(2, 1)  # what a program prints is no result
    if start is not None:
        start()
    import torch

    from ispdsl.sampling.rendering import renderer

    torch.set_num_threads(1)
    render = renderer(recipe)
    gone = threading.Event()

    turn = threading.Lock()

    def tell(number: int, make: Callable[[], Result | UserError]) -> None:
        answer = make()
        try:
            with turn:
                pipe.send((number, answer))
        except OSError:
            gone.set()

    def kept(made: Sample, seconds: float) -> Result | UserError:
        try:
            return Made(put_blob(folder, made), seconds)
        except StoreError as error:
            return error

    with suppress(EOFError, OSError), ThreadPoolExecutor(WRITERS) as writers:
        while not gone.is_set():
            ask: Ask = pipe.recv()
            try:
                answer = partial(kept, *render(ask))
            except (CompileError, PlanError) as error:
                answer = partial(_itself, error)
            except Exception as error:  # whatever a program does costs no more than this sample
                answer = partial(_itself, Failed(*_said(error)))
            writers.submit(tell, ask.number, answer)


def _itself(answer: Result | UserError) -> Result | UserError:
    return answer


def _said(error: Exception) -> tuple[str, str]:
    if isinstance(error, StageError):
        return "stage", error.message
    if isinstance(error, SettingsError | RunError):
        return "settings" if isinstance(error, SettingsError) else "stage", error.message
    if isinstance(error, MemoryError):
        return "memory", "there is not enough memory"
    return "program", f"{type(error).__name__}: {error}"


# ---- in the parent ------------------------------------------------------------------------------------------


@dataclass
class _Worker:
    """A worker as its parent sees it: `asked` are on their way by number, oldest first."""

    process: BaseProcess
    pipe: Connection
    asked: dict[int, Ask] = field(default_factory=dict[int, Ask])


@dataclass
class _Crew:
    """The workers, and what there is to do: first what dead ones left `waiting`, then what is still in `asks`."""

    asks: Iterator[Ask]
    hired: Callable[[], _Worker]
    workers: list[_Worker] = field(default_factory=list[_Worker])
    waiting: deque[Ask] = field(default_factory=deque[Ask])
    deaths: int = 0
    """Of workers in a row, without an answer between them."""

    def begin(self, jobs: int) -> None:
        """At most so many workers, each with one ask, so that all begin at once."""
        for ask in itertools.islice(self.asks, jobs):
            worker = self.hired()
            self.workers.append(worker)
            worker.asked[ask.number] = ask
            worker.pipe.send(ask)

    @property
    def busy(self) -> list[_Worker]:
        """Those that have something to do."""
        return [worker for worker in self.workers if worker.asked]

    def ready(self, timeout: float | None) -> list[_Worker]:
        """Those that have something to say, or have died; waits for the first, not longer than `timeout` seconds."""
        busy = self.busy
        pipes = wait([worker.pipe for worker in busy], timeout)
        return [worker for worker in busy if worker.pipe in pipes]

    def heard(self, worker: _Worker) -> tuple[Ask, Result]:
        """What became of an ask of a worker that is ready; it is given the next.

        Raises:
            UserError: nothing can be rendered or written.
            RunError: workers die one after the other.
        """
        answer = _received(worker)
        if answer is None:
            return self._replaced(worker)
        number, result = answer
        if isinstance(result, UserError):
            raise result
        self.deaths = 0
        done = worker.asked.pop(number)
        self._fill(worker)
        return done, result

    def _replaced(self, worker: _Worker) -> tuple[Ask, Result]:
        """Another in the place of one that died; the oldest of its asks is taken for what killed it."""
        self.deaths += 1
        lost, *others = worker.asked.values()
        self.waiting.extendleft(reversed(others))
        self.workers.remove(worker)
        message = _death(worker)
        if self.deaths >= DEATHS:
            raise RunError(f"{self.deaths} workers died one after the other: {message}", "use fewer --jobs")
        self.workers.append(self.hired())
        self._fill(self.workers[-1])
        return lost, Failed("crash", message)

    def _fill(self, worker: _Worker) -> None:
        while len(worker.asked) < AHEAD:
            ask = self.waiting.popleft() if self.waiting else next(self.asks, None)
            if ask is None:
                return
            worker.asked[ask.number] = ask
            with suppress(OSError):  # one that has died is found when its pipe is read
                worker.pipe.send(ask)


def render_all(
    asks: Iterator[Ask], folder: Path, recipe: Recipe, jobs: int, start: Start | None = None
) -> Generator[list[tuple[Ask, Result]]]:
    """Render asks in so many processes; what becomes of each, in order of completion, as it comes within `LINGER`.

    Closing the generator, or an exception where it is waited for, ends the workers; when it returns none is left.

    Args:
        asks: read as workers get free.
        folder: of the run, for the blobs.
        recipe: what the asks are of.
        jobs: how many processes.
        start: called in each before anything else.

    Raises:
        CompileError, PlanError: nothing can be rendered.
        StoreError: nothing can be written.
        RunError: workers die one after the other.
    """
    crew = _Crew(asks, partial(_hired, folder, recipe, start))
    batch: list[tuple[Ask, Result]] = []
    until = 0.0
    try:
        crew.begin(jobs)
        while crew.busy:
            ready = crew.ready(max(until - time.monotonic(), 0.0) if batch else None)
            if not batch:
                until = time.monotonic() + LINGER
            for worker in ready:
                try:
                    batch.append(crew.heard(worker))
                except UserError:
                    if batch:
                        yield batch  # these lie on the disk
                    raise
            if batch and time.monotonic() >= until:
                yield batch
                batch = []
        if batch:
            yield batch
    finally:
        _end(crew.workers)


def _hired(folder: Path, recipe: Recipe, start: Start | None) -> _Worker:
    context = multiprocessing.get_context("spawn")  # a fork would share torch's locks and the ledger's handles
    mine, its = context.Pipe()
    process = context.Process(target=_work, args=(its, folder, recipe, start), daemon=True)
    with held_back():
        process.start()
    its.close()
    return _Worker(process, mine)


def _received(worker: _Worker) -> tuple[int, Result | UserError] | None:
    """What a worker says of which ask; None where it has died."""
    try:
        return worker.pipe.recv()
    except (EOFError, OSError):
        return None


def _death(worker: _Worker) -> str:
    worker.process.join(PATIENCE)
    code = worker.process.exitcode
    if code is not None and code < 0:
        return f"a worker was ended by {signal.Signals(-code).name}; perhaps there is not enough memory"
    return f"a worker ended with status {code}"


def _end(workers: list[_Worker]) -> None:
    """Close all pipes, so that workers end after what they are at; those that take long are ended."""
    for worker in workers:
        worker.pipe.close()
    until = time.monotonic() + PATIENCE
    for worker in workers:
        worker.process.join(max(until - time.monotonic(), 0.0))
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
