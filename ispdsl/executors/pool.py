"""Many calls at once: lanes work side by side, each with an executor of its own.

A lane is a thread; the work is done in other processes or on boards, and each lane owns one, with its own folder of
configuration. What comes in is shared out as lanes get free, what may pass is tried again, and whoever stops listening
stops everything.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence, Sized
from contextlib import suppress
from dataclasses import dataclass, field

from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.executors.model import Answer, Executor, Request
from ispdsl.executors.stopping import Stop, Stopped, stoppable

PASSING = {Fault.HANG, Fault.CRASH, Fault.LINK, Fault.MISSING, Fault.READBACK, Fault.STALE, Fault.GARBAGE}
"""Faults that may pass: the call is worth another try."""

BREAKING = {Fault.HANG, Fault.LINK, Fault.READBACK, Fault.STALE}
"""Faults that leave a lane in a state that nobody knows: it is opened again."""

OPENINGS = 3
"""How often in a row a lane is tried to be opened before it is lost."""

PAUSE = 0.2
"""Seconds between them, longer each time."""


@dataclass(frozen=True)
class Progress:
    """How far a run is. `total` and `left` are None where nobody knows how many calls there will be."""

    done: int
    total: int | None
    failures: int
    rate: float
    """Calls a second since the beginning."""
    left: float | None
    """Seconds until the end."""


@dataclass(frozen=True)
class _Call:
    """A request by its number, and how often it has been tried."""

    number: int
    request: Request
    tries: int = 0


@dataclass
class _Work:
    """What the lanes share. Everything is read and changed under `free`, but for `results`."""

    requests: Iterable[Request]
    lanes: int
    retries: int
    results: queue.Queue[tuple[int, Answer | ExecutorError] | BaseException | None]
    """Answers in order of completion, None for a lane that has ended, whatever must be raised."""
    again: deque[_Call] = field(default_factory=deque[_Call])
    taken: int = 0
    busy: int = 0
    """Calls that lanes are at; they may come back."""
    stopped: bool = False
    free: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        self.total = len(self.requests) if isinstance(self.requests, Sized) else None
        self.waiting = enumerate(self.requests)

    def take(self, most: int) -> list[_Call]:
        """The next calls for a lane, at most so many; none when there will be no more."""
        with self.free:
            while not self.stopped:
                batch = self._next(most)
                if batch or not self.busy:
                    self.busy += len(batch)
                    return batch
                self.free.wait()
            return []

    def _next(self, most: int) -> list[_Call]:
        if self.total is not None:  # near the end, leave something for the others
            left = self.total - self.taken + len(self.again)
            most = min(most, -(-left // self.lanes))
        batch: list[_Call] = []
        while self.again and len(batch) < most:
            batch.append(self.again.popleft())
        while len(batch) < most and (found := next(self.waiting, None)) is not None:
            batch.append(_Call(*found))
            self.taken += 1
        return batch

    def give_back(self, batch: Sequence[_Call]) -> None:
        """Calls that were taken and not made, or are to be made again."""
        with self.free:
            self.again.extend(batch)

    def done(self, count: int) -> None:
        """A lane is no longer at so many calls."""
        with self.free:
            self.busy -= count
            self.free.notify_all()

    def stop(self) -> None:
        """No lane takes anything any more."""
        with self.free:
            self.stopped = True
            self.free.notify_all()


def run_all(
    open_lane: Callable[[int], Executor],
    requests: Iterable[Request],
    lanes: int,
    progress: Callable[[Progress], None] | None = None,
    retries: int = 1,
) -> Generator[tuple[int, Answer | ExecutorError]]:
    """Run many calls, several side by side.

    Closing the generator, or an exception where it is waited for such as KeyboardInterrupt, stops what is running, and
    returns when nothing of it is left.

    Args:
        open_lane: opens the executor of a lane by its number, from 0.
        requests: the calls; an iterator is read as lanes get free, from their threads but never from two at once.
        lanes: how many work side by side.
        progress: told after each call, in the thread of whoever listens.
        retries: how often a call is made again after a fault that may pass.

    Yields:
        The number of a request and what became of it, in order of completion. Each request comes once.

    Raises:
        ExecutorError: no lane can be opened any more; calls that have not been answered stay unanswered.
        Exception: whatever `requests` raised, or an executor against its contract.
    """
    work = _Work(requests, lanes, retries, queue.Queue(maxsize=4 * lanes))
    stops = [Stop() for _ in range(lanes)]
    threads = [
        threading.Thread(target=_lane, args=(number, open_lane, work, stop), name=f"lane {number}")
        for number, stop in enumerate(stops)
    ]
    try:
        for thread in threads:
            thread.start()
        yield from _listen(work, lanes, progress)
    finally:
        work.stop()
        for stop in stops:
            stop.ask()
        for thread in threads:
            _outlast(thread, work)


def _listen(
    work: _Work, lanes: int, progress: Callable[[Progress], None] | None
) -> Generator[tuple[int, Answer | ExecutorError]]:
    begun = time.monotonic()
    done = failures = 0
    while lanes:
        found = work.results.get()
        if found is None:
            lanes -= 1
        elif isinstance(found, BaseException):
            raise found
        else:
            done += 1
            failures += isinstance(found[1], ExecutorError)
            if progress is not None:
                rate = done / max(time.monotonic() - begun, 1e-9)
                left = None if work.total is None else (work.total - done) / rate
                progress(Progress(done, work.total, failures, rate, left))
            yield found


def _outlast(thread: threading.Thread, work: _Work) -> None:
    """Wait for a lane to end, and take from it what nobody listens to any more."""
    while thread.is_alive():
        with suppress(queue.Empty):
            work.results.get(timeout=0.01)


def _lane(number: int, open_lane: Callable[[int], Executor], work: _Work, stop: Stop) -> None:
    """What a thread does: open, take, run, answer, until there is nothing left to do."""
    try:
        with stoppable(stop):
            _serve(number, open_lane, work)
    except Stopped:
        pass
    except BaseException as error:
        work.results.put(error)
    finally:
        work.results.put(None)


def _serve(number: int, open_lane: Callable[[int], Executor], work: _Work) -> None:
    executor: Executor | None = None
    try:
        while batch := work.take(executor.batch if executor else 1):
            try:
                executor = executor or _opened(number, open_lane, work)
                if executor is None:
                    work.give_back(batch)
                    return
                if _answer(executor, batch, work):
                    _close(executor)
                    executor = None
            finally:
                work.done(len(batch))
    finally:
        if executor is not None:
            _close(executor)


def _opened(number: int, open_lane: Callable[[int], Executor], work: _Work) -> Executor | None:
    """Open a lane; None where it is lost and others go on."""
    for attempt in range(1, OPENINGS + 1):
        try:
            return open_lane(number)
        except ExecutorError as error:
            if error.fault in PASSING and attempt < OPENINGS:
                time.sleep(PAUSE * attempt)
                continue
            with work.free:
                work.lanes -= 1
                if work.lanes == 0 or error.fault not in PASSING:
                    raise
    return None


def _answer(executor: Executor, batch: Sequence[_Call], work: _Work) -> bool:
    """Make some calls and hand on what came of them; whether the lane has to be opened again."""
    try:
        answers = executor.run_many([call.request for call in batch])
    except ExecutorError as error:
        answers = [error] * len(batch)
    broken = False
    for call, answer in zip(batch, answers, strict=True):
        fault = answer.fault if isinstance(answer, ExecutorError) else None
        broken |= fault in BREAKING
        if fault in PASSING and call.tries < work.retries:
            work.give_back([_Call(call.number, call.request, call.tries + 1)])
        else:
            work.results.put((call.number, answer))
    return broken


def _close(executor: Executor) -> None:
    """Let go of an executor, which may be broken already."""
    with suppress(ExecutorError):
        executor.close()
