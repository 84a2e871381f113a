"""Training the doubles of a run side by side, in processes of one thread each; one alone has all threads."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from typing import Any

import torch

from ispdsl.errors import UserError
from ispdsl.interrupts import held_back, leave_to_parent
from ispdsl.store.runs import Run
from ispdsl.training import budget, checkpoint
from ispdsl.training.budget import Lane
from ispdsl.training.checkpoint import CHECKPOINT
from ispdsl.training.data import TrainingError
from ispdsl.training.distributed import ALONE, Group
from ispdsl.training.examples import materials, roles_of
from ispdsl.training.loop import Told
from ispdsl.training.options import Job, Options, Outcome
from ispdsl.training.stage import finished, folder_of, train_stage, with_error
from ispdsl.training.stages import ground_of

CLOSING_SECONDS = 1.5
"""For writing the last double and ending the process."""

Heard = Callable[[Told | Outcome], None]
"""What is done with the news of a training: how it stands, and what became of a double."""


def train_all(
    run: Run, jobs: Sequence[Job], options: Options, ends: float | None, heard: Heard, group: Group = ALONE
) -> list[Outcome]:
    """Train doubles; what became of each, in the order of `jobs`.

    One that cannot be trained does not keep the others from it.

    Args:
        run: with samples.
        jobs: what to train.
        options: how.
        ends: when the time is over, of `time.monotonic`; None where steps are counted.
        heard: called with the news.
        group: the processes that train together; then there is one lane in each of them.

    Raises:
        TrainingError: a process was killed.
    """
    by_name = {job.name: job for job in jobs}
    count = 1 if group.world > 1 else options.jobs
    found = budget.lanes({job.name: job.network.kind for job in jobs}, count)
    outcomes: dict[str, Outcome] = {}

    def kept(news: Told | Outcome) -> None:
        if isinstance(news, Outcome):
            outcomes[news.name] = news
        heard(news)

    if len(found) == 1:
        threads = torch.get_num_threads()
        torch.set_num_threads(max(min(options.jobs, os.cpu_count() or 1), 1))  # nobody else wants the cores
        try:
            _train_lane(run, found[0], by_name, options, ends, kept, group)
        finally:
            torch.set_num_threads(threads)
    else:
        _side_by_side(run, found, by_name, options, ends, kept)
    return [outcomes[job.name] for job in jobs if job.name in outcomes]


def _train_lane(
    run: Run,
    lane: Lane,
    by_name: dict[str, Job],
    options: Options,
    ends: float | None,
    heard: Heard,
    group: Group = ALONE,
) -> None:
    """Train the doubles of one lane, one after the other."""
    waiting: list[tuple[int, Job]] = []
    for index, name in enumerate(lane.names):
        done = finished(run, options, by_name[name])
        if done is None:
            waiting.append((index, by_name[name]))
        else:
            heard(done)
    if not waiting:
        return
    ground = ground_of(run, options.file, options.whole, options.trust)
    networks = {job.address: job.network for _, job in waiting}
    found = materials(ground, networks, roles_of(run, options.hold_out), options.seed)
    spent = sum(_spent(run, options, by_name[name]) for name in lane.names) if options.resume else 0.0
    for index, job in waiting:
        material = found[job.address]
        left = None if ends is None else ends - spent - CLOSING_SECONDS - time.monotonic()
        seconds = None if left is None else group.agreed(budget.seconds_of(lane, index, left))
        try:
            if isinstance(material, UserError):
                raise material
            outcome = train_stage(run, job, material, options, group, seconds, heard)
        except UserError as error:
            outcome = with_error(job, error)
        heard(outcome)


def _spent(run: Run, options: Options, job: Job) -> float:
    """Seconds that an earlier call has trained a double."""
    progress = checkpoint.peek(folder_of(run, options, job) / CHECKPOINT)
    return progress.seconds if progress is not None else 0.0


# ---- processes -----------------------------------------------------------------------------------------------


@dataclass
class _Worker:
    process: BaseProcess
    lane: Lane
    ended: bool = False
    left: set[str] = field(default_factory=set[str])


def _side_by_side(
    run: Run, lanes: Sequence[Lane], by_name: dict[str, Job], options: Options, ends: float | None, heard: Heard
) -> None:
    context = multiprocessing.get_context("spawn")  # a fork would share torch's threads and locks
    news: Any = context.Queue()
    threads = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    workers: list[_Worker] = []
    try:
        for lane in lanes:
            arguments = (news, run, lane, by_name, options, ends)
            process = context.Process(target=_work, args=arguments, daemon=True)
            with held_back():
                process.start()
            workers.append(_Worker(process, lane, left=set(lane.names)))
        _listen(news, workers, heard)
    finally:
        if threads is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = threads
        for worker in workers:
            if worker.process.is_alive():
                worker.process.terminate()
            worker.process.join(5)
        news.close()


def _listen(news: Any, workers: Sequence[_Worker], heard: Heard) -> None:
    """Hand on the news until every process has ended.

    Raises:
        TrainingError: one ended before it was done.
        UserError: nothing could be trained in one.
    """
    while not all(worker.ended for worker in workers):
        message = None
        with suppress(queue.Empty):
            message = news.get(timeout=0.2)
        if message is None and news.empty():
            for worker in workers:
                if not worker.ended and not worker.process.is_alive():
                    raise _died(worker)
        if isinstance(message, Told | Outcome):
            heard(message)
            for worker in workers:
                if isinstance(message, Outcome):
                    worker.left.discard(message.name)
        elif isinstance(message, _Ended):
            if message.error is not None:
                raise TrainingError(*message.error)
            next(worker for worker in workers if worker.lane == message.lane).ended = True


def _died(worker: _Worker) -> TrainingError:
    code = worker.process.exitcode or 0
    how = signal.Signals(-code).name if code < 0 else f"status {code}"
    hint = "go on with --resume; with fewer --jobs where memory was short"
    return TrainingError(f"the process that trained {', '.join(sorted(worker.left))} ended by {how}", hint)


@dataclass(frozen=True)
class _Ended:
    lane: Lane
    error: tuple[str, str | None] | None = None


def _work(news: Any, run: Run, lane: Lane, by_name: dict[str, Job], options: Options, ends: float | None) -> None:
    """What a process does."""
    leave_to_parent()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    torch.set_num_threads(1)
    parent = os.getppid()

    def heard(message: Told | Outcome) -> None:
        if os.getppid() != parent:  # it was killed: whoever goes on must find nobody at work
            os._exit(1)
        news.put(message)

    error: tuple[str, str | None] | None = None
    try:
        _train_lane(run, lane, by_name, options, ends, heard)
    except UserError as found:
        error = (found.message, found.hint)
    news.put(_Ended(lane, error))
    news.close()
    news.join_thread()
