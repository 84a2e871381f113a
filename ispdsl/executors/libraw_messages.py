"""What goes between an executor and LibRaw's own process: JSON behind its length, and a picture as a descriptor."""

from __future__ import annotations

import json
import os
import socket
import struct
import tempfile
from typing import Any

HEAD = struct.Struct(">I")
LARGEST = 2**20
"""Bytes of a message."""


def send(channel: socket.socket, message: dict[str, Any], descriptor: int | None = None) -> None:
    """Send a message, and with it an open file."""
    body = json.dumps(message).encode()
    data = HEAD.pack(len(body)) + body
    if descriptor is None:
        channel.sendall(data)
        return
    sent = socket.send_fds(channel, [data], [descriptor])
    channel.sendall(data[sent:])


def receive(channel: socket.socket) -> tuple[dict[str, Any], int | None]:
    """The next message and the open file that came with it, if one did.

    Raises:
        EOFError: the other side is gone.
        TimeoutError: nothing came within the channel's time.
        ValueError: what came is no message.
    """
    data, descriptors, _, _ = socket.recv_fds(channel, HEAD.size, 1)
    descriptor = descriptors[0] if descriptors else None
    try:
        if not data:
            raise EOFError
        data += _exactly(channel, HEAD.size - len(data))
        (length,) = HEAD.unpack(data)
        if length > LARGEST:
            raise ValueError(f"a message of {length} bytes")
        return json.loads(_exactly(channel, length)), descriptor
    except BaseException:
        if descriptor is not None:
            os.close(descriptor)
        raise


def _exactly(channel: socket.socket, count: int) -> bytes:
    parts: list[bytes] = []
    while count:
        part = channel.recv(count)
        if not part:
            raise EOFError
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def unnamed_file() -> int:
    """A descriptor of memory that has no name, and is gone with the last that holds it."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("picture")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
