"""A pipeline's dataflow: names to values, calls to nodes, in topological order whatever the order of the text."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from ispdsl.ir.model import Node, Pipeline, Signature, Value
from ispdsl.ir.types import Type
from ispdsl.lower.call import Caller, Feed, Site, Typed, lower_call, match_feed, read_value, report_count
from ispdsl.lower.predictor import lower_predictor
from ispdsl.lower.scope import Declared, Scope, Sink, check_name, counted, meant
from ispdsl.lower.signature import UNNAMED_RESULT, Context
from ispdsl.lower.types import is_closed, match
from ispdsl.lower.unused import report_unused
from ispdsl.source import Span
from ispdsl.syntax import tree as t

LONGEST_CYCLE = 8
"""Names that are told of a cycle, at most."""


@dataclass
class Unit:
    """One step of the dataflow: a reference, a call, a tap or a statistic. `after` are the units that it reads from."""

    step: t.Name | t.Call | t.Tap | t.Stat
    taps: tuple[t.Name, ...] = ()
    """The name of a tap: it stands for the first result."""
    targets: tuple[t.Name, ...] = ()
    """The names before ``=``, for the results in order; those of a flow belong to its last step."""
    before: int | None = None
    """The unit before it in the same chain."""
    site: Site | None = None
    result: list[Typed] = field(default_factory=list[Typed])

    @property
    def defines(self) -> tuple[t.Name, ...]:
        """The names that this step gives a value."""
        return self.taps + self.targets


def lower_pipeline(declared: Declared, signature: Signature, scope: Scope, context: Context) -> Pipeline:
    """The graph of a pipeline; what is wrong is reported, and the nodes concerned are left out."""
    sink, already = context.sink, context.sink.errors
    units = list(_units(declared.tree, scope, sink))
    definers = _definitions(units, signature, sink)
    caller = Caller(context, signature, declared.broken, _given(declared.tree, signature))
    nodes: list[Node] = []
    for index in _order(units, definers, sink):
        node = _lower_unit(units[index], units, definers, caller)
        if node:
            nodes.append(node)
    nodes = _bind_previous(nodes, units, caller)
    results = _results(declared.tree, signature, definers, caller)
    if sink.errors == already:  # what is wrong leaves much unused behind it
        report_unused(declared.tree, nodes, caller.values, caller.used, sink)
    names = {name: typed.value for name, typed in caller.values.items()}
    tapped = [unit.step.name.text for unit in units if isinstance(unit.step, t.Tap)]
    taps = {name: names[name] for name in tapped if name in names}
    return Pipeline(
        signature=signature,
        nodes=tuple(nodes),
        results=results,
        taps=taps,
        names=names,
        predictor=lower_predictor(declared.tree, sink),
    )


def _given(tree: t.Declaration, signature: Signature) -> dict[str, Typed]:
    """The images and statistics that a pipeline is given; those declared wrongly have no type."""
    ports = {port.name: port.type for port in signature.inputs} | {need.name: need.type for need in signature.needs}
    declared = [
        item.name.text for item in (*tree.inputs, *tree.items) if isinstance(item, t.Port | t.Needs) and item.name
    ]
    return {name: Typed(Value(node=None, port=name), ports.get(name)) for name in declared}


# ---- taking the text apart -------------------------------------------------------------------------------


def _units(tree: t.Declaration, scope: Scope, sink: Sink) -> Iterator[Unit]:
    """The steps of all flows and statistics, in the order of the text, nodes named and names checked."""
    taken: dict[str, Span] = {}
    position = 0
    for item in tree.items:
        if isinstance(item, t.Stat):
            site = _site(
                item.call, item.call.alias or item.name, scope, sink, taken, previous=item.previous, statistic=True
            )
            yield Unit(item, targets=(item.name,), site=site)
            position += 1
        elif isinstance(item, t.Flow):
            steps: list[t.Name | t.Call | t.Tap] = [item.head, *item.steps]
            for index, step in enumerate(steps):
                taps = (step.name,) if isinstance(step, t.Tap) else ()
                last = index == len(steps) - 1
                site = _site(step, step.alias or step.name, scope, sink, taken) if isinstance(step, t.Call) else None
                before = position - 1 if index else None
                yield Unit(step, taps, item.targets if last else (), before, site)
                position += 1


def _site(
    call: t.Call,
    name: t.Name,
    scope: Scope,
    sink: Sink,
    taken: dict[str, Span],
    *,
    statistic: bool = False,
    previous: bool = False,
) -> Site | None:
    if name.text in taken:
        sink.add(
            "E206",
            f"two nodes are called {name.text}",
            name.span,
            related=[sink.label(taken[name.text], "first here")],
            hint=f"rename one: {call.name.text}(...) as another_name",
        )
    taken.setdefault(name.text, name.span)
    if name == call.alias:
        check_name(name, "a node", sink)
    callee = scope.callables.get(call.name.text)
    if callee is None:
        if call.name.text in scope.missing:
            return None
        standard = scope.elsewhere()
        origin = standard.get(call.name.text)
        hint = f"write: from {origin} import {call.name.text}" if origin else None
        near = meant(call.name.text, [*scope.callables, *standard])
        sink.add("E201", f"unknown stage {call.name.text}", call.name.span, hint=hint or near)
        return None
    return Site(name.text, call, callee, statistic, previous)


def _definitions(units: Sequence[Unit], signature: Signature, sink: Sink) -> dict[str, int]:
    """Which unit defines each name; a name with two definitions is reported."""
    first: dict[str, Span] = {
        item.name: Span(item.location.start, item.location.end) for item in (*signature.inputs, *signature.needs)
    }
    results = {port.name for port in signature.outputs}  # checked where they are declared
    definers: dict[str, int] = {}
    for index, unit in enumerate(units):
        for name in unit.defines:
            if name.text in first:
                related = [sink.label(first[name.text], "first here")]
                hint = "give one of them another name"
                sink.add("E206", f"the value {name.text} is defined twice", name.span, related=related, hint=hint)
                continue
            if name.text not in results:
                check_name(name, "a value", sink)
            first[name.text] = name.span
            definers[name.text] = index
    return definers


# ---- order -------------------------------------------------------------------------------------------------


def _reads(unit: Unit) -> Iterator[t.Name]:
    """The names whose values a unit needs before it can run. A `previous` statistic reads a frame earlier."""
    match unit.step:
        case t.Name():
            yield unit.step
        case t.Stat():
            if not unit.step.previous:
                yield unit.step.of
        case _:
            pass
    if unit.site:
        needs = {need.name for need in unit.site.callee.signature.needs}
        for argument in unit.site.call.arguments:
            reads = argument.name is None or argument.name.text in needs
            if reads and isinstance(argument.value, t.Name):
                yield argument.value


def _order(units: Sequence[Unit], definers: dict[str, int], sink: Sink) -> list[int]:
    """Indices of the units so that each follows what it reads; ties in the order of the text. Cycles are reported."""
    waits = [
        {definers[name.text] for name in _reads(unit) if name.text in definers}
        | ({unit.before} if unit.before is not None else set())
        for unit in units
    ]
    followers: list[list[int]] = [[] for _ in units]
    for index, reads in enumerate(waits):
        for read in reads:
            followers[read].append(index)
    ready = [index for index, reads in enumerate(waits) if not reads]
    order: list[int] = []
    while ready:
        index = heapq.heappop(ready)
        order.append(index)
        for follower in followers[index]:
            waits[follower].discard(index)
            if not waits[follower]:
                heapq.heappush(ready, follower)
    stuck = set(range(len(units))) - set(order)
    if stuck:
        _report_cycle(units, waits, stuck, sink)
    return order


def _report_cycle(units: Sequence[Unit], waits: Sequence[set[int]], stuck: set[int], sink: Sink) -> None:
    """Follow the waiting units back until one comes again: that is a cycle."""
    path: dict[int, None] = {}
    index = min(stuck)
    while index not in path:
        path[index] = None
        index = min(waits[index] & stuck)
    order = list(path)
    cycle = order[order.index(index) :][::-1]
    named = [units[i].defines[-1].text for i in cycle if units[i].defines]
    shown = [*named[:LONGEST_CYCLE], *(["..."] if len(named) > LONGEST_CYCLE else []), named[0]]
    start = units[cycle[0]]
    message = (
        f"these values depend on each other: {' -> '.join(shown)}" if named[1:] else f"{named[0]} depends on itself"
    )
    sink.add(
        "E501",
        message,
        start.step.span,
        related=[sink.label(units[i].step.span, "and this") for i in cycle[1:] if units[i].defines][:4],
        hint="a statistic of the frame before breaks a cycle: stat NAME = STAGE() of previous VALUE",
    )


# ---- lowering a unit ---------------------------------------------------------------------------------------


def _lower_unit(unit: Unit, units: Sequence[Unit], definers: dict[str, int], caller: Caller) -> Node | None:
    node = None
    incoming = units[unit.before].result if unit.before is not None else []
    match unit.step:
        case t.Name():
            found = read_value(unit.step, caller)
            unit.result = [found] if found else []
        case t.Tap():
            unit.result = incoming
        case t.Call() | t.Stat():
            if unit.site:
                feeds = _feeds(unit, incoming, units, caller)
                node = lower_call(unit.site, feeds, caller) if feeds is not None else None
                unit.result = _outputs(node, unit.site)
            else:
                _read_all(unit.step, caller)
    _define(unit, definers, caller)
    return node


def _read_all(step: t.Call | t.Stat, caller: Caller) -> None:
    """Count what an unknown stage is given as used: which of it would be read is not known."""
    call = step.call if isinstance(step, t.Stat) else step
    caller.used |= {argument.value.text for argument in call.arguments if isinstance(argument.value, t.Name)}
    if isinstance(step, t.Stat):
        caller.used.add(step.of.text)


def _outputs(node: Node | None, site: Site) -> list[Typed]:
    """A call's results; of one that failed those types that no input decides, so that no error follows from it.

    What is declared wrongly has no type.
    """
    closed = {p.name: p.type for p in site.callee.signature.outputs if is_closed(p.type, site.callee.known)}
    types = node.outputs if node else closed
    names = [port.name.text if port.name else UNNAMED_RESULT for port in site.callee.tree.outputs]
    return [Typed(Value(node=site.name, port=name), types.get(name)) for name in names]


def _feeds(unit: Unit, incoming: list[Typed], units: Sequence[Unit], caller: Caller) -> list[Feed] | None:
    """The images of a call: the one that `->` brings, then those in the parentheses. None when one is unknown."""
    sink = caller.sink
    feeds: list[Feed] = []
    assert unit.site is not None
    if unit.before is not None:
        before = units[unit.before]
        if len(incoming) != 1:
            if incoming:
                message = f"{unit.site.call.name.text} is fed by a stage with {len(incoming)} results"
                hint = "name them first: a, b = STAGE(...)"
                sink.add("E312", message, before.step.span, hint=hint)
            return None
        feeds.append(Feed(incoming[0], before.step.span))
    if isinstance(unit.step, t.Stat):
        read = caller.values.get(unit.step.of.text)
        if unit.step.previous:
            caller.used.add(unit.step.of.text)
            read = read or Typed(Value(node=None, port=unit.step.of.text), None)
        else:
            read = read_value(unit.step.of, caller)
        if read is None:
            return None
        feeds.append(Feed(read, unit.step.of.span))
    for argument in unit.site.call.arguments:
        if argument.name is None:
            if not isinstance(argument.value, t.Name):
                names = [p.name for p in unit.site.callee.signature.parameters] or ["NAME"]
                written = argument.value.text if isinstance(argument.value, t.Number) else "VALUE"
                hint = f"settings are given by name: {names[0] if len(names) == 1 else 'NAME'} = {written}"
                sink.add("E407", "only images stand without a name", argument.span, hint=hint)
                return None
            found = read_value(argument.value, caller)
            if found is None:
                return None
            feeds.append(Feed(found, argument.span))
    return feeds


def _define(unit: Unit, definers: dict[str, int], caller: Caller) -> None:
    """Give the unit's names their values."""
    sink = caller.sink
    if isinstance(unit.step, t.Tap):
        caller.used.add(unit.step.name.text)
        if len(unit.result) > 1:
            sink.add("E312", "a tap watches one value, this stage has several results", unit.step.span)
    targets = unit.targets
    if targets and unit.result and len(targets) != len(unit.result):
        span = targets[0].span.to(targets[-1].span)
        message = f"{counted(len(targets), 'name')} for {counted(len(unit.result), 'result')}"
        hint = f"write a name for each of {', '.join(typed.value.port for typed in unit.result)}"
        sink.add("E312", message, span, related=[sink.label(unit.step.span, f"gives {len(unit.result)}")], hint=hint)
    for index, name in enumerate(unit.defines):
        if name.text in caller.values or name.text not in definers:
            continue
        place = max(index - len(unit.taps), 0)
        if place < len(unit.result):
            caller.values[name.text] = unit.result[place]
        else:
            caller.values[name.text] = Typed(Value(node=None, port=f"{name.text}#{index}"), None)


def _bind_previous(nodes: Sequence[Node], units: Sequence[Unit], caller: Caller) -> list[Node]:
    """Bind and check the images that statistics read from the frame before, now that every value is known."""
    bound: dict[str, dict[str, object]] = {}
    for unit in units:
        if not (isinstance(unit.step, t.Stat) and unit.step.previous and unit.site):
            continue
        found = read_value(unit.step.of, caller)
        inputs = unit.site.callee.signature.inputs
        given = 1 + sum(argument.name is None for argument in unit.site.call.arguments)
        if len(inputs) != 1 or given != 1:
            report_count(unit.site, given, caller.sink)
            continue
        types: dict[str, str | int] = {}
        if found and match_feed(inputs[0], Feed(found, unit.step.of.span), types, unit.site, caller):
            bound[unit.site.name] = {"inputs": {inputs[0].name: found.value}, "types": types}
    return [node.model_copy(update=bound[node.name]) if node.name in bound else node for node in nodes]


# ---- results -------------------------------------------------------------------------------------------------


def _results(tree: t.Declaration, signature: Signature, definers: dict[str, int], caller: Caller) -> dict[str, Value]:
    sink = caller.sink
    ports = {port.name: port for port in signature.outputs}
    results: dict[str, Value] = {}
    for port_tree in tree.outputs:
        if port_tree.name is None:
            sink.add(
                "E214",
                f"pipeline {tree.name.text} must name its results",
                port_tree.span,
                hint="write -> (display: rgb<srgb, unit>) and assign it: display = ...",
            )
            continue
        name = port_tree.name.text
        if name not in caller.values and name not in definers:
            hint = f"write {name} = ..."
            sink.add("E214", f"the result {name} is never assigned", port_tree.span, hint=hint)
            continue
        caller.used.add(name)
        given = caller.values.get(name)
        if given is None or given.type is None or name not in ports:
            continue
        results[name] = given.value
        _check_result(port_tree, ports[name].type, given.type, _assignment(name, tree), sink)
    return results


def _assignment(name: str, tree: t.Declaration) -> Callable[[], Span | None]:
    """Where a value is defined, asked only when there is something to say about it."""

    def find() -> Span | None:
        flows = [item for item in tree.items if isinstance(item, t.Flow)]
        targets = [target for flow in flows for target in flow.targets]
        taps = [step.name for flow in flows for step in flow.steps if isinstance(step, t.Tap)]
        return next((found.span for found in (*targets, *taps) if found.text == name), None)

    return find


def _check_result(
    port_tree: t.Port, wanted: Type, given: Type, assignment: Callable[[], Span | None], sink: Sink
) -> None:
    """A result's type is the caller's to rely on: its own variables stand only for themselves."""
    rigid: dict[str, str | int] = {str(a): a for a in wanted.args if isinstance(a, str) and len(a) == 1}
    mismatch = match(wanted, given, rigid)
    if mismatch:
        name = port_tree.name.text if port_tree.name else ""
        place = assignment()
        related = [sink.label(place, f"this is {given}")] if place else []
        message = f"the result {name}: {mismatch.reason}"
        sink.add(mismatch.code, message, port_tree.type.span, "promised here", related=related, hint=mismatch.hint)
