"""Drop nodes that are fixed at a setting at which their contract says that they do nothing."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ispdsl.calls import Call
from ispdsl.graph import Graph, rebuilt, verify
from ispdsl.ir.model import Condition, Value
from ispdsl.ir.params import Array, FileReference
from ispdsl.ir.units import canonical
from ispdsl.passes.inline import follow
from ispdsl.runtime.slots import Slot

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


def identity(graph: Graph) -> Graph:
    """Remove each node whose ``property identity when ...`` is met by `fixed` literal values alone.

    Only where the type stays: what comes out is what goes in, of the same layout, space and storage. Taps and outputs
    of such a node then name its input.
    """
    verify(graph)
    slots = {slot.address: slot for slot in graph.slots}
    moved: dict[Value, Value] = {}
    calls: list[Call] = []
    for call in graph.calls:
        if _does_nothing(call, graph, slots):
            moved[Value(node=call.address, port=next(iter(call.outputs)))] = next(iter(call.inputs.values()))
        else:
            calls.append(call)

    def kept(values: Any) -> dict[str, Value]:
        return {name: follow(value, moved) for name, value in values.items()}

    calls = [replace(call, inputs=kept(call.inputs), needs=kept(call.needs)) for call in calls]
    places = {"results": kept(graph.results), "taps": kept(graph.taps), "names": kept(graph.names)}
    return verify(rebuilt(graph, calls, **places))


def _does_nothing(call: Call, graph: Graph, slots: dict[str, Slot]) -> bool:
    if call.pipeline or call.statistic or len(call.outputs) != 1 or not call.inputs:
        return False
    if graph.type_of(next(iter(call.inputs.values()))) != next(iter(call.outputs.values())):
        return False
    known = constants(call, slots)
    return any(
        promise.name == "identity" and all(_holds(condition, known) for condition in promise.when)
        for promise in call.signature.properties
    )


def constants(call: Call, slots: dict[str, Slot]) -> dict[str, Any]:
    """The canonical values of a call's parameters and metadata that nothing can change any more, by name."""
    found: dict[str, Any] = {}
    for name, address in call.parameters.items():
        slot = slots[address]
        if slot.fixed and slot.start_meta is None:
            found[name] = comparable(slot.start, slot.unit)
    for name, given in call.metas.items():
        if given.meta is None and given.slot is None:
            found[name] = comparable(given.value, "")
    return found


def comparable(value: Any, unit: str) -> Any:
    """A value as a condition has it: canonical numbers; names, switches and tables as they are."""
    if isinstance(value, float):
        return canonical(value, unit)
    if isinstance(value, Array):
        return tuple(canonical(number, unit) for number in value.values)
    return None if isinstance(value, FileReference) else value


def _holds(condition: Condition, known: dict[str, Any]) -> bool:
    """Whether a condition is certainly met. A table equals a number when all its elements do."""
    left = known.get(condition.left)
    right = known.get(condition.right, condition.right) if isinstance(condition.right, str) else condition.right
    if left is None or right is None:
        return False
    compare = _COMPARE[condition.operator]
    if isinstance(left, tuple) and not isinstance(right, tuple | str):
        return all(compare(number, right) for number in left)
    if isinstance(left, tuple | str) != isinstance(right, tuple | str) or isinstance(left, str) != isinstance(
        right, str
    ):
        return False
    return bool(compare(left, right))
