"""One call that stands for several: a made-up signature with everything that they take from outside."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ispdsl.calls import Call, Given
from ispdsl.graph import Graph
from ispdsl.ir.model import Footprint, Meta, Need, Port, Signature, Value
from ispdsl.ir.params import FileReference
from ispdsl.passes.identity import comparable
from ispdsl.runtime.slots import Slot

if TYPE_CHECKING:
    from ispdsl.passes.segments import Segment

Ends = tuple[Mapping[str, Value], Mapping[str, Value]]
"""The values that a segment reads and gives, by the names under which they are watched."""

MADE_UP = "segment:"
"""How the key of a made-up signature starts; the hash of what it stands for follows."""


def single(graph: Graph, segment: Segment, ends: Ends) -> Call:
    """The call in the place of a segment's nodes.

    A parameter is named by its address with ``_`` for ``.``; what is fixed, decides a size or is a constant of the
    text is none (see `constants`). Metadata of the frame keeps its name, statistics are named after their call.
    """
    calls = [graph.call(address) for address in segment.nodes]
    reads, gives = ends
    slots = {slot.address: slot for slot in graph.slots}
    driving = _driving(graph, calls)
    metas = {given.meta: meta for call in calls for meta, given in _given(call) if given.meta is not None}
    needs = _needs(graph, calls, metas)
    named = dict(zip(driving, names(driving, (*metas, *needs)), strict=True))
    location = calls[-1].location
    inputs = dict(zip(names(reads), reads.values(), strict=True))
    ports = ["out"] if len(gives) == 1 else names(gives)
    outputs = dict(zip(ports, gives.values(), strict=True))
    signature = Signature(
        name=segment.address,
        key=MADE_UP + _hash(graph, calls, segment),
        doc=f"{', '.join(segment.nodes)} in one",
        inputs=tuple(Port(name=each, type=graph.type_of(value), location=location) for each, value in inputs.items()),
        outputs=tuple(Port(name=each, type=graph.type_of(value), location=location) for each, value in outputs.items()),
        parameters=tuple(
            slots[address].declaration.model_copy(update={"name": keyword}) for address, keyword in named.items()
        ),
        metas=tuple(meta.model_copy(update={"name": name}) for name, meta in metas.items()),
        needs=tuple(Need(name=each, type=graph.type_of(value), location=location) for each, value in needs.items()),
        location=location,
    )
    return Call(
        address=segment.address,
        signature=signature,
        footprint=_footprint(calls),
        pipeline=None,
        inputs=inputs,
        needs=needs,
        parameters={keyword: address for address, keyword in named.items()},
        metas={name: Given(meta=name) for name in metas},
        types={},
        outputs={port.name: port.type for port in signature.outputs},
        statistic=False,
        previous=False,
        location=location,
    )


def names(addresses: Iterable[str], taken: Iterable[str] = ()) -> list[str]:
    """A name that Python takes for each address: ``_`` for ``.``, and one more where two would be the same."""
    found = list(taken)
    first = len(found)
    for address in addresses:
        name = address.replace(".", "_")
        while name in found:
            name += "_"
        found.append(name)
    return found[first:]


def _driving(graph: Graph, calls: Iterable[Call]) -> list[str]:
    """Addresses of the parameters of some calls that settings can change, in the order of the table."""
    used = {address for call in calls for address in call.parameters.values()}
    used |= {given.slot for call in calls for _, given in _given(call) if given.slot is not None}
    return [slot.address for slot in graph.slots if slot.address in used and not (slot.fixed or slot.structural)]


def _given(call: Call) -> list[tuple[Meta, Given]]:
    return [(meta, call.metas[meta.name]) for meta in call.signature.metas]


def _needs(graph: Graph, calls: Iterable[Call], taken: Iterable[str]) -> dict[str, Value]:
    """The statistics that come from outside, named after their call, or the input that they are."""
    inside = {call.address for call in calls}
    values = dict.fromkeys(
        value
        for call in graph.calls
        if call.address in inside
        for value in call.needs.values()
        if value.node not in inside
    )
    places = [
        value.port if value.node is None or len(graph.call(value.node).outputs) > 1 else value.node for value in values
    ]
    return dict(zip(names(places, taken), values, strict=True))


def _footprint(calls: Iterable[Call]) -> Footprint:
    """How far a pixel of the result looks: the radii along the widest way; a statistic inside looks everywhere."""
    reach: dict[str, int] = {}
    for call in calls:
        if call.footprint is None or call.footprint.kind == "global" or call.statistic:
            return Footprint(kind="global")
        before = (reach.get(value.node, 0) for value in call.inputs.values() if value.node is not None)
        reach[call.address] = max(before, default=0) + (call.footprint.radius or 0)
    widest = max(reach.values(), default=0)
    return Footprint(kind="local", radius=widest) if widest else Footprint(kind="pointwise")


# ---- what a double is held to ---------------------------------------------------------------------------------


def declaration(call: Call) -> str:
    """Hash of what a call declares, without places, texts for people and contract: a double is held to it."""
    return declaration_of(call.signature)


def declaration_of(signature: Signature) -> str:
    """The same of a signature."""
    key = signature.key
    content = {"key": key} if key.startswith(MADE_UP) else _declared(signature)
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _declared(signature: Signature) -> dict[str, Any]:
    content = signature.model_dump(
        mode="json",
        include={
            "inputs": {"__all__": {"name", "type"}},
            "outputs": {"__all__": {"name", "type"}},
            "parameters": {"__all__": True},
            "metas": {"__all__": {"name", "type", "default"}},
            "needs": {"__all__": {"name", "type"}},
        },
    )
    for parameter in content["parameters"]:
        for field in ("doc", "location", "soft"):
            parameter.pop(field, None)
    programs = [item.target for item in signature.implementations if item.kind == "program"]
    return {"name": signature.name, "programs": programs, **content}


def _hash(graph: Graph, calls: list[Call], segment: Segment) -> str:
    """Hash of what several calls declare and how they hang together, apart from what the pipeline fixes."""
    slots = {slot.address: slot for slot in graph.slots}
    content: list[Any] = [segment.reads, segment.gives]
    for call in calls:
        sources = {name: str(value) for name, value in (*call.inputs.items(), *call.needs.items())}
        open_ = {name: address for name, address in call.parameters.items() if not slots[address].fixed}
        content.append([call.address, _declared(call.signature), sources, open_, call.previous])
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def constants(graph: Graph, address: str, nodes: Iterable[str] = ()) -> dict[str, Any]:
    """What the text gives a call and nothing can change, canonical and as JSON has it, by keyword.

    Args:
        graph: flat; of a segment of several nodes, before it was collapsed.
        address: of the call.
        nodes: those of the segment, where it has several: their keywords are the addresses with ``_`` for ``.``.
    """
    slots = {slot.address: slot for slot in graph.slots}
    found: dict[str, Any] = {}
    for node in tuple(nodes) or (address,):
        call = graph.call(node)
        for name, place in call.parameters.items():
            if slots[place].fixed or slots[place].structural:
                found[name if node == address else names([place])[0]] = written(slots[place])
        for meta, given in _given(call):
            name = meta.name if node == address else names([f"{node}.{meta.name}"])[0]
            if given.slot is not None and slots[given.slot].fixed:
                found[name] = written(slots[given.slot])
            elif given.meta is None and given.slot is None:
                found[name] = comparable(given.value, "")
    return found


def written(slot: Slot) -> Any:
    """The canonical start of a slot as JSON has it; a table that is kept in a file by its hash."""
    if isinstance(slot.start, FileReference):
        return {"sha256": slot.start.sha256}
    value = comparable(slot.start, slot.unit)
    return list(value) if isinstance(value, tuple) else value
