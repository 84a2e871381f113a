"""LibRaw's own process, seen from outside: started when needed, killed when it hangs, forgotten when it crashes."""

from __future__ import annotations

import contextlib
import math
import mmap
import os
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.executors.libraw_develop import Codes, Done, Job
from ispdsl.executors.libraw_keywords import written
from ispdsl.executors.libraw_messages import receive, send
from ispdsl.executors.model import Limits
from ispdsl.executors.sandbox import signal_name
from ispdsl.executors.stopping import interruptible

MODULE = "ispdsl.executors.libraw_worker"
ROOT = Path(__file__).resolve().parents[2]
"""Where the package can be imported from."""

TAIL = 2000
"""Characters of what the process wrote to stderr that go into an error."""


class Worker:
    """LibRaw in a process of its own, which stays for the next call unless this one was its end."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._running: _Process | None = None

    def develop(self, job: Job) -> tuple[Codes, Done]:
        """The picture, in memory that is the next one's after it.

        Raises:
            ExecutorError: HANG, CRASH, MEMORY, FLOOD, GARBAGE, or what `Developer.develop` raises.
        """
        process = self._running or _Process(self._limits.memory)
        self._running = None  # back again when the call has ended well
        try:
            with interruptible(process.stop):
                answer, descriptor = process.ask(job, min(self._limits.seconds, job.seconds or math.inf))
            try:
                result = self._result(process, job, answer, descriptor)
            except (KeyError, TypeError, ValueError) as error:
                raise _garbage(process, "that means nothing") from error
        except BaseException:
            process.end()
            raise
        self._running = process
        if isinstance(result, ExecutorError):
            raise result
        return result

    def close(self) -> None:
        """End the process. The next call starts another."""
        if self._running is not None:
            self._running.end()
        self._running = None

    def _result(
        self, process: _Process, job: Job, answer: dict[str, Any], descriptor: int | None
    ) -> tuple[Codes, Done] | ExecutorError:
        """What the process says, as what it means: a picture, or a fault of LibRaw's that it lives on after."""
        if descriptor is not None:
            process.share(descriptor, self._limits.output)
        if "fault" in answer:
            return ExecutorError(
                Fault(answer["fault"]), str(answer["message"]), answer["hint"], command=process.command
            )
        rows, columns, planes = (int(side) for side in answer["shape"])
        depth: np.dtype[Any] = np.dtype(np.uint8 if job.bits == 8 else np.uint16)
        size = rows * columns * planes * depth.itemsize
        if not 0 < size <= len(process.memory):
            raise _garbage(process, "of another size than it says")
        high, wide = answer["stretch"]
        codes = np.frombuffer(process.memory, depth, rows * columns * planes).reshape(rows, columns, planes)
        return codes, Done(float(answer["seconds"]), (float(high), float(wide)))


class _Process:
    """One process: its socket, and a file that collects what it writes to stderr."""

    def __init__(self, memory: int) -> None:
        self.memory: mmap.mmap | bytes = b""
        self._channel, theirs = socket.socketpair()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self.command = (sys.executable, "-m", MODULE, str(theirs.fileno()), str(memory))
        with theirs:
            self._process = subprocess.Popen(
                self.command,
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=self._errors,
                stderr=self._errors,
                start_new_session=True,
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
                },
            )

    def share(self, descriptor: int, largest: int) -> None:
        """Look from now on for pictures in the memory of a descriptor, which is used up.

        Raises:
            ExecutorError: it is larger than allowed, or empty.
        """
        with os.fdopen(descriptor, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > largest:
                message = f"LibRaw's picture takes {size} bytes, {largest} are allowed"
                raise ExecutorError(Fault.FLOOD, message, "allow it more", command=self.command)
            if size == 0:
                raise _garbage(self, "without a picture")
            self.memory = mmap.mmap(file.fileno(), size, prot=mmap.PROT_READ)

    def ask(self, job: Job, seconds: float) -> tuple[dict[str, Any], int | None]:
        """Send a job and wait for its answer.

        Raises:
            ExecutorError: it does not come.
        """
        self._channel.settimeout(seconds)
        try:
            send(self._channel, asdict(job))
            return receive(self._channel)
        except TimeoutError as error:
            message = f"LibRaw was not done with {job.path} within {seconds:g} s"
            hint = written(job.told) + "; allow it more time, or another setting"
            raise ExecutorError(Fault.HANG, message, hint, command=self.command, tail=self._tail()) from error
        except (EOFError, ConnectionError) as error:
            raise self._ended(job) from error
        except ValueError as error:
            raise _garbage(self, "that cannot be read") from error

    def _ended(self, job: Job) -> ExecutorError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5.0)
        status = self._process.poll()
        how = f"by {signal_name(status)}" if status is not None and status < 0 else f"with status {status}"
        tail = self._tail()
        fault = Fault.MEMORY if "MemoryError" in tail or "Cannot allocate memory" in tail else Fault.CRASH
        message = f"LibRaw's process ended {how} on {job.path}"
        return ExecutorError(fault, message, written(job.told), command=self.command, status=status, tail=tail)

    def _tail(self) -> str:
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(self._errors.tell() - TAIL, 0))
        return self._errors.read().decode(errors="replace")

    def stop(self) -> None:
        """Kill the process, whatever it is doing, and everything that belongs to it."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def end(self) -> None:
        """Kill it, and let go of all that was kept for it."""
        self.stop()
        self._process.wait()
        self._channel.close()
        self._errors.close()


def _garbage(process: _Process, what: str) -> ExecutorError:
    return ExecutorError(Fault.GARBAGE, f"LibRaw's process gave an answer {what}", command=process.command)
