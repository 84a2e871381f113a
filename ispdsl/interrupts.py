"""Ctrl-C reaches every process of the terminal's group; the one that started the others says when they end.

with held_back():
    process.start()      # its imports are not torn apart

def work() -> None:      # in the process
    leave_to_parent()
"""

from __future__ import annotations

import signal
from collections.abc import Generator
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


def leave_to_parent() -> None:
    """In a process that was started: ignore SIGINT from here on."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
