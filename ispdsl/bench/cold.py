"""A contender in a process of its own: how long from nothing to the first picture, and how much memory it takes.

`python -m ispdsl.bench.cold` reads a `Request` as JSON from stdin, develops once and writes an `Answer` to stdout.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from ispdsl.bench.contender import ContenderError
from ispdsl.bench.job import Job
from ispdsl.errors import UserError

LONGEST = 900.0
"""Seconds that a process may take."""

KIB = 1 if sys.platform == "darwin" else 1024
"""Bytes in a unit of the memory that the system reports."""


class Request(BaseModel):
    """Who is to develop, and what."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    contender: str
    job: Job


class Answer(BaseModel):
    """What the process says of itself."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    prepare: float
    """Seconds to load libraries, read the raw and prepare."""
    first: float
    """Seconds of the first picture."""
    before: int
    """Bytes of memory in use before it, at most."""
    peak: int
    """Bytes of memory in use, at most."""


class Cold(BaseModel):
    """What a cold start costs."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    seconds: float
    """From the start of the process to its end."""
    answer: Answer


def start(request: Request, environment: dict[str, str] | None = None) -> Cold:
    """Develop in a new process.

    Args:
        request: who and what.
        environment: variables besides those of this process.

    Raises:
        ContenderError: it failed, or took too long.
    """
    begun = time.perf_counter()
    try:
        ended = subprocess.run(
            [sys.executable, "-m", __name__],
            input=request.model_dump_json(),
            capture_output=True,
            text=True,
            timeout=LONGEST,
            env={**os.environ, **(environment or {}), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ContenderError(f"{request.contender} took more than {LONGEST:g} s from a cold start") from error
    seconds = time.perf_counter() - begun
    try:
        return Cold(seconds=seconds, answer=Answer.model_validate_json(ended.stdout.rpartition("\n")[2]))
    except ValidationError as error:
        last = (ended.stderr.strip() or f"exit status {ended.returncode}").splitlines()[-1]
        raise ContenderError(f"{request.contender} failed from a cold start: {last}") from error


def develop(request: Request) -> Answer:
    """Develop once in this process.

    Raises:
        UserError: the contender cannot.
    """
    from ispdsl.bench.registry import CONTENDERS

    begun = time.perf_counter()
    contender = next((each for each in CONTENDERS if each.name == request.contender), None)
    if contender is None:
        raise ContenderError(f"there is no contender {request.contender}")
    call = contender.prepare(request.job)
    prepared, before = time.perf_counter(), _peak()
    call()
    return Answer(prepare=prepared - begun, first=time.perf_counter() - prepared, before=before, peak=_peak())


def _peak() -> int:
    """Bytes in use at most; of this program alone where the system tells it apart from the one that began it."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return KIB * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    """Answer the request on stdin."""
    try:
        answer = develop(Request.model_validate_json(sys.stdin.read()))
    except UserError as error:
        sys.exit(error.message)
    sys.stdout.write(f"\n{answer.model_dump_json()}")


if __name__ == "__main__":
    main()
