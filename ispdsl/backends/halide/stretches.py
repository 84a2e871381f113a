"""A trace cut into stretches: what Halide computes, what is left to torch, in turns."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from ispdsl.backends.halide.rules import has_rule, renames
from ispdsl.backends.halide.traced import Ref, Trace

SMALL = 1024
"""Values of so many numbers that torch computed stay with torch: statistics and what is made of them."""


@dataclass(frozen=True)
class Stretch:
    """Nodes that run together."""

    by_halide: bool
    nodes: tuple[int, ...]
    results: tuple[int, ...]
    """Those of them that other stretches or the caller read."""


def stretches(trace: Trace, left: Collection[int] = ()) -> list[Stretch]:
    """Cut a trace.

    Args:
        trace: of the pipeline.
        left: nodes that turned out not to be lowered.

    Returns:
        Stretches in the order in which they run. Even ones are Halide's; those without nodes are left out.
    """
    torch_nodes = _of_torch(trace, set(left))
    level: dict[int, int] = {}
    for node in trace.nodes:
        if node.target == "input":
            level[node.number] = 0
            continue
        by_torch = node.number in torch_nodes
        level[node.number] = max(
            (
                level[source] + (level[source] % 2 != by_torch)
                for source in node.sources
                if trace.nodes[source].target != "input"
            ),
            default=int(by_torch),
        )
    outputs = {value.node for value in trace.outputs.values() if isinstance(value, Ref)}
    users: dict[int, set[int]] = {node.number: set() for node in trace.nodes}
    for node in trace.nodes:
        for source in node.sources:
            users[source].add(level[node.number])
    found: list[Stretch] = []
    for each in sorted(set(level.values())):
        nodes = tuple(node.number for node in trace.nodes if level[node.number] == each and node.target != "input")
        results = tuple(number for number in nodes if number in outputs or users[number] - {each})
        if results:
            found.append(Stretch(each % 2 == 0, nodes, results))
    return found


def _of_torch(trace: Trace, left: set[int]) -> set[int]:
    """Nodes that torch computes: without a rule, small ones that follow those, and views that only those read."""
    found: set[int] = set()
    users: dict[int, list[int]] = {node.number: [] for node in trace.nodes}
    outputs = {value.node for value in trace.outputs.values() if isinstance(value, Ref)}
    for node in trace.nodes:
        for source in node.sources:
            users[source].append(node.number)
        if node.target == "input":
            continue
        by_torch = bool(node.sources) and all(source in found for source in node.sources)
        small = by_torch and math.prod(node.shape) <= SMALL
        part = node.target == "getitem" and node.sources[0] in found
        if node.number in left or small or part or not has_rule(node):
            found.add(node.number)
        if node.target == "getitem" and node.number in left:
            found.add(node.sources[0])
    for node in reversed(trace.nodes):
        after = users[node.number]
        if after and node.number not in outputs and renames(node) and all(each in found for each in after):
            found.add(node.number)
    return found


def flat(trace: Trace, number: int) -> set[int]:
    """The nodes that lead to a value and have all samples of an image in one row, as a histogram takes them.

    They are better left to torch, where it is to have the last of them: programs run by strips of rows.
    """
    if trace.nodes[0].shape[-2] == 1:
        return set()
    found: set[int] = set()
    waiting = [number]
    while waiting:
        node = trace.nodes[waiting.pop()]
        in_a_row = math.prod(node.shape) > SMALL and (len(node.shape) < 2 or node.shape[-2] == 1)
        if in_a_row and node.number not in found and node.target != "input":
            found.add(node.number)
            waiting += node.sources
    return found
