"""Several raws at some settings: by the real thing of a pipeline, by its programs, or by doubles in their places."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from ispdsl.backends.blackbox import COMPOSITE, check_backend, declared, opened, request
from ispdsl.backends.composite import compile
from ispdsl.backends.vector import tensors as settings_tensors
from ispdsl.comparison.pair import peak_of
from ispdsl.darkroom import mosaic_input, tensors
from ispdsl.errors import RunError
from ispdsl.graph import Graph
from ispdsl.optimise.tasks.task import Picture, View
from ispdsl.passes.select import match
from ispdsl.runtime.frame import Frame
from ispdsl.runtime.pictures import orient
from ispdsl.runtime.values import Settings

if TYPE_CHECKING:
    from ispdsl.backends.doubles import Doubles

Render = Callable[[Settings], list[Picture]]
"""The first output of every raw at some settings: upright, 1 for white. The settings need not be resolved."""

_One = Callable[[Frame, Settings], NDArray[np.float32]]


@contextmanager
def renderer(
    graph: Graph,
    frames: Sequence[Frame],
    backend: str = COMPOSITE,
    *,
    trust: Collection[str] = (),
    allow_exec: bool = False,
    doubles: Doubles | None = None,
    impl: Mapping[str, str] | None = None,
) -> Generator[tuple[Render, str]]:
    """Whatever renders some raws, open for any number of settings, and its name and version.

    A real thing is opened once for all raws of one kind of mosaic.

    Args:
        graph: as built.
        frames: the raws.
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
    ways: dict[str, _One] = {}
    versions: list[str] = []
    with ExitStack() as stack:
        for frame in frames:
            if str(frame.type) in ways:
                continue
            types = match(graph, {mosaic_input(graph): frame.type})
            if backend == COMPOSITE:
                ways[str(frame.type)] = _composite(graph, types, trust, allow_exec, doubles, impl or {})
            else:
                way, version = _real(graph, types, stack, allow_exec)
                ways[str(frame.type)] = way
                versions.append(version)

        def render(settings: Settings) -> list[Picture]:
            found: list[Picture] = []
            for frame in frames:
                image = ways[str(frame.type)](frame, settings)
                peak = np.float32(peak_of(graph.outputs[0].type, frame.metadata))
                found.append(orient(image / peak, frame.orientation))
            return found

        yield render, ", ".join(dict.fromkeys(versions))


def views(graph: Graph, frames: Sequence[Frame], names: Sequence[str]) -> list[View]:
    """What is known of the pictures of some raws."""
    space = str(graph.outputs[0].type.args[0])
    return [View(name, space, frame.metadata) for name, frame in zip(names, frames, strict=True)]


def _real(graph: Graph, types: dict[str, str | int], stack: ExitStack, allow_exec: bool) -> tuple[_One, str]:
    found = declared(graph, types)
    name = found.outputs[0].name
    executor = stack.enter_context(opened(found, allow_exec))
    return (
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
) -> _One:
    composite = compile(
        graph, types=types, impl=impl, taps=(), trust=tuple(trust), allow_exec=allow_exec, doubles=doubles
    )

    def render(frame: Frame, settings: Settings) -> NDArray[np.float32]:
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

    return render
