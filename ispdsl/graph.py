"""The graph of one pipeline: calls and the values between them, with one address for every parameter.

A graph is a value. Passes (`ispdsl.passes`) make new ones from it and leave it as it was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import networkx as nx

from ispdsl.diagnostics import nearest
from ispdsl.errors import PlanError
from ispdsl.ir.location import Location
from ispdsl.ir.model import (
    Binding,
    Footprint,
    Implementation,
    Meta,
    Module,
    Node,
    Pipeline,
    Port,
    Signature,
    Value,
)
from ispdsl.ir.params import Array, Parameter
from ispdsl.ir.types import Type, is_variable
from ispdsl.ir.units import UNITS, canonical
from ispdsl.runtime.slots import PhysicalValue, Slot, is_structural


@dataclass(frozen=True)
class Given:
    """Where a call's metadata comes from: a constant in canonical units, the frame, or a parameter."""

    value: float | Array | str | None = None
    meta: str | None = None
    slot: str | None = None


@dataclass(frozen=True)
class Call:
    """A node: one call of a stage, or before `inline` of a pipeline. Types are those of this call."""

    address: str
    signature: Signature
    footprint: Footprint | None
    pipeline: Pipeline | None
    inputs: Mapping[str, Value]
    needs: Mapping[str, Value]
    parameters: Mapping[str, str]
    """Address of the slot behind each parameter."""
    metas: Mapping[str, Given]
    types: Mapping[str, str | int]
    outputs: Mapping[str, Type]
    statistic: bool
    previous: bool
    location: Location
    implementation: Implementation | None = None
    """How it runs; `select` chooses."""

    @property
    def sources(self) -> tuple[Value, ...]:
        """Every value that it reads, in the order of the declaration."""
        return (*self.inputs.values(), *self.needs.values())


@dataclass(frozen=True)
class Graph:
    """One pipeline as a directed graph of calls. `network` holds a `Call` as ``call`` of every node."""

    name: str
    sha256: str
    module: Module = field(repr=False)
    network: nx.DiGraph[str] = field(repr=False)
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    results: Mapping[str, Value]
    taps: Mapping[str, Value]
    names: Mapping[str, Value]
    """Every name of the text that stands for a value; a name inside a sub-pipeline follows the node's address."""
    slots: tuple[Slot, ...]
    metas: tuple[Meta, ...]
    """Metadata that the frame may have to give."""

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls, each after all whose values it reads; otherwise in the order of the text."""
        place = {address: index for index, address in enumerate(self.network)}
        order = nx.lexicographical_topological_sort(same_frame(self.network), key=place.__getitem__)
        return tuple(self.call(address) for address in order)

    def call(self, address: str) -> Call:
        """The call at an address."""
        return self.network.nodes[address]["call"]

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
        _slot(parameter.name, parameter, Binding(source="default", location=parameter.location), {})
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
    calls, slots = expand(chosen, module, scope)
    needs = tuple(Port(name=need.name, type=need.type, location=need.location) for need in signature.needs)
    graph = Graph(
        name=signature.name,
        sha256=_hash(module, signature.key),
        module=module,
        network=nx.DiGraph(),
        inputs=(*signature.inputs, *needs),
        outputs=signature.outputs,
        results=chosen.results,
        taps=chosen.taps,
        names=chosen.names,
        slots=(*own, *slots),
        metas=(*signature.metas, *_from_frame(calls, scope.frame)),
    )
    return rebuilt(graph, calls)


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


# ---- from nodes of the IR to calls ------------------------------------------------------------------------


@dataclass(frozen=True)
class Scope:
    """What the names inside a pipeline stand for where it is called."""

    prefix: str
    values: Mapping[str, Value]
    slots: Mapping[str, str]
    metas: Mapping[str, Given]
    types: Mapping[str, str | int]
    frame: Mapping[str, Meta]
    """The metadata of the outermost pipeline, which frames are asked for."""


def expand(pipeline: Pipeline, module: Module, scope: Scope) -> tuple[list[Call], list[Slot]]:
    """The calls of a pipeline and the parameters that they bring, as seen from where it is called."""
    calls: list[Call] = []
    slots: list[Slot] = []
    for node in pipeline.nodes:
        signature = module.signature(node.callee)
        address = scope.prefix + node.name
        parameters: dict[str, str] = {}
        for parameter in signature.parameters:
            binding = node.parameters.get(parameter.name) or Binding(source="default", location=node.location)
            driver = _driver(binding, scope)
            parameters[parameter.name] = driver or f"{address}.{parameter.name}"
            if driver is None:
                slots.append(_slot(parameters[parameter.name], parameter, binding, scope.metas, scope.frame))
        calls.append(_call(node, address, parameters, module, scope))
    return calls, slots


def _driver(binding: Binding, scope: Scope) -> str | None:
    """The slot that a parameter bound to a name takes its value from, if it has none of its own."""
    if binding.source == "parameter" and binding.name is not None:
        return scope.slots[binding.name]
    if binding.source == "meta" and binding.name is not None:
        return scope.metas[binding.name].slot
    return None


def _slot(
    address: str,
    parameter: Parameter,
    binding: Binding,
    metas: Mapping[str, Given],
    frame: Mapping[str, Meta] | None = None,
) -> Slot:
    """A parameter's own row of the address table."""
    start: PhysicalValue | None = parameter.default if binding.source == "default" else binding.value
    start_meta = None
    if binding.source == "meta" and binding.name is not None:
        given = metas[binding.name]
        start_meta = given.meta
        meta = (frame or {}).get(given.meta) if given.meta is not None else None
        known = given.value if meta is None or meta.default is None else canonical_meta(meta, meta.default)
        start = _in_unit(known, parameter)
    structural = is_structural(parameter)
    return Slot(address, parameter, start, start_meta, fixed=binding.fixed, structural=structural)


def _in_unit(value: float | Array | str | None, parameter: Parameter) -> PhysicalValue | None:
    """A canonical value of metadata in the unit of the parameter that starts there."""
    unit = getattr(parameter, "unit", "")
    scale = UNITS[unit].scale
    if isinstance(value, float):
        return value * scale.denominator / scale.numerator
    if isinstance(value, Array):
        values = tuple(number * scale.denominator / scale.numerator for number in value.values)
        return Array(shape=value.shape, values=values)
    return value


def canonical_meta(meta: Meta, value: Any) -> float | Array | str | None:
    """A declared or literal value of metadata in canonical units."""
    unit = str(meta.type.args[0]) if meta.type.name == "real" and meta.type.args else ""
    if isinstance(value, float | int) and not isinstance(value, bool):
        return canonical(float(value), unit)
    return value


def _call(node: Node, address: str, parameters: Mapping[str, str], module: Module, scope: Scope) -> Call:
    signature = module.signature(node.callee)
    stage = module.stages.get(node.callee)

    def seen(value: Value) -> Value:
        inside = Value(node=scope.prefix + (value.node or ""), port=value.port)
        return scope.values[value.port] if value.node is None else inside

    return Call(
        address=address,
        signature=signature,
        footprint=stage.footprint if stage else None,
        pipeline=module.pipelines.get(node.callee),
        inputs={name: seen(value) for name, value in node.inputs.items()},
        needs={name: seen(value) for name, value in node.needs.items()},
        parameters=parameters,
        metas={meta.name: _given(meta, node.metas.get(meta.name), scope) for meta in signature.metas},
        types={name: _substitute(argument, scope.types) for name, argument in node.types.items()},
        outputs={name: substitute(type_, scope.types) for name, type_ in node.outputs.items()},
        statistic=node.statistic,
        previous=node.previous,
        location=node.location,
    )


def _given(meta: Meta, binding: Binding | None, scope: Scope) -> Given:
    """Where a call's metadata comes from. Unbound and without a default, it is the frame's of the same name."""
    if binding is None or binding.source == "default":
        return Given(meta=meta.name) if meta.default is None else Given(value=canonical_meta(meta, meta.default))
    if binding.source == "literal":
        return Given(value=canonical_meta(meta, binding.value))
    if binding.source == "meta":
        return scope.metas[str(binding.name)]
    return Given(slot=scope.slots[str(binding.name)])


def _from_frame(calls: Iterable[Call], known: Mapping[str, Meta]) -> Iterator[Meta]:
    """Metadata that calls want from the frame though the pipeline does not list it."""
    found = dict(known)
    for call in calls:
        for meta in call.signature.metas:
            given = call.metas[meta.name]
            if given.meta is not None and given.meta not in found:
                found[given.meta] = meta
                yield meta


def substitute(type_: Type, variables: Mapping[str, str | int]) -> Type:
    """A type with its type variables replaced where `variables` has them."""
    return Type(name=type_.name, args=tuple(_substitute(argument, variables) for argument in type_.args))


def _substitute(argument: str | int, variables: Mapping[str, str | int]) -> str | int:
    return variables.get(argument, argument) if isinstance(argument, str) else argument


# ---- putting a graph together, and checking it ------------------------------------------------------------


def rebuilt(graph: Graph, calls: Iterable[Call], **changes: Any) -> Graph:
    """The graph with other calls: its edges and what each parameter drives follow from them."""
    calls = _typed(graph, tuple(calls))
    previous = {call.address for call in calls if call.previous}
    network: nx.DiGraph[str] = nx.DiGraph()
    for call in calls:
        network.add_node(call.address, call=call)
    for call in calls:
        for value in call.sources:
            if value.node is not None:
                ports = network.get_edge_data(value.node, call.address, {"ports": ()})["ports"]
                ports = ports if value.port in ports else (*ports, value.port)
                network.add_edge(value.node, call.address, ports=ports, previous=value.node in previous)
    drives: dict[str, list[tuple[str, str]]] = {}
    structural: set[str] = set()
    for call in calls:
        for name, address in call.parameters.items():
            drives.setdefault(address, []).append((call.address, name))
        for name, given in call.metas.items():
            if given.slot is not None:
                drives.setdefault(given.slot, []).append((call.address, name))
        sizes = (parameter.name for parameter in call.signature.parameters if is_structural(parameter))
        structural.update(call.parameters[name] for name in sizes)
    changed = replace(graph, network=nx.freeze(network), **changes)
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


def same_frame(network: nx.DiGraph[str]) -> nx.DiGraph[str]:
    """The network without the edges that carry a value over from the frame before."""

    def stays(source: str, target: str) -> bool:
        return not network.edges[source, target]["previous"]

    return nx.subgraph_view(network, filter_edge=stays)


def verify(graph: Graph) -> Graph:
    """The graph itself, once everything in it hangs together.

    Raises:
        PlanError: values go round in a circle, an input or statistic is unbound, or a reference leads nowhere.
    """
    for name, data in graph.network.nodes(data=True):
        if "call" not in data:
            raise PlanError(f"{name} is used but is no node of {graph.name}")
    if not nx.is_directed_acyclic_graph(same_frame(graph.network)):
        circle = " -> ".join(edge[0] for edge in nx.find_cycle(same_frame(graph.network)))
        raise PlanError(f"values of {graph.name} go round in a circle: {circle}")
    inputs = {port.name for port in graph.inputs}
    slots = {slot.address for slot in graph.slots}

    def exists(value: Value) -> bool:
        if value.node is None:
            return value.port in inputs
        return value.node in graph.network and value.port in graph.call(value.node).outputs

    for call in graph.calls:
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
