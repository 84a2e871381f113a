"""Flatten sub-pipelines: node ``denoise`` that calls a pipeline gives nodes ``denoise.luma_nr`` and so on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ispdsl.calls import flatten
from ispdsl.graph import Graph, rebuilt, verify
from ispdsl.ir.model import Value


def inline(graph: Graph) -> Graph:
    """Replace every call of a pipeline by that pipeline's own calls.

    Its parameters have addresses such as ``denoise.luma_strength``, its taps become ``denoise.tapname``; a node
    parameter bound to one of its parameters is driven by it and has no address. Its type variables become what the
    call bound them to.
    """
    verify(graph)
    if not any(call.pipeline for call in graph.calls):
        return graph
    flat = flatten(((call, ()) for call in graph.calls), graph.module, {meta.name: meta for meta in graph.metas})

    def inside(values: Mapping[str, Value]) -> dict[str, Value]:
        return {name: follow(value, flat.moved) for name, value in values.items()}

    calls = [replace(call, inputs=inside(call.inputs), needs=inside(call.needs)) for call in flat.calls]
    return verify(
        rebuilt(
            graph,
            calls,
            results=inside(graph.results),
            taps=inside({**graph.taps, **flat.taps}),
            names=inside({**graph.names, **flat.names}),
        )
    )


def follow(value: Value, moved: Mapping[Value, Value]) -> Value:
    """What a value has become after any number of moves."""
    while value in moved:
        value = moved[value]
    return value
