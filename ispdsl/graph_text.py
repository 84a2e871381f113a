"""A graph as text: Mermaid, Graphviz DOT and JSON. The same graph gives the same text; names are escaped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ispdsl.calls import Call
from ispdsl.graph import Graph
from ispdsl.ir.model import Value
from ispdsl.runtime.reading import plain
from ispdsl.runtime.slots import Slot

_HTML = str.maketrans(
    {"&": "&amp;", '"': "&quot;", "<": "&lt;", ">": "&gt;", "#": "&num;", "`": "&#96;", "\n": " ", "\r": " "}
)
_QUOTED = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": " ", "\r": " "})


def footprint_text(call: Call) -> str:
    """``pointwise``, ``3 px`` or ``global``; of a pipeline, which has none of its own, ``pipeline``."""
    if call.footprint is None:
        return "pipeline"
    return f"{call.footprint.radius} px" if call.footprint.kind == "local" else call.footprint.kind


def _label(call: Call) -> str:
    """A node's address, and its stage where that has another name."""
    own = call.address.rpartition(".")[2]
    return call.address if own == call.signature.name else f"{call.address} ({call.signature.name})"


def _edges(graph: Graph) -> Iterator[tuple[Value, str, str, str]]:
    """Value, the node that reads it, its type, and how: as an image, a statistic, or one of the frame before."""
    for call in graph.calls:
        for value in call.inputs.values():
            yield value, call.address, str(graph.type_of(value)), "image"
        for value in call.needs.values():
            before = value.node is not None and graph.call(value.node).previous
            yield value, call.address, str(graph.type_of(value)), "previous" if before else "statistic"


def to_mermaid(graph: Graph) -> str:
    """A Mermaid flowchart: images as full arrows, statistics dotted, values of the frame before marked."""
    lines = ["flowchart TD"]
    ids = {call.address: f"n{index}" for index, call in enumerate(graph.calls)}
    places = {port.name: f"i{index}" for index, port in enumerate(graph.inputs)}

    def source(value: Value) -> str:
        return places[value.port] if value.node is None else ids[value.node]

    def quoted(text: str) -> str:
        return f'"{text.translate(_HTML)}"'

    for port in graph.inputs:
        lines.append(f"  {places[port.name]}[/{quoted(f'{port.name}: {port.type}')}/]")
    for call in graph.calls:
        left, right = ("([", "])") if call.statistic else ("[[", "]]") if call.pipeline else ("[", "]")
        lines.append(f"  {ids[call.address]}{left}{quoted(_label(call))}{right}")
    for value, target, type_, how in _edges(graph):
        arrow = "-->" if how == "image" else "-.->"
        text = f"frame before: {type_}" if how == "previous" else type_
        lines.append(f"  {source(value)} {arrow}|{quoted(text)}| {ids[target]}")
    for index, port in enumerate(graph.outputs):
        lines.append(f"  o{index}[/{quoted(f'{port.name}: {port.type}')}/]")
        lines.append(f"  {source(graph.results[port.name])} --> o{index}")
    for index, (name, value) in enumerate(graph.taps.items()):
        lines.append(f"  t{index}({quoted(f'tap {name}')})")
        lines.append(f"  {source(value)} -.- t{index}")
    return "\n".join(lines) + "\n"


def to_dot(graph: Graph) -> str:
    """A Graphviz digraph; statistics dashed, taps as plain text."""

    def quoted(text: str) -> str:
        return f'"{text.translate(_QUOTED)}"'

    def source(value: Value) -> str:
        return quoted(f"input {value.port}" if value.node is None else value.node)

    lines = [f"digraph {quoted(graph.name)} {{", "  node [shape=box];"]
    for port in graph.inputs:
        label = quoted(f"{port.name}: {port.type}")
        lines.append(f"  {quoted(f'input {port.name}')} [shape=parallelogram, label={label}];")
    for call in graph.calls:
        shape = ", shape=oval" if call.statistic else ", peripheries=2" if call.pipeline else ""
        lines.append(f"  {quoted(call.address)} [label={quoted(_label(call))}{shape}];")
    for value, target, type_, how in _edges(graph):
        text = f"frame before: {type_}" if how == "previous" else type_
        style = "" if how == "image" else ", style=dashed"
        lines.append(f"  {source(value)} -> {quoted(target)} [label={quoted(text)}{style}];")
    for port in graph.outputs:
        name = quoted(f"output {port.name}")
        lines.append(f"  {name} [shape=parallelogram, label={quoted(f'{port.name}: {port.type}')}];")
        lines.append(f"  {source(graph.results[port.name])} -> {name};")
    for name, value in graph.taps.items():
        lines.append(f"  {quoted(f'tap {name}')} [shape=plaintext];")
        lines.append(f"  {source(value)} -> {quoted(f'tap {name}')} [style=dotted, arrowhead=none];")
    return "\n".join([*lines, "}"]) + "\n"


def to_json(graph: Graph) -> str:
    """The graph as JSON: ports, nodes with what they read and give, taps, and the address table."""
    return json.dumps(graph_values(graph), indent=2, ensure_ascii=False) + "\n"


def graph_values(graph: Graph) -> dict[str, Any]:
    """The graph as plain lists and dictionaries."""
    return {
        "name": graph.name,
        "sha256": graph.sha256,
        "inputs": [{"name": port.name, "type": str(port.type)} for port in graph.inputs],
        "outputs": [
            {"name": port.name, "type": str(port.type), "from": str(graph.results[port.name])} for port in graph.outputs
        ],
        "nodes": [_node(call) for call in graph.calls],
        "taps": {name: str(value) for name, value in graph.taps.items()},
        "metadata": [{"name": meta.name, "type": str(meta.type)} for meta in graph.metas],
        "parameters": [slot_values(slot) for slot in graph.slots],
    }


def _node(call: Call) -> dict[str, Any]:
    return {
        "address": call.address,
        "stage": call.signature.name,
        "inputs": {name: str(value) for name, value in call.inputs.items()},
        "needs": {name: str(value) for name, value in call.needs.items()},
        "outputs": {name: str(type_) for name, type_ in call.outputs.items()},
        "parameters": dict(call.parameters),
        "types": dict(call.types),
        "footprint": footprint_text(call),
        "statistic": call.statistic,
        "previous": call.previous,
        "implementation": call.implementation.target if call.implementation else None,
    }


def slot_values(slot: Slot) -> dict[str, Any]:
    """A row of the address table as plain values."""
    return {
        "address": slot.address,
        "kind": slot.declaration.kind,
        "unit": slot.unit,
        "start": None if slot.start is None else plain(slot.declaration, slot.start),
        "metadata": slot.start_meta,
        "fixed": slot.fixed,
        "free": slot.free,
        "drives": [".".join(place) for place in slot.drives],
    }
