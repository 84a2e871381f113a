"""Put doubles in their places: find the segment of each card in a graph, and hold the card to what stands there."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ispdsl.calls import Call
from ispdsl.errors import PlanError
from ispdsl.graph import Graph
from ispdsl.ir.model import Value
from ispdsl.ir.types import Type, is_variable
from ispdsl.passes.levels import levelled
from ispdsl.passes.prune import prune
from ispdsl.passes.segments import Segment, between, collapse, watched
from ispdsl.passes.select import EVERY, PROXY
from ispdsl.passes.single import constants, declaration
from ispdsl.proxies.card import Card

NEAR = 1e-6
"""How far, relatively, a constant of the text may be from the one that was sampled: float32 carries it so."""


def wanted(doubles: Mapping[str, Card], choice: Mapping[str, str]) -> dict[str, Card]:
    """The doubles that shall run: all, unless the choice of implementations names those or something else.

    Args:
        doubles: all that there are, by address.
        choice: as `ispdsl.passes.select.select` takes it. Where it says ``proxy`` of a node, only such nodes get
            their doubles; another choice for a node, or for one that a double stands for with others, leaves it out.

    Raises:
        PlanError: a node shall be a double and has none.
    """
    named = {address for address, kind in choice.items() if kind == PROXY}
    missing = sorted(named - {EVERY, *doubles})
    if missing:
        has = ", ".join(doubles) or "none"
        raise PlanError(f"{missing[0]} has no double", f"there are doubles of {has}; `ispdsl train` makes more")
    others = {address for address, kind in choice.items() if kind != PROXY}
    every = choice.get(EVERY) in (None, PROXY) and (not named or EVERY in named)
    return {
        address: card
        for address, card in doubles.items()
        if (every or address in named) and others.isdisjoint((address, *(card.nodes if len(card.nodes) > 1 else ())))
    }


def place(graph: Graph, doubles: Mapping[str, Card], taps: Collection[str] | None = None) -> Graph:
    """The graph with one call for each double, pruned to what outputs and taps need.

    Args:
        graph: flat, with all its taps.
        doubles: cards by address.
        taps: names of the taps to keep; None means all that no double hides.

    Raises:
        PlanError: a double does not fit, two overlap, or a tap lies inside one.
    """
    found = {address: _segment(graph, address, card) for address, card in doubles.items()}
    for address, segment in found.items():
        _check(graph, address, segment, doubles[address])
    collapsed = collapse(graph, found.values())
    for name in taps or ():
        if name in {*graph.taps, *graph.names} and name not in {*collapsed.taps, *collapsed.names}:
            inside = [address for address, segment in found.items() if _holds(graph, segment, name)]
            hint = f"leave the tap out, or choose --impl {inside[0]}=program" if inside else "leave the tap out"
            raise PlanError(f"{name} lies inside a double", hint)
    placed = prune(collapsed, taps)
    for address in doubles:
        if address in placed.nodes:
            _check_types(placed.call(address), placed, doubles[address])
            placed = levelled(placed, address)
    return placed


def _holds(graph: Graph, segment: Segment, name: str) -> bool:
    value = graph.taps.get(name) or graph.names[name]
    return value.node in segment.nodes


def _segment(graph: Graph, address: str, card: Card) -> Segment:
    """The segment of the graph that a card is of.

    Raises:
        PlanError: there is none.
    """
    if len(card.nodes) == 1 and card.stage is not None and address in graph.nodes:
        return Segment(address, (address,), *card.watched)
    seen = {**_ends(graph), **watched(graph)}
    reads, gives = card.watched
    unknown = [name for name in (*reads, *gives) if name not in seen]
    if unknown:
        raise _refused(address, f"{graph.name} has no {unknown[0]} to watch", "it has " + ", ".join(seen))
    inner = {name: value for name, value in seen.items() if name in reads or name in gives}
    for names in (seen, inner):
        segment = between(graph, names, gives)
        if (segment.nodes, segment.reads, segment.gives) == (card.nodes, reads, gives):
            return segment
    there = ", ".join(between(graph, seen, gives).nodes)
    raise _refused(address, f"it stands for {', '.join(card.nodes)}; between its values lie {there}")


def _ends(graph: Graph) -> dict[str, Value]:
    """What goes in and comes out, under the names of ports alone."""
    inputs = {port.name: Value(node=None, port=port.name) for port in graph.inputs if port.type.is_image}
    return {**inputs, **{port.name: graph.results[port.name] for port in graph.outputs if port.type.is_image}}


def _check(graph: Graph, address: str, segment: Segment, card: Card) -> None:
    """Hold what a card says of constants to the text.

    Raises:
        PlanError: something was another value when the real thing was sampled.
    """
    now = constants(graph, segment.address, segment.nodes)
    for name, value in now.items():
        if name in card.constants and not _same(value, card.constants[name]):
            what = f"it was made with {name} = {_shown(card.constants[name])}, and the pipeline fixes {_shown(value)}"
            raise _refused(address, what)
    open_ = {knob.name for knob in card.task.knobs} & now.keys()
    if open_ and len(card.nodes) > 1:
        raise _refused(address, f"{sorted(open_)[0]} was varied for it, and the pipeline fixes it")


def _check_types(call: Call, graph: Graph, card: Card) -> None:
    """Hold a card's types and declaration to the call in whose place it stands.

    Raises:
        PlanError: they are not those that it was made for.
    """
    if card.signature and card.signature != declaration(call):
        what = f"the declaration of {card.stage or 'what it stands for'} has changed since it was made"
        raise _refused(call.address, what)
    given = tuple(graph.type_of(call.inputs[port.name]) for port in call.signature.inputs)
    gives = tuple(call.outputs[port.name] for port in call.signature.outputs)
    for mine, theirs, how in ((card.task.inputs, given, "takes"), (card.task.outputs, gives, "gives")):
        if len(mine) != len(theirs) or not all(map(_fits, mine, theirs)):
            raise _refused(call.address, f"it {how} {_listed(mine)}, and in its place stand {_listed(theirs)}")


def _fits(mine: Type, theirs: Type) -> bool:
    """Whether types agree wherever neither is a variable."""
    pairs = zip(mine.args, theirs.args, strict=False)
    same = all(left == right or is_variable(left) or is_variable(right) for left, right in pairs)
    return mine.name == theirs.name and len(mine.args) == len(theirs.args) and same


def _listed(types: Iterable[Type]) -> str:
    return ", ".join(map(str, types)) or "nothing"


def _same(one: Any, other: Any) -> bool:
    """Whether two constants as JSON has them are the same value."""
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, bool | str | dict) or isinstance(other, bool | str | dict) or one is None or other is None:
        return one == other
    if isinstance(one, list | tuple) or isinstance(other, list | tuple):
        return False
    return math.isclose(one, other, rel_tol=NEAR, abs_tol=NEAR)


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)[:60]


def _refused(address: str, what: str, more: str = "") -> PlanError:
    hint = f"sample and train it anew, or choose --impl {address}=program"
    return PlanError(f"the double of {address} does not fit: {what}", f"{more}; {hint}" if more else hint)
