"""Export to ONNX, run by ONNX Runtime and held to the composite.

Source: ONNX 1.18 (opset 18); the exporter is torch.onnx's, from the graph of torch.export.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import re
import warnings
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.export import ExportedProgram

from ispdsl.export.closeness import Closeness, held_to, of_outputs, together
from ispdsl.export.drafts import drafted
from ispdsl.export.faults import ExportError
from ispdsl.export.module import NODE
from ispdsl.export.packages import check_packages
from ispdsl.export.pt2 import LEAST, Ready, Trial, prepare, size_of, trials
from ispdsl.export.source import Call, Source, rendered
from ispdsl.export.trace import Traced, traced_at


def export_onnx(
    source: Source,
    path: Path,
    *,
    free: bool = False,
    free_metadata: bool = False,
    least: float = LEAST,
    record: str = "",
) -> Trial:
    """Write a pipeline as an .onnx file, run it by ONNX Runtime on the CPU, and hold it to the composite.

    Inputs are the image float32 ``(C, H, W)`` under its name in the pipeline, settings by their addresses, and metadata
    as ``metadata.NAME``, all of them; outputs have the names of the pipeline's.

    Args:
        source: the pipeline at its settings.
        path: the file, of suffix .onnx.
        free: settings are inputs, as `ispdsl.export.pt2.export_pt2` has it.
        free_metadata: so is the metadata.
        least: dB that it must reach.
        record: JSON that says what it is, kept in the model's metadata under ``ispdsl``.

    Raises:
        ExportError: a package is missing; an operation has no counterpart in ONNX, and then the message names it with
            its stage; it does not run, or differs.
        PlanError, CompileError, RunError: as the composite.
        OSError: the file cannot be written.
    """
    check_packages()
    ready = prepare(source, free, free_metadata)
    with drafted(path) as draft:
        found = ready.traced
        try:
            closeness = _written(ready, found, draft, record)
        except ExportError as error:
            if not found.flexible:
                raise
            found = traced_at(ready.whole, ready.call.image, found.inputs, source.graph.name, error.message)
            closeness = _written(ready, found, draft, record)
        held_to(closeness, least, ".onnx file")
    return Trial(found, closeness, tuple(size_of(call.image) for call in trials(ready, found)))


def _written(ready: Ready, found: Traced, path: Path, record: str) -> Closeness:
    """Convert, write, run and compare."""
    model = _converted(found.program, ready.source.graph.name)
    names = _named(model, ready, found)
    if record:
        model.model.metadata_props["ispdsl"] = record
    model.save(path)
    parts: list[Closeness] = []
    for call in trials(ready, found):
        wanted = rendered(ready.composite, call, ready.source.seed)
        given = dict(zip(names, _values(call, found), strict=True))
        parts.append(of_outputs(_run(path, given, list(wanted)), wanted, ready.composite.plan.graph.outputs))
    return together(parts)


def _converted(program: ExportedProgram, name: str) -> Any:
    """The model in memory.

    Raises:
        ExportError: an operation cannot be told in ONNX.
    """
    try:
        with _quiet():
            return torch.onnx.export(
                program,
                dynamo=True,
                verbose=False,
                custom_translation_table={torch.ops.aten.remainder.Scalar: _remainder()},
            )
    except Exception as error:
        raise _unconvertible(program, name, error) from error


def _remainder() -> Callable[..., Any]:
    """How the remainder by a number is told: torch.onnx has it for constants alone, not for sizes of images."""
    opset18: Any = importlib.import_module("onnxscript").opset18

    def remainder(self: Any, other: Any) -> Any:
        divisor = opset18.CastLike(other, self)
        if self.dtype is not None and self.dtype.is_integer():
            return opset18.Mod(self, divisor)
        return opset18.Sub(self, opset18.Mul(divisor, opset18.Floor(opset18.Div(self, divisor))))

    return remainder


def _unconvertible(program: ExportedProgram, name: str, error: BaseException) -> ExportError:
    """What could not be told, by the node and stage that it comes from."""
    causes: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        causes.append(str(cause))
        cause = cause.__cause__
    told = "\n".join(causes)
    match = re.search(r"translating node %(\w+) .*?target=torch\.ops\.([\w.]+)\]", told, re.DOTALL)
    last = next((line.strip() for line in causes[-1].splitlines() if line.strip()), type(error).__name__)
    hint = "choose another option of that stage, or a double of it (--doubles); .pt2 files hold every stage"
    if match is None:
        return ExportError(f"{name} cannot be told in ONNX: {last[:200]}", hint)
    operation = match[2]
    base = operation.split(".")[1]  # decomposed before it was told, so that its family may be another
    nodes = [node for node in program.graph.nodes if base in str(node.target)]
    named = [node for node in nodes if node.name == match[1]] or nodes
    places = list(
        dict.fromkeys(str(node.meta["custom"][NODE]) for node in named if NODE in node.meta.get("custom", {}))
    )
    at = f"{' or '.join(places)}, " if places else ""
    return ExportError(f"{name} cannot be told in ONNX: {at}operation {operation}: {last[:200]}", hint)


def _named(model: Any, ready: Ready, found: Traced) -> list[str]:
    """Give the model's inputs and outputs the names of the pipeline's; those of the inputs in order."""
    graph = ready.composite.plan.graph
    images = [port.name for port in graph.inputs if port.type.is_image]
    names = [*images, *found.inputs.settings, *(f"metadata.{name}" for name in found.inputs.metadata)]
    for value, name in zip(model.model.graph.inputs, names, strict=True):
        value.name = name
    for value, port in zip(model.model.graph.outputs, graph.outputs, strict=True):
        value.name = port.name
    return names


def _values(call: Call, found: Traced) -> list[NDArray[Any]]:
    images = list(call.image.values()) if isinstance(call.image, dict) else [call.image]
    return [each.numpy() for each in (*images, *found.inputs.settings.values(), *found.inputs.metadata.values())]


def _run(path: Path, given: dict[str, NDArray[Any]], outputs: list[str]) -> dict[str, NDArray[np.float32]]:
    onnxruntime: Any = importlib.import_module("onnxruntime")

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        found = session.run(outputs, given)
    except Exception as error:  # what the runtime raises has no common ancestor below it
        first = str(error).partition("\n")[0][:300]
        raise ExportError(f"ONNX Runtime does not run it: {first}", "try --to pt2") from error
    return {name: np.asarray(image, np.float32) for name, image in zip(outputs, found, strict=True)}


@contextlib.contextmanager
def _quiet() -> Generator[None]:
    """Within, the exporter keeps to itself what it notes of its own progress."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
