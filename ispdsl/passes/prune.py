"""Drop the nodes that no output and no requested tap needs."""

from __future__ import annotations

from collections.abc import Iterable

from ispdsl.diagnostics import nearest
from ispdsl.errors import PlanError
from ispdsl.graph import Graph, rebuilt, verify
from ispdsl.ir.model import Value


def prune(graph: Graph, taps: Iterable[str] | None = None) -> Graph:
    """Keep what the outputs and `taps` need; the graph's taps become the requested ones.

    Parameters that drive nothing any more keep their address, so that settings for the whole graph stay valid.

    Args:
        graph: any graph.
        taps: names of taps, or of other named values; None means all taps.

    Raises:
        PlanError: no value has that name.
    """
    verify(graph)
    wanted = {name: watched(graph, name) for name in (graph.taps if taps is None else taps)}
    keep: set[str | None] = set()
    waiting = [value.node for value in (*graph.results.values(), *wanted.values())]
    while waiting:
        address = waiting.pop()
        if address is not None and address not in keep:
            keep.add(address)
            waiting += [value.node for value in graph.call(address).sources]
    calls = [call for call in graph.calls if call.address in keep]
    names = {name: value for name, value in graph.names.items() if value.node is None or value.node in keep}
    return verify(rebuilt(graph, calls, taps=wanted, names=names))


def watched(graph: Graph, name: str) -> Value:
    """The value behind the name of a tap, or of anything else that the text names.

    Raises:
        PlanError: no value has that name.
    """
    if name in graph.taps:
        return graph.taps[name]
    if name in graph.names:
        return graph.names[name]
    near = nearest(name, [*graph.taps, *graph.names])
    hint = f"did you mean {near}?" if near else f"its taps are {', '.join(graph.taps) or 'none'}"
    raise PlanError(f"{graph.name} has no tap {name}", hint)
