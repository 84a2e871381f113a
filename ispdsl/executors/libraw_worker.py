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
from numpy.typing import NDArray

from ispdsl.executors.faults import ExecutorError
from ispdsl.executors.libraw_develop import Developer, Job
from ispdsl.executors.libraw_messages import receive, send, unnamed_file


class _Shared:
    """Memory of one picture, shared with whoever gets the descriptor."""

    def __init__(self) -> None:
        self.descriptor = unnamed_file()

    def __call__(self, shape: tuple[int, int, int]) -> NDArray[np.float32]:
        size = 4 * shape[0] * shape[1] * shape[2]
        os.ftruncate(self.descriptor, size)
        return np.frombuffer(mmap.mmap(self.descriptor, size), np.float32).reshape(shape)


def serve(channel: socket.socket) -> None:
    """Answer jobs until the other side is gone."""
    developer = Developer()
    while True:
        try:
            message, _ = receive(channel)
        except EOFError:
            return
        shared = _Shared()
        try:
            answer = _answer(developer, Job(**message), shared)
            send(channel, answer, shared.descriptor)
        finally:
            os.close(shared.descriptor)


def _answer(developer: Developer, job: Job, shared: _Shared) -> dict[str, Any]:
    try:
        planes, done = developer.develop(job, shared)
    except ExecutorError as error:
        return {"fault": error.fault.value, "message": error.message, "hint": error.hint}
    return {"shape": planes.shape, "seconds": done.seconds, "stretch": done.stretch}


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
