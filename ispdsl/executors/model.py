"""The one interface of everything real: settings, images and metadata in; outputs, taps and cost out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ispdsl.executors.faults import ExecutorError
from ispdsl.ir.model import Implementation, Port, Signature, Value
from ispdsl.runtime.frame import Frame
from ispdsl.runtime.slots import PhysicalValue, Slot

Image = NDArray[np.float32]
"""`(C, H, W)` in the numbers of its type: codes for ``u12``, 0..1 for ``unit``, free for ``f32``."""

MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """What one call may take. A program that goes beyond is stopped with all its children."""

    seconds: float = 300.0
    memory: int = 8192 * MIB
    """Bytes of address space of each process."""
    output: int = 2048 * MIB
    """Bytes of each file, and of everything that the call writes."""


@dataclass(frozen=True)
class Node:
    """A node of the pipeline that the real thing runs as a whole.

    `parameters` maps the stage's names to addresses of the table, `executor` is the stage's own executor line.
    """

    address: str
    signature: Signature
    inputs: Mapping[str, Value]
    outputs: Mapping[str, Any]
    """`Type` of each output port."""
    parameters: Mapping[str, str]
    executor: Implementation | None


@dataclass(frozen=True)
class Declared:
    """What the text says of the real thing behind a stage or pipeline.

    Attributes:
        name: of the stage or pipeline.
        kind: ``stage`` (addresses are its parameters' names) or ``pipeline`` (addresses are ``node.parameter``).
        implementation: its ``executor`` line: kind of executor as `target`, and `arguments`.
        inputs, outputs: images, with type variables replaced where the frame binds them.
        slots: the address table.
        nodes: of a pipeline, in the order in which they run; empty for a stage.
        results: what of the nodes each output is; empty for a stage.
        taps: what of the nodes each tap watches.
        folder: where the file with the executor line lies; files beside it are looked for there and below, only.
        sha256: hash of all texts that define it.
    """

    name: str
    kind: Literal["stage", "pipeline"]
    implementation: Implementation
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    slots: tuple[Slot, ...] = field(repr=False)
    nodes: tuple[Node, ...] = ()
    results: Mapping[str, Value] = field(default_factory=dict[str, Value])
    taps: Mapping[str, Value] = field(default_factory=dict[str, Value])
    folder: Path = Path()
    sha256: str = ""

    @property
    def where(self) -> str:
        """The executor line, for messages."""
        return f"{self.implementation.location}: executor {self.implementation.target} of {self.name}"


@dataclass(frozen=True, eq=False)
class Request:
    """One call.

    Attributes:
        images: by the name of the input, `(C, H, W)`.
        settings: a value in its declared unit for every address of the table.
        frame: the raw file that the mosaic came from, where there is one.
        taps: names of the taps that are wanted.
    """

    images: Mapping[str, Image]
    settings: Mapping[str, PhysicalValue]
    frame: Frame | None = None
    taps: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cost:
    """What a call took: seconds in all, seconds in the real thing itself, and how often that was started or asked."""

    seconds: float
    own: float
    starts: int = 1


@dataclass(frozen=True, eq=False)
class Answer:
    """What a call gave: images by the name of the output and of the tap, each `(C, H, W)` and believed."""

    outputs: Mapping[str, Image]
    taps: Mapping[str, Image]
    cost: Cost
    notes: tuple[str, ...] = ()
    """What the user should know, such as a border that the program cut off."""


class Executor(Protocol):
    """A real thing, open and ready. One call at a time; `pool` runs several side by side."""

    @property
    def declared(self) -> Declared:
        """What it was opened for."""
        ...

    @property
    def version(self) -> str:
        """Name and version of the real thing, as it says itself: ``darktable 4.2.1``."""
        ...

    @property
    def batch(self) -> int:
        """How many calls it takes best at once; 1 where that makes no difference."""
        ...

    def run(self, request: Request) -> Answer:
        """Run one call.

        Raises:
            ExecutorError: whatever went wrong.
        """
        ...

    def run_many(self, requests: Sequence[Request]) -> list[Answer | ExecutorError]:
        """Run several calls; one that fails leaves its error in its place."""
        ...

    def close(self) -> None:
        """Let go of processes, connections and folders. Nothing that it started lives on."""
        ...


def one_by_one(executor: Executor, requests: Sequence[Request]) -> list[Answer | ExecutorError]:
    """`run_many` for whoever gains nothing by batches."""
    answers: list[Answer | ExecutorError] = []
    for request in requests:
        try:
            answers.append(executor.run(request))
        except ExecutorError as error:
            answers.append(error)
    return answers
