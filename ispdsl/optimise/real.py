"""What the answer is held to: the real thing of a pipeline, or its programs, asked one picture at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray

from ispdsl.backends.blackbox import COMPOSITE, check_backend, declared, opened, request
from ispdsl.backends.composite import compile
from ispdsl.backends.vector import tensors as settings_tensors
from ispdsl.darkroom import mosaic_input, tensors
from ispdsl.errors import RunError
from ispdsl.graph import Graph
from ispdsl.passes.select import match
from ispdsl.runtime.frame import Frame
from ispdsl.runtime.values import Settings

Render = Callable[[Settings], NDArray[np.float32]]
"""The first output ``(C, H, W)`` at some settings, in the numbers of its type."""


@contextmanager
def renderer(
    graph: Graph, frame: Frame, backend: str = COMPOSITE, trust: Collection[str] = (), allow_exec: bool = False
) -> Generator[tuple[Render, str]]:
    """Whatever renders a frame for real, open for any number of pictures, and its name and version.

    Args:
        graph: as built.
        frame: the raw.
        backend: ``composite`` for the programs of the stages, or the kind of the pipeline's executor.
        trust: packages besides ispdsl whose programs may run.
        allow_exec: run the programs and devices that the text names, whoever wrote it.

    Raises:
        PlanError: the pipeline takes no such frame, or has no executor of this kind.
        CompileError: a program or an executor line is wrong.
        ExecutorError: the real thing is not allowed, or not there.
    """
    types = match(graph, {mosaic_input(graph): frame.type})
    if backend == COMPOSITE:
        yield _programs(graph, frame, types, trust, allow_exec), ""
        return
    check_backend(graph, backend)
    found = declared(graph, types)
    name = found.outputs[0].name
    with opened(found, allow_exec) as executor:
        yield (
            lambda settings: executor.run(request(found, frame, settings, ())).outputs[name],
            executor.version,
        )


def _programs(
    graph: Graph, frame: Frame, types: dict[str, str | int], trust: Collection[str], allow_exec: bool
) -> Render:
    composite = compile(graph, types=types, taps=(), trust=tuple(trust), allow_exec=allow_exec)
    image, metadata = tensors(frame)

    def render(settings: Settings) -> NDArray[np.float32]:
        values = settings_tensors(settings.resolved(frame.metadata))
        with torch.no_grad():
            made = composite(image, values, metadata)
            if composite.feeds_back:
                made = composite(image, values, metadata, made.statistics)
        if not made.image.isfinite().all():
            composite.inspect(image, values, metadata)
            raise RunError(f"{graph.name} gives numbers that are not finite")
        return made.image.numpy()

    return render
