"""Flatten sub-pipelines: node ``denoise`` that calls a pipeline gives nodes ``denoise.luma_nr`` and so on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ispdsl.graph import Call, Graph, Scope, expand, rebuilt, verify
from ispdsl.ir.model import Value
from ispdsl.runtime.slots import Slot


@dataclass
class _Flat:
    """What a walk over the calls has gathered."""

    calls: list[Call] = field(default_factory=list[Call])
    slots: list[Slot] = field(default_factory=list[Slot])
    taps: dict[str, Value] = field(default_factory=dict[str, Value])
    names: dict[str, Value] = field(default_factory=dict[str, Value])
    moved: dict[Value, Value] = field(default_factory=dict[Value, Value])
    """Outputs of sub-pipelines, and the values inside that they are."""


def inline(graph: Graph) -> Graph:
    """Replace every call of a pipeline by that pipeline's own calls.

    Its parameters become ``denoise.luma_strength``, its taps ``denoise.tapname``; a node parameter bound to one of its
    parameters is driven by it and has no address. Its type variables become what the call bound them to.
    """
    verify(graph)
    if not any(call.pipeline for call in graph.calls):
        return graph
    owned: dict[str, list[Slot]] = {}
    for slot in graph.slots:
        owned.setdefault(slot.address.rpartition(".")[0], []).append(slot)
    flat = _Flat(slots=owned.pop("", []))
    _walk(graph.calls, owned, graph, flat)
    calls = [_follow(call, flat.moved) for call in flat.calls]
    return verify(
        rebuilt(
            graph,
            calls,
            slots=tuple(flat.slots),
            results=_all(graph.results, flat.moved),
            taps=_all({**graph.taps, **flat.taps}, flat.moved),
            names=_all({**graph.names, **flat.names}, flat.moved),
        )
    )


def _walk(calls: tuple[Call, ...], owned: Mapping[str, list[Slot]], graph: Graph, flat: _Flat) -> None:
    """Append calls, and in the place of each sub-pipeline its contents."""
    for call in calls:
        flat.slots += owned.get(call.address, [])
        if call.pipeline is None:
            flat.calls.append(call)
            continue
        prefix = f"{call.address}."
        scope = Scope(
            prefix=prefix,
            values={**call.inputs, **call.needs},
            slots=call.parameters,
            metas=call.metas,
            types=call.types,
            frame={meta.name: meta for meta in graph.metas},
        )
        inner, slots = expand(call.pipeline, graph.module, scope)
        inside: dict[str, list[Slot]] = {}
        for slot in slots:
            inside.setdefault(slot.address.rpartition(".")[0], []).append(slot)
        for port, value in call.pipeline.results.items():
            flat.moved[Value(node=call.address, port=port)] = _seen(value, prefix, scope.values)
        for store, found in ((flat.taps, call.pipeline.taps), (flat.names, call.pipeline.names)):
            store.update({prefix + name: _seen(value, prefix, scope.values) for name, value in found.items()})
        _walk(tuple(inner), inside, graph, flat)


def _seen(value: Value, prefix: str, outside: Mapping[str, Value]) -> Value:
    """A value inside a sub-pipeline by its name in the whole graph."""
    return outside[value.port] if value.node is None else Value(node=prefix + value.node, port=value.port)


def _follow(call: Call, moved: Mapping[Value, Value]) -> Call:
    return replace(call, inputs=_all(call.inputs, moved), needs=_all(call.needs, moved))


def _all(values: Mapping[str, Value], moved: Mapping[Value, Value]) -> dict[str, Value]:
    return {name: follow(value, moved) for name, value in values.items()}


def follow(value: Value, moved: Mapping[Value, Value]) -> Value:
    """What a value has become after any number of moves."""
    while value in moved:
        value = moved[value]
    return value
