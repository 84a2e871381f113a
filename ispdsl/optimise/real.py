"""What the answer is held to: the real thing of a pipeline, its programs or doubles, asked one picture at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from ispdsl.backends.blackbox import COMPOSITE, check_backend, declared, opened, request
from ispdsl.backends.composite import compile
from ispdsl.backends.vector import tensors as settings_tensors
from ispdsl.darkroom import mosaic_input, tensors
from ispdsl.errors import RunError
from ispdsl.graph import Graph
from ispdsl.ir.types import Type
from ispdsl.passes.select import match
from ispdsl.runtime.frame import Frame
from ispdsl.runtime.values import Settings

if TYPE_CHECKING:
    from ispdsl.backends.doubles import Doubles

Render = Callable[[Settings], NDArray[np.float32]]
"""The first output ``(C, H, W)`` at some settings, in the numbers of its type."""

Develop = Callable[[Frame, Settings], NDArray[np.float32]]
"""The same of any frame of one type."""


@contextmanager
def renderer(
    graph: Graph, frame: Frame, backend: str = COMPOSITE, trust: Collection[str] = (), allow_exec: bool = False
) -> Generator[tuple[Render, str]]:
    """Whatever renders a frame for real, open for any number of pictures, and its name and version.

    Arguments and errors are those of `developer`.
    """
    with developer(graph, frame.type, backend, trust=trust, allow_exec=allow_exec) as (develop, version):
        yield (lambda settings: develop(frame, settings)), version


@contextmanager
def developer(
    graph: Graph,
    type_: Type,
    backend: str = COMPOSITE,
    *,
    trust: Collection[str] = (),
    allow_exec: bool = False,
    doubles: Doubles | None = None,
    impl: Mapping[str, str] | None = None,
) -> Generator[tuple[Develop, str]]:
    """Whatever renders frames of a type, open for any number of them, and its name and version.

    Args:
        graph: as built.
        type_: of the frames.
        backend: ``composite`` for the programs of the stages, or the kind of the pipeline's executor.
        trust: packages besides ispdsl whose programs may run.
        allow_exec: run the programs and devices that the text names, whoever wrote it.
        doubles: trained networks in the places of stages, of the composite.
        impl: how a stage runs where it is not the program.

    Raises:
        PlanError: the pipeline takes no such frame, or has no executor of this kind.
        CompileError: a program or an executor line is wrong.
        ExecutorError: the real thing is not allowed, or not there.
    """
    check_backend(graph, backend)
    types = match(graph, {mosaic_input(graph): type_})
    if backend == COMPOSITE:
        yield _composite(graph, types, trust, allow_exec, doubles, impl or {}), ""
        return
    found = declared(graph, types)
    name = found.outputs[0].name
    with opened(found, allow_exec) as executor:
        yield (
            lambda frame, settings: executor.run(request(found, frame, settings, ())).outputs[name],
            executor.version,
        )


def _composite(
    graph: Graph,
    types: dict[str, str | int],
    trust: Collection[str],
    allow_exec: bool,
    doubles: Doubles | None,
    impl: Mapping[str, str],
) -> Develop:
    composite = compile(
        graph, types=types, impl=impl, taps=(), trust=tuple(trust), allow_exec=allow_exec, doubles=doubles
    )

    def develop(frame: Frame, settings: Settings) -> NDArray[np.float32]:
        image, metadata = tensors(frame)
        values = settings_tensors(settings.resolved(frame.metadata))
        with torch.no_grad():
            made = composite(image, values, metadata)
            if composite.feeds_back:  # a still is what a camera settles on
                made = composite(image, values, metadata, made.statistics)
        if not made.image.isfinite().all():
            composite.inspect(image, values, metadata)
            raise RunError(f"{graph.name} gives numbers that are not finite")
        return made.image.numpy()

    return develop
