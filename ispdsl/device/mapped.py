"""The device behind a file that others map into their memory: registers, a mailbox, and a buffer each way."""

from __future__ import annotations

import mmap
import random
import struct
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from ispdsl.device.board import Board, PowerLostError
from ispdsl.device.link import announcing, flipped
from ispdsl.device.misdeeds import Misdeed
from ispdsl.device.registers import ARM, CONFIGURATION, END
from ispdsl.executors.frames import (
    ANSWER,
    CHECK,
    DONE,
    DOORBELL,
    FRAME_SIZE,
    HEADER_SIZE,
    IDENT,
    MAILBOX,
    RESULT_SIZE,
    RESULT_STATUS,
    Kind,
    MalformedError,
    Status,
    header_of,
    message,
    pack_result,
    payload_of,
    unpack_frame,
)

FIRST_BUFFER = 0x2000
BUSY, IDLE = 0.0002, 0.002
"""Seconds between two looks at the bell: within a second of the last ring, and later."""


class OccupiedError(Exception):
    """The file holds something that is no device."""


@dataclass(frozen=True)
class Mapped:
    """A device in a file."""

    board: Board
    memory: mmap.mmap
    base: int
    buffer: int

    @staticmethod
    def at(path: Path, base: int, buffer: int, board: Board) -> Mapped:
        """Make the file, or take over that of an earlier device.

        Raises:
            OccupiedError: the file holds something else.
            OSError: it cannot be made.
        """
        size = base + FIRST_BUFFER + 2 * buffer
        if path.exists() and path.stat().st_size:
            with path.open("rb") as file:
                file.seek(base)
                if file.read(4) != struct.pack("<I", IDENT):
                    raise OccupiedError(path)
        with path.open("ab") as file:
            file.truncate(size)
        with path.open("r+b") as file:
            memory = mmap.mmap(file.fileno(), size)
        found = Mapped(board, memory, base, buffer)
        found._show_all()
        return found

    def start(self) -> None:
        """Watch the bell."""
        threading.Thread(target=self._watch, daemon=True).start()

    def _word(self, address: int) -> int:
        return struct.unpack_from("<I", self.memory, self.base + address)[0]

    def _set(self, address: int, word: int) -> None:
        struct.pack_into("<I", self.memory, self.base + address, word)

    def _show_all(self) -> None:
        """Registers and an empty mailbox, as after a reset; what the device is, last."""
        self.memory[self.base : self.base + END] = bytes(END)
        for index, word in enumerate((0, 0, 0, 0, 0, self.buffer, FIRST_BUFFER, FIRST_BUFFER + self.buffer)):
            self._set(MAILBOX + 4 * index, word)
        self._show()

    def _show(self) -> None:
        for address, word in reversed(tuple({**self.board.own(), **self.board.words}.items())):
            self._set(address, word)

    def _taken(self) -> None:
        """What others wrote since the last look."""
        area = self.memory[self.base + CONFIGURATION : self.base + END]
        words = struct.unpack(f"<{len(area) // 4}I", area)
        there = {CONFIGURATION + 4 * index: word for index, word in enumerate(words)}
        changed = {address: word for address, word in there.items() if self.board.words.get(address, 0) != word}
        if changed:
            self.board.write(changed.items())
            self._show()

    def _watch(self) -> None:
        seen, rung = self._word(DOORBELL), 0.0
        while True:
            armed = self._word(ARM)
            if armed:
                self.board.write([(ARM, armed)])
                self._set(ARM, 0)
            bell = self._word(DOORBELL)
            if bell == seen:
                time.sleep(BUSY if time.monotonic() < rung + 1 else IDLE)
                continue
            seen, rung = bell, time.monotonic()
            self._ring(bell)

    def _ring(self, bell: int) -> None:
        self._taken()
        try:
            status, content, misdeed = self._developed()
        except PowerLostError:
            self._show_all()
            return
        self._show()
        if misdeed in (Misdeed.HANG, Misdeed.SLOW):
            return
        whole = _spoilt(message(Kind.FETCH | ANSWER, bell, content, status), misdeed)
        start = self.base + FIRST_BUFFER + self.buffer
        self.memory[start : start + len(whole)] = whole
        self._set(RESULT_SIZE, 2**31 if misdeed is Misdeed.FLOOD else len(whole))
        self._set(RESULT_STATUS, status)
        self._set(DONE, bell)

    def _developed(self) -> tuple[Status, bytes, Misdeed]:
        size = self._word(FRAME_SIZE)
        if not HEADER_SIZE + CHECK.size <= size <= self.buffer:
            return Status.BAD_FRAME, b"", Misdeed.NONE
        start = self.base + FIRST_BUFFER
        data = self.memory[start : start + size]
        try:
            header = header_of(data[:HEADER_SIZE])
            if header.length != size - HEADER_SIZE - CHECK.size:
                return Status.BAD_FRAME, b"", Misdeed.NONE
            frame = unpack_frame(payload_of(data[HEADER_SIZE:]))
        except MalformedError:
            return Status.BAD_CHECK, b"", Misdeed.NONE
        status = self.board.inject(frame)
        result, misdeed = self.board.fetch(frame.token)
        if status is not Status.DONE:
            return status, b"", misdeed
        if result is None:
            return Status.NO_RESULT, b"", misdeed
        content = pack_result(result)
        fits = len(content) + HEADER_SIZE + CHECK.size <= self.buffer
        return (Status.DONE, content, misdeed) if fits else (Status.TOO_LARGE, b"", misdeed)


def _spoilt(whole: bytes, misdeed: Misdeed) -> bytes:
    match misdeed:
        case Misdeed.GARBAGE:
            return random.Random(len(whole)).randbytes(len(whole))
        case Misdeed.FLIP:
            return flipped(whole)
        case Misdeed.CUT:
            return whole[: len(whole) // 2]
        case Misdeed.FLOOD:
            return announcing(whole, 2**31)
        case _:
            return whole
