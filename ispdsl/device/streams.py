"""The device's ends of a TCP connection and of a serial line."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import socket
import threading
import time
import tty
from dataclasses import dataclass, field

from ispdsl.device.board import Board, PowerLostError
from ispdsl.device.link import GoneError, serve

CONNECTIONS = 32
"""How many may be open at once; more are refused."""

CHUNK = 2**16


@dataclass(frozen=True)
class Connection:
    """A TCP connection as a stream."""

    socket: socket.socket

    def take(self, count: int) -> bytearray:
        data = bytearray(count)
        view, got = memoryview(data), 0
        while got < count:
            try:
                size = self.socket.recv_into(view[got:])
            except OSError as error:
                raise GoneError from error
            if not size:
                raise GoneError
            got += size
        return data

    def give(self, data: bytes) -> None:
        try:
            self.socket.sendall(data)
        except OSError as error:
            raise GoneError from error


@dataclass(frozen=True)
class Listener:
    """A TCP port, and the connections that came through it."""

    board: Board
    port: socket.socket
    open: set[socket.socket] = field(default_factory=set[socket.socket])

    @staticmethod
    def at(host: str, port: int, board: Board) -> Listener:
        """Listen; port 0 is any free one.

        Raises:
            OSError: the port is taken or the address is not this machine's.
        """
        return Listener(board, socket.create_server((host, port), backlog=CONNECTIONS))

    @property
    def address(self) -> str:
        host, port = self.port.getsockname()[:2]
        return f"{host}:{port}"

    def start(self) -> None:
        """Accept connections, each in a thread of its own."""
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection = self.port.accept()[0]
            except OSError:
                return
            if len(self.open) >= CONNECTIONS:
                connection.close()
                continue
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            serve(self.board, Connection(connection))
        except GoneError:
            pass
        except PowerLostError:
            for other in tuple(self.open - {connection}):
                _shut(other)
        finally:
            self.open.discard(connection)
            connection.close()


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it is closed already
        connection.shutdown(socket.SHUT_RDWR)


@dataclass(frozen=True)
class Line:
    """The device's end of a pseudo-terminal. The other end is a serial port to whoever opens it."""

    board: Board
    master: int
    path: str

    @staticmethod
    def made(board: Board) -> Line:
        """A new pseudo-terminal, raw: every byte goes through as it is."""
        master, slave = pty.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        path = os.ttyname(slave)
        os.close(slave)
        return Line(board, master, path)

    def start(self) -> None:
        """Serve whoever opens the port, one after the other."""
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                self._opened()
                serve(self.board, self)
            except (GoneError, PowerLostError):
                self._drain()

    def _opened(self) -> None:
        """Wait until somebody has the port open."""
        poll = select.poll()
        poll.register(self.master, select.POLLIN)
        while any(event & select.POLLHUP for _, event in poll.poll(0)):
            time.sleep(0.002)

    def _drain(self) -> None:
        """Forget what came, until it is quiet for a moment: then a message begins."""
        while select.select([self.master], [], [], 0.02)[0]:
            try:
                if not os.read(self.master, CHUNK):
                    return
            except OSError:
                return

    def take(self, count: int) -> bytearray:
        data = bytearray()
        while len(data) < count:
            self._ready(select.POLLIN)
            try:
                got = os.read(self.master, min(count - len(data), CHUNK))
            except BlockingIOError:
                continue
            except OSError as error:
                raise GoneError from error
            if not got:
                raise GoneError
            data += got
        return data

    def give(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            self._ready(select.POLLOUT)
            try:
                view = view[os.write(self.master, view[:CHUNK]) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise GoneError from error

    def _ready(self, event: int) -> None:
        """Wait for room or for bytes, as long as somebody has the port open."""
        poll = select.poll()
        poll.register(self.master, event)
        while not (found := poll.poll(200)):
            continue
        if found[0][1] & select.POLLHUP:
            raise GoneError
