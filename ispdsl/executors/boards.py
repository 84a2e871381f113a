"""Where register devices are: the arguments of an executor line, checked, and the way to the board of a worker."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ispdsl.diagnostics import nearest
from ispdsl.errors import CompileError
from ispdsl.executors.model import Declared
from ispdsl.executors.transport import Frames, Words

KNOWN = {"tcp": (), "serial": ("baud",), "mmio": ("base",), "i2c": ("address", "frames")}
"""Arguments of each kind besides those that all have."""

ALL = ("0", "word", "timeout", "levels")

SECONDS = 60.0
"""How long a call may take where the executor line does not say."""


@dataclass(frozen=True)
class Boards:
    """What an executor line says: the places of the boards, and how to talk to them."""

    kind: str
    places: tuple[str, ...]
    seconds: float
    levels: Literal["full", "frame"]
    baud: int
    base: int
    device: int
    frames: tuple[str, ...]
    folder: Path


def boards(declared: Declared) -> Boards:
    """The arguments of an executor line.

    Raises:
        CompileError: one is missing, unknown or makes no sense.
    """
    kind, given = declared.implementation.target, declared.implementation.arguments
    known = (*ALL, *KNOWN[kind])
    for name in given:
        if name not in known:
            near = nearest(name, known[1:])
            hint = f"did you mean {near}?" if near else f"it takes {', '.join(known[1:])}"
            raise CompileError(f"{declared.where}: it has no argument {name}", hint)
    places = _texts(declared, "0", _EXAMPLES[kind])
    frames = _texts(declared, "frames", 'frames = "127.0.0.1:7171"') if kind == "i2c" else ()
    if frames and len(frames) != len(places):
        raise CompileError(f"{declared.where}: {len(places)} boards, {len(frames)} in frames", "name one for each")
    for address in (*places, *frames) if kind == "tcp" else ():
        if not is_endpoint(address):
            raise CompileError(f"{declared.where}: {address!r} is no address", "write host:port, as 127.0.0.1:7171")
    if _number(declared, "word", 32) != 32:
        raise CompileError(f"{declared.where}: words have 32 bits", "write word = 32bit, or leave it out")
    seconds = _number(declared, "timeout", SECONDS)
    if seconds <= 0:
        raise CompileError(f"{declared.where}: timeout is no time", "write a number of seconds, as timeout = 2")
    levels = given.get("levels", "full")
    if levels not in ("full", "frame"):
        raise CompileError(f"{declared.where}: levels is {levels!r}", "write levels = full or levels = frame")
    return Boards(
        kind,
        places,
        seconds,
        "frame" if levels == "frame" else "full",
        baud=int(_number(declared, "baud", 115200)),
        base=_base(declared),
        device=_device(declared) if kind == "i2c" else 0,
        frames=frames,
        folder=declared.folder,
    )


_EXAMPLES = {
    "tcp": 'tcp("127.0.0.1:7171")',
    "serial": 'serial("/dev/ttyUSB0", baud = 921600)',
    "mmio": 'mmio("device.mem", base = 0x0)',
    "i2c": 'i2c("/dev/i2c-1", address = 0x36, frames = "127.0.0.1:7171")',
}


def _texts(declared: Declared, name: str, example: str) -> tuple[str, ...]:
    """One text, or a list of them."""
    value = declared.implementation.arguments.get(name)
    found = (value,) if isinstance(value, str) else value
    if not isinstance(found, tuple) or not found or not all(found):
        what = "where the device is" if name == "0" else name
        raise CompileError(
            f"{declared.where}: it does not say {what}", f"write {example}, or a list for several boards"
        )
    if len(set(found)) != len(found):
        raise CompileError(f"{declared.where}: a board is named twice", "one worker talks to one board")
    return found


def _number(declared: Declared, name: str, default: float) -> float:
    value = declared.implementation.arguments.get(name, default)
    if not isinstance(value, float | int):
        raise CompileError(f"{declared.where}: {name} is no number", f"write {name} = {default:g}")
    return value


def _base(declared: Declared) -> int:
    base = _number(declared, "base", 0)
    if base < 0 or base % 4:
        raise CompileError(f"{declared.where}: base is {base:g}", "it is a multiple of 4, as base = 0x1000")
    return int(base)


def _device(declared: Declared) -> int:
    device = _number(declared, "address", -1)
    if device != int(device) or not 0x08 <= device <= 0x77:
        raise CompileError(f"{declared.where}: address is no I2C address", "write one of 7 bits, as address = 0x36")
    return int(device)


def is_endpoint(text: str) -> bool:
    """Whether a text is ``host:port``."""
    match = re.fullmatch(r"(?:\[[0-9A-Fa-f:]+\]|[\w.-]+):(\d{1,5})", text)
    return bool(match) and 0 < int(match[1]) < 65536


def connect(found: Boards, lane: int, until: float) -> tuple[Words, Frames]:
    """The way to one board: for words, and for frames.

    Raises:
        ExecutorError: it is not there, or does not answer.
    """
    place = found.places[lane]
    opened: Any = _WAYS[found.kind](found, place, until)
    if not found.frames:
        return opened, opened
    beside = found.frames[lane]
    kind = "tcp" if is_endpoint(beside) else "mmio"
    try:
        return opened, _WAYS[kind](found, beside, until)
    except BaseException:
        opened.close()
        raise


def _tcp(found: Boards, place: str, until: float) -> Any:
    from ispdsl.executors.transport_streams import open_tcp

    return open_tcp(place, until)


def _serial(found: Boards, place: str, until: float) -> Any:
    from ispdsl.executors.transport_streams import open_serial

    return open_serial(place, found.baud, until)


def _mmio(found: Boards, place: str, until: float) -> Any:
    from ispdsl.executors.transport_memory import open_mapped

    return open_mapped(found.folder / place, found.base)


def _i2c(found: Boards, place: str, until: float) -> Any:
    from ispdsl.executors.transport_i2c import open_i2c

    return open_i2c(place, found.device)


_WAYS: dict[str, Callable[[Boards, str, float], Any]] = {"tcp": _tcp, "serial": _serial, "mmio": _mmio, "i2c": _i2c}
