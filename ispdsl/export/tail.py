"""The pointwise tail of a pipeline: the last stages, each of which makes of a colour another, wherever the pixel is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ispdsl.calls import Call
from ispdsl.errors import PlanError
from ispdsl.graph import Graph, rebuilt, verify
from ispdsl.ir.model import Port, Value
from ispdsl.ir.types import Type
from ispdsl.passes.prune import prune

ENTRY = "tail"
"""Name of what goes into the tail, as an input of its graph."""


@dataclass(frozen=True)
class Tail:
    """The end of a pipeline as a pipeline of its own.

    Attributes:
        graph: from `ENTRY` to the output.
        enters: the value of the whole graph that goes in.
        type: of that.
        nodes: addresses of its nodes, in order.
        before: addresses of those that come before.
        stopped: why the node before is not of it; empty where the pipeline begins there.
    """

    graph: Graph
    enters: Value
    type: Type
    nodes: tuple[str, ...]
    before: tuple[str, ...]
    stopped: str


def tails(graph: Graph, output: str) -> tuple[Tail, ...]:
    """Every tail of an output, the longest first; none where its last stage is not pointwise.

    Args:
        graph: as it will run: flat, implementations chosen.
        output: name of the output, a colour image.

    Raises:
        PlanError: there is no output of this name, or it is no colour.
    """
    port = next((port for port in graph.outputs if port.name == output), None)
    if port is None:
        names = ", ".join(port.name for port in graph.outputs)
        raise PlanError(f"{graph.name} has no output {output}", f"it has {names}")
    if port.type.name != "rgb":
        raise PlanError(f"output {output} of {graph.name} is {port.type}", "a 3D table is for rgb")
    alone = prune(replace(graph, outputs=(port,), results={output: graph.results[output]}), ())
    calls = [call for call in alone.calls if not call.statistic]
    last = len(calls)
    while last > 0 and not why_not(calls[last - 1]):
        last -= 1
    found: list[Tail] = []
    for begin in range(last, len(calls)):
        made = _tail(alone, calls, begin)
        if made is not None:
            found.append(made)
    return tuple(found)


def why_not(call: Call) -> str:
    """Why a call can be in no table; empty where it can."""
    if call.footprint is None or call.footprint.kind != "pointwise":
        return f"{call.address} looks at more than one pixel"
    if call.needs:
        return f"{call.address} reads a statistic of the picture"
    if call.implementation is None or call.implementation.kind == "executor":
        return f"{call.address} is run by a real thing"
    return ""


def _tail(graph: Graph, calls: Sequence[Call], begin: int) -> Tail | None:
    """The calls from `begin` on, where exactly one colour image goes into them."""
    inside = calls[begin:]
    addresses = {call.address for call in inside}
    entering = {value for call in inside for value in call.inputs.values() if value.node not in addresses}
    if len(entering) != 1:
        return None
    (enters,) = entering
    type_ = graph.type_of(enters)
    if type_.name != "rgb":
        return None
    entry = Value(node=None, port=ENTRY)
    moved = [
        replace(call, inputs={name: entry if value == enters else value for name, value in call.inputs.items()})
        for call in inside
    ]
    port = Port(name=ENTRY, type=type_, location=inside[0].location)
    made = verify(rebuilt(graph, moved, inputs=(port,), taps={}, names={}))
    before = tuple(call.address for call in graph.calls if call.address not in addresses)
    stopped = (
        (why_not(calls[begin - 1]) or f"{calls[begin - 1].address} is not fed by one colour image alone")
        if begin
        else ""
    )
    return Tail(made, enters, type_, tuple(call.address for call in inside), before, stopped)
