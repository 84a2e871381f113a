"""Streams of bytes to a register device: a TCP connection, and a serial line."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import sys
import time

from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.executors.frames import WORD_IDENT
from ispdsl.executors.transport import Conversation, broken, hung, left

CHUNK = 2**16

CONNECT = 5.0
"""Seconds for a connection to be accepted."""

LOOK = 0.1
"""Seconds between two looks at whether a wait for a serial line has been stopped."""


class TcpStream:
    """A TCP connection."""

    def __init__(self, where: str, connected: socket.socket) -> None:
        self.where = where
        self._socket = connected

    def send(self, data: bytes, until: float) -> None:
        """See `Bytes`."""
        self._socket.settimeout(left(until, self.where))
        try:
            self._socket.sendall(data)
        except TimeoutError as error:
            raise hung(self.where) from error
        except OSError as error:
            raise broken(self.where, error.strerror or error) from error

    def receive(self, count: int, until: float) -> bytearray:
        """See `Bytes`."""
        data = bytearray(count)
        view, got = memoryview(data), 0
        while got < count:
            self._socket.settimeout(left(until, self.where))
            try:
                size = self._socket.recv_into(view[got:])
            except TimeoutError as error:
                raise hung(self.where) from error
            except OSError as error:
                raise broken(self.where, error.strerror or error) from error
            if not size:
                raise broken(self.where, f"the connection ended after {got} of {count} bytes")
            got += size
        return data

    def stop(self) -> None:
        """See `Bytes`."""
        with contextlib.suppress(OSError):  # it is closed already
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """See `Bytes`."""
        self._socket.close()


def open_tcp(address: str, until: float) -> Conversation:
    """Connect to ``host:port``.

    Raises:
        ExecutorError: LINK where nobody listens, HANG where nobody answers.
    """
    where = f"tcp {address}"
    host, _, port = address.rpartition(":")
    try:
        connected = socket.create_connection((host.strip("[]"), int(port)), min(CONNECT, left(until, where)))
    except TimeoutError as error:
        raise hung(where) from error
    except OSError as error:
        raise broken(where, error.strerror or error) from error
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Conversation(TcpStream(where, connected))


class SerialStream:
    """A serial line, raw: every byte goes through as it is."""

    def __init__(self, where: str, descriptor: int) -> None:
        self.where = where
        self._descriptor = descriptor
        self._stopped = False

    def _ready(self, event: int, until: float) -> None:
        poll = select.poll()
        poll.register(self._descriptor, event)
        while not (found := poll.poll(1000 * min(left(until, self.where), LOOK))):
            if self._stopped:
                raise broken(self.where, "stopped")
        if found[0][1] & (select.POLLHUP | select.POLLERR | select.POLLNVAL) and not found[0][1] & select.POLLIN:
            raise broken(self.where, "the line hung up")

    def send(self, data: bytes, until: float) -> None:
        """See `Bytes`."""
        view = memoryview(data)
        while view:
            self._ready(select.POLLOUT, until)
            try:
                view = view[os.write(self._descriptor, view[:CHUNK]) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise broken(self.where, error.strerror) from error

    def receive(self, count: int, until: float) -> bytearray:
        """See `Bytes`."""
        data = bytearray()
        while len(data) < count:
            self._ready(select.POLLIN, until)
            try:
                got = os.read(self._descriptor, min(count - len(data), CHUNK))
            except BlockingIOError:
                continue
            except OSError as error:
                raise broken(self.where, error.strerror) from error
            if not got:
                raise broken(self.where, f"the line ended after {len(data)} of {count} bytes")
            data += got
        return data

    def stop(self) -> None:
        """See `Bytes`."""
        self._stopped = True

    def close(self) -> None:
        """See `Bytes`."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


PAUSE = 0.03
"""Seconds that the port is left alone before it is opened, so that the device sees that an earlier call is over."""

PATIENCE = 0.3
"""Seconds for the first answer, before the port is closed and opened once more."""


def open_serial(path: str, baud: int, until: float) -> Conversation:
    """Open a serial port and find the beginning of a message: what an earlier call left on the line is thrown away.

    Raises:
        ExecutorError: ABSENT where there is no such port, LINK or HANG where no device answers.
    """
    where = f"serial {path}"
    while True:
        time.sleep(PAUSE)
        line = Conversation(_serial(where, path, baud))
        try:
            line.read((WORD_IDENT,), min(until, time.monotonic() + PATIENCE))
            return line
        except ExecutorError:
            line.close()
            if time.monotonic() + PAUSE > until:
                raise


def _serial(where: str, path: str, baud: int) -> SerialStream:
    if sys.platform == "win32":
        raise ExecutorError(Fault.ABSENT, f"{where}: serial lines need a POSIX system", "reach the device by tcp")
    import fcntl
    import termios
    import tty

    speed = getattr(termios, f"B{baud}", None)
    if speed is None:
        raise ExecutorError(
            Fault.SETTINGS, f"{where}: no serial line has {baud} baud", "write baud = 115200", command=()
        )
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError as error:
        hint = "name the port that the device is connected to; `ispdsl-device --serial` prints one"
        raise ExecutorError(Fault.ABSENT, f"{where}: {error.strerror}", hint, command=(where,)) from error
    try:
        tty.setraw(descriptor)
        settings = termios.tcgetattr(descriptor)
        settings[4] = settings[5] = speed
        termios.tcsetattr(descriptor, termios.TCSANOW, settings)
        fcntl.ioctl(descriptor, termios.TIOCEXCL)
        termios.tcflush(descriptor, termios.TCIOFLUSH)
    except (termios.error, OSError) as error:
        os.close(descriptor)
        raise ExecutorError(Fault.ABSENT, f"{where}: it is no serial port", "name a port", command=(where,)) from error
    return SerialStream(where, descriptor)
