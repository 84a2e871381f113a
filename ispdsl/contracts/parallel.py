"""Contracts tested by several processes side by side; each has one thread of torch."""

from __future__ import annotations

import multiprocessing
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ispdsl.contracts.engine import Task, Verdict, check, tasks
from ispdsl.contracts.implementations import packages
from ispdsl.contracts.subject import subjects
from ispdsl.diagnostics import nearest
from ispdsl.errors import CompileError


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
        return tasks(found, self.kind, self.trust, lambda line: not self.properties or line.name in self.properties)


_tasks: Sequence[Task] = ()
_order = Order(())


def _prepare(order: Order) -> None:
    global _tasks, _order
    torch.set_num_threads(1)
    _order, _tasks = order, order.tasks()


def _one(number: int) -> Verdict:
    return replace(check(_tasks[number], _order.examples, _order.seed), subject=None)  # pyright: ignore


def verdicts(order: Order, todo: Sequence[Task], jobs: int) -> Iterator[tuple[int, Verdict]]:
    """The verdict on every task with its number, in the order in which they are done.

    `todo` is ``order.tasks()``. With one job everything runs in this process.
    """
    if jobs == 1 or len(todo) < 2:
        for number, task in enumerate(todo):
            yield number, check(task, order.examples, order.seed)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(todo)), context, _prepare, (order,)) as pool:
        waiting = {pool.submit(_one, number): number for number in range(len(todo))}
        try:
            for done in as_completed(waiting):
                number = waiting[done]
                yield number, replace(done.result(), subject=todo[number].subject)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def named(paths: Collection[Path]) -> list[str]:
    """Names of all stages and pipelines of the files, for hints."""
    return [each.name for path in paths for each in subjects(path)]
