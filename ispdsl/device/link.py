"""Messages over a stream of bytes: a connection or a serial line."""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Callable
from typing import Protocol
from zlib import crc32

from ispdsl.device.board import Board
from ispdsl.device.misdeeds import Misdeed
from ispdsl.executors.frames import (
    ANSWER,
    CHECK,
    HEADER_SIZE,
    LARGEST,
    Header,
    Kind,
    MalformedError,
    Status,
    header_of,
    message,
    pack_result,
    pack_words,
    pairs_of,
    payload_of,
    unpack_frame,
    unpack_words,
)


class GoneError(Exception):
    """Nobody is at the other end any more."""


class Stream(Protocol):
    """Bytes both ways. Both methods raise `GoneError`."""

    def take(self, count: int) -> bytearray:
        """Exactly so many bytes."""
        ...

    def give(self, data: bytes) -> None:
        """Send everything."""
        ...


def serve(board: Board, stream: Stream) -> None:
    """Answer messages until the other end is gone or the power is.

    Raises:
        GoneError: the other end is gone, or has sent what is no message: then nobody knows where the next one begins.
        PowerLostError: the power went.
    """
    while True:
        try:
            header = header_of(stream.take(HEADER_SIZE))
        except MalformedError as error:
            raise GoneError from error
        if header.length > LARGEST:
            raise GoneError
        body = stream.take(header.length + CHECK.size)
        _answer(board, stream, header, body)


def _answer(board: Board, stream: Stream, header: Header, body: bytearray) -> None:
    status, payload, misdeed = Status.DONE, b"", Misdeed.NONE
    try:
        content = payload_of(body)
        if header.kind == Kind.FETCH:
            status, payload, misdeed = _fetch(board, content)
        else:
            status, payload = _plain(board, header.kind, content)
    except MalformedError:
        status = Status.BAD_CHECK
    except KeyError:
        status = Status.BAD_ADDRESS
    whole = message(header.kind | ANSWER, header.sequence, payload, status)
    misbehave = _MISBEHAVE.get(misdeed)
    if misbehave:
        misbehave(stream, whole)
    else:
        stream.give(whole)


def _plain(board: Board, kind: int, content: memoryview) -> tuple[Status, bytes]:
    match kind:
        case Kind.READ:
            return Status.DONE, pack_words(board.read(unpack_words(content)))
        case Kind.WRITE:
            board.write(pairs_of(content))
            return Status.DONE, b""
        case Kind.INJECT:
            return board.inject(unpack_frame(content)), b""
        case Kind.STATUS:
            own = board.own()
            return Status.DONE, pack_words(own[address] for address in sorted(own))
        case _:
            return Status.BAD_KIND, b""


def _fetch(board: Board, content: memoryview) -> tuple[Status, bytes, Misdeed]:
    if len(content) != 8:
        return Status.BAD_CHECK, b"", Misdeed.NONE
    result, misdeed = board.fetch(struct.unpack("<Q", content)[0])
    if result is None:
        return Status.NO_RESULT, b"", misdeed
    return Status.DONE, pack_result(result), misdeed


# ---- what goes wrong on the way ------------------------------------------------------------------------------


def _hang(stream: Stream, whole: bytes) -> None:
    while True:
        stream.take(1)


def _garbage(stream: Stream, whole: bytes) -> None:
    stream.give(random.Random(len(whole)).randbytes(min(len(whole), 4096)))
    _hang(stream, whole)


def _flip(stream: Stream, whole: bytes) -> None:
    stream.give(flipped(whole))


def flipped(whole: bytes) -> bytes:
    """The bytes with a bit in their middle the other way."""
    middle = len(whole) // 2
    return whole[:middle] + bytes([whole[middle] ^ 16]) + whole[middle + 1 :]


def _cut(stream: Stream, whole: bytes) -> None:
    stream.give(whole[: len(whole) // 2])
    raise GoneError


def _flood(stream: Stream, whole: bytes) -> None:
    stream.give(announcing(whole, 2**31))


def announcing(whole: bytes, length: int) -> bytes:
    """The message with another length in its header, and its check sum right."""
    head = whole[: HEADER_SIZE - CHECK.size - 4] + struct.pack("<I", length)
    return head + CHECK.pack(crc32(head)) + whole[HEADER_SIZE:]


def _slow(stream: Stream, whole: bytes) -> None:
    for start in range(len(whole)):
        stream.give(whole[start : start + 1])
        time.sleep(0.02)


_MISBEHAVE: dict[Misdeed, Callable[[Stream, bytes], None]] = {
    Misdeed.HANG: _hang,
    Misdeed.GARBAGE: _garbage,
    Misdeed.FLIP: _flip,
    Misdeed.CUT: _cut,
    Misdeed.FLOOD: _flood,
    Misdeed.SLOW: _slow,
}
