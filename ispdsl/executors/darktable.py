"""darktable behind a pipeline: every stage is one of its modules, stated field by field in the text.

A pipeline's line is `executor darktable()`, with `versions = ["4.4.2"]` to vouch for versions beyond the verified ones,
`input = frame` to give it the mosaic as a DNG instead of the original file, and `threads = 1`. A stage's line states a
module: `executor darktable("exposure", version = 6, fields = ["i32 mode = 0", "f32 black", ...])`, see
`darktable_fields`. A stage that takes colour runs alone, too.

darktable (GPL-3.0) is run as a program of its own; see darktable.org.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ispdsl.errors import CompileError
from ispdsl.executors import darktable_cli as cli
from ispdsl.executors.belief import believed
from ispdsl.executors.darktable_batch import Delivery, Order, Session, Write, deliver
from ispdsl.executors.darktable_chain import Chain, Recipe, chain_of, recipe
from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.executors.formats import write_image
from ispdsl.executors.kinds import Found
from ispdsl.executors.model import Answer, Cost, Declared, Image, Limits, Request
from ispdsl.ir.model import Value
from ispdsl.ir.types import Type
from ispdsl.runtime.frame import Frame, Metadata

BATCH = 64
"""Samples a start: the start then costs each some 10 ms, and the more there are, the more a failing one costs."""

ARGUMENTS = ("versions", "input", "threads")


def open_executor(declared: Declared, limits: Limits, lane: int) -> Darktable:
    """Darktable, ready to run a pipeline or a stage.

    Args:
        declared: what the text says.
        limits: what a call may take.
        lane: number of this worker; each has a configuration folder of its own, for darktable locks it.

    Raises:
        CompileError: a line is wrong, or the stages are no chain of modules.
        ExecutorError: `ABSENT` or `VERSION`.
    """
    chain = chain_of(declared)
    vouched, source, threads = _arguments(declared)
    version = cli.version_of(cli.PROGRAM)
    cli.check_version(version, vouched)
    folder = Path(tempfile.mkdtemp(prefix=f"ispdsl-darktable-{lane}-"))
    return Darktable(declared, chain, Session(version, folder, threads, limits), source)


def reaches(declared: Declared) -> tuple[str, ...]:
    """Nothing: which program runs is not the text's choice."""
    return ()


def findings() -> tuple[Found, ...]:
    """Whether darktable is here, and in a version that is known."""
    path = shutil.which(cli.PROGRAM)
    if path is None:
        return (Found("darktable", False, "not found", cli.GET_IT),)
    try:
        version = cli.version_of(cli.PROGRAM)
    except ExecutorError as error:
        return (Found("darktable", False, error.message, cli.GET_IT),)
    advice = None if version in cli.KNOWN else f"known are {', '.join(cli.KNOWN)}; vouch for it in the executor line"
    return (Found("darktable", True, f"{version} ({path})", advice),)


SOURCES = ("auto", "file", "frame")
"""What darktable is given: the raw file, the frame as a DNG, or the file where that holds nothing but the frame."""


@dataclass(frozen=True, eq=False)
class Darktable:
    """Darktable, open for one declaration. One call at a time."""

    declared: Declared
    chain: Chain = field(repr=False)
    session: Session
    source: str = "auto"

    @property
    def version(self) -> str:
        """``darktable 4.2.1``."""
        return f"darktable {self.session.version}"

    @property
    def batch(self) -> int:
        """How many samples go well into one start."""
        return BATCH

    def run(self, request: Request) -> Answer:
        """One sample, its taps in the same start.

        Raises:
            ExecutorError: whatever went wrong.
        """
        (answer,) = self.run_many([request])
        if isinstance(answer, ExecutorError):
            raise answer
        return answer

    def run_many(self, requests: Sequence[Request]) -> list[Answer | ExecutorError]:
        """Samples in as few starts as their size allows; one that fails leaves its error in its place."""
        begun = time.perf_counter()
        plans: list[Plan | ExecutorError] = [self._planned(request) for request in requests]
        good = [plan for plan in plans if isinstance(plan, Plan)]
        deliveries: list[Delivery | ExecutorError] = []
        for group in _groups(good, self.session.limits.output // 2):
            deliveries += deliver([plan.order for plan in group], self.session)
        seconds = (time.perf_counter() - begun) / max(len(good), 1)
        delivered = iter(deliveries)
        return [
            plan if isinstance(plan, ExecutorError) else self._answer(plan, next(delivered), seconds) for plan in plans
        ]

    def close(self) -> None:
        """Remove the configuration folder."""
        shutil.rmtree(self.session.configuration, ignore_errors=True)

    def _planned(self, request: Request) -> Plan | ExecutorError:
        try:
            return plan_of(self.declared, self.chain, request, self.source)
        except ExecutorError as error:
            return error

    def _answer(self, plan: Plan, delivery: Delivery | ExecutorError, seconds: float) -> Answer | ExecutorError:
        if isinstance(delivery, ExecutorError):
            return delivery
        try:
            outputs = {name: self._image(plan, port, delivery, name) for name, port in plan.outputs.items()}
            taps = {name: self._image(plan, port, delivery, name) for name, port in plan.taps.items()}
        except ExecutorError as error:
            return error
        return Answer(outputs, taps, Cost(seconds, delivery.own), _notes(plan, delivery))

    def _image(self, plan: Plan, port: Picture, delivery: Delivery, name: str) -> Image:
        if port.picture is None:
            return plan.image
        picture = delivery.pictures[port.picture]
        if port.type.planes == 1:
            picture = picture[1:2]  # a mosaic: the three planes are copies of one
        if port.type.args[-1] == "unit":
            picture = np.clip(picture, 0.0, 1.0)  # as darktable's own writers of integer files do
        return believed(picture, port.type, plan.size, f"{name} of {self.declared.name}", delivery.command)


# ---- what a request needs -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Picture:
    """An output or tap: its type, and which of the order's pictures it is; None for the image that went in."""

    type: Type
    picture: int | None


@dataclass(frozen=True, eq=False)
class Plan:
    """A request made ready. `size` is that of the results, None where darktable may crop the original file."""

    order: Order
    outputs: Mapping[str, Picture]
    taps: Mapping[str, Picture]
    image: Image
    size: tuple[int, int] | None


def plan_of(declared: Declared, chain: Chain, request: Request, source: str) -> Plan:
    """The pictures that a request needs, each but once.

    Raises:
        ExecutorError: `SETTINGS` where a setting cannot be told, a mosaic comes without a frame, or a tap is unknown.
    """
    port = declared.inputs[0]
    image, frame = request.images[port.name], request.frame
    if chain.source.name == "raw" and frame is None:
        hint = "darktable needs levels and colour of the camera"
        raise ExecutorError(Fault.SETTINGS, f"{declared.name}: a mosaic comes without its raw file", hint)
    if chain.source.name == "raw" and image.shape[0] != 1:
        message = f"{declared.name}: {frame.source.path if frame else 'the image'} has three samples a site"
        raise ExecutorError(Fault.SETTINGS, message, "darktable's modules for raw files take Bayer mosaics")
    unknown = next((name for name in request.taps if name not in declared.taps), None)
    if unknown is not None:
        known = ", ".join(declared.taps) or "none"
        raise ExecutorError(Fault.SETTINGS, f"{declared.name} has no tap {unknown}", f"its taps are {known}")
    metadata: Metadata = frame.metadata if frame is not None else {}
    places = {link.node.address: index for index, link in enumerate(chain.links)}
    recipes: dict[Recipe, int] = {}

    def wanted(value: Value) -> Picture:
        if value.node is None:
            return Picture(port.type, None)
        index = places[value.node]
        found = recipe(chain, index, request.settings, metadata)
        return Picture(chain.links[index].type, recipes.setdefault(found, len(recipes)))

    results = declared.results or {declared.outputs[0].name: Value(node=declared.name, port=declared.outputs[0].name)}
    outputs = {name: wanted(value) for name, value in results.items()}
    taps = {name: wanted(declared.taps[name]) for name in request.taps}
    written = source == "frame" or frame is None or (source == "auto" and frame.source.bordered)
    original = None if written or frame is None else _original(frame, image)
    write = _copy_of(original) if original else _written(image, port.type, frame)
    name = frame.source.path if frame is not None else f"the image of {declared.name}"
    size = None if original else (image.shape[1], image.shape[2])
    return Plan(Order(write, tuple(recipes), name), outputs, taps, image, size)


def _original(frame: Frame, image: Image) -> Path | None:
    """The file of the frame, where that is what the image is and the file says by itself what it holds."""
    path = Path(frame.source.path)
    whole = frame.source.whole and frame.source.decoder != "headerless"
    same = whole and path.is_file() and image.shape == frame.image.shape
    return path if same and np.array_equal(image, frame.image) else None


def _copy_of(path: Path) -> Write:
    def write(folder: Path, stem: str) -> Path:
        target = folder / f"{stem}{path.suffix.lower()}"
        shutil.copyfile(path, target)  # a copy: darktable looks for sidecars beside a link's target
        return target

    return write


def _written(image: Image, type_: Type, frame: Frame | None) -> Write:
    form, suffix = ("dng", ".dng") if type_.name == "raw" else ("tiff32", ".tif")

    def write(folder: Path, stem: str) -> Path:
        target = folder / f"{stem}{suffix}"
        write_image(target, image, type_, form, frame)
        return target

    return write


def _groups(plans: Sequence[Plan], most: int) -> Iterable[list[Plan]]:
    """Runs of plans whose files together stay below `most` bytes, at most `BATCH` in each."""
    group: list[Plan] = []
    total = 0
    for plan in plans:
        pixels = plan.image.shape[1] * plan.image.shape[2]
        size = pixels * 12 * len(plan.order.recipes) + plan.image.nbytes
        if group and (len(group) >= BATCH or total + size > most):
            yield group
            group, total = [], 0
        group.append(plan)
        total += size
    if group:
        yield group


def _notes(plan: Plan, delivery: Delivery) -> tuple[str, ...]:
    if not delivery.pictures or delivery.pictures[0].shape[1:] == plan.image.shape[1:]:
        return ()
    (_, height, width), (_, rows, columns) = delivery.pictures[0].shape, plan.image.shape
    return (
        f"darktable takes another part of the sensor: {width} x {height} where the frame has {columns} x {rows}; "
        "executor darktable(input = frame) gives it exactly the frame",
    )


# ---- the line of the pipeline -------------------------------------------------------------------------------


def _arguments(declared: Declared) -> tuple[tuple[str, ...], str, int | None]:
    """Versions vouched for, what darktable is given (see `SOURCES`), threads."""
    if declared.kind == "stage":
        return (), "auto", None
    given = declared.implementation.arguments
    unknown = next((name for name in given if name not in ARGUMENTS), None)
    if unknown is not None:
        raise CompileError(f"{declared.where}: {unknown} means nothing here", f"it takes {', '.join(ARGUMENTS)}")
    versions, source, threads = given.get("versions", ()), given.get("input", "auto"), given.get("threads")
    if not isinstance(versions, tuple):
        raise CompileError(f"{declared.where}: versions is no list of texts", 'write versions = ["4.4.2"]')
    if source not in SOURCES:
        raise CompileError(f"{declared.where}: input is {source}", f"it is one of {', '.join(SOURCES)}")
    assert isinstance(source, str)
    if threads is None:
        return versions, source, None
    if not isinstance(threads, float | int) or threads != int(threads) or not 1 <= threads <= 1024:
        raise CompileError(f"{declared.where}: threads is no whole number from 1 on", "write threads = 1")
    return versions, source, int(threads)
