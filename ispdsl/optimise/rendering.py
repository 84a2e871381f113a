"""Several raws at some settings: by the real thing of a pipeline, by its programs, or by doubles in their places."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import numpy as np

from ispdsl.backends.blackbox import COMPOSITE
from ispdsl.comparison.pair import peak_of
from ispdsl.graph import Graph
from ispdsl.optimise.real import Develop, developer
from ispdsl.optimise.tasks.task import Picture, View
from ispdsl.runtime.frame import Frame
from ispdsl.runtime.pictures import orient
from ispdsl.runtime.values import Settings

if TYPE_CHECKING:
    from ispdsl.backends.doubles import Doubles

Render = Callable[..., list[Picture]]
"""The first output of every raw: upright, 1 for white. It is given `Settings` by position: one for all raws, or one
for each. They need not be resolved."""


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

    A real thing is opened once for all raws of one kind of mosaic, by `ispdsl.optimise.real.developer`: its arguments
    and its errors are those of this function too.
    """
    ways: dict[str, Develop] = {}
    versions: list[str] = []
    with ExitStack() as stack:
        for frame in frames:
            if str(frame.type) not in ways:
                way, version = stack.enter_context(
                    developer(
                        graph, frame.type, backend, trust=trust, allow_exec=allow_exec, doubles=doubles, impl=impl
                    )
                )
                ways[str(frame.type)] = way
                versions.append(version)

        def render(*settings: Settings) -> list[Picture]:
            found: list[Picture] = []
            each = settings * len(frames) if len(settings) == 1 else settings
            for frame, mine in zip(frames, each, strict=True):
                image = ways[str(frame.type)](frame, mine)
                peak = np.float32(peak_of(graph.outputs[0].type, frame.metadata))
                found.append(orient(image / peak, frame.orientation))
            return found

        yield render, ", ".join(dict.fromkeys(filter(None, versions)))


def views(graph: Graph, frames: Sequence[Frame], names: Sequence[str]) -> list[View]:
    """What is known of the pictures of some raws."""
    space = str(graph.outputs[0].type.args[0])
    return [View(name, space, frame.metadata) for name, frame in zip(names, frames, strict=True)]
