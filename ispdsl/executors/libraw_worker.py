"""LibRaw in a process of its own: some settings crash the library, and that must cost one call alone.

Run as ``python -m ispdsl.executors.libraw_worker DESCRIPTOR MEMORY``. It answers jobs until the socket is closed.
"""

from __future__ import annotations

import contextlib
import importlib
import mmap
import os
import resource
import socket
import sys
from typing import Any

import numpy as np

from ispdsl.executors.faults import ExecutorError
from ispdsl.executors.libraw_develop import Codes, Developer, Job, faults
from ispdsl.executors.libraw_messages import receive, send, unnamed_file


class _Shared:
    """Memory for one picture after the other, shared with whoever got its descriptor."""

    def __init__(self) -> None:
        self._memory: mmap.mmap | bytes = b""

    def put(self, codes: Codes) -> int | None:
        """Put a picture there; the descriptor where that took another memory than before."""
        descriptor = None
        if codes.nbytes > len(self._memory):
            descriptor = unnamed_file()
            os.ftruncate(descriptor, codes.nbytes)
            self._memory = mmap.mmap(descriptor, codes.nbytes)
        np.copyto(np.frombuffer(self._memory, codes.dtype, codes.size).reshape(codes.shape), codes)
        return descriptor


def serve(channel: socket.socket) -> None:
    """Answer jobs until the other side is gone."""
    developer, shared = Developer(), _Shared()
    while True:
        try:
            message, _ = receive(channel)
        except EOFError:
            return
        answer, descriptor = _answer(developer, Job(**message), shared)
        send(channel, answer, descriptor)
        if descriptor is not None:
            os.close(descriptor)


def _answer(developer: Developer, job: Job, shared: _Shared) -> tuple[dict[str, Any], int | None]:
    try:
        codes, done = developer.develop(job)
        with faults(job):
            descriptor = shared.put(codes)
    except ExecutorError as error:
        return {"fault": error.fault.value, "message": error.message, "hint": error.hint}, None
    return {"shape": codes.shape, "seconds": done.seconds, "stretch": done.stretch}, descriptor


def _limit(what: int, value: int) -> None:
    _, hard = resource.getrlimit(what)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(what, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def main(descriptor: int, memory: int) -> None:
    """Limit this process and serve."""
    importlib.import_module("rawpy")  # before the limit: loading a library is no part of a call
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_AS, memory)
    with socket.socket(fileno=descriptor) as channel, contextlib.suppress(BrokenPipeError, ConnectionResetError):
        serve(channel)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
