"""``executor libraw(...)`` on a pipeline: LibRaw, through rawpy.

What LibRaw can be told stands in the text, in the executor lines of the pipeline's stages (`libraw_lines`); its order,
and what it lets be seen, too (`libraw_steps`). It develops the file that the frame was read from, or where that is not
what the frame is (a crop, a mosaic of another origin) a DNG written from it.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from ispdsl.errors import CompileError
from ispdsl.executors import libraw_keywords as rawpy_keywords
from ispdsl.executors.belief import believed
from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.executors.kinds import Found
from ispdsl.executors.libraw_keywords import Scalar
from ispdsl.executors.libraw_lines import SWITCH
from ispdsl.executors.libraw_steps import Course, course
from ispdsl.executors.model import Answer, Cost, Declared, Executor, Image, Limits, Request, one_by_one
from ispdsl.ir.model import Value
from ispdsl.ir.params import Array
from ispdsl.ir.types import Type
from ispdsl.runtime.frame import Frame

if TYPE_CHECKING:
    from ispdsl.executors.libraw_develop import Developer
    from ispdsl.executors.libraw_process import Worker

PROCESS = ("worker", "same")
STORAGES = {"unit": (16, 65535), "f32": (16, 65535), "u16": (16, 1), "u8": (8, 1)}
"""Bits of LibRaw's picture for the storage of the output, and what its codes are divided by."""

BAND = 2**20
"""Samples that are worth a thread of their own."""

LENT = 4
"""Pictures whose memory is remembered."""

FREE = 2
"""References to a picture that only the list of what was lent holds: that one, and the one that counts them."""


def findings() -> tuple[Found, ...]:
    """Whether LibRaw is here."""
    try:
        from ispdsl.executors.libraw_develop import version

        return (Found("libraw", True, version()),)
    except Exception as error:  # whatever an import of somebody else's library raises
        return (Found("libraw", False, str(error), rawpy_keywords.GET),)


def reaches(declared: Declared) -> tuple[str, ...]:
    """The files that the pipeline's executor line names: a table of bad pixels."""
    try:
        constants = _constants(declared)
    except (CompileError, ExecutorError):
        return ()
    return tuple(value for name, value in constants.items() if rawpy_keywords.keywords()[name].is_file)


def open_executor(declared: Declared, limits: Limits, lane: int) -> Executor:
    """LibRaw for a pipeline of its stages.

    Args:
        declared: a pipeline with one mosaic as its input; ``executor libraw(process = same)`` runs LibRaw in this
            process, where a crash is everybody's; any other name is a keyword of `rawpy.Params` and its value.
        limits: what a call may take; in this process they cannot be kept.
        lane: of no consequence.

    Raises:
        CompileError: the text asks for what LibRaw cannot do.
        ExecutorError: rawpy is not installed.
    """
    if declared.kind == "stage":
        hint = "write a pipeline of it with the line `executor libraw()`"
        raise CompileError(f"{declared.where}: LibRaw runs files as a whole, and no stage alone", hint)
    if [port.type.name for port in declared.inputs] != ["raw"]:
        raise CompileError(
            f"{declared.where}: LibRaw develops one mosaic", "give the pipeline one input, of type raw<C, u16>"
        )
    constants = _constants(declared)
    steps = course(declared)
    types = _types(declared)
    for value, path in steps.paths.items():
        said = {line.keyword.name for stage in path for line in stage.step.lines} & constants.keys()
        if said:
            raise CompileError(f"{declared.where}: a stage says {min(said)} too", "keep one of them")
        if path:
            _bits(declared, types[value])
    from ispdsl.executors.libraw_develop import Developer, version
    from ispdsl.executors.libraw_process import Worker

    alone = declared.implementation.arguments.get("process", "worker") == "same"
    developer = Developer() if alone else Worker(limits)
    return LibRaw(declared, version(), steps, constants, types, developer, alone)


def _constants(declared: Declared) -> dict[str, Any]:
    """What the pipeline's own executor line tells LibRaw."""
    arguments = dict(declared.implementation.arguments)
    if arguments.pop("process", "worker") not in PROCESS:
        raise CompileError(f"{declared.where}: process is one of {', '.join(PROCESS)}", "write process = worker")
    if "0" in arguments:
        raise CompileError(f"{declared.where}: the stages say what LibRaw is told", "write executor libraw()")
    try:
        return {name: _constant(declared, name, value) for name, value in arguments.items()}
    except ValueError as error:
        raise CompileError(f"{declared.where}: {error}") from error


def _constant(declared: Declared, name: str, value: object) -> Any:
    keyword = rawpy_keywords.find(name)
    if keyword.is_file:
        return str(_beside(declared, str(value)))
    row = value.values if isinstance(value, Array) else (cast("Scalar", value),)
    return rawpy_keywords.told(keyword, [SWITCH.get(each, each) if isinstance(each, str) else each for each in row])


def _beside(declared: Declared, name: str) -> Path:
    """A file beside the text or below.

    Raises:
        ValueError: it lies elsewhere, or nowhere.
    """
    folder = declared.folder.resolve()
    path = (folder / name).resolve()
    if not path.is_relative_to(folder):
        raise ValueError(f"{name} lies outside of the folder of the text")
    if not path.is_file():
        raise ValueError(f"there is no file {name} beside the text")
    return path


def _types(declared: Declared) -> dict[Value, Type]:
    """The type of every value that is given or watched."""
    known = {Value(node=None, port=port.name): port.type for port in declared.inputs}
    known |= {Value(node=n.address, port=port): type_ for n in declared.nodes for port, type_ in n.outputs.items()}
    return {value: known[value] for value in (*declared.results.values(), *declared.taps.values())}


def _bits(declared: Declared, type_: Type) -> tuple[int, int]:
    storage = str(type_.args[-1])
    if type_.name != "rgb" or storage not in STORAGES:
        hint = f"what comes out is rgb<space, {'|'.join(STORAGES)}>"
        raise CompileError(f"{declared.where}: LibRaw gives no {type_}", hint)
    return STORAGES[storage]


@dataclass
class _Source:
    """The file that a mosaic was found to be in."""

    frame: Frame
    image: Image
    path: str
    sha256: str
    written: bool


@dataclass
class LibRaw:
    """LibRaw, ready for a pipeline. See `open_executor`."""

    declared: Declared
    version: str
    course: Course
    constants: Mapping[str, Any]
    types: Mapping[Value, Type]
    developer: Developer | Worker = field(repr=False)
    same: bool
    batch: int = 1
    _source: _Source | None = None
    _lent: list[Image] = field(default_factory=list[Image])
    """Pictures that were given away: the memory of those that nobody holds any more is used again."""
    _kept: ExitStack = field(default_factory=ExitStack)

    def run(self, request: Request) -> Answer:
        """Develop the frame; taps that need LibRaw to stop elsewhere cost a start each.

        Raises:
            ExecutorError: STALE where the file is no longer what the frame was read from; SETTINGS where LibRaw cannot
                be told; CRASH, HANG, MEMORY as the library has it; SHAPE or VALUES where the picture is not as it was
                declared.
        """
        begin = time.perf_counter()
        port = self.declared.inputs[0].name
        wanted = {("output", name): value for name, value in self.declared.results.items()}
        wanted |= {("tap", name): self.declared.taps[name] for name in request.taps}
        mosaic = request.images[port]
        source = self._file(request, mosaic)
        seen: dict[str, tuple[Image, float, tuple[float, float]]] = {}
        found: dict[tuple[str, str], Image] = {}
        for (kind, name), value in wanted.items():
            if value.node is None:
                found[kind, name] = mosaic
                continue
            bits, divisor = _bits(self.declared, self.types[value])
            told = self._told(value, request)
            key = json.dumps([rawpy_keywords.unusual(told), bits, divisor], sort_keys=True)
            if key not in seen:
                seen[key] = self._develop(value, source, told, (bits, divisor))
            picture, _, stretch = seen[key]
            size = _size(mosaic, told, stretch)
            what = f"{kind} {name} of {self.declared.name}"
            found[kind, name] = believed(picture, self.types[value], size, what, bounded=True)
        own = sum(seconds for _, seconds, _ in seen.values())
        return Answer(
            {name: image for (kind, name), image in found.items() if kind == "output"},
            {name: image for (kind, name), image in found.items() if kind == "tap"},
            Cost(time.perf_counter() - begin, own, len(seen)),
            _notes(source, (stretch for _, _, stretch in seen.values())),
        )

    def run_many(self, requests: Sequence[Request]) -> list[Answer | ExecutorError]:
        """One after the other."""
        return one_by_one(self, requests)

    def close(self) -> None:
        """End LibRaw's process, and remove the files that were written for it."""
        self.developer.close()
        self._kept.close()
        self._source = None

    def _told(self, value: Value, request: Request) -> dict[str, Any]:
        try:
            return {**self.constants, **self.course.told(value, request.settings)}
        except ValueError as error:
            raise ExecutorError(Fault.SETTINGS, f"{self.declared.name}: {error}") from error

    def _develop(
        self, value: Value, source: _Source, told: dict[str, Any], form: tuple[int, int]
    ) -> tuple[Image, float, tuple[float, float]]:
        from ispdsl.executors.libraw_develop import Job

        risky = {name: limit for name, limit in self.course.fragile(value).items() if told.get(name)}
        if risky and self.same:
            name = min(risky)
            message = f"{name} = {told[name]} may crash LibRaw, and this process with it"
            raise ExecutorError(Fault.SETTINGS, message, "write executor libraw(process = worker)")
        bits, divisor = form
        try:
            job = Job(source.path, source.sha256, told, bits, min(risky.values(), default=None))
            codes, done = self.developer.develop(job)
            planes = self._memory((codes.shape[2], *codes.shape[:2]))
            _fill(planes, codes, divisor)
        finally:
            if risky:  # it may have damaged memory without an end: nobody else uses that process
                self.developer.close()
        return planes, done.seconds, done.stretch

    def _memory(self, shape: tuple[int, ...]) -> Image:
        """Room for a picture. Fresh pages cost more than filling them, so that room which is free again comes first."""
        for number in range(len(self._lent)):
            free = sys.getrefcount(self._lent[number]) == FREE  # a view or a tensor of it would hold it too
            if free and self._lent[number].shape == shape:
                return self._lent[number]
        self._lent = [*self._lent[1 - LENT :], np.empty(shape, np.float32)]
        return self._lent[-1]

    def _file(self, request: Request, mosaic: Image) -> _Source:
        """The file to develop: the frame's own where that holds this mosaic, else one that is written."""
        frame, last = request.frame, self._source
        if frame is None:
            hint = "run it on a raw file"
            raise ExecutorError(
                Fault.SETTINGS, f"{self.declared.name}: LibRaw develops files, and there is no frame", hint
            )
        if last is not None and last.frame is frame and (last.image is mosaic or np.array_equal(last.image, mosaic)):
            return last
        own = frame.source
        if own.whole and own.decoder.startswith("LibRaw") and _equal(frame.image, mosaic):
            self._source = _Source(frame, mosaic, own.path, own.sha256, False)
        else:
            self._source = self._written(frame, mosaic)
        return self._source

    def _written(self, frame: Frame, mosaic: Image) -> _Source:
        from ispdsl.executors.formats import write_image
        from ispdsl.executors.sandbox import empty_folder

        self._kept.close()
        path = self._kept.enter_context(empty_folder()) / "frame.dng"
        codes = frame if np.array_equal(frame.image, mosaic) else replace(frame, image=mosaic)
        write_image(path, mosaic, frame.type, "dng", codes)
        return _Source(frame, mosaic, str(path), sha256(path.read_bytes()).hexdigest(), True)


def _equal(codes: NDArray[Any], mosaic: Image) -> bool:
    """Whether a mosaic holds a frame's codes; in bands, since comparing makes a float of every code."""
    rows = range(0, codes.shape[1], 64)
    return codes.shape == mosaic.shape and all(
        np.array_equal(codes[:, row : row + 64], mosaic[:, row : row + 64]) for row in rows
    )


def _fill(planes: Image, codes: Any, divisor: int) -> None:
    """Put LibRaw's picture `(H, W, 3)` into planes of floats; a large one in bands side by side."""

    def convert(first: int, last: int) -> None:
        for index in range(len(planes)):
            np.divide(codes[first:last, :, index], np.float32(divisor), out=planes[index, first:last], dtype=np.float32)

    height, count = len(codes), min(os.cpu_count() or 1, 1 + codes.size // BAND)
    edges = [height * number // count for number in range(count + 1)]
    if count == 1:
        convert(0, height)
    else:
        with ThreadPoolExecutor(count) as threads:
            list(threads.map(convert, edges, edges[1:]))


def _size(mosaic: Image, told: Mapping[str, Any], stretch: tuple[float, float]) -> tuple[int, int]:
    """Height and width of LibRaw's picture: half of a mosaic's, rounded up, where it makes one pixel of four sites."""
    half = bool(told.get("half_size")) and len(mosaic) == 1
    sides = [(side + 1) // 2 if half else side for side in mosaic.shape[1:]]
    height, width = (
        math.floor(side * by + 0.5) if by != 1.0 else side for side, by in zip(sides, stretch, strict=True)
    )
    return height, width


def _notes(source: _Source, stretches: Iterable[tuple[float, float]]) -> tuple[str, ...]:
    notes = ["a DNG was written of the frame for LibRaw"] if source.written else []
    if any(stretch != (1.0, 1.0) for stretch in stretches):
        notes.append("pixels are not square: LibRaw stretches the picture")
    return tuple(notes)
