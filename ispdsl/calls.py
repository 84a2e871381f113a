"""Calls: the nodes of a graph, and how they come from the nodes of pipelines in the IR."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ispdsl.errors import PlanError
from ispdsl.ir.location import Location
from ispdsl.ir.model import Binding, Footprint, Implementation, Meta, Module, Node, Pipeline, Signature, Value
from ispdsl.ir.params import Array, Parameter
from ispdsl.ir.types import Type
from ispdsl.ir.units import UNITS, canonical
from ispdsl.runtime.slots import PhysicalValue, Slot, is_structural

LARGEST = 10_000
"""Calls of a graph with all its sub-pipelines opened."""


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
class Scope:
    """What the names inside a pipeline stand for where it is called."""

    prefix: str
    values: Mapping[str, Value]
    slots: Mapping[str, str]
    metas: Mapping[str, Given]
    types: Mapping[str, str | int]
    frame: Mapping[str, Meta]
    """The metadata of the outermost pipeline, which frames are asked for."""

    def seen(self, value: Value) -> Value:
        """A value inside the pipeline by its name outside."""
        if value.node is None:
            return self.values[value.port]
        return Value(node=self.prefix + value.node, port=value.port)


Owned = tuple[Call, tuple[Slot, ...]]
"""A call with the slots of the parameters that it brings."""


def expand(pipeline: Pipeline, module: Module, scope: Scope) -> list[Owned]:
    """The calls of a pipeline and the parameters that they bring, as seen from where it is called."""
    calls: list[Owned] = []
    for node in pipeline.nodes:
        signature = module.signature(node.callee)
        address = scope.prefix + node.name
        parameters: dict[str, str] = {}
        slots: list[Slot] = []
        for parameter in signature.parameters:
            binding = node.parameters.get(parameter.name) or Binding(source="default", location=node.location)
            driver = _driver(binding, scope)
            parameters[parameter.name] = driver or f"{address}.{parameter.name}"
            if driver is None:
                slots.append(slot_of(parameters[parameter.name], parameter, binding, scope.metas, scope.frame))
        calls.append((_call(node, address, parameters, module, scope), tuple(slots)))
    return calls


@dataclass
class Flat:
    """Calls with those of sub-pipelines in the place of the sub-pipelines, and what goes with them."""

    calls: list[Call] = field(default_factory=list[Call])
    slots: list[Slot] = field(default_factory=list[Slot])
    taps: dict[str, Value] = field(default_factory=dict[str, Value])
    names: dict[str, Value] = field(default_factory=dict[str, Value])
    moved: dict[Value, Value] = field(default_factory=dict[Value, Value])
    """Outputs of sub-pipelines, and the values inside that they are."""


def flatten(calls: Iterable[Owned], module: Module, frame: Mapping[str, Meta], flat: Flat | None = None) -> Flat:
    """Open the sub-pipelines, at any depth. Calls still name the outputs of sub-pipelines, which `moved` explains.

    Raises:
        PlanError: pipelines that call pipelines add up to more than `LARGEST` calls.
    """
    flat = flat or Flat()
    for call, slots in calls:
        if len(flat.calls) + len(flat.moved) > LARGEST:
            raise PlanError(f"sub-pipelines add up to more than {LARGEST} calls", "let them call each other less often")
        flat.slots += slots
        if call.pipeline is None:
            flat.calls.append(call)
            continue
        prefix = f"{call.address}."
        outside = {**call.inputs, **call.needs}
        scope = Scope(prefix, outside, call.parameters, call.metas, call.types, frame)
        for port, value in call.pipeline.results.items():
            flat.moved[Value(node=call.address, port=port)] = scope.seen(value)
        flat.taps.update({prefix + name: scope.seen(value) for name, value in call.pipeline.taps.items()})
        flat.names.update({prefix + name: scope.seen(value) for name, value in call.pipeline.names.items()})
        flatten(expand(call.pipeline, module, scope), module, frame, flat)
    return flat


def _driver(binding: Binding, scope: Scope) -> str | None:
    """The slot that a parameter bound to a name takes its value from, if it has none of its own."""
    if binding.source == "parameter" and binding.name is not None:
        return scope.slots[binding.name]
    if binding.source == "meta" and binding.name is not None:
        return scope.metas[binding.name].slot
    return None


def slot_of(
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

    return Call(
        address=address,
        signature=signature,
        footprint=stage.footprint if stage else None,
        pipeline=module.pipelines.get(node.callee),
        inputs={name: scope.seen(value) for name, value in node.inputs.items()},
        needs={name: scope.seen(value) for name, value in node.needs.items()},
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


def from_frame(calls: Iterable[Call], known: Mapping[str, Meta]) -> Iterator[Meta]:
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
