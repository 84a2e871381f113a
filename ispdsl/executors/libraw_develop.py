"""One call of LibRaw: a file, what it is told, and the codes of its picture."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import time
from collections.abc import Generator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.executors.libraw_keywords import Told, parameters, written

Codes = NDArray[np.uint8] | NDArray[np.uint16]
"""LibRaw's picture, `(H, W, 3)`."""


@dataclass(frozen=True)
class Job:
    """One call.

    Attributes:
        path: the raw file.
        sha256: hash that its bytes must have.
        told: what LibRaw is told, by keyword.
        bits: 8 or 16 of its picture.
        seconds: that it may take where the usual limit would be too long to wait.
    """

    path: str
    sha256: str
    told: Told
    bits: int
    seconds: float | None = None


@dataclass(frozen=True)
class Done:
    """What came of it besides the picture: seconds inside LibRaw, and by how much it stretched rows and columns."""

    seconds: float
    stretch: tuple[float, float]


Identity = tuple[int, int, int, int]
"""Device, inode, size and time of change of a file."""


@dataclass
class _Open:
    """The file that is open in LibRaw, and which keywords its last call was told."""

    raw: Any
    path: str
    sha256: str
    identity: Identity
    told: frozenset[str]


class Developer:
    """LibRaw with the file of the last call open, so that settings can be tried without reading it again."""

    def __init__(self) -> None:
        self._open: _Open | None = None

    def develop(self, job: Job) -> tuple[Codes, Done]:
        """The picture.

        Raises:
            ExecutorError: the file is another than the frame was read from, or LibRaw fails.
        """
        begin = time.perf_counter()
        with faults(job):
            raw = self._file(job)
            picture = raw.postprocess(parameters(job.told, output_bps=job.bits, user_flip=0))
            spent = time.perf_counter() - begin
            if picture.ndim != 3 or picture.shape[2] != 3:
                raise ExecutorError(
                    Fault.SHAPE, f"LibRaw gave {picture.shape} for {job.path}, which is no colour picture"
                )
            return picture, Done(spent, _stretch(float(raw.sizes.pixel_aspect)))

    def close(self) -> None:
        """Let go of the file."""
        if self._open is not None:
            self._open.raw.close()
        self._open = None

    def _file(self, job: Job) -> Any:
        """The file in LibRaw: as it is open, or anew where another is asked for.

        rawpy leaves some of what LibRaw was told in place when the next call does not speak of it, so a file that was
        told more than this call says is opened anew.
        """
        identity = _identity(job.path)
        said, known = frozenset(job.told), self._open
        if (
            known
            and (known.path, known.sha256, known.identity) == (job.path, job.sha256, identity)
            and known.told <= said
        ):
            known.told = said
            return known.raw
        self.close()
        self._open = _Open(_opened(job), job.path, job.sha256, identity, said)
        return self._open.raw


def _identity(path: str) -> Identity:
    found = Path(path).stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _opened(job: Job) -> Any:
    """The file, read once: what is hashed is what LibRaw gets."""
    import rawpy

    data = Path(job.path).read_bytes()
    if hashlib.sha256(data).hexdigest() != job.sha256:
        hint = "read the frame again"
        raise ExecutorError(Fault.STALE, f"{job.path} has changed since the frame was read from it", hint)
    raw = rawpy.RawPy()
    raw.open_buffer(io.BytesIO(data))
    raw.unpack()
    return raw


def _stretch(aspect: float) -> tuple[float, float]:
    """By how much LibRaw stretches rows and columns of pixels that are not square."""
    if abs(aspect - 1.0) < 0.005:
        return 1.0, 1.0
    return (1.0 / aspect, 1.0) if aspect < 1.0 else (1.0, aspect)


@contextlib.contextmanager
def faults(job: Job) -> Generator[None]:
    """Whatever rawpy raises as the fault that it is."""
    import rawpy

    try:
        yield
    except (MemoryError, rawpy.LibRawUnsufficientMemoryError) as error:
        raise _memory(job) from error
    except OSError as error:
        if error.errno == errno.ENOMEM:
            raise _memory(job) from error
        raise ExecutorError(Fault.MISSING, f"{job.path} cannot be read: {error.strerror or error}") from error
    except (rawpy.LibRawError, rawpy.NotSupportedError, AssertionError, TypeError, ValueError) as error:
        text = error.args[0] if error.args else error
        text = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
        raise ExecutorError(Fault.CRASH, f"LibRaw failed on {job.path}: {text}", written(job.told)) from error


def _memory(job: Job) -> ExecutorError:
    return ExecutorError(Fault.MEMORY, f"LibRaw had not enough memory for {job.path}", "allow it more")


def version() -> str:
    """``LibRaw 0.22.2 (rawpy 0.28.0)``."""
    import rawpy

    return f"LibRaw {'.'.join(map(str, rawpy.libraw_version))} (rawpy {metadata.version('rawpy')})"
