"""Stopping what another thread waits for: `pool` opens a way, `sandbox` and whoever else waits says how."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager


class Stopped(BaseException):
    """What this thread was waiting for has been stopped from outside. No fault of anybody, so it is no Exception."""


class Stop:
    """A way to end what one thread waits for, from any other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kill: Callable[[], None] | None = None
        self.asked = False

    def ask(self) -> None:
        """Stop what is waited for now, and whatever would be next."""
        with self._lock:
            self.asked = True
            if self._kill is not None:
                self._kill()

    @contextmanager
    def waiting(self, kill: Callable[[], None]) -> Generator[None]:
        """Within, `kill` is called when a stop is asked for."""
        with self._lock:
            if self.asked:
                raise Stopped
            self._kill = kill
        try:
            yield
        except Exception:
            if self.asked:
                raise Stopped from None
            raise
        finally:
            with self._lock:
                self._kill = None


_here = threading.local()


@contextmanager
def stoppable(stop: Stop) -> Generator[None]:
    """Within, what this thread waits for with `interruptible` ends when `stop` asks."""
    _here.stop = stop
    try:
        yield
    finally:
        _here.stop = None


@contextmanager
def interruptible(kill: Callable[[], None]) -> Generator[None]:
    """Around a wait: `kill` ends it from another thread, quickly and whatever state it is in.

    Raises:
        Stopped: it was, or has been before.
    """
    stop: Stop | None = getattr(_here, "stop", None)
    if stop is None:
        yield
        return
    with stop.waiting(kill):
        yield
