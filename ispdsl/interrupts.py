"""Ctrl-C reaches every process of the terminal's group; the one that started the others says when they end.

with held_back():
    process.start()      # its imports are not torn apart

with at_leisure() as stopped:
    for step in steps:
        step()           # is not torn apart
        if stopped():
            keep(); break

def work() -> None:      # in the process
    leave_to_parent()
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager


class Terminated(KeyboardInterrupt):
    """SIGTERM: what ends well after Ctrl-C ends well after this, and nothing takes it for a program's own exit."""


def terminated(number: int, frame: object) -> None:
    """A handler of SIGTERM."""
    raise Terminated


ENDED = {"it was interrupted": 128 + signal.SIGINT, "it was terminated": 128 + signal.SIGTERM}
"""The exit code by what is said of a search that was ended from outside."""


def said(error: KeyboardInterrupt) -> str:
    """What is said of a search that this ended: a key of `ENDED`."""
    return "it was terminated" if isinstance(error, Terminated) else "it was interrupted"


@contextmanager
def held_back() -> Generator[None]:
    """For processes that are started within, SIGINT waits until they `leave_to_parent`: they inherit the mask."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


@contextmanager
def at_leisure() -> Generator[Callable[[], KeyboardInterrupt | None]]:
    """Within, Ctrl-C and SIGTERM wait until the yielded function is asked, which then gives what to raise.

    A second one does not wait; one that nobody asked about is raised at the end. In threads, and where somebody else
    handles the signals, nothing changes.
    """
    waiting: list[KeyboardInterrupt] = []

    def hold(number: int, frame: object) -> None:
        if waiting:
            raise waiting[0]
        waiting.append(Terminated() if number == signal.SIGTERM else KeyboardInterrupt())

    def stopped() -> KeyboardInterrupt | None:
        return waiting[0] if waiting else None

    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: terminated}
    own = threading.current_thread() is threading.main_thread()
    held = [number for number, handler in usual.items() if own and signal.getsignal(number) is handler]
    for number in held:
        signal.signal(number, hold)
    try:
        yield stopped
    finally:
        for number in held:
            signal.signal(number, usual[number])
    if waiting:
        raise waiting[0]


def leave_to_parent() -> None:
    """In a process that was started: ignore SIGINT from here on."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
