"""For tests of register devices: a device as a process, what a text declares, and a client of its own.

The client is written from docs/executors_registers.md, without the library's formats, so that the two check each other.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ispdsl.backends.blackbox import declared
from ispdsl.executors.model import Declared, Request
from ispdsl.graph import build
from ispdsl.ir.model import Implementation
from ispdsl.lower.loader import load
from ispdsl.runtime.slots import PhysicalValue

ROOT = Path(__file__).parent.parent.parent
HARDWARE = ROOT / "pipelines" / "hardware_isp.isp"
ARM = 0x20


@dataclass(frozen=True)
class Device:
    """A device that runs: its process, and what it listens on."""

    process: subprocess.Popen[str]
    place: str


@contextmanager
def device(*arguments: str) -> Generator[Device]:
    """A device as a process, ended afterwards."""
    command = [sys.executable, "-m", "ispdsl.device", *(arguments or ("--tcp", "0"))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment) as process:
        try:
            assert process.stdout is not None
            assert select.select([process.stdout], [], [], 20)[0], "the device says nothing"
            line = process.stdout.readline()
            assert line.startswith("listening on "), line
            yield Device(process, line.removeprefix("listening on ").strip())
        finally:
            process.terminate()
            assert process.wait(10) == 0


def executor_line(kind: str, place: Any, **arguments: Any) -> Declared:
    """What pipelines/hardware_isp.isp declares, with another executor line."""
    found = declared(build(load(HARDWARE)), {"C": "rggb"})
    given = {"0": place, "levels": "full", **arguments}
    line = Implementation(
        kind="executor", target=kind, arguments=given, location=found.implementation.location, folder=""
    )
    ports = tuple(
        port.model_copy(update={"type": port.type.model_copy(update={"args": ("rggb", "u12")})})
        for port in found.inputs
    )
    return replace(found, implementation=line, inputs=ports)


def starts(found: Declared) -> dict[str, PhysicalValue]:
    """The settings before anything is set."""
    values: dict[str, PhysicalValue] = {}
    for slot in found.slots:
        assert slot.start is not None
        values[slot.address] = slot.start
    return values


def scene(rows: int = 24, columns: int = 32, seed: int = 0) -> NDArray[np.uint16]:
    """A mosaic of 12-bit codes with edges, ramps and noise."""
    random = np.random.default_rng(seed)
    ramp = np.add.outer(np.linspace(0, 1500, rows), np.linspace(0, 1200, columns))
    bars = 900 * ((np.add.outer(np.arange(rows), np.arange(columns) * 2) // 5) % 2)
    slants = 700 * ((np.add.outer(np.arange(rows), np.arange(columns)) // 6) % 2)
    return np.clip(
        ramp + np.where(np.arange(columns) < columns // 2, bars, slants) + random.normal(0, 40, (rows, columns)),
        0,
        4095,
    ).astype(np.uint16)


def request(found: Declared, mosaic: NDArray[np.uint16], **changed: PhysicalValue) -> Request:
    """A call with all settings at their start but those changed, by the names of the registers."""
    settings = starts(found)
    prefix = "isp." if found.kind == "pipeline" else ""
    settings.update({prefix + name: value for name, value in changed.items()})
    return Request(images={"mosaic": mosaic[None].astype(np.float32)}, settings=settings)


# ---- a client of its own ------------------------------------------------------------------------------------------


class Client:
    """The protocol once more, by its description alone."""

    def __init__(self, place: str) -> None:
        host, port = place.split(":")
        self.socket = socket.create_connection((host, int(port)), 20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sequence = 0

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def ask(self, kind: int, payload: bytes = b"") -> tuple[int, bytes]:
        self.sequence += 1
        head = b"ISPD" + struct.pack("<BBHII", 1, kind, 0, self.sequence, len(payload))
        checked = head + struct.pack("<I", zlib.crc32(head)) + payload + struct.pack("<I", zlib.crc32(payload))
        self.socket.sendall(checked)
        answer = self._take(20)
        _, answered, status, sequence, length = struct.unpack("<BBHII", answer[4:16])
        assert (answered, sequence) == (kind | 0x80, self.sequence)
        body = self._take(length + 4)
        assert struct.unpack("<I", body[-4:])[0] == zlib.crc32(body[:-4])
        return status, body[:-4]

    def _take(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            got = self.socket.recv(count - len(data))
            if not got:
                raise ConnectionError("the device is gone")
            data += got
        return data

    def read(self, *addresses: int) -> tuple[int, ...]:
        status, body = self.ask(1, struct.pack(f"<{len(addresses)}I", *addresses))
        assert status == 0
        return struct.unpack(f"<{len(body) // 4}I", body)

    def write(self, words: Mapping[int, int]) -> int:
        return self.ask(2, b"".join(struct.pack("<II", *pair) for pair in words.items()))[0]

    def arm(self, misdeed: int) -> None:
        assert self.write({ARM: misdeed}) == 0

    def field(self, address: int, high: int, low: int, code: int) -> None:
        """Write one field and leave the rest of its word."""
        mask = ((1 << (high - low + 1)) - 1) << low
        word = self.read(address)[0] & ~mask | (code << low & mask)
        assert self.write({address: word}) == 0

    def picture(
        self,
        mosaic: NDArray[np.uint16],
        cfa: int = 0,
        bits: int = 12,
        black: Sequence[int] = (0, 0, 0, 0),
        white: int | None = None,
    ) -> NDArray[np.uint8]:
        token = time.monotonic_ns()
        rows, columns = mosaic.shape[-2:]
        levels = (*(256 * level for level in black), 256 * (2**bits - 1 if white is None else white))
        head = struct.pack("<QIIBBH5II", token, rows, columns, cfa, bits, 0, *levels, 0)
        assert self.ask(3, head + mosaic.astype("<u2").tobytes())[0] == 0
        status, body = self.ask(4, struct.pack("<Q", token))
        assert status == 0
        assert struct.unpack_from("<Q", body)[0] == token
        assert struct.unpack_from("<IIBB", body, 16) == (rows, columns, 3, 8)
        return np.frombuffer(body[44:], np.uint8).reshape(3, rows, columns)
