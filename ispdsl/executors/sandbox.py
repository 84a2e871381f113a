"""Running a program: an argument list, a folder and limits go in; what it said comes out, or an `ExecutorError`.

A program runs in a session of its own below a `keeper`, which sees all that it starts. When the call ends, in
whatever way, nothing of it lives. It sees nothing of the user's environment but PATH, and its home and its temporary
files lie in a private folder that is removed.
"""

from __future__ import annotations

import atexit
import errno
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.executors.model import MIB, Limits
from ispdsl.executors.stopping import interruptible

KEEPER = Path(__file__).with_name("keeper.py")

GRACE = 15.0
"""Seconds that a keeper may take beyond a program's time limit before it is given up itself."""

STOPPED = {
    "hang": Fault.HANG,
    "memory": Fault.MEMORY,
    "flood": Fault.FLOOD,
    "files": Fault.FLOOD,
    "processes": Fault.FLOOD,
}
"""What each of the keeper's reasons to stop a program is."""

OUT_OF_MEMORY = re.compile(
    r"MemoryError|bad_?alloc|cannot allocate memory|out of memory|memory exhausted|memory allocation", re.IGNORECASE
)
"""What programs say when they are refused memory."""


@dataclass(frozen=True)
class Finished:
    """A program that ended well: its arguments, its own seconds, and the ends of what it wrote to stdout and stderr."""

    command: tuple[str, ...]
    seconds: float
    output: str
    errors: str


@contextmanager
def empty_folder() -> Generator[Path]:
    """A fresh private folder, its path without links; removed afterwards, whatever is in it."""
    folder = Path(tempfile.mkdtemp(prefix="ispdsl-")).resolve()
    try:
        yield folder
    finally:
        _remove(folder)


def run_program(
    command: Sequence[str],
    folder: Path,
    limits: Limits,
    *,
    environment: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    stdout: Path | None = None,
) -> Finished:
    """Run a program to its end, without a shell.

    Args:
        command: the program, by name or by path, and its arguments.
        folder: where it runs; what it leaves there stays.
        limits: what it may take, with all that it starts.
        environment: what it sees besides PATH, LANG, HOME, TMPDIR and the XDG folders; these can be replaced too.
        stdin: what it reads; None for nothing.
        stdout: a new file for what it writes to stdout, for programs that write their result there.

    Raises:
        ExecutorError: ABSENT, HANG, CRASH, MEMORY or FLOOD; SETTINGS where the arguments cannot be passed.
        Stopped: another thread asked for it, see `stopping`.
    """
    words = tuple(command)
    with _keeper() as keeper:
        surroundings = {**_surroundings(keeper.folder), **(environment or {})}
        if any("\0" in word for word in (*words, *surroundings, *surroundings.values())):
            raise ExecutorError(Fault.SETTINGS, f"an argument of {_name(words)} has a NUL character", command=words)
        job = {
            "program": _find(words, folder, surroundings["PATH"]),
            "command": words,
            "folder": str(folder),
            "watched": [str(folder), str(keeper.folder)],
            "environment": surroundings,
            "stdin": _given(keeper.folder, stdin),
            "stdout": str(stdout) if stdout else None,
            "seconds": limits.seconds,
            "memory": limits.memory,
            "output": limits.output,
        }
        answer = keeper.ask(job, limits.seconds + GRACE)
        if answer is None:
            raise ExecutorError(Fault.CRASH, f"the process that watched {_name(words)} was killed", command=words)
    return _judged(words, limits, answer)


def signal_name(status: int) -> str:
    """The name of the signal that ended a program, from its negative status: ``SIGSEGV``."""
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"


# What the program sees


def _surroundings(private: Path) -> dict[str, str]:
    home, passing = private / "home", private / "tmp"
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "TMPDIR": str(passing),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_DATA_HOME": str(home / ".local/share"),
        "XDG_STATE_HOME": str(home / ".local/state"),
        "XDG_RUNTIME_DIR": str(passing),
    }


def _given(private: Path, stdin: bytes | None) -> str:
    if stdin is None:
        return os.devnull
    path = private / "stdin"
    path.write_bytes(stdin)
    return str(path)


def _find(command: tuple[str, ...], folder: Path, search: str) -> str:
    """The file of a program: looked for on PATH, or where the path leads from the folder in which it runs."""
    if not command or not command[0]:
        raise ExecutorError(Fault.ABSENT, "the command is empty: it names no program")
    name = command[0]
    if "/" not in name:
        found = shutil.which(name, path=search)
        if found:
            return str(Path(found).absolute())  # no link is resolved: some programs go by their name
        hint = "install it, or write the path of the program"
        raise ExecutorError(Fault.ABSENT, f"there is no program {name} on PATH", hint, command=command)
    path = folder / name
    if path.is_file() and os.access(path, os.X_OK):
        return str(path)
    why = "is not executable" if path.is_file() else "is no file" if path.exists() else "is not there"
    hint = f"make it executable: chmod +x {name}" if path.is_file() else "correct the path, or install the program"
    raise ExecutorError(Fault.ABSENT, f"the program {name} {why}", hint, command=command)


# What became of it


def _judged(command: tuple[str, ...], limits: Limits, answer: Mapping[str, Any]) -> Finished:
    output, errors, status = answer["output"], answer["errors"], answer["status"]
    if answer["failed"]:
        raise _not_started(command, *answer["failed"])
    fault = _fault(answer, limits)
    if fault is None:
        return Finished(command, answer["seconds"], output, errors)
    name, tail = _name(command), _tail(errors or output)
    if fault is Fault.HANG:
        message = f"{name} was not done after {limits.seconds:g} s, and was stopped"
        hint = "give it more time, or see why it waits"
    elif fault is Fault.MEMORY:
        message = f"{name} needed more memory than the {limits.memory // MIB} MiB that it may have"
        hint = "give it a smaller picture, or more memory"
    elif fault is Fault.FLOOD:
        message, hint = _flooded(name, limits, answer["cause"]), None
    elif status < 0:
        message = f"{name} was ended by {signal_name(status)}"
        hint = "the system may have been out of memory" if status == -signal.SIGKILL else None
    else:
        message, hint = f"{name} ended with status {status}", None
    if tail:
        message += "; it said:\n" + tail
    raise ExecutorError(fault, message, hint, command=command, status=status, tail=tail)


def _fault(answer: Mapping[str, Any], limits: Limits) -> Fault | None:
    status = answer["status"]
    if answer["cause"]:
        return STOPPED[answer["cause"]]
    if status == 0:
        return None
    if status == -signal.SIGXFSZ:
        return Fault.FLOOD
    if status == -signal.SIGXCPU:
        return Fault.HANG
    starved = answer["peak"] > 0.8 * limits.memory or OUT_OF_MEMORY.search(_tail(answer["errors"] or answer["output"]))
    return Fault.MEMORY if starved else Fault.CRASH


def _flooded(name: str, limits: Limits, cause: str | None) -> str:
    if cause == "processes":
        return f"{name} started too many processes, and was stopped"
    if cause == "files":
        return f"{name} wrote too many files, and was stopped"
    return f"{name} wrote more than the {limits.output / MIB:g} MiB that it may write"


def _not_started(command: tuple[str, ...], number: int, step: str) -> ExecutorError:
    name, why = _name(command), os.strerror(number)
    if number == errno.E2BIG:
        return ExecutorError(Fault.SETTINGS, f"the arguments of {name} are too long for the system", command=command)
    hints = {
        errno.ENOENT: "its interpreter or a library that loads it is missing",
        errno.ENOEXEC: "it is for another kind of machine, or a script without a first line such as #!/bin/sh",
    }
    hint = hints.get(number) if step == "run" else None
    return ExecutorError(Fault.ABSENT, f"{name} cannot {step}: {why}", hint, command=command)


def _name(command: tuple[str, ...]) -> str:
    return Path(command[0]).name if command else "the command"


def _tail(text: str, lines: int = 20, most: int = 2000) -> str:
    return "\n".join(text.rstrip().splitlines()[-lines:])[-most:]


# Keepers: started when first needed, then used again and again


class _Keeper:
    """The other side of a `keeper` process. `folder` is its own, and what a program has for home lies there."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ispdsl-")).resolve()
        self.usable, self.stopped = True, False
        self.socket, other = socket.socketpair()
        with other:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(KEEPER), str(self.folder)],
                stdin=other.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C at a terminal is ours, not its
            )

    def ask(self, job: Mapping[str, Any], patience: float) -> dict[str, Any] | None:
        """Run a job; None where the keeper has died."""
        until = time.monotonic() + patience
        answer = bytearray()
        self.usable = False
        try:
            self.socket.sendall(json.dumps(job).encode() + b"\n")
            while not answer.endswith(b"\n"):
                self.socket.settimeout(max(0.001, until - time.monotonic()))
                data = self.socket.recv(2**20)
                if not data:
                    return None
                answer += data
        except OSError:  # TimeoutError is one
            return None
        found = json.loads(answer)
        self.usable = found["clean"]
        return found

    def stop(self) -> None:
        """Let it kill what it keeps and end; it does so by itself from here on."""
        self.stopped = True
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """Stop it and see that it is gone."""
        self.stop()
        try:
            self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.returncode != 0:
            _kill_all_that_know(self.folder)
        self.socket.close()
        _remove(self.folder)  # it has done so itself, if it could


_idle: list[_Keeper] = []
_lock = threading.Lock()


@contextmanager
def _keeper() -> Generator[_Keeper]:
    """A keeper that is free, or a new one; whatever ends a job before it is done ends the keeper with it."""
    with _lock:
        keeper = _idle.pop() if _idle else None
    keeper = keeper or _Keeper()
    try:
        with interruptible(keeper.stop):
            yield keeper
    finally:
        if keeper.usable and not keeper.stopped:
            with _lock:
                _idle.append(keeper)
        else:
            keeper.end()


@atexit.register
def dismiss() -> None:
    """End the keepers that wait for work; the next call starts one again."""
    with _lock:
        gone = _idle.copy()
        _idle.clear()
    for keeper in gone:
        keeper.stop()
    for keeper in gone:
        keeper.end()


def _forget() -> None:
    """In a forked child: the keepers are the parent's."""
    global _lock
    _lock = threading.Lock()
    for keeper in _idle:
        keeper.socket.close()
        keeper.process.returncode = 0
    _idle.clear()


os.register_at_fork(after_in_child=_forget)


def _kill_all_that_know(folder: Path, patience: float = 5.0) -> None:
    """Kill whatever has a private folder in its environment, until nothing has: for a keeper that was killed itself."""
    mark = os.fsencode(folder)
    until = time.monotonic() + patience
    left = True
    while left and time.monotonic() < until:
        left = False
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if mark in (entry / "environ").read_bytes():
                    left = True
                    os.kill(int(entry.name), signal.SIGKILL)


def _remove(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError:
        for inner, _, _ in os.walk(folder):
            with suppress(OSError):
                Path(inner).chmod(stat.S_IRWXU)
        shutil.rmtree(folder, ignore_errors=True)
