"""Jobs in processes of their own, each forked from this one, so that what one imports no other sees."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


class ChildError(Exception):
    """A process died, ran too long, or its work raised."""


@dataclass
class Running(Generic[Job]):
    """A job under way, its process and where the result arrives."""

    number: int
    process: BaseProcess
    receiver: Connection
    deadline: float


def each_apart(
    work: Callable[[Job], Result], jobs: Sequence[Job], processes: int, limit: float
) -> Iterator[tuple[int, Result | ChildError]]:
    """Do jobs, at most `processes` at once, each in a fresh fork of this process.

    Args:
        work: what to do with a job; imports what it needs itself.
        jobs: what there is to do.
        processes: how many run at once.
        limit: seconds that a job may take.

    Yields:
        The number of a job and its result, or the error that it ended in, as they come.
    """
    context = multiprocessing.get_context("fork")
    waiting, running = list(enumerate(jobs)), list[Running[Job]]()
    while waiting or running:
        while waiting and len(running) < processes:
            number, job = waiting.pop(0)
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(target=_report, args=(work, job, sender))
            process.start()
            sender.close()
            running.append(Running(number, process, receiver, time.monotonic() + limit))
        soonest = min(each.deadline for each in running) - time.monotonic()
        ready = wait([each.receiver for each in running], max(soonest, 0.0))
        for each in [r for r in running if r.receiver in ready or r.deadline <= time.monotonic()]:
            running.remove(each)
            yield each.number, _end(each, each.receiver in ready, limit)


def _report(work: Callable[[Job], Result], job: Job, sender: Connection) -> None:
    try:
        sender.send(work(job))
    except Exception as error:
        sender.send(ChildError(f"{type(error).__name__}: {error}"))


def _end(one: Running[Job], arrived: bool, limit: float) -> Any:
    try:
        result = one.receiver.recv() if arrived else ChildError(f"it took longer than {limit:g} s")
    except EOFError:
        result = ChildError("the process died")
    if not arrived:
        one.process.kill()
    one.process.join()
    one.receiver.close()
    return result
