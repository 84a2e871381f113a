"""One step of a composite: a program bound to a call, run, and held to what its stage declares."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from traceback import walk_tb
from typing import Any

import torch
from torch import Tensor

from ispdsl.backends import programs, real
from ispdsl.calls import Call, Given
from ispdsl.errors import CompileError, StageError
from ispdsl.executors.faults import ExecutorError
from ispdsl.graph import Graph
from ispdsl.ir.model import Meta, Value
from ispdsl.ir.types import Type, is_variable
from ispdsl.programs.ops import broadcast_shapes


@dataclass(frozen=True)
class Step:
    """A call in the plainest form, so that tracing sees names and functions and nothing else."""

    node: str
    stage: str
    program: programs.Program
    images: tuple[str, ...]
    needs: tuple[tuple[str, str], ...]
    parameters: tuple[tuple[str, str], ...]
    metas: tuple[tuple[Meta, Given], ...]
    outputs: tuple[tuple[str, Type], ...]
    image_types: tuple[Type, ...]
    keeps_size: bool
    """Whether images come out as high and wide as they went in: always, unless the footprint is the whole image."""
    frees: tuple[str, ...]


def step_of(
    call: Call,
    graph: Graph,
    trust: Collection[str],
    frees: tuple[str, ...],
    allow_exec: bool = False,
    doubles: Mapping[str, Callable[..., Any]] | None = None,
) -> Step:
    """The step of a call: its program, or its executor or double where `select` chose that.

    Raises:
        CompileError: as `ispdsl.backends.programs.bind`.
        ExecutorError: as `ispdsl.backends.real.bind`.
    """
    return Step(
        node=call.address,
        stage=call.signature.name,
        program=_bound(call, graph, trust, allow_exec, doubles or {}),
        images=tuple(str(call.inputs[port.name]) for port in call.signature.inputs),
        needs=tuple((need.name, str(call.needs[need.name])) for need in call.signature.needs),
        parameters=tuple(call.parameters.items()),
        metas=tuple((meta, call.metas[meta.name]) for meta in call.signature.metas),
        outputs=tuple(
            (str(Value(node=call.address, port=port.name)), call.outputs[port.name]) for port in call.signature.outputs
        ),
        image_types=tuple(graph.type_of(call.inputs[port.name]) for port in call.signature.inputs),
        keeps_size=call.footprint is not None and call.footprint.kind != "global",
        frees=frees,
    )


def _bound(
    call: Call, graph: Graph, trust: Collection[str], allow_exec: bool, doubles: Mapping[str, Callable[..., Any]]
) -> programs.Program:
    assert call.implementation is not None, "select chose one"
    match call.implementation.kind:
        case "executor":
            return real.bind(call, graph.module, allow_exec)
        case "proxy":
            return programs.Program(doubles[call.address], _phase(call, graph))
        case _:
            return programs.bind(call, trust)


def _phase(call: Call, graph: Graph) -> dict[str, str]:
    """The CFA of the first mosaic that a double is given, where it is known."""
    types = (graph.type_of(call.inputs[port.name]) for port in call.signature.inputs)
    found = [type_.args[0] for type_ in types if type_.name == "raw"]
    return {"cfa": str(found[0])} if found and not is_variable(found[0]) else {}


def run(step: Step, images: Iterable[Tensor], keywords: Mapping[str, Any]) -> tuple[Tensor, ...]:
    """Call the program of a step. While it is traced for an export its own errors pass.

    Raises:
        StageError: the program fails, changes what it was given, or gives what its stage does not declare.
    """
    images = tuple(images)
    if torch.compiler.is_compiling():
        return _declared(step, step.program.function(*images, **keywords), images)
    given = {f"image {index}" if len(images) > 1 else "image": image for index, image in enumerate(images, 1)}
    before = _versions({**given, **keywords})
    try:
        result = step.program.function(*images, **keywords)
    except (CompileError, ExecutorError):
        raise  # of a real thing: it says already what is wrong and where
    except (Exception, SystemExit) as error:  # whatever a program raises, the user is told which one it was
        what = f"{type(error).__name__}: {error}{_place(error, step.program.function)}"
        raise StageError(step.node, step.stage, what) from error
    after = _versions({**given, **keywords})
    changed = [name for name, version in before.items() if after[name] != version]
    if changed:
        raise StageError(step.node, step.stage, f"the program changed its {changed[0]} in place")
    return _declared(step, result, images)


def _versions(given: Mapping[str, Any]) -> dict[str, int]:
    """How often torch saw each tensor written to; it does not count for tensors of `torch.inference_mode`."""
    tensors = {name: value for name, value in given.items() if isinstance(value, Tensor)}
    return {name: value._version for name, value in tensors.items() if not value.is_inference()}


def _place(error: BaseException, function: Callable[..., Any]) -> str:
    """Where in the code of the program's own package an error arose: ``, at my_isp/programs.py:3``."""
    package = str(getattr(function, "__module__", "")).partition(".")[0]
    lines = [
        (frame.f_code.co_filename, line)
        for frame, line in walk_tb(error.__traceback__)
        if str(frame.f_globals.get("__name__")).partition(".")[0] == package and frame.f_globals is not globals()
    ]
    if not lines:
        return ""
    path, line = Path(lines[-1][0]), lines[-1][1]
    here = Path.cwd()
    return f", at {path.relative_to(here) if path.is_relative_to(here) else path}:{line}"


def _declared(step: Step, result: Any, images: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The results of a program, once they are known to be what the stage declares."""
    results = tuple(result) if isinstance(result, tuple | list) else (result,)
    if len(results) != len(step.outputs):
        raise StageError(step.node, step.stage, f"gave {len(results)} results, the stage has {len(step.outputs)}")
    for (name, type_), found in zip(step.outputs, results, strict=True):
        wrong = _wrong(found, type_, images, step.keeps_size)
        if wrong:
            raise StageError(step.node, step.stage, f"{name} {wrong}")
    return results


def _wrong(found: Any, type_: Type, images: tuple[Tensor, ...], keeps_size: bool) -> str | None:
    """What is wrong with one result."""
    if not isinstance(found, Tensor):
        return f"is {type(found).__name__}, not a tensor"
    shape = tuple(found.shape)
    if images and found.dtype != images[0].dtype:
        return f"is of {found.dtype}, and the image that went in of {images[0].dtype}"
    if not type_.is_image:
        sizes = tuple(size for size in type_.args if isinstance(size, int))
        return f"has the shape {shape}, not that of {type_}" if sizes and shape[-len(sizes) :] != sizes else None
    if len(shape) < 3 or shape[-3] != type_.planes:
        return f"has the shape {shape}, {type_} has {type_.planes} planes"
    if not images:
        return None
    lead = broadcast_shapes(*(image.shape[:-3] for image in images))
    if shape[:-3] != tuple(lead):
        return f"has the shape {shape}, and the batch that went in is {tuple(lead)}"
    if keeps_size and shape[-2:] != tuple(images[0].shape[-2:]):
        size = " x ".join(map(str, images[0].shape[-2:]))
        return f"has the shape {shape}, not the height and width {size} that went in; only `property global` may"
    return None


def check_finite(step: Step, results: Iterable[Tensor]) -> None:
    """Look at every number of the results.

    Raises:
        StageError: one is infinite or not a number.
    """
    for (name, _), found in zip(step.outputs, results, strict=True):
        wrong = found.numel() - int(found.isfinite().sum())
        if wrong:
            port = name.rpartition(".")[2]
            where = f"{port}: " if len(step.outputs) > 1 else ""
            raise StageError(step.node, step.stage, f"{where}{wrong} of {found.numel()} values are not finite")
