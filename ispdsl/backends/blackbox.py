"""The real thing behind a pipeline or stage: what the text says of it, and a raw frame sent through it."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from ispdsl.calls import Call, substitute
from ispdsl.errors import PlanError
from ispdsl.executors.kinds import backend_of, open_executor
from ispdsl.executors.model import Declared, Executor, Limits, Node, Request
from ispdsl.executors.trust import check_allowed
from ispdsl.graph import Graph, build
from ispdsl.ir.model import Implementation, Module, Port, Signature
from ispdsl.passes.inline import inline
from ispdsl.passes.select import specialise
from ispdsl.runtime.frame import Frame
from ispdsl.runtime.slots import Slot
from ispdsl.runtime.values import Settings

COMPOSITE = "composite"
"""The backend that is no real thing: the programs of the stages."""


def declared(graph: Graph, types: Mapping[str, str | int] | None = None) -> Declared:
    """What a pipeline's text says of the real thing that runs all of it.

    Args:
        graph: as built.
        types: CFA, space or storage for type variables.

    Raises:
        PlanError: the pipeline has no executor line.
    """
    implementation = _executor(graph.implementations)
    if implementation is None:
        hint = "give it an executor line, or run it as --backend composite"
        raise PlanError(f"{graph.name} has no executor", hint)
    flat = specialise(inline(graph), types or {})
    return Declared(
        name=graph.name,
        kind="pipeline",
        implementation=implementation,
        inputs=flat.inputs,
        outputs=flat.outputs,
        slots=flat.slots,
        nodes=tuple(_node(call) for call in flat.calls),
        results=flat.results,
        taps=flat.taps,
        folder=Path(implementation.folder),
        sha256=graph.sha256,
    )


def declared_stage(signature: Signature, sha256: str, types: Mapping[str, str | int] | None = None) -> Declared:
    """What a stage's text says of the real thing that runs it alone. Addresses are the parameters' names.

    Raises:
        PlanError: the stage has no executor line.
    """
    implementation = _executor(signature.implementations)
    if implementation is None:
        raise PlanError(f"stage {signature.name} has no executor", f"give it an executor line ({signature.location})")
    return Declared(
        name=signature.name,
        kind="stage",
        implementation=implementation,
        inputs=_ports(signature.inputs, types or {}),
        outputs=_ports(signature.outputs, types or {}),
        slots=tuple(Slot(each.name, each, getattr(each, "default", None)) for each in signature.parameters),
        folder=Path(implementation.folder),
        sha256=hashlib.sha256(f"{sha256}\n{signature.name}".encode()).hexdigest(),
    )


def declared_in(module: Module) -> list[Declared]:
    """Everything real that a module names, in its own file and in those that it imports; pipelines first."""
    texts = hashlib.sha256("\n".join(sorted(module.files.values())).encode()).hexdigest()
    pipelines = [
        declared(build(module, key))
        for key, pipeline in module.pipelines.items()
        if _executor(pipeline.signature.implementations)
    ]
    stages = [
        declared_stage(stage.signature, texts)
        for stage in module.stages.values()
        if _executor(stage.signature.implementations)
    ]
    return [*pipelines, *stages]


def check_backend(graph: Graph, backend: str) -> None:
    """Find out whether a pipeline can be run by a backend.

    Raises:
        PlanError: it has no executor, or one of another kind.
    """
    if backend == COMPOSITE:
        return
    found = declared(graph)
    if backend_of(found) != backend:
        message = f"{graph.name} is not run by {backend}: its executor is {found.implementation.target}"
        raise PlanError(message, f"choose {COMPOSITE} or {backend_of(found)}")


@contextmanager
def opened(found: Declared, allow_exec: bool = False, limits: Limits | None = None) -> Generator[Executor]:
    """The real thing, open; closed again whatever happens.

    Raises:
        CompileError: the executor line is wrong.
        ExecutorError: the text names a program that nobody has allowed; the real thing is not there.
    """
    check_allowed(found, allow_exec)
    with closing(open_executor(found, limits)) as executor:
        yield executor


def request(found: Declared, frame: Frame, settings: Settings, taps: Iterable[str] | None = None) -> Request:
    """A raw frame with all settings, as an executor takes it.

    Args:
        found: from `declared`, with the frame's types.
        frame: the raw.
        settings: of the graph; what waits for metadata takes it from the frame.
        taps: names of the taps to watch; None means all.

    Raises:
        PlanError: there is no tap of that name.
        SettingsError: a starting value is missing from the frame.
    """
    import numpy as np

    wanted = tuple(found.taps) if taps is None else tuple(taps)
    unknown = [name for name in wanted if name not in found.taps]
    if unknown:
        raise PlanError(f"{found.name} has no tap {unknown[0]}", f"its taps are {', '.join(found.taps) or 'none'}")
    mosaic = found.inputs[0].name
    return Request({mosaic: frame.image.astype(np.float32)}, all_settings(found, frame, settings), frame, wanted)


def all_settings(found: Declared, frame: Frame, settings: Settings) -> dict[str, Any]:
    """A value for every address, as a request has them; what waits for metadata takes it from the frame.

    Raises:
        SettingsError: a starting value is missing from the frame.
    """
    settings = settings.resolved(frame.metadata)
    return {slot.address: settings[slot.address] for slot in found.slots}


def _executor(offered: Iterable[Implementation]) -> Implementation | None:
    return next((each for each in offered if each.kind == "executor"), None)


def _node(call: Call) -> Node:
    return Node(
        address=call.address,
        signature=call.signature,
        inputs=call.inputs,
        outputs=call.outputs,
        parameters=call.parameters,
        executor=_executor(call.signature.implementations),
    )


def _ports(ports: tuple[Port, ...], types: Mapping[str, str | int]) -> tuple[Port, ...]:
    return tuple(port.model_copy(update={"type": substitute(port.type, types)}) for port in ports)
