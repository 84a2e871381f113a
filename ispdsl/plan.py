"""What runs, in order: the steps of a graph with the implementation chosen for each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field

from ispdsl.calls import Call
from ispdsl.graph import Graph
from ispdsl.graph_text import footprint_text
from ispdsl.ir.model import Port, Value
from ispdsl.passes.doubling import place, wanted
from ispdsl.passes.identity import identity
from ispdsl.passes.inline import inline
from ispdsl.passes.prune import prune
from ispdsl.passes.select import for_cfa, select, specialise
from ispdsl.proxies.card import Card

WHOLE = "all"
"""Reach of what depends on the whole image."""


@dataclass(frozen=True)
class Step:
    """One program to run. Values are named ``node.port``, or by the name of an input."""

    node: str
    stage: str
    implementation: str
    inputs: tuple[str, ...]
    needs: tuple[str, ...]
    outputs: Mapping[str, str]
    """Type of each output port."""
    free: tuple[str, ...]
    """Addresses that gradients can move."""
    held: tuple[str, ...]
    """Addresses of what is fixed, a choice, a switch or a size."""
    metadata: tuple[str, ...]
    footprint: str
    reach: int | str
    """How far, in px, a pixel of an output looks into this step's input; ``all`` for everywhere."""
    group: str | None
    """Label of the run of pointwise steps that this one belongs to."""
    frees: tuple[str, ...]
    """Values that nothing reads after this step."""


@dataclass(frozen=True)
class Plan:
    """The steps of a pipeline in the order in which they run."""

    graph: Graph = field(repr=False)
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        rows = [("", "node", "stage", "footprint", "reach", "run", "free parameters", "frees")]
        for index, step in enumerate(self.steps, 1):
            reach = step.reach if isinstance(step.reach, str) else f"{step.reach} px"
            free = " ".join(address.removeprefix(f"{step.node}.") for address in step.free)
            run, frees = step.group or "", " ".join(step.frees)
            rows.append((str(index), step.node, step.stage, step.footprint, reach, run, free, frees))
        if any(not step.implementation.startswith("program ") for step in self.steps):
            ways = ("by", *(_by(step.implementation) for step in self.steps))
            rows = [(*row[:3], way, *row[3:]) for row, way in zip(rows, ways, strict=True)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        graph = self.graph
        head = f"{graph.name}: {_ports(graph.inputs)} -> {_ports(graph.outputs)}"
        return "\n".join([head, *lines]) + "\n"

    def to_json(self) -> str:
        """The plan as JSON."""
        content = {
            "pipeline": self.graph.name,
            "sha256": self.graph.sha256,
            "inputs": {port.name: str(port.type) for port in self.graph.inputs},
            "outputs": {port.name: str(port.type) for port in self.graph.outputs},
            "taps": {name: str(value) for name, value in self.graph.taps.items()},
            "metadata": {meta.name: str(meta.type) for meta in self.graph.metas},
            "steps": [asdict(step) for step in self.steps],
        }
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _by(implementation: str) -> str:
    """What runs a step, where it is not its program."""
    return "program" if implementation.startswith("program ") else implementation


def _ports(ports: Iterable[Port]) -> str:
    return ", ".join(f"{port.name}: {port.type}" for port in ports)


def prepared(
    graph: Graph,
    types: Mapping[str, str | int] | None = None,
    impl: Mapping[str, str] | None = None,
    taps: Iterable[str] | None = None,
    cfa: str | None = None,
    doubles: Mapping[str, Card] | None = None,
) -> Graph:
    """The graph as it will run: flat, without what is not needed, types bound, implementations chosen. See `plan`."""
    if not doubles:
        return select(flattened(graph, types, taps, cfa), impl)
    used = wanted(doubles, impl or {})
    taken, flat = None if taps is None else tuple(taps), flattened(graph, types, None, cfa)
    replaced = place(flat, used, taken)
    left_out = doubles.keys() - replaced.nodes.keys()
    choice = {address: kind for address, kind in (impl or {}).items() if address not in left_out}
    return select(replaced, choice, {address: card.network for address, card in used.items()})


def flattened(
    graph: Graph,
    types: Mapping[str, str | int] | None = None,
    taps: Iterable[str] | None = None,
    cfa: str | None = None,
) -> Graph:
    """The graph flat, without what is not needed, types bound: as `prepared`, but for how each node runs.

    A graph whose nodes have no programs, because a real thing runs the whole, has its segments here.
    """
    graph = inline(graph)
    variables = {**(for_cfa(graph, cfa) if cfa else {}), **(types or {})}
    return specialise(identity(prune(graph, taps)), variables)


def plan(
    graph: Graph,
    types: Mapping[str, str | int] | None = None,
    impl: Mapping[str, str] | None = None,
    taps: Iterable[str] | None = None,
    cfa: str | None = None,
    doubles: Mapping[str, Card] | None = None,
) -> Plan:
    """Plan a graph.

    Args:
        graph: as built, or after any passes.
        types: CFA, space or storage for type variables; those left out stay open.
        impl: implementation by node address, ``program`` or the target of one of several.
        taps: names of the taps (or other named values) to keep; None means all taps.
        cfa: CFA of the frame: binds the type variable of the mosaic.
        doubles: cards of the doubles that there are, by address; see `ispdsl.passes.doubling`.

    Raises:
        PlanError: the frame does not fit, a name does not exist, a node has nothing that can run, or a double does
            not fit.
    """
    return planned(prepared(graph, types, impl, taps, cfa, doubles))


def planned(graph: Graph) -> Plan:
    """The plan of a graph whose nodes know how they run."""
    calls = graph.calls
    reach, groups, frees = _reach(graph, calls), _groups(calls), _frees(graph, calls)
    return Plan(graph, tuple(_step(call, graph, reach, groups, frees) for call in calls))


def _step(
    call: Call,
    graph: Graph,
    reach: Mapping[str, int | str],
    groups: Mapping[str, str],
    frees: Mapping[str, tuple[str, ...]],
) -> Step:
    slots = {slot.address: slot for slot in graph.slots}
    used = [*call.parameters.values(), *(given.slot for given in call.metas.values() if given.slot is not None)]
    assert call.implementation is not None, "select chose one"
    return Step(
        node=call.address,
        stage=call.signature.name,
        implementation=f"{call.implementation.kind} {call.implementation.target}",
        inputs=tuple(map(str, call.inputs.values())),
        needs=tuple(map(str, call.needs.values())),
        outputs={name: str(type_) for name, type_ in call.outputs.items()},
        free=tuple(address for address in used if slots[address].free),
        held=tuple(address for address in used if not slots[address].free),
        metadata=tuple(dict.fromkeys(given.meta for given in call.metas.values() if given.meta is not None)),
        footprint=footprint_text(call),
        reach=reach[call.address],
        group=groups.get(call.address),
        frees=frees[call.address],
    )


def _reach(graph: Graph, calls: tuple[Call, ...]) -> dict[str, int | str]:
    """Sum of the radii from each step to the outputs, along the widest way; a statistic looks everywhere."""
    after: dict[str, int | str] = {}
    reach: dict[str, int | str] = {}

    def widen(node: str | None, amount: int | str) -> None:
        if node is not None and not graph.call(node).previous:
            known = after.get(node, 0)
            after[node] = WHOLE if isinstance(known, str) or isinstance(amount, str) else max(known, amount)

    for call in reversed(calls):
        beyond = after.get(call.address, 0)
        if isinstance(beyond, str) or call.footprint is None or call.footprint.kind == "global":
            reach[call.address] = WHOLE
        else:
            reach[call.address] = beyond + (call.footprint.radius or 0)
        for value in call.inputs.values():
            widen(value.node, reach[call.address])
        for value in call.needs.values():
            widen(value.node, WHOLE)
    return reach


def _groups(calls: tuple[Call, ...]) -> dict[str, str]:
    """Runs of two or more pointwise steps in which each reads what one before it in the run gives."""
    runs: list[list[Call]] = [[]]
    for call in calls:
        pointwise = call.footprint is not None and call.footprint.kind == "pointwise" and not call.statistic
        members = {member.address for member in runs[-1]}
        if pointwise and members and any(value.node in members for value in call.inputs.values()):
            runs[-1].append(call)
        else:
            runs.append([call] if pointwise else [])
    long = [run for run in runs if len(run) > 1]
    return {call.address: f"pointwise {index}" for index, run in enumerate(long, 1) for call in run}


def _frees(graph: Graph, calls: tuple[Call, ...]) -> dict[str, tuple[str, ...]]:
    """What nothing reads after each step: no later step, no output, no tap; statistics are always kept."""
    kept = {*graph.results.values(), *graph.taps.values()}
    kept |= {Value(node=call.address, port=port) for call in calls if call.statistic for port in call.outputs}
    last: dict[Value, str] = {}
    for call in calls:
        last.update(dict.fromkeys(call.sources, call.address))
        unread = (Value(node=call.address, port=port) for port in call.outputs)
        last.update({value: call.address for value in unread if value not in last})
    return {
        call.address: tuple(str(value) for value, node in last.items() if node == call.address and value not in kept)
        for call in calls
    }
