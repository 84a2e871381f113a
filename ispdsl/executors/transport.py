"""What carries words and frames to a register device and back, and the one conversation over streams of bytes.

Every method has `until`, the moment of `time.monotonic` by which it is done or fails. What goes wrong is always an
`ExecutorError`; after one nobody knows what is still on its way, so the transport is closed and opened anew.
"""

from __future__ import annotations

import secrets
import struct
import time
from collections.abc import Iterable, Sequence
from typing import Protocol

from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.executors.frames import (
    ANSWER,
    CHECK,
    HEADER_SIZE,
    Header,
    Kind,
    MalformedError,
    OtherProtocolError,
    Status,
    header_of,
    message,
    pack_words,
    payload_of,
    unpack_words,
)


class Words(Protocol):
    """A way to registers."""

    @property
    def where(self) -> str:
        """Of what kind and where, for messages."""
        ...

    def read(self, addresses: Sequence[int], until: float) -> tuple[int, ...]:
        """The words at these addresses."""
        ...

    def write(self, pairs: Iterable[tuple[int, int]], until: float) -> None:
        """Write words: addresses and what goes there."""
        ...

    def stop(self) -> None:
        """End what another thread waits for here: it fails soon with LINK. Nothing works afterwards but `close`."""
        ...

    def close(self) -> None:
        """Let go of it. Closing twice is no error."""
        ...


class Frames(Protocol):
    """A way for frames in and results out."""

    def inject(self, frame: bytes, until: float) -> None:
        """Hand over a packed frame; the device works on it."""
        ...

    def fetch(self, token: int, largest: int, until: float) -> memoryview:
        """The packed result, of at most so many bytes."""
        ...

    def stop(self) -> None:
        """End what another thread waits for here: it fails soon with LINK. Nothing works afterwards but `close`."""
        ...

    def close(self) -> None:
        """Let go of it. Closing twice is no error."""
        ...


class Bytes(Protocol):
    """A stream of bytes both ways, under a `Conversation`."""

    @property
    def where(self) -> str:
        """Of what kind and where, for messages."""
        ...

    def send(self, data: bytes, until: float) -> None:
        """Send everything."""
        ...

    def receive(self, count: int, until: float) -> bytearray:
        """Exactly so many bytes."""
        ...

    def stop(self) -> None:
        """End what another thread waits for here: it fails soon with LINK. Nothing works afterwards but `close`."""
        ...

    def close(self) -> None:
        """Let go of it. Closing twice is no error."""
        ...


def left(until: float, where: str) -> float:
    """Seconds that are left.

    Raises:
        ExecutorError: HANG, none are.
    """
    seconds = until - time.monotonic()
    if seconds <= 0:
        raise hung(where)
    return seconds


def hung(where: str) -> ExecutorError:
    """The device was not done in time."""
    hint = "see whether it runs; give it longer by timeout = SECONDS in the executor line"
    return ExecutorError(Fault.HANG, f"{where}: no answer within the time limit", hint, command=(where,))


def broken(where: str, why: object) -> ExecutorError:
    """The connection broke or was refused."""
    hint = "see whether the device runs and is connected; `ispdsl-device` starts a simulated one"
    return ExecutorError(Fault.LINK, f"{where}: {why}", hint, command=(where,))


_REFUSALS: dict[int, tuple[Fault, str, str]] = {
    Status.BAD_CHECK: (Fault.GARBAGE, "it received bytes that are no message", "the line is noisy: try again"),
    Status.BAD_KIND: (Fault.VERSION, "it does not know this message", "device and ispdsl speak different protocols"),
    Status.BAD_ADDRESS: (Fault.SETTINGS, "it has no such register", "compare the register addresses with its manual"),
    Status.BAD_FRAME: (Fault.SHAPE, "it takes no frame of this size or CFA", "crop the frame, or use another device"),
    Status.NO_RESULT: (Fault.MISSING, "it has no result for this frame", "it dropped the frame: try again"),
    Status.TOO_LARGE: (Fault.SHAPE, "its buffer is too small for the result", "give the device larger buffers"),
}


def refused(where: str, status: int) -> ExecutorError:
    """The device answered that it will not or cannot."""
    unknown = Fault.GARBAGE, f"it answers with status {status}", "no such status is known"
    fault, said, hint = _REFUSALS.get(status, unknown)
    return ExecutorError(fault, f"{where}: {said}", hint, command=(where,), status=status)


def header(data: bytes | bytearray, where: str, kind: int, sequence: int, largest: int) -> Header:
    """The header of the answer to one message.

    Raises:
        ExecutorError: GARBAGE, VERSION, STALE where it answers another message, FLOOD where too much is announced.
    """
    try:
        found = header_of(data)
    except OtherProtocolError as error:
        hint = "device and ispdsl have to speak the same"
        raise ExecutorError(Fault.VERSION, f"{where}: {error}", hint, command=(where,)) from error
    except MalformedError as error:
        raise _garbled(where, error) from error
    if (found.kind, found.sequence) != (kind | ANSWER, sequence):
        message = (
            f"{where}: the answer is to message {found.sequence} of kind {found.kind & ~ANSWER}, not to {sequence}"
        )
        raise ExecutorError(Fault.STALE, message, "it was late for an earlier call: try again", command=(where,))
    if found.length > largest:
        said = f"{where}: it announces {found.length} bytes where at most {largest} are expected"
        raise ExecutorError(Fault.FLOOD, said, "see what answers there", command=(where,))
    return found


def body(data: bytes | bytearray | memoryview, where: str) -> memoryview:
    """The payload, once its check sum is right.

    Raises:
        ExecutorError: GARBAGE.
    """
    try:
        return payload_of(data)
    except MalformedError as error:
        raise _garbled(where, error) from error


def _garbled(where: str, error: MalformedError) -> ExecutorError:
    hint = "the line is noisy, or something else answers there"
    return ExecutorError(Fault.GARBAGE, f"{where}: {error}", hint, command=(where,))


class Conversation:
    """Words and frames as messages over a stream, one question at a time, every answer checked against it."""

    def __init__(self, stream: Bytes) -> None:
        self._stream = stream
        self._sequence = secrets.randbits(31)

    @property
    def where(self) -> str:
        return self._stream.where

    def _ask(self, kind: Kind, payload: bytes, largest: int, until: float) -> memoryview:
        self._sequence = (self._sequence + 1) % 2**32
        self._stream.send(message(kind, self._sequence, payload), until)
        head = header(self._stream.receive(HEADER_SIZE, until), self.where, kind, self._sequence, largest)
        content = body(self._stream.receive(head.length + CHECK.size, until), self.where)
        if head.status != Status.DONE:
            raise refused(self.where, head.status)
        return content

    def read(self, addresses: Sequence[int], until: float) -> tuple[int, ...]:
        """See `Words`."""
        content = self._ask(Kind.READ, pack_words(addresses), 4 * len(addresses), until)
        if len(content) != 4 * len(addresses):
            said = f"{self.where}: {len(content)} bytes of words for {len(addresses)} addresses"
            raise ExecutorError(Fault.GARBAGE, said, "see what answers there", command=(self.where,))
        return unpack_words(content)

    def write(self, pairs: Iterable[tuple[int, int]], until: float) -> None:
        """See `Words`."""
        self._ask(Kind.WRITE, pack_words(number for pair in pairs for number in pair), 0, until)

    def inject(self, frame: bytes, until: float) -> None:
        """See `Frames`."""
        self._ask(Kind.INJECT, frame, 0, until)

    def fetch(self, token: int, largest: int, until: float) -> memoryview:
        """See `Frames`."""
        return self._ask(Kind.FETCH, struct.pack("<Q", token), largest, until)

    def stop(self) -> None:
        """See `Words`."""
        self._stream.stop()

    def close(self) -> None:
        """See `Words`."""
        self._stream.close()
