"""The plan of a pipeline that a real thing runs as a whole: its nodes as they are declared, and what is watched."""

from __future__ import annotations

import textwrap
from typing import Any

from ispdsl.executors.kinds import backend_of
from ispdsl.executors.model import Declared, Node

WIDEST = 48
"""Characters of what of the real thing a node is."""
SHOWN = 6
"""Parameters of a node that are named; of more than that only the number is told."""


def outline(found: Declared) -> str:
    """One line for each node; the whole is run by what the first line names."""
    rows = [("", "node", "stage", "by", "parameters", "taps")]
    for index, node in enumerate(found.nodes, 1):
        names = " ".join(node.parameters) if len(node.parameters) <= SHOWN else f"{len(node.parameters)} of them"
        rows.append((str(index), node.address, node.signature.name, _by(node), names, " ".join(_taps(found, node))))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    ports = [", ".join(f"{port.name}: {port.type}" for port in each) for each in (found.inputs, found.outputs)]
    head = f"{found.name}: {ports[0]} -> {ports[1]}, run as a whole by {found.implementation.target}"
    return "\n".join(
        [head, *lines, "", f"`ispdsl run --backend {backend_of(found)}` runs it, `--parameters` lists what can be set"]
    )


def outline_rows(found: Declared) -> dict[str, Any]:
    """The same as plain values."""
    return {
        "pipeline": found.name,
        "sha256": found.sha256,
        "backend": backend_of(found),
        "executor": found.implementation.model_dump(mode="json", exclude={"location"}),
        "inputs": {port.name: str(port.type) for port in found.inputs},
        "outputs": {port.name: str(port.type) for port in found.outputs},
        "taps": {name: str(value) for name, value in found.taps.items()},
        "nodes": [
            {"node": node.address, "stage": node.signature.name, "parameters": dict(node.parameters)}
            for node in found.nodes
        ],
    }


def _by(node: Node) -> str:
    """What of the real thing the node is, where its stage says so."""
    if node.executor is None:
        return "-"
    first = node.executor.arguments.get("0", "")
    words = "; ".join(first) if isinstance(first, tuple) else str(first)
    return textwrap.shorten(f"{node.executor.target} {words}", WIDEST, placeholder=" ...")


def _taps(found: Declared, node: Node) -> list[str]:
    return [name for name, value in found.taps.items() if value.node == node.address]
