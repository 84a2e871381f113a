"""Contracts tested by several processes side by side; each has one thread of torch."""

from __future__ import annotations

import multiprocessing
import signal
import sys
import threading
from collections.abc import Collection, Generator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ispdsl.contracts.engine import Task, Verdict, check, tasks
from ispdsl.contracts.implementations import packages
from ispdsl.contracts.subject import subjects
from ispdsl.diagnostics import nearest
from ispdsl.errors import CompileError, UserError


@dataclass(frozen=True)
class Order:
    """Which contracts to test: the same order gives the same tasks in every process."""

    paths: tuple[Path, ...]
    stage: str | None = None
    properties: tuple[str, ...] = ()
    kind: str | None = None
    trust: tuple[str, ...] = ()
    examples: int = 100
    seed: int = 0
    allow_exec: bool = False
    doubles: Path | None = None

    def tasks(self) -> list[Task]:
        """What there is to test.

        Raises:
            IspError: a file is wrong.
            CompileError: a program is not trusted, not there, or disagrees with its stage.
            PlanError: a pipeline cannot be planned.
        """
        every = [each for path in self.paths for each in subjects(path)]
        found = [each for each in every if self.stage in (None, each.name)]
        used = {package for each in every for package in packages(each.module)}
        for package in self.trust:
            if package not in used:
                near = nearest(package, used)
                raise CompileError(
                    f"trusted {package}, which no program uses", f"did you mean {near}?" if near else None
                )
        with redirect_stdout(sys.stderr):  # programs are imported here, and may print
            return tasks(
                found,
                self.kind,
                self.trust,
                lambda line: not self.properties or line.name in self.properties,
                allow_exec=self.allow_exec,
                doubles=self.doubles,
            )


class ProcessEndedError(UserError):
    """A program ended the process that tested it."""


_tasks: Sequence[Task] = ()
_order = Order(())


def _prepare(order: Order) -> None:
    global _tasks, _order
    sys.stdout = sys.stderr  # what programs print is no result
    torch.set_num_threads(1)
    _order, _tasks = order, order.tasks()


def _one(number: int) -> Verdict:
    return replace(check(_tasks[number], _order.examples, _order.seed), subject=None)  # pyright: ignore


def verdicts(order: Order, todo: Sequence[Task], jobs: int) -> Generator[tuple[int, Verdict]]:
    """The verdict on every task with its number, in the order in which they are done.

    `todo` is ``order.tasks()``. With one job everything runs in this process. What programs print goes to
    stderr. Whoever stops early closes the generator: that ends the other processes.

    Raises:
        ProcessEndedError: a program ended its process.
    """
    if jobs == 1 or len(todo) < 2:
        for number, task in enumerate(todo):
            with redirect_stdout(sys.stderr):
                verdict = check(task, order.examples, order.seed)
            yield number, verdict
        return
    workers = min(jobs, len(todo))
    with _pool(order, workers, len(todo)) as waiting:
        for done in as_completed(waiting):
            number = waiting[done]
            try:
                verdict = done.result()
            except BrokenProcessPool as error:
                raise _ended(todo, waiting, workers) from error
            yield number, replace(verdict, subject=todo[number].subject)


@contextmanager
def _pool(order: Order, workers: int, count: int) -> Generator[Mapping[Future[Verdict], int]]:
    """Within, processes work on that many tasks; whatever leaves it early ends them at once, busy or not."""
    before = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _prepare, (order,))
    try:
        with _deaf():
            waiting = {pool.submit(_one, number): number for number in range(count)}
        yield waiting
    except BaseException:
        for process in set(multiprocessing.active_children()) - before:
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _deaf() -> Generator[None]:
    """Processes started within never hear Ctrl-C, from their first moment on: it is for this one to end them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, ours)


def _ended(todo: Sequence[Task], waiting: Mapping[Future[Verdict], int], workers: int) -> ProcessEndedError:
    """Tasks are taken in order, so that it was one of the first that are not done."""
    open_ = (number for each, number in waiting.items() if not each.done() or each.exception() is not None)
    names = sorted({todo[number].title for _, number in zip(range(workers), open_, strict=False)})
    return ProcessEndedError(
        f"a program ended its process while it was tested: {' or '.join(names)}",
        "a program must not call os._exit, crash, or take more memory than there is",
    )


def named(paths: Collection[Path]) -> list[str]:
    """Names of all stages and pipelines of the files, for hints."""
    return [each.name for path in paths for each in subjects(path)]
