"""What the engine adds to a register device: a call through it against a bare client that asks the device the same.

Both read the registers, write them, read them back, inject a 512 x 512 frame and fetch the result, over TCP, in turns
in one process; the device's own time, which it tells, is taken off both. Run: python -m benchmarks.overhead_registers
"""

from __future__ import annotations

import argparse
import json
import secrets
import socket
import statistics
import struct
import subprocess
import sys
import time
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ispdsl.backends.blackbox import declared
from ispdsl.executors.kinds import open_executor
from ispdsl.executors.model import Declared, Executor, Request
from ispdsl.graph import build
from ispdsl.ir.model import Implementation
from ispdsl.lower.loader import load

HARDWARE = Path(__file__).parent.parent / "pipelines" / "hardware_isp.isp"
SIZE = 512

LIMIT = 3.0
"""Milliseconds that the engine may add."""


@dataclass(frozen=True)
class Bare:
    """The least that talks to the device: it believes everything."""

    socket: socket.socket

    def ask(self, kind: int, payload: bytes) -> bytearray:
        head = struct.pack("<4sBBHII", b"ISPD", 1, kind, 0, 1, len(payload))
        head += struct.pack("<I", zlib.crc32(head))
        self.socket.sendall(b"".join((head, payload, struct.pack("<I", zlib.crc32(payload)))))
        return self._take(struct.unpack_from("<I", self._take(20), 12)[0] + 4)

    def _take(self, count: int) -> bytearray:
        data = bytearray(count)
        view, got = memoryview(data), 0
        while got < count:
            got += self.socket.recv_into(view[got:])
        return data

    def run(self, words: dict[int, int], mosaic: NDArray[np.uint16]) -> tuple[float, NDArray[np.uint8]]:
        """The device's own seconds, and the picture."""
        addresses = struct.pack(f"<{len(words) + 1}I", 8, *words)
        self.ask(1, addresses)
        self.ask(2, b"".join(struct.pack("<II", *pair) for pair in words.items()))
        self.ask(1, addresses)
        token = secrets.randbits(64)
        levels = (0, 0, 0, 0, 256 * 4095)
        head = struct.pack("<QIIBBH5II", token, *mosaic.shape, 0, 12, 0, *levels, 0)
        self.ask(3, head + mosaic.tobytes())
        body = self.ask(4, struct.pack("<Q", token))
        return struct.unpack_from("<Q", body, 32)[0] / 1e9, np.frombuffer(body, np.uint8, 3 * SIZE * SIZE, 44)


def the_request(place: str) -> tuple[Declared, Request]:
    """The hardware pipeline on one frame, with everything at its start."""
    found = declared(build(load(HARDWARE)), {"C": "rggb"})
    place_of = found.implementation.location
    line = Implementation(kind="executor", target="tcp", arguments={"0": place}, location=place_of, folder="")
    port = found.inputs[0].model_copy(
        update={"type": found.inputs[0].type.model_copy(update={"args": ("rggb", "u12")})}
    )
    mosaic = np.random.default_rng(0).integers(0, 4096, (1, SIZE, SIZE)).astype(np.float32)
    settings = {slot.address: slot.start for slot in found.slots if slot.start is not None}
    return replace(found, implementation=line, inputs=(port,)), Request({"mosaic": mosaic}, settings)


def measured(executor: Executor, request: Request, bare: Bare, rounds: int) -> tuple[list[float], list[float]]:
    """Milliseconds besides the device's own, of each way, in turns; and both pictures are the same."""
    answer = executor.run(request)
    words: dict[int, int] = {}
    mosaic = request.images["mosaic"][0].astype(np.uint16)
    addresses = sorted({p.field.address for n in executor.declared.nodes for p in n.signature.parameters})  # type: ignore[union-attr]
    body = bare.ask(1, struct.pack(f"<{len(addresses)}I", *addresses))
    words.update(zip(addresses, struct.unpack_from(f"<{len(addresses)}I", body), strict=True))
    assert np.array_equal(bare.run(words, mosaic)[1].reshape(3, SIZE, SIZE), answer.outputs["image"])
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(rounds):
        start = time.perf_counter()
        own = executor.run(request).cost.own
        ours.append(1000 * (time.perf_counter() - start - own))
        start = time.perf_counter()
        own = bare.run(words, mosaic)[0]
        theirs.append(1000 * (time.perf_counter() - start - own))
    return ours, theirs


def overhead(rounds: int) -> dict[str, float]:
    """Medians in milliseconds of both ways and of what lies between them, with a device of its own."""
    command = [sys.executable, "-m", "ispdsl.device", "--tcp", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as device:
        assert device.stdout is not None
        place = device.stdout.readline().removeprefix("listening on ").strip()
        found, request = the_request(place)
        executor = open_executor(found)
        host, port = place.split(":")
        with socket.create_connection((host, int(port))) as connected:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            ours, theirs = measured(executor, request, Bare(connected), rounds)
        executor.close()
        device.terminate()
    engine, bare = statistics.median(ours), statistics.median(theirs)
    return {
        "engine_ms": round(engine, 3),
        "bare_ms": round(bare, 3),
        "overhead_ms": round(engine - bare, 3),
        "least_overhead_ms": round(min(ours) - min(theirs), 3),
        "worst_engine_ms": round(max(ours), 3),
    }


def main() -> int:
    """Print the overhead; 1 where it is 3 ms or more."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    found = overhead(parser.parse_args().rounds)
    print(json.dumps(found))
    return int(found["overhead_ms"] >= LIMIT)


if __name__ == "__main__":
    sys.exit(main())
