"""Programs that are asked for a picture and misbehave: ``python -I -S programs.py NAME IMAGE RESULT [mark]``.

Each knows nothing but the standard library, so that it starts fast. The picture that is asked for has three planes of 6
x 8 values of ``unit``, as an NPY file.
"""

from __future__ import annotations

import os
import signal
import struct
import sys
import time
import zlib
from pathlib import Path

SHAPE = (6, 8, 3)
FOREVER = 600.0


def npy(path: str, shape: tuple[int, ...] = SHAPE, value: float = 0.5, kind: str = "<f4") -> None:
    """A picture of one value."""
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (63 - (len(header) + 10) % 64) + "\n"
    count = 1
    for side in shape:
        count *= side
    body = struct.pack("<f", value) * count
    Path(path).write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + body)


def hang(image: str, result: str) -> None:
    """It never ends."""
    time.sleep(FOREVER)


def deaf(image: str, result: str) -> None:
    """It never ends, and hears no signal that can be ignored."""
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(name, signal.SIG_IGN)
    time.sleep(FOREVER)


def busy(image: str, result: str) -> None:
    """It never ends, and works hard at it."""
    while True:
        pass


def brood(image: str, result: str) -> None:
    """It starts children, and they start children, in sessions of their own; nobody ever ends."""
    for _ in range(4):
        if os.fork() == 0:
            os.setsid()
            for _ in range(3):
                if os.fork() == 0:
                    break
            time.sleep(FOREVER)
    time.sleep(FOREVER)


def bomb(image: str, result: str) -> None:
    """Whatever it starts starts more, and ends; it does so without bounds."""
    Path(result).unlink(missing_ok=True)
    while True:
        try:
            if os.fork() and os.fork():
                time.sleep(0.01)
        except OSError:
            time.sleep(0.01)


def daemon(image: str, result: str) -> None:
    """It ends well and leaves a daemon that would write the result later, without a trace in its environment."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.environ.clear()
            os.closerange(0, 3)
            time.sleep(0.3)
            npy(result)
            time.sleep(FOREVER)
        os._exit(0)
    os.wait()


def segfault(image: str, result: str) -> None:
    """It crashes, after it has written what looks like a result."""
    npy(result)
    os.kill(os.getpid(), signal.SIGSEGV)


def refuse(image: str, result: str) -> None:
    """It says why not."""
    npy(result)
    sys.exit("no such profile: linear")


def hog(image: str, result: str) -> None:
    """It takes all memory that it gets."""
    held: list[bytearray] = []
    while True:
        held.append(bytearray(b"\1") * 2**24)


def hogs(image: str, result: str) -> None:
    """Its children take all memory together, each of them a little."""
    for _ in range(30):
        if os.fork() == 0:
            break
    held = bytearray(b"\1") * 2**25
    time.sleep(FOREVER)
    del held


def chatter(image: str, result: str) -> None:
    """It never stops talking."""
    while True:
        os.write(1, b"so much to say\n" * 4096)


def flood(image: str, result: str) -> None:
    """It writes a file without end."""
    with Path(result).open("wb") as file:
        while True:
            file.write(bytes(2**20))


def floods(image: str, result: str) -> None:
    """It writes files without end, each of them small."""
    for number in range(10**6):
        Path(f"{result}.{number}").write_bytes(bytes(2**16))


def silent(image: str, result: str) -> None:
    """It does nothing, and calls that a success."""


def empty(image: str, result: str) -> None:
    """Its result is there, and nothing is in it."""
    Path(result).touch()


def link(image: str, result: str) -> None:
    """Its result is a link to something that is not its own."""
    Path(result).symlink_to("/etc/passwd")


def twin(image: str, result: str) -> None:
    """Its result is the input under another name."""
    Path(result).hardlink_to(image)


def fifo(image: str, result: str) -> None:
    """Whoever reads its result waits for ever."""
    os.mkfifo(result)


def folder(image: str, result: str) -> None:
    """Its result is a folder."""
    Path(result).mkdir()


def stale(image: str, result: str) -> None:
    """Its result is of yesterday."""
    npy(result)
    yesterday = time.time() - 86400
    os.utime(result, (yesterday, yesterday))


def cropped(image: str, result: str) -> None:
    """Its result has lost a row."""
    npy(result, (5, 8, 3))


def grey(image: str, result: str) -> None:
    """Its result has one plane."""
    npy(result, (6, 8, 1))


def undefined(image: str, result: str) -> None:
    """Its result holds no numbers."""
    npy(result, value=float("nan"))


def infinite(image: str, result: str) -> None:
    """Its result is divided by zero."""
    npy(result, value=float("-inf"))


def glaring(image: str, result: str) -> None:
    """Its result is brighter than white."""
    npy(result, value=1.01)


def text(image: str, result: str) -> None:
    """Its result is an excuse."""
    Path(result).write_text("could not develop this picture, sorry\n" * 20)


def torn(image: str, result: str) -> None:
    """Its result ends in the middle."""
    npy(result)
    os.truncate(result, 200)


def pickled(image: str, result: str) -> None:
    """Its result wants to be unpickled, which would run what it says."""
    npy(result, kind="|O")


def gigapixel(image: str, result: str) -> None:
    """Its result is a PNG of 100 bytes that claims 10^9 pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 40000, 25000, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(64))) + chunk(b"IEND", b"")
    Path(result).write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def parricide(image: str, result: str) -> None:
    """It kills whoever watches it, and goes on, and so does its child."""
    npy(result)
    if os.fork() == 0:
        os.setsid()
        time.sleep(FOREVER)
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(FOREVER)


def well(image: str, result: str) -> None:
    """It does what it was asked to."""
    npy(result)


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2], sys.argv[3])
