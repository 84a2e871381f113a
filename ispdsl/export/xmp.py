"""Settings as a sidecar of darktable, read back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ispdsl.backends.blackbox import check_backend, declared
from ispdsl.darkroom import mosaic_input
from ispdsl.executors.darktable_history import read_history, write_history
from ispdsl.executors.faults import ExecutorError
from ispdsl.executors.model import Declared
from ispdsl.export.drafts import drafted
from ispdsl.export.faults import ExportError
from ispdsl.export.source import Source, value_of
from ispdsl.ir.params import Array, Table
from ispdsl.passes.select import match
from ispdsl.runtime import faces
from ispdsl.runtime.frame import Frame
from ispdsl.runtime.slots import PhysicalValue, Slot

NEAR = 1e-5
"""The largest share of a value, or of its range, that float32 and the arithmetic around it may cost."""


@dataclass(frozen=True)
class Edit:
    """What a sidecar says.

    Attributes:
        modules: darktable's operations, in order.
        settings: as they were read back, by address, in declared units.
        largest: the largest difference from what was set, as a share of the larger of value and 1.
        worst: the address of that; empty where nothing differs.
    """

    modules: tuple[str, ...]
    settings: Mapping[str, PhysicalValue]
    largest: float
    worst: str


def export_xmp(source: Source, path: Path) -> Edit:
    """Write the settings of a darktable pipeline as an .xmp, and read it back.

    Raises:
        PlanError: darktable does not run the pipeline.
        CompileError: its text is wrong.
        ExecutorError: SETTINGS, a setting cannot be told, or metadata is needed and there is no frame.
        ExportError: what was read back is not what was set.
        OSError: it cannot be written.
    """
    check_backend(source.graph, "darktable")
    frame = source.frame
    types = match(source.graph, {mosaic_input(source.graph): frame.type}) if frame is not None else None
    found = declared(source.graph, types)
    wanted = {slot.address: value_of(source.settings, slot) for slot in found.slots}
    waiting = next((address for address, value in wanted.items() if value is None), None)
    if waiting is not None:
        raise ExportError(f"{waiting} starts at metadata, which only a raw file has", "give --raw RAW, or set it")
    values = {address: value for address, value in wanted.items() if value is not None}
    with drafted(path) as draft:
        _write(draft, found, values, frame)
        back = read_history(draft, found, frame)
        differences = {slot.address: _apart(slot, values[slot.address], back) for slot in found.slots}
    worst = max(differences, key=lambda address: differences[address], default="")
    largest = differences.get(worst, 0.0)
    return Edit(_modules(found), back, largest, worst if largest > 0 else "")


def _write(path: Path, found: Declared, values: Mapping[str, PhysicalValue], frame: Frame | None) -> None:
    try:
        write_history(path, found, values, frame)
    except ExecutorError as error:
        if frame is None:
            raise ExportError(error.message, "give --raw RAW: its metadata is needed") from error
        raise


def _modules(found: Declared) -> tuple[str, ...]:
    return tuple(str(node.executor.arguments["0"]) for node in found.nodes if node.executor is not None)


def _apart(slot: Slot, value: PhysicalValue, back: Mapping[str, PhysicalValue]) -> float:
    """How far a setting that was read back is from what it was.

    Raises:
        ExportError: further than float32 makes it, or it is not there.
    """
    if slot.address not in back:
        raise ExportError(f"{slot.address} did not come back from the .xmp", "please report this with the pipeline")
    again: Any = back[slot.address]
    if slot.static:
        difference = 0.0 if again == value else 1.0
    else:
        first, second = _numbers(slot, value), _numbers(slot, again)
        difference = float(np.max(np.abs(first - second) / np.maximum(np.abs(first), 1.0), initial=0.0))
    if difference > NEAR:
        said = f"{slot.address} was {value}, and came back from the .xmp as {again}"
        raise ExportError(said, "please report this with the pipeline")
    return difference


def _numbers(slot: Slot, value: Any) -> Any:
    if isinstance(slot.declaration, Table):
        return np.asarray(faces.elements(slot.declaration, value))
    return np.asarray(value.values if isinstance(value, Array) else float(value))
