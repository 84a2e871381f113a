"""A small process that stands between ispdsl and the programs that it starts: `python keeper.py`, told over its stdin.

Linux reparents whatever a program leaves behind, however it detached itself, to the nearest *subreaper* above it
(prctl(2)). The keeper is one, and has no children but those: what it finds below itself is the program's, nobody
else's, and when waitpid(2) knows no child any more, nothing is left. It watches time, memory and bytes, and when its
socket closes, for whatever reason, everything below it dies and it ends.

It imports nothing of ispdsl, starts in about 10 ms, and runs one program after the other: a line of JSON is a job, the
answer is one too. `sandbox` is the other side.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import resource
import select
import signal
import stat
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TICK = 0.025
"""Seconds between two looks at what runs."""

KEPT = 256 * 1024
"""Bytes at the end of stdout and of stderr that are kept."""

MOST_PROCESSES = 512
MOST_FILES = 100_000
"""A program that has more at once than these is stopped: RLIMIT_NPROC counts those of the whole user."""

PATIENCE = 5.0
"""Seconds to wait for the death of what was killed; the kernel may hold one in a system call."""

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
LIBC = ctypes.CDLL(None)

PRIVATE = ("home", "tmp")
"""Folders of the program in the keeper's own; they are empty when it starts."""


@dataclass
class Stream:
    """The end of what a program says, and how many bytes it said.

    We hold the pipe's other end open as well: what ends a program is its death, and being woken by the end of each of
    its streams before would only take the processor from it.
    """

    ends: tuple[int, int]
    tail: bytearray = field(default_factory=bytearray)
    total: int = 0

    def read(self) -> bool:
        """Take what has come; False where that is nothing."""
        try:
            data = os.read(self.ends[0], 65536)
        except BlockingIOError:
            return False
        self.total += len(data)
        self.tail += data
        del self.tail[:-KEPT]
        return bool(data)

    def drain(self) -> str:
        """Take what is left and close; everything that could still write is dead."""
        while self.read():
            pass
        for end in self.ends:
            os.close(end)
        return self.tail.decode("utf-8", "replace")


def pipe() -> Stream:
    """A stream with nothing in it."""
    ends = os.pipe()
    os.set_blocking(ends[0], False)
    return Stream(ends)


def control(option: int, value: int) -> bool:
    """prctl(2); False where the system has none."""
    try:
        return LIBC.prctl(option, value, 0, 0, 0) == 0
    except AttributeError:
        return False


def _read(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, 65536)
    finally:
        os.close(descriptor)


def children(pid: int) -> list[int]:
    """The children of a process, those of all its threads."""
    found: list[int] = []
    try:
        with os.scandir(f"/proc/{pid}/task") as threads:
            for thread in threads:
                found += map(int, _read(f"{thread.path}/children").split())
    except (OSError, ValueError):
        pass  # it has just ended
    return found


def below(pid: int) -> list[int]:
    """Everything that descends from a process."""
    found = children(pid)
    for child in found:
        found += children(child)
    return found


def resident(pids: list[int]) -> int:
    """Bytes of memory that processes hold together; what they share counts for each."""
    total = 0
    for pid in pids:
        try:
            total += int(_read(f"/proc/{pid}/statm").split()[1])
        except (OSError, ValueError, IndexError):
            continue
    return total * resource.getpagesize()


def written(folders: list[str]) -> tuple[int, int]:
    """Bytes and number of the files below some folders; links are not followed."""
    total = count = 0
    waiting = list(folders)
    while waiting and count <= MOST_FILES:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    count += 1
                    found = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(found.st_mode):
                        waiting.append(entry.path)
                    elif stat.S_ISREG(found.st_mode):
                        total += max(found.st_size, found.st_blocks * 512)
        except OSError:
            continue  # it has just gone, or nobody may read it
    return total, count


def clear(folder: Path, but: tuple[str, ...] = ()) -> None:
    """Remove everything in a folder, also what a program has locked. Links are removed, not followed.

    Folders named in `but` are emptied and stay.
    """
    try:
        found = list(folder.iterdir())
    except OSError:
        return
    for path in found:
        with suppress(OSError):
            if path.is_symlink() or not path.is_dir():
                path.unlink()
                continue
            path.chmod(stat.S_IRWXU)
            clear(path)
            if path.name not in but:
                path.rmdir()


def furnish(folder: Path) -> None:
    """Make a program's private folders."""
    for name in PRIVATE:
        (folder / name).mkdir(mode=stat.S_IRWXU, exist_ok=True)


def start(job: dict[str, Any]) -> tuple[int, tuple[Stream, Stream, Stream]]:
    """Start the program of a job: its process, its stdout and stderr, and what kept it from starting.

    The last one is empty where the program runs, else an error number and a step.
    """
    streams = (pipe(), pipe(), pipe())
    pid = os.fork()
    if pid == 0:
        output, errors, failure = (stream.ends[1] for stream in streams)
        _become(job, output, errors, failure)
    return pid, streams


def _become(job: dict[str, Any], output: int, errors: int, failure: int) -> None:
    """In the child: set everything up and become the program; never returns."""
    step = "start"
    try:
        os.setsid()
        control(PR_SET_PDEATHSIG, signal.SIGKILL)
        step = "open what it reads and writes"
        source = os.open(job["stdin"], os.O_RDONLY)
        if job["stdout"]:
            output = os.open(job["stdout"], os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        for number, descriptor in enumerate((source, output, errors)):
            os.dup2(descriptor, number)
        step = "enter its folder"
        os.chdir(job["folder"])
        for name in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM):
            signal.signal(name, signal.SIG_DFL)
        step = "limit"
        _limit(resource.RLIMIT_CORE, 0)
        _limit(resource.RLIMIT_CPU, int(job["seconds"] * (os.cpu_count() or 1)) + 2)
        _limit(resource.RLIMIT_FSIZE, job["output"])
        _limit(resource.RLIMIT_AS, job["memory"])
        step = "run"
        os.execve(job["program"], job["command"], job["environment"])
    except BaseException as error:
        os.write(failure, f"{getattr(error, 'errno', None) or errno.EINVAL} {step}".encode())
    finally:
        os._exit(127)


def _limit(what: int, value: int) -> None:
    hard = resource.getrlimit(what)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(what, (value, value))


class LeftError(Exception):
    """The other side has gone."""


@dataclass
class Watch:
    """One program from its start to its end."""

    job: dict[str, Any]
    pid: int
    streams: tuple[Stream, Stream, Stream]
    before: tuple[int, int]
    begun: float
    status: int | None = None
    peak: int = 0
    """Most bytes of memory seen, and in the program's own words by getrusage(2)."""

    def until_it_ends(self, channel: int, woken: int) -> str | None:
        """Wait for the program; why it has to be stopped, or None when it has ended by itself."""
        poll = select.poll()
        readers = {stream.ends[0]: stream for stream in self.streams[:2]}
        for descriptor in (channel, woken, *readers):
            poll.register(descriptor, select.POLLIN)
        deadline = self.begun + self.job["seconds"]
        look = self.begun + TICK
        while True:
            now = time.monotonic()
            for descriptor, _ in poll.poll(max(0.0, min(look, deadline) - now) * 1000):
                if descriptor == channel:
                    raise LeftError
                if descriptor == woken:
                    os.read(woken, 4096)
                else:
                    readers[descriptor].read()
            if self.reap() or self.status is not None:
                return None
            now = time.monotonic()
            if now >= deadline:
                return "hang"
            if sum(stream.total for stream in self.streams) > self.job["output"]:
                return "flood"
            if now >= look:
                if cause := self.look():
                    return cause
                # looking at very much takes its time, but never more than a twentieth of it
                look = time.monotonic() + max(TICK, 20 * (time.monotonic() - now))

    def look(self) -> str | None:
        """Whether what runs takes more than it may."""
        pids = below(os.getpid())
        self.peak = max(self.peak, resident(pids))
        if self.peak > self.job["memory"]:
            return "memory"
        if len(pids) > MOST_PROCESSES:
            return "processes"
        return self.wrote_too_much()

    def wrote_too_much(self) -> str | None:
        """Whether there is more in its folders than it may write. A file that meets its limit stops at it exactly."""
        total, count = written(self.job["watched"])
        if total - self.before[0] >= self.job["output"]:
            return "flood"
        return "files" if count - self.before[1] > MOST_FILES else None

    def reap(self) -> bool:
        """Take leave of what has ended; whether no child is left."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return True
            if pid == 0:
                return False
            if pid == self.pid:
                self.status = os.waitstatus_to_exitcode(status)
                self.peak = max(self.peak, usage.ru_maxrss * 1024)

    def kill(self) -> bool:
        """Kill the program and all that it started, until nothing is left; False where something will not die."""
        patience = time.monotonic() + PATIENCE
        if self.status is None:
            _kill(os.killpg, self.pid)  # at one stroke, before any of them can fork
        while not self.reap():
            if time.monotonic() > patience:
                return False
            for pid in below(os.getpid()):
                _kill(os.kill, pid)
            time.sleep(0.0005)
        return True


def _kill(how: Any, pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        how(pid, signal.SIGKILL)


def keep(job: dict[str, Any], channel: int, woken: int) -> dict[str, Any]:
    """Run a job to its end; afterwards nothing of it lives.

    Raises:
        LeftError: the other side has gone; nothing of it lives either.
    """
    before = written(job["watched"])
    begun = time.monotonic()
    pid, streams = start(job)
    watch = Watch(job, pid, streams, before, begun)
    clean = False
    try:
        cause = watch.until_it_ends(channel, woken)
        seconds = time.monotonic() - begun
    finally:
        clean = watch.kill()
        output, errors, failure = (stream.drain() for stream in streams)
    number, _, step = failure.partition(" ")
    return {
        "cause": cause or watch.wrote_too_much(),
        "status": watch.status,
        "seconds": seconds,
        "peak": watch.peak,
        "failed": (int(number), step) if failure else None,
        "clean": clean,
        "output": output,
        "errors": errors,
    }


def main() -> None:
    """Keep until the socket closes; argument: the folder of one's own, removed at the end."""
    folder = Path(sys.argv[1])
    channel = os.dup(0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.closerange(channel + 2, 65536)
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control(PR_SET_CHILD_SUBREAPER, 1)
    furnish(folder)  # and no more: something for the first program may lie there already
    try:
        serve(folder, channel, woken)
    finally:
        clear(folder)
        folder.rmdir()


def serve(folder: Path, channel: int, woken: int) -> None:
    """Run the jobs that come in, until no more can."""
    waiting = b""
    while True:
        while b"\n" not in waiting:
            data = os.read(channel, 2**20)
            if not data:
                return
            waiting += data
        line, _, waiting = waiting.partition(b"\n")
        try:
            answer = keep(json.loads(line), channel, woken)
            clear(folder, PRIVATE)
            furnish(folder)
            _send(channel, json.dumps(answer).encode() + b"\n")
        except (LeftError, OSError):
            return
        if not answer["clean"]:
            return


def _send(channel: int, data: bytes) -> None:
    while data:
        data = data[os.write(channel, data) :]


if __name__ == "__main__":
    main()
