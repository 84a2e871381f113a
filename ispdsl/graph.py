"""The graph of one pipeline: calls and the values between them, with one address for every parameter.

A graph is a value. Passes (`ispdsl.passes`) make new ones from it and leave it as it was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from ispdsl.calls import Call, Given, Scope, expand, flatten, from_frame, slot_of
from ispdsl.diagnostics import nearest
from ispdsl.errors import PlanError
from ispdsl.ir.model import (
    Binding,
    Implementation,
    Meta,
    Module,
    Pipeline,
    Port,
    PredictorFile,
    Value,
)
from ispdsl.ir.types import Type, is_variable
from ispdsl.runtime.slots import Slot, is_structural

if TYPE_CHECKING:
    import networkx as nx


@dataclass(frozen=True)
class Graph:
    """One pipeline as a directed graph of calls; the edges are what each call reads, its `sources`."""

    name: str
    sha256: str
    module: Module = field(repr=False)
    nodes: Mapping[str, Call] = field(repr=False)
    """The calls by address, in the order of the text."""
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    results: Mapping[str, Value]
    taps: Mapping[str, Value]
    names: Mapping[str, Value]
    """Every name of the text that stands for a value; a name inside a sub-pipeline follows the node's address."""
    slots: tuple[Slot, ...]
    metas: tuple[Meta, ...]
    """Metadata that the frame may have to give."""
    implementations: tuple[Implementation, ...] = ()
    """Those of the pipeline as a whole: an executor that runs all of it."""
    predictor: PredictorFile | None = None
    """What gives settings that nobody sets by hand; those of sub-pipelines do not count."""

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls, each after all whose values it reads; otherwise in the order of the text.

        Raises:
            PlanError: values go round in a circle.
        """
        place = {address: index for index, address in enumerate(self.nodes)}
        order = TopologicalSorter({address: same_frame(self, call) for address, call in self.nodes.items()})
        try:
            order.prepare()
        except CycleError as error:
            circle = " -> ".join(error.args[1])
            raise PlanError(f"values of {self.name} go round in a circle: {circle}") from None
        found, ready = list[Call](), list[tuple[int, str]]()
        while order.is_active():
            for address in order.get_ready():
                heappush(ready, (place[address], address))
            address = heappop(ready)[1]
            order.done(address)
            found.append(self.nodes[address])
        return tuple(found)

    @cached_property
    def network(self) -> nx.DiGraph[str]:
        """The same as a graph of networkx, for its algorithms; it cannot be changed.

        Nodes have their `Call` as ``call``; edges have the ``ports`` that are read, and whether the value is that of
        the frame before, as ``previous``.
        """
        import networkx as nx  # takes a third of a second, and no compiler pass needs it

        network: nx.DiGraph[str] = nx.DiGraph()
        for call in self.nodes.values():
            network.add_node(call.address, call=call)
        for call in self.nodes.values():
            for value in call.sources:
                if value.node is not None:
                    ports = network.get_edge_data(value.node, call.address, {"ports": ()})["ports"]
                    ports = ports if value.port in ports else (*ports, value.port)
                    previous = self.nodes[value.node].previous
                    network.add_edge(value.node, call.address, ports=ports, previous=previous)
        return nx.freeze(network)

    def call(self, address: str) -> Call:
        """The call at an address."""
        return self.nodes[address]

    def type_of(self, value: Value) -> Type:
        """The type of a value of this graph."""
        if value.node is not None:
            return self.call(value.node).outputs[value.port]
        return next(port.type for port in self.inputs if port.name == value.port)


def build(module: Module, pipeline: str | None = None) -> Graph:
    """The graph of one pipeline of a module; sub-pipelines are single nodes until `ispdsl.passes.inline`.

    Args:
        module: a checked module.
        pipeline: name or key of the pipeline; without it, the module's main one.

    Raises:
        PlanError: the module has no such pipeline.
    """
    chosen = _choose(module, pipeline)
    signature = chosen.signature
    own = [
        slot_of(parameter.name, parameter, Binding(source="default", location=parameter.location), {})
        for parameter in signature.parameters
    ]
    scope = Scope(
        prefix="",
        values={port.name: Value(node=None, port=port.name) for port in (*signature.inputs, *signature.needs)},
        slots={parameter.name: parameter.name for parameter in signature.parameters},
        metas={meta.name: Given(meta=meta.name) for meta in signature.metas},
        types={},
        frame={meta.name: meta for meta in signature.metas},
    )
    calls = expand(chosen, module, scope)
    flat = flatten(calls, module, scope.frame)
    needs = tuple(Port(name=need.name, type=need.type, location=need.location) for need in signature.needs)
    graph = Graph(
        name=signature.name,
        sha256=_hash(module, signature.key),
        module=module,
        nodes={},
        inputs=(*signature.inputs, *needs),
        outputs=signature.outputs,
        results=chosen.results,
        taps=chosen.taps,
        names=chosen.names,
        slots=(*own, *flat.slots),
        metas=(*signature.metas, *from_frame(flat.calls, scope.frame)),
        implementations=signature.implementations,
        predictor=chosen.predictor,
    )
    return rebuilt(graph, (call for call, _ in calls))


def _choose(module: Module, name: str | None) -> Pipeline:
    if name is None:
        if module.main is None:
            raise PlanError(f"{module.file} has no pipeline", "declare one, or name a file that does")
        return module.pipelines[module.main]
    if name in module.pipelines:
        return module.pipelines[name]
    known = {pipeline.signature.name: pipeline for pipeline in module.pipelines.values()}
    if name in known:
        return known[name]
    near = nearest(name, known)
    hint = f"did you mean {near}?" if near else f"it has {', '.join(sorted(known)) or 'none'}"
    raise PlanError(f"{module.file} has no pipeline {name}", hint)


def _hash(module: Module, key: str) -> str:
    """One hash for the texts behind a pipeline, the same on every machine."""
    text = "\n".join((key.rpartition(":")[2], *sorted(module.files.values())))
    return hashlib.sha256(text.encode()).hexdigest()


# ---- putting a graph together, and checking it ------------------------------------------------------------


def rebuilt(graph: Graph, calls: Iterable[Call], **changes: Any) -> Graph:
    """The graph with other calls: its edges and what each parameter drives, inside sub-pipelines too, follow."""
    calls = _typed(graph, tuple(calls))
    drives: dict[str, list[tuple[str, str]]] = {}
    structural: set[str] = set()
    opened = flatten(((call, ()) for call in calls), graph.module, {meta.name: meta for meta in graph.metas})
    for call in opened.calls:
        for name, address in call.parameters.items():
            drives.setdefault(address, []).append((call.address, name))
        for name, given in call.metas.items():
            if given.slot is not None:
                drives.setdefault(given.slot, []).append((call.address, name))
        sizes = (parameter.name for parameter in call.signature.parameters if is_structural(parameter))
        structural.update(call.parameters[name] for name in sizes)
    changed = replace(graph, nodes={call.address: call for call in calls}, **changes)
    slots = (
        replace(
            slot,
            drives=tuple(drives.get(slot.address, ())),
            structural=slot.structural or slot.address in structural,
        )
        for slot in changed.slots
    )
    return replace(changed, slots=tuple(slots))


def _typed(graph: Graph, calls: tuple[Call, ...]) -> tuple[Call, ...]:
    """Type variables of statistics of the frame before: the text names their image before its type is known."""
    known = {Value(node=None, port=port.name): port.type for port in graph.inputs}
    known.update({Value(node=call.address, port=port): type_ for call in calls for port, type_ in call.outputs.items()})

    def completed(call: Call) -> Call:
        found: dict[str, str | int] = {}
        for port in call.signature.inputs:
            given = known.get(call.inputs[port.name]) if port.name in call.inputs else None
            pairs = zip(port.type.args, given.args if given else (), strict=False)
            found.update({str(asked): argument for asked, argument in pairs if is_variable(asked)})
        return replace(call, types={**found, **call.types})

    return tuple(completed(call) if call.previous else call for call in calls)


def same_frame(graph: Graph, call: Call) -> list[str]:
    """The addresses whose values a call reads, without those that it has from the frame before."""
    read = dict.fromkeys(value.node for value in call.sources)
    return [address for address in read if address is not None and not graph.nodes[address].previous]


def verify(graph: Graph) -> Graph:
    """The graph itself, once everything in it hangs together.

    Raises:
        PlanError: values go round in a circle, an input or statistic is unbound, or a reference leads nowhere.
    """
    for name in (value.node for call in graph.nodes.values() for value in call.sources):
        if name is not None and name not in graph.nodes:
            raise PlanError(f"{name} is used but is no node of {graph.name}")
    calls = graph.calls
    inputs = {port.name for port in graph.inputs}
    slots = {slot.address for slot in graph.slots}

    def exists(value: Value) -> bool:
        if value.node is None:
            return value.port in inputs
        return value.node in graph.nodes and value.port in graph.call(value.node).outputs

    for call in calls:
        wanted = [port.name for port in (*call.signature.inputs, *call.signature.needs)]
        unbound = [name for name in wanted if name not in {**call.inputs, **call.needs}]
        if unbound:
            raise PlanError(f"{call.address} gets no {unbound[0]}", f"{call.signature.name} takes {', '.join(wanted)}")
        lost = [str(value) for value in call.sources if not exists(value)]
        lost += [address for address in call.parameters.values() if address not in slots]
        if lost:
            raise PlanError(f"{call.address} refers to {lost[0]}, which does not exist")
    for port in graph.outputs:
        if port.name not in graph.results:
            raise PlanError(f"output {port.name} of {graph.name} gets no value")
    for name, value in (*graph.results.items(), *graph.taps.items(), *graph.names.items()):
        if not exists(value):
            raise PlanError(f"{name} of {graph.name} refers to {value}, which does not exist")
    return graph


def parameters(graph: Graph) -> tuple[Slot, ...]:
    """The address table: the pipeline's own parameters, then those of its nodes in order."""
    return graph.slots
