"""What is rendered in one go: the whole pipeline, one stage with all before it, or one stage alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ispdsl.backends.blackbox import COMPOSITE
from ispdsl.errors import PlanError
from ispdsl.graph import Graph
from ispdsl.passes.identity import identity
from ispdsl.passes.inline import inline
from ispdsl.passes.prune import prune
from ispdsl.passes.segments import Segment, collapse, cut, segments, watched
from ispdsl.passes.select import specialise
from ispdsl.plan import prepared


@dataclass(frozen=True)
class View:
    """A flat graph, and which of its values are kept: by their watched names."""

    graph: Graph
    names: tuple[str, ...]


def flat_of(graph: Graph, types: Mapping[str, str | int], taps: Iterable[str] | None, backend: str) -> Graph:
    """The graph as it will be sampled: flat, its types bound, with the taps that are wanted (None for all).

    Raises:
        PlanError: a tap does not exist; a node of what is run as composite has no program.
    """
    if backend == COMPOSITE:
        return prepared(graph, types, taps=taps)
    return specialise(identity(prune(inline(graph), taps)), types)


def whole(flat: Graph) -> View:
    """Everything that is watched."""
    return View(flat, tuple(watched(flat)))


def upstream(flat: Graph, segment: Segment) -> View:
    """One segment with all before it: kept is what it reads (statistics included) and gives, nothing later runs."""
    seen = watched(flat)
    alone = cut(collapse(flat, segments(flat)), segment.address)
    read = {port.name for port in alone.inputs} | {*segment.gives}
    names = tuple(name for name in seen if name in read)
    taps = {name: seen[name] for name in names if seen[name].node is not None}
    return View(prune(replace(flat, outputs=(), results={}, taps=taps)), names)


def alone(flat: Graph, segment: Segment) -> View:
    """One stage by itself, whose input is given by the name under which it is watched.

    Raises:
        PlanError: it is no single pointwise stage with one image, which is no mosaic.
    """
    reason = why_not_alone(flat, segment)
    if reason is not None:
        raise PlanError(f"{segment.address} cannot be shown charts: {reason}")
    graph = cut(flat, segment.address)
    return View(graph, (*(port.name for port in graph.inputs), *(port.name for port in graph.outputs)))


def why_not_alone(flat: Graph, segment: Segment) -> str | None:
    """Why a chart says nothing of a segment; None where it does."""
    if len(segment.nodes) > 1:
        return "it stands for several nodes"
    call = flat.call(segment.address)
    if call.footprint is None or call.footprint.kind != "pointwise":
        return "it is not pointwise"
    inputs = cut(flat, segment.address).inputs
    if len(inputs) != 1 or not inputs[0].type.is_image or inputs[0].type.name == "raw":
        return "it reads other than one image"
    return None
