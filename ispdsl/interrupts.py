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
