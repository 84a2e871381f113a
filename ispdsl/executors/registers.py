"""Register devices: settings are written and read back, a frame is injected, and the result is fetched and doubted.

A result is taken only with the token of its frame, from the same start of the device, made from the samples that were
sent, and with the registers that were written. See docs/executors_registers.md.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ispdsl.errors import CompileError
from ispdsl.executors import bank
from ispdsl.executors.belief import believed
from ispdsl.executors.boards import Boards, boards, connect
from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.executors.frames import (
    CFAS,
    IDENT,
    PROTOCOL,
    RESULT,
    WORD_BOOT,
    WORD_DEPTH,
    WORD_IDENT,
    WORD_PROTOCOL,
    Injected,
    MalformedError,
    Result,
    checksum,
    pack_frame,
    planes_of,
    unpack_result,
)
from ispdsl.executors.kinds import Found
from ispdsl.executors.model import Answer, Cost, Declared, Image, Limits, Request, one_by_one
from ispdsl.executors.stopping import interruptible
from ispdsl.executors.transport import Frames, Words
from ispdsl.ir.model import Port
from ispdsl.ir.types import INTEGER_STORAGE, Type

TOKEN_BITS = 64


@dataclass(frozen=True)
class _Way:
    """An open connection, and what the device said of itself."""

    words: Words
    frames: Frames
    depth: int

    def stop(self) -> None:
        self.words.stop()
        self.frames.stop()

    def close(self) -> None:
        self.words.close()
        self.frames.close()


@dataclass(eq=False)
class RegisterDevice:
    """A board, open and ready. A failed call closes the connection, and the next one opens it anew."""

    declared: Declared
    limits: Limits
    lane: int
    boards: Boards
    fields: tuple[bank.Field, ...]
    source: Port
    result: Port
    batch: int = 1
    _way: _Way | None = field(default=None, repr=False)
    _stopped: bool = False
    _known: dict[tuple[str, float], int] = field(default_factory=dict[tuple[str, float], int], repr=False)

    @property
    def where(self) -> str:
        """Of what kind and where."""
        return f"{self.boards.kind} {self.boards.places[self.lane]}"

    @property
    def version(self) -> str:
        """Protocol and place of the device."""
        return f"register device, protocol {PROTOCOL}, at {self.where}"

    def open(self) -> None:
        """Connect, and see that a device answers.

        Raises:
            ExecutorError: it is not there, or something else is.
        """
        self._opened(self._until())

    def run(self, request: Request) -> Answer:
        """See `Executor`."""
        start, until = time.perf_counter(), self._until()
        self._shown(request.taps)
        frame, notes = self._frame(request)
        words = bank.wanted(self.fields, request.settings, self._known)
        try:
            with interruptible(self._stop):
                result = self._developed(self._opened(until), frame, words, until)
            image = self._believed(result, frame.mosaic.shape[1], frame.mosaic.shape[2])
        except BaseException:
            self.close()
            raise
        cost = Cost(time.perf_counter() - start, result.nanoseconds / 1e9)
        outputs = {self.result.name: image}
        return Answer(outputs, dict.fromkeys(request.taps, image), cost, notes)

    def run_many(self, requests: Sequence[Request]) -> list[Answer | ExecutorError]:
        """See `Executor`."""
        return one_by_one(self, requests)

    def close(self) -> None:
        """See `Executor`."""
        way, self._way = self._way, None
        if way:
            way.close()

    def _stop(self) -> None:
        """End a call from another thread."""
        self._stopped = True
        if self._way:
            self._way.stop()

    def _until(self) -> float:
        return time.monotonic() + min(self.boards.seconds, self.limits.seconds)

    def _opened(self, until: float) -> _Way:
        if self._way is None:
            words, frames = connect(self.boards, self.lane, until)
            try:
                ident, protocol, depth = words.read((WORD_IDENT, WORD_PROTOCOL, WORD_DEPTH), until)
                if (ident, protocol) != (IDENT, PROTOCOL) or not 1 <= depth <= 16:
                    said = f"{self.where}: it says that it is {ident:#010x} of protocol {protocol}"
                    hint = f"a register device is {IDENT:#010x} of protocol {PROTOCOL}; see what is connected"
                    raise ExecutorError(Fault.VERSION, said, hint, command=(self.where,))
            except BaseException:
                words.close()
                frames.close()
                raise
            self._way = _Way(words, frames, depth)
        if self._stopped:
            raise self._doubted(Fault.LINK, "stopped", "open it again")
        return self._way

    def _shown(self, taps: Sequence[str]) -> None:
        """Make sure that the taps are the picture itself: nothing else comes out of the device."""
        for tap in taps:
            seen = self.declared.taps.get(tap)
            if seen is None or seen != self.declared.results.get(self.result.name):
                said = f"{self.where}: it shows no tap {tap}; only its picture comes out"
                raise ExecutorError(Fault.SETTINGS, said, "ask for the output alone", command=(self.where,))

    # ---- one frame ----------------------------------------------------------------------------------------------

    def _developed(self, way: _Way, frame: Injected, words: dict[int, tuple[int, int]], until: float) -> Result:
        boot, written = self._written(way.words, words, until)
        way.frames.inject(pack_frame(frame), until)
        _, rows, columns = frame.mosaic.shape
        size = RESULT.size + 4 * len(frame.addresses) + (2 if way.depth > 8 else 1) * 3 * rows * columns
        payload = way.frames.fetch(frame.token, size, until)
        try:
            result = unpack_result(payload)
        except MalformedError as error:
            raise self._doubted(Fault.GARBAGE, f"{error}", "see what answers there") from error
        if result.token != frame.token:
            raise self._doubted(Fault.STALE, "the result is of another frame", "try again; use one client a board")
        if result.boot != boot:
            raise self._restarted(boot, result.boot)
        if result.source != checksum(frame.mosaic):
            raise self._doubted(Fault.GARBAGE, "the frame changed on its way to the device", "try again")
        if len(result.words) != len(frame.addresses):
            raise self._doubted(Fault.GARBAGE, "the result does not say what registers it was made with", "try again")
        read = dict(zip(frame.addresses, result.words, strict=True))
        bank.verify(self.fields, written, read, self.where, "when the frame was done")
        return result

    def _written(self, way: Words, words: dict[int, tuple[int, int]], until: float) -> tuple[int, dict[int, int]]:
        """Write every word that has fields, and read it back: how often the device has started, and the words."""
        asked = (WORD_BOOT, *words)
        boot, *before = way.read(asked, until)
        pairs = zip(before, words.items(), strict=True)
        written = {address: old & ~mask | bits for old, (address, (mask, bits)) in pairs}
        way.write(written.items(), until)
        again, *after = way.read(asked, until)
        if again != boot:
            raise self._restarted(boot, again)
        bank.verify(self.fields, written, dict(zip(words, after, strict=True)), self.where, "after writing")
        return boot, written

    def _restarted(self, before: int, now: int) -> ExecutorError:
        said = f"the device has started anew in the middle of the call (start {before}, now {now})"
        return self._doubted(Fault.LINK, said, "see to its power; its registers are as after a reset")

    def _doubted(self, fault: Fault, said: str, hint: str) -> ExecutorError:
        return ExecutorError(fault, f"{self.where}: {said}", hint, command=(self.where,))

    def _believed(self, result: Result, rows: int, columns: int) -> Image:
        what = f"output {self.result.name} of {self.declared.name}"
        storage = INTEGER_STORAGE.fullmatch(str(self.result.type.args[-1]))
        if storage is None:
            scaled = result.picture / np.float32(2**result.bits - 1)
            return believed(scaled, self.result.type, (rows, columns), what, (self.where,))
        if int(storage[1]) < result.bits:
            said = f"{what} has codes of {result.bits} bits, where {self.result.type} is declared"
            raise self._doubted(Fault.SHAPE, said, f"declare u{result.bits}")
        return believed(result.picture, self.result.type, (rows, columns), what, (self.where,))

    def _frame(self, request: Request) -> tuple[Injected, tuple[str, ...]]:
        """The frame to inject, and what the user should know of how it got there."""
        image, type_ = request.images[self.source.name], self.source.type
        cfa = str(type_.args[0])
        if request.frame is not None and cfa not in CFAS:
            cfa = request.frame.cfa
        if cfa not in CFAS:
            said = f"a mosaic of CFA {cfa} cannot be injected"
            raise self._doubted(Fault.SETTINGS, said, f"the device takes {', '.join(CFAS)}")
        bits = _bits(type_)
        black, white = (0, 0, 0, 0), 256 * (2**bits - 1)
        if self.boards.levels == "frame":
            black, white = self._levels(request, bits)
        mosaic, notes = self._codes(image, bits, planes_of(cfa))
        addresses = tuple(dict.fromkeys(field.word for field in self.fields))
        return Injected(secrets.randbits(TOKEN_BITS), cfa, bits, black, white, addresses, mosaic), notes

    def _levels(self, request: Request, bits: int) -> tuple[tuple[int, int, int, int], int]:
        """Black of the four sites and white, in 1/256 of a code, from the raw file that the mosaic came from."""
        if request.frame is None:
            hint = "give a raw file, or write levels = full for codes from black 0"
            raise self._doubted(Fault.SETTINGS, "the mosaic comes without its black and white level", hint)
        first, second, third, fourth, white = (
            round(256 * float(level))
            for level in (*np.ravel(request.frame.metadata["black_level"]), request.frame.metadata["white_level"])
        )
        if not 0 <= min(first, second, third, fourth) <= max(first, second, third, fourth) < white < 2**32:
            said = f"no black of {(first, second, third, fourth)} and white of {white} in 1/256 of a code"
            raise self._doubted(Fault.SETTINGS, said, "see the raw file's metadata")
        return (first, second, third, fourth), white

    def _codes(self, image: Image, bits: int, planes: int) -> tuple[NDArray[np.uint16], tuple[str, ...]]:
        """The mosaic in whole codes."""
        if image.ndim != 3 or image.shape[0] != planes:
            said = f"a mosaic of shape {' x '.join(map(str, image.shape))} cannot be injected"
            raise self._doubted(Fault.SHAPE, said, f"{self.source.type} has {planes} x rows x columns")
        least, most = float(np.rint(image.min())), float(np.rint(image.max()))
        if not (least >= 0 and most <= 2**bits - 1):
            said = f"{self.source.name} goes from {least:g} to {most:g}, beyond the codes of {self.source.type}"
            raise self._doubted(Fault.SETTINGS, said, "give the sensor's own codes")
        whole = image.astype(np.uint16)
        if np.array_equal(whole, image):
            return whole, ()
        return np.rint(image).astype(np.uint16), (f"{self.source.name} was rounded to whole codes",)


def _bits(type_: Type) -> int:
    storage = INTEGER_STORAGE.fullmatch(str(type_.args[-1]))
    assert storage is not None, "checked when it was opened"
    return int(storage[1])


# ---- the family ---------------------------------------------------------------------------------------------------


def open_executor(declared: Declared, limits: Limits, lane: int) -> RegisterDevice:
    """A register device behind a stage or pipeline: board number `lane` of those that the text names.

    Raises:
        CompileError: the executor line is wrong, a parameter is no register, or the device cannot take the image.
        ExecutorError: the device is not there, or something else answers.
    """
    found = boards(declared)
    if not 0 <= lane < len(found.places):
        said = f"{declared.where}: worker {lane + 1} has no board: {len(found.places)} named"
        raise CompileError(said, "start as many workers as there are boards, or name more of them in a list")
    source, result = _ports(declared)
    device = RegisterDevice(declared, limits, lane, found, bank.fields(declared), source, result)
    device.open()
    return device


def _ports(declared: Declared) -> tuple[Port, Port]:
    """The one mosaic and the one picture."""
    if len(declared.inputs) != 1 or declared.inputs[0].type.name != "raw":
        raise CompileError(f"{declared.where}: a register device takes one mosaic", "declare one input raw<rggb, u12>")
    storage = INTEGER_STORAGE.fullmatch(str(declared.inputs[0].type.args[-1]))
    if storage is None or int(storage[1]) > 16:
        said = f"{declared.where}: {declared.inputs[0].type} cannot be injected"
        raise CompileError(said, "a mosaic has codes of 1 to 16 bits, as raw<rggb, u12>")
    if len(declared.outputs) != 1:
        raise CompileError(f"{declared.where}: a register device gives one picture", "declare one output")
    return declared.inputs[0], declared.outputs[0]


def lanes(declared: Declared) -> int:
    """How many workers may run side by side: as many as there are boards.

    Raises:
        CompileError: the executor line is wrong.
    """
    return len(boards(declared).places)


def reaches(declared: Declared) -> tuple[str, ...]:
    """The addresses, ports and files that the text names.

    Raises:
        CompileError: the executor line is wrong.
    """
    found = boards(declared)
    return tuple(f"{found.kind} {place}" for place in found.places) + tuple(f"frames {each}" for each in found.frames)


def findings() -> tuple[Found, ...]:
    """What is here for register devices."""
    simulated = Found("ispdsl-device", True, f"simulated board, protocol {PROTOCOL}", None)
    if importlib.util.find_spec("smbus2") is None:
        return simulated, Found("smbus2", False, "missing", "for i2c: pip install smbus2")
    return simulated, Found("smbus2", True, importlib.metadata.version("smbus2"), None)
