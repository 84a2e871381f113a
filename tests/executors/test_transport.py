"""Whoever answers at the other end of a TCP connection is believed nothing."""

from __future__ import annotations

import socket
import struct
import threading
import zlib
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest

from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.executors.kinds import open_executor
from tests.executors.devices import Client, Device, device, executor_line, request, scene

IDENT = struct.pack("<3I", 0x49535044, 1, 8)
Answer = Callable[[int, int], bytes]
"""What to send for a message of a kind and sequence number."""


def message(kind: int, sequence: int, payload: bytes = b"", status: int = 0, protocol: int = 1) -> bytes:
    head = b"ISPD" + struct.pack("<BBHII", protocol, kind | 0x80, status, sequence, len(payload))
    return head + struct.pack("<I", zlib.crc32(head)) + payload + struct.pack("<I", zlib.crc32(payload))


@contextmanager
def somebody(answer: Answer) -> Generator[str]:
    """A port where somebody takes messages and answers each as told."""

    def serve() -> None:
        connection = server.accept()[0]
        with connection, suppress(ConnectionError):
            while len(head := connection.recv(20, socket.MSG_WAITALL)) == 20:
                kind, _, sequence, length = struct.unpack_from("<BHII", head, 5)
                connection.recv(length + 4, socket.MSG_WAITALL)
                connection.sendall(answer(kind, sequence))

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        thread.join(5)


@pytest.mark.parametrize(
    ("answer", "fault", "said"),
    [
        (lambda kind, number: message(kind, number - 1, IDENT), Fault.STALE, "the answer is to message"),
        (lambda kind, number: message(kind + 1, number, IDENT), Fault.STALE, "of kind 2, not"),
        (lambda kind, number: b"HTTP/1.1 400 Bad Request\r\n\r\n", Fault.GARBAGE, "is no message header"),
        (lambda kind, number: message(kind, number, IDENT, protocol=2), Fault.VERSION, "of protocol 2"),
        (lambda kind, number: message(kind, number, IDENT[:-1]), Fault.GARBAGE, "11 bytes of words for 3"),
        (lambda kind, number: message(kind, number, IDENT[:-4]), Fault.GARBAGE, "8 bytes of words for 3"),
        (lambda kind, number: message(kind, number, IDENT + bytes(4)), Fault.FLOOD, "announces 16 bytes"),
        (lambda kind, number: message(kind, number, bytes(12)), Fault.VERSION, "it says that it is 0x00000000"),
        (lambda kind, number: message(kind, number, b"", 2), Fault.VERSION, "does not know this message"),
        (lambda kind, number: message(kind, number, b"", 77), Fault.GARBAGE, "answers with status 77"),
    ],
)
def test_something_else_that_answers(answer: Answer, fault: Fault, said: str) -> None:
    with somebody(answer) as place, pytest.raises(ExecutorError, match=said) as caught:
        open_executor(executor_line("tcp", place, timeout=3.0))
    assert caught.value.fault is fault
    assert caught.value.hint


@pytest.fixture(scope="module")
def board() -> Generator[Device]:
    with device() as found:
        yield found


@pytest.mark.parametrize(("misdeed", "when"), [(9, "after writing"), (10, "when the frame was done")])
def test_a_wrong_register_is_named_with_both_codes(misdeed: int, when: str, board: Device) -> None:
    executor = open_executor(executor_line("tcp", board.place))
    with Client(board.place) as control:
        control.arm(misdeed)
    said = rf"isp\.gain_00 at 0x100\[11:0\] {when} reads 513 \(2\.00390625\); 512 \(2\.0\) was written"
    with pytest.raises(ExecutorError, match=said) as caught:
        executor.run(request(executor.declared, scene(), gain_00=2))
    assert caught.value.fault is Fault.READBACK
    executor.close()


def test_a_register_that_someone_else_writes_is_seen(board: Device) -> None:
    """Between our words and our frame: the result says what it was made with."""
    executor: Any = open_executor(executor_line("tcp", board.place))
    with Client(board.place) as other:
        inject = executor._way.frames.inject

        def after_the_other(frame: bytes, until: float) -> None:
            other.field(0x300, 7, 0, 99)
            inject(frame, until)

        executor._way.frames.inject = after_the_other
        with pytest.raises(
            ExecutorError, match=r"thresh_1h at 0x300\[7:0\] when the frame was done reads 99"
        ) as caught:
            executor.run(request(executor.declared, scene()))
    assert caught.value.fault is Fault.READBACK
    executor.close()


def test_a_register_that_the_device_does_not_have(board: Device) -> None:
    found = executor_line("tcp", board.place)
    executor: Any = open_executor(found)
    far = executor.fields[0].register.field.model_copy(update={"address": 0x4000})
    field = type(executor.fields[0])("far", "", executor.fields[0].register.model_copy(update={"field": far}))
    executor.fields = (field,)
    asked = replace(request(found, scene()), settings={"far": 1.0})
    with pytest.raises(ExecutorError, match="no such register") as caught:
        executor.run(asked)
    assert caught.value.fault is Fault.SETTINGS
    executor.close()
