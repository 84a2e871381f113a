"""A graph as boxes and arrows."""

from __future__ import annotations

from ispdsl.graph import Call, Graph
from ispdsl.graph_svg import Arrow, Box, draw
from ispdsl.ir.model import Value


def svg(graph: Graph) -> str:
    """The picture of a graph: its inputs, calls, statistics, taps and outputs, and what flows between them."""
    boxes = [Box(f"input {port.name}", port.name, str(port.type), "input") for port in graph.inputs]
    boxes += [_box(call) for call in graph.calls]
    boxes += [Box(f"tap {name}", name, "tap", "tap") for name in graph.taps]
    boxes += [Box(f"output {port.name}", port.name, str(port.type), "output") for port in graph.outputs]
    arrows = [_arrow(graph, value, call.address) for call in graph.calls for value in call.sources]
    arrows += [_arrow(graph, value, f"tap {name}", labelled=False) for name, value in graph.taps.items()]
    arrows += [_arrow(graph, value, f"output {name}", labelled=False) for name, value in graph.results.items()]
    return draw(boxes, arrows, graph.name)


def _box(call: Call) -> Box:
    kind = "statistic" if call.statistic else "pipeline" if call.pipeline else "stage"
    name = call.signature.name
    return Box(call.address, call.address, name if call.address.rpartition(".")[2] != name else "", kind)


def _arrow(graph: Graph, value: Value, target: str, labelled: bool = True) -> Arrow:
    """From where a value comes; what a statistic of the frame before gives is drawn as feedback."""
    label = str(graph.type_of(value)) if labelled else ""
    if value.node is None:
        return Arrow(f"input {value.port}", target, "")
    source = graph.call(value.node)
    kind = "previous" if source.previous else "statistic" if source.statistic else "image"
    return Arrow(value.node, target, label, kind)
