"""Register devices in memory: a file that is mapped (a driver's, or a simulated device's), with a bell for frames."""

from __future__ import annotations

import mmap
import secrets
import struct
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.executors.frames import (
    BUFFER,
    CHECK,
    DONE,
    DOORBELL,
    FRAME_AT,
    FRAME_SIZE,
    HEADER_SIZE,
    MAILBOX,
    RESULT_AT,
    RESULT_SIZE,
    Kind,
    Status,
    message,
)
from ispdsl.executors.transport import body, broken, header, left, refused

LOOK = 0.0002
"""Seconds between two looks at whether a frame is done."""


class MappedFile:
    """Words and frames through a mapped file."""

    def __init__(self, where: str, memory: mmap.mmap, base: int) -> None:
        self.where = where
        self._memory = memory
        self._base = base
        self._bell = secrets.randbits(31) + 1
        self._stopped = False

    def _word(self, address: int) -> int:
        return struct.unpack_from("<I", self._memory, self._base + address)[0]

    def _set(self, address: int, word: int) -> None:
        struct.pack_into("<I", self._memory, self._base + address, word)

    def read(self, addresses: Sequence[int], until: float) -> tuple[int, ...]:
        """See `Words`."""
        return tuple(self._word(self._register(address)) for address in addresses)

    def write(self, pairs: Iterable[tuple[int, int]], until: float) -> None:
        """See `Words`."""
        for address, word in pairs:
            self._set(self._register(address), word)

    def _register(self, address: int) -> int:
        if address % 4 or not 0 <= address < MAILBOX:
            raise refused(self.where, Status.BAD_ADDRESS)
        return address

    def inject(self, frame: bytes, until: float) -> None:
        """See `Frames`."""
        self._bell = self._bell % (2**32 - 1) + 1
        whole = message(Kind.INJECT, self._bell, frame)
        if len(whole) > self._word(BUFFER):
            raise refused(self.where, Status.TOO_LARGE)
        start = self._buffer(FRAME_AT, len(whole))
        self._memory[start : start + len(whole)] = whole
        self._set(FRAME_SIZE, len(whole))
        self._set(DOORBELL, self._bell)

    def _buffer(self, place: int, size: int) -> int:
        start = self._base + self._word(place)
        if start + size > len(self._memory):
            hint = "see whether a device serves this file, and base"
            said = f"{self.where}: a buffer lies beyond the file's end"
            raise ExecutorError(Fault.GARBAGE, said, hint, command=(self.where,))
        return start

    def fetch(self, token: int, largest: int, until: float) -> memoryview:
        """See `Frames`."""
        while self._word(DONE) != self._bell:
            if self._word(DOORBELL) != self._bell:
                raise broken(self.where, "the device has started anew in mid-frame")
            if self._stopped:
                raise broken(self.where, "stopped")
            left(until, self.where)
            time.sleep(LOOK)
        size, most = self._word(RESULT_SIZE), largest + HEADER_SIZE + CHECK.size
        if size > most:
            said = f"{self.where}: it announces {size} bytes where at most {most} are expected"
            raise ExecutorError(Fault.FLOOD, said, "see what serves this file", command=(self.where,))
        if size < HEADER_SIZE + CHECK.size:
            raise broken(self.where, f"the result ends after {size} bytes")
        start = self._buffer(RESULT_AT, size)
        data = memoryview(self._memory[start : start + size])
        head = header(bytes(data[:HEADER_SIZE]), self.where, Kind.FETCH, self._bell, largest)
        if head.length != size - HEADER_SIZE - CHECK.size:
            raise broken(self.where, f"the result ends after {size} bytes")
        content = body(data[HEADER_SIZE:], self.where)
        if head.status != Status.DONE:
            raise refused(self.where, head.status)
        return content

    def stop(self) -> None:
        """See `Words`."""
        self._stopped = True

    def close(self) -> None:
        """See `Words`."""
        self._memory.close()


def open_mapped(path: Path, base: int) -> MappedFile:
    """Map a device's file.

    Raises:
        ExecutorError: ABSENT, there is none, or it is too short to be one.
    """
    where = f"mmio {path}" + (f" at {base:#x}" if base else "")
    hint = "name the file that the device serves; `ispdsl-device --mmio FILE` makes one"
    try:
        with path.open("r+b") as file:
            memory = mmap.mmap(file.fileno(), 0)
    except (OSError, ValueError) as error:
        raise ExecutorError(Fault.ABSENT, f"{where}: {error}", hint, command=(where,)) from error
    if len(memory) < base + 2 * MAILBOX:
        memory.close()
        raise ExecutorError(Fault.ABSENT, f"{where}: the file is too short for a device", hint, command=(where,))
    return MappedFile(where, memory, base)
