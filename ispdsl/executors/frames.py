"""What goes over a link to a register device: messages, frames and results. See docs/executors_registers.md.

All numbers are little-endian. A message has a header with a check sum of its own, so that a length that was garbled is
never believed, and a payload with another. A frame carries a token that its result gives back, so that a result of
another frame is never taken for this one's; a result carries the registers that it was made with, as the embedded
data lines of image sensors do (MIPI CSI-2), and the check sum of the pixels that it was made from.

Check sums are CRC-32 of ISO 3309 (zlib's).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

MAGIC = b"ISPD"
PROTOCOL = 1
IDENT = 0x49535044
"""What word 0 of every device reads."""

WORD_IDENT, WORD_PROTOCOL, WORD_BOOT, WORD_FRAMES, WORD_INPUT_BITS, WORD_DEPTH = 0x00, 0x04, 0x08, 0x0C, 0x10, 0x14
"""Addresses that every device has: identity, protocol, how often it has started, frames done, bits of its own codes,
and bits of its results. They are read only."""

HEADER = struct.Struct("<4sBBHII")
CHECK = struct.Struct("<I")
HEADER_SIZE = HEADER.size + CHECK.size
LARGEST = 2**28
"""Bytes of the largest payload that anyone may announce."""

ANSWER = 0x80
"""Bit of the kind of a message that answers one of that kind."""


class Kind(IntEnum):
    """What a message asks."""

    READ = 1
    WRITE = 2
    INJECT = 3
    FETCH = 4
    STATUS = 5


class Status(IntEnum):
    """What a device answers."""

    DONE = 0
    BAD_CHECK = 1
    BAD_KIND = 2
    BAD_ADDRESS = 3
    BAD_FRAME = 4
    NO_RESULT = 5
    TOO_LARGE = 6


class MalformedError(ValueError):
    """Bytes that are no message, frame or result."""


class OtherProtocolError(MalformedError):
    """A message of a protocol that is not known."""


@dataclass(frozen=True)
class Header:
    """The head of a message: `length` bytes of payload and a check sum follow."""

    kind: int
    status: int
    sequence: int
    length: int


def message(kind: int, sequence: int, payload: bytes = b"", status: int = Status.DONE) -> bytes:
    """A whole message."""
    head = HEADER.pack(MAGIC, PROTOCOL, kind, status, sequence, len(payload))
    return b"".join((head, CHECK.pack(crc32(head)), payload, CHECK.pack(crc32(payload))))


def header_of(head: bytes | bytearray) -> Header:
    """The header in `HEADER_SIZE` bytes.

    Raises:
        MalformedError: they are no header, or one of another protocol.
    """
    magic, protocol, kind, status, sequence, length = HEADER.unpack_from(head)
    if CHECK.unpack_from(head, HEADER.size)[0] != crc32(head[: HEADER.size]) or magic != MAGIC:
        raise MalformedError(f"{head[:8].hex(' ')}... is no message header")
    if protocol != PROTOCOL:
        raise OtherProtocolError(f"a message of protocol {protocol}, not {PROTOCOL}")
    return Header(kind, status, sequence, length)


def payload_of(body: bytes | bytearray | memoryview) -> memoryview:
    """The payload of a body of payload and check sum.

    Raises:
        MalformedError: the check sum is wrong.
    """
    view = memoryview(body)
    if CHECK.unpack_from(view, len(view) - CHECK.size)[0] != crc32(view[: -CHECK.size]):
        raise MalformedError("the check sum of a payload is wrong")
    return view[: -CHECK.size]


def pack_words(words: Iterable[int]) -> bytes:
    """32-bit words, one after the other."""
    numbers = tuple(words)
    return struct.pack(f"<{len(numbers)}I", *numbers)


def unpack_words(payload: bytes | memoryview) -> tuple[int, ...]:
    """The words of a payload.

    Raises:
        MalformedError: it is no whole number of words.
    """
    if len(payload) % 4:
        raise MalformedError(f"{len(payload)} bytes are no whole number of words")
    return struct.unpack(f"<{len(payload) // 4}I", payload)


# ---- frames ---------------------------------------------------------------------------------------------------

CFAS = ("rggb", "grbg", "gbrg", "bggr", "linear")
"""The CFA's number in a frame: bit 0 says that it starts one column later than RGGB, bit 1 one row later. 4 is none: a
frame with red, green and blue at every site."""


def planes_of(cfa: str) -> int:
    """Planes of a frame."""
    return 3 if cfa == "linear" else 1


FRAME = struct.Struct("<QIIBBH5II")


@dataclass(frozen=True, eq=False)
class Injected:
    """A frame for the device.

    Attributes:
        token: drawn by whoever injects it.
        cfa: name of the colour filter array.
        bits: of a sample, 1 to 16.
        black: of the sites in reading order, in 1/256 of a code; of a frame without CFA red, green, blue, green.
        white: in 1/256 of a code.
        addresses: words that the result should say it was made with.
        mosaic: `(planes, H, W)` codes.
    """

    token: int
    cfa: str
    bits: int
    black: tuple[int, int, int, int]
    white: int
    addresses: tuple[int, ...]
    mosaic: NDArray[np.uint16]


def pack_frame(frame: Injected) -> bytes:
    """The payload that injects a frame."""
    _, height, width = frame.mosaic.shape
    numbers = (frame.token, height, width, CFAS.index(frame.cfa), frame.bits, 0, *frame.black, frame.white)
    head = FRAME.pack(*numbers, len(frame.addresses))
    return b"".join((head, pack_words(frame.addresses), np.ascontiguousarray(frame.mosaic, "<u2").tobytes()))


def unpack_frame(payload: bytes | memoryview) -> Injected:
    """The frame of a payload.

    Raises:
        MalformedError: it is none.
    """
    view = memoryview(payload)
    if len(view) < FRAME.size:
        raise MalformedError("a frame is shorter than its head")
    token, height, width, cfa, bits, _, *levels, count = FRAME.unpack_from(view)
    start = FRAME.size + 4 * count
    planes = planes_of(CFAS[cfa]) if cfa < len(CFAS) else 0
    if not planes or not 1 <= bits <= 16 or len(view) != start + 2 * planes * height * width:
        raise MalformedError(f"a frame of {width} x {height}, {bits} bits, in {len(view)} bytes")
    mosaic = np.frombuffer(view, "<u2", planes * height * width, start).reshape(planes, height, width)
    first, second, third, fourth, white = levels
    addresses = unpack_words(view[FRAME.size : start])
    return Injected(token, CFAS[cfa], bits, (first, second, third, fourth), white, addresses, mosaic)


RESULT = struct.Struct("<QIIIIBBHIQI")


@dataclass(frozen=True, eq=False)
class Result:
    """What a device made of a frame.

    Attributes:
        token: of the frame.
        boot: how often the device had started when the picture was done.
        number: of the frame since then.
        bits: of a sample, 1 to 16.
        source: check sum of the mosaic's samples as the device had them.
        nanoseconds: that the device itself took.
        words: what the registers held that the frame asked about.
        picture: `(planes, H, W)` codes.
    """

    token: int
    boot: int
    number: int
    bits: int
    source: int
    nanoseconds: int
    words: tuple[int, ...]
    picture: NDArray[np.uint8] | NDArray[np.uint16]


def pack_result(result: Result) -> bytes:
    """The payload of a result: samples of up to 8 bits take a byte, deeper ones two."""
    planes, height, width = result.picture.shape
    head = RESULT.pack(
        result.token,
        result.boot,
        result.number,
        height,
        width,
        planes,
        result.bits,
        0,
        result.source,
        result.nanoseconds,
        len(result.words),
    )
    picture = np.ascontiguousarray(result.picture, "<u2" if result.bits > 8 else "u1")
    return b"".join((head, pack_words(result.words), picture.tobytes()))


def unpack_result(payload: bytes | memoryview) -> Result:
    """The result of a payload.

    Raises:
        MalformedError: it is none.
    """
    view = memoryview(payload)
    if len(view) < RESULT.size:
        raise MalformedError("a result is shorter than its head")
    token, boot, number, height, width, planes, bits, _, source, taken, count = RESULT.unpack_from(view)
    start, size = RESULT.size + 4 * count, 2 if bits > 8 else 1
    if not 1 <= bits <= 16 or len(view) != start + size * planes * height * width:
        raise MalformedError(f"a result of {planes} x {height} x {width}, {bits} bits, in {len(view)} bytes")
    samples = np.frombuffer(view, "<u2" if size == 2 else "u1", planes * height * width, start)
    words = unpack_words(view[RESULT.size : start])
    return Result(token, boot, number, bits, source, taken, words, samples.reshape(planes, height, width))


def checksum(mosaic: NDArray[np.uint16]) -> int:
    """The check sum of the samples of a mosaic, plane by plane and row by row, two bytes each."""
    return crc32(np.ascontiguousarray(mosaic, "<u2").data)


# ---- the file of a memory-mapped device ---------------------------------------------------------------------------

MAILBOX = 0x1000
"""Where the mailbox begins, from the base: registers lie below it."""

DOORBELL, FRAME_SIZE, DONE, RESULT_SIZE, RESULT_STATUS, BUFFER, FRAME_AT, RESULT_AT = (
    MAILBOX + 4 * index for index in range(8)
)
"""Words of the mailbox: the bell that whoever injects rings with a number of its own, bytes of the frame's message; the
number of the bell that is done, bytes of the result's message, its status; bytes of each buffer, and where the buffers
begin, from the base."""


def pairs_of(payload: bytes | memoryview) -> Sequence[tuple[int, int]]:
    """Addresses and words of a payload that writes.

    Raises:
        MalformedError: it is no list of pairs.
    """
    numbers = unpack_words(payload)
    if len(numbers) % 2:
        raise MalformedError("an address without a word")
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))
