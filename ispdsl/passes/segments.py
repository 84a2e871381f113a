"""Segments: what lies between the values that are watched, each of which one network can stand for.

Watched are the images that go into a pipeline, its taps and the images that come out. Going back from a watched value
to the watched values before it gives its segment, so that segments never depend on each other in a circle; a node that
two watched values need belongs to both of their segments.

A statistic of a watched image stays a call of its own, which its program computes; one of an image that nobody sees is
inside. So is one of the frame before: of a still it is settled, and its double is one of the settled state.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ispdsl.calls import Call
from ispdsl.errors import PlanError
from ispdsl.graph import Graph, rebuilt, verify
from ispdsl.ir.model import Port, Value
from ispdsl.passes.prune import prune
from ispdsl.passes.single import single


@dataclass(frozen=True)
class Segment:
    """One call of the collapsed graph.

    Attributes:
        address: of that call: the node's, where it is one; else the name of the value that it ends in.
        nodes: addresses of the nodes that it stands for, in order.
        reads, gives: names of the watched values that go in and come out; of one node by its ports, in order.
    """

    address: str
    nodes: tuple[str, ...]
    reads: tuple[str, ...]
    gives: tuple[str, ...]


def watched(graph: Graph) -> dict[str, Value]:
    """The watched values of a flat graph by name: images that go in, taps, images that come out.

    A value with several names is there once; the name of its first tap wins, then that of the input.

    Raises:
        PlanError: a tap has the name of an input or output that is another value.
    """
    inputs = {port.name: Value(node=None, port=port.name) for port in graph.inputs}
    outputs = {port.name: graph.results[port.name] for port in graph.outputs}
    found: dict[str, Value] = {}
    for names in (graph.taps, inputs, outputs):
        for name, value in names.items():
            if value in found.values() or not graph.type_of(value).is_image:
                continue
            if name in found:
                raise PlanError(f"{graph.name} has two values named {name} to watch", "give the tap another name")
            found[name] = value
    first = [name for name in inputs if name in found]
    return {name: found[name] for name in (*first, *(name for name in found if name not in first))}


def segments(graph: Graph, whole: bool = False) -> tuple[Segment, ...]:
    """The segments of a flat graph, each after all whose values it reads.

    Args:
        graph: flat; what no watched value needs is in no segment.
        whole: see only what goes in and comes out: one segment.
    """
    verify(graph)
    seen = watched(replace(graph, taps={}) if whole else graph)
    names = {value: name for name, value in seen.items()}
    if whole:
        ends = tuple(name for name, value in seen.items() if value.node is not None)
        return (between(graph, seen, ends),) if ends else ()
    found: list[Segment] = []
    for call in graph.calls:
        values = [Value(node=call.address, port=port) for port in call.outputs]
        ends = tuple(names[value] for value in values if value in names)
        if ends:
            found.append(between(graph, seen, ends))
    return tuple(found)


def between(graph: Graph, seen: Mapping[str, Value], ends: tuple[str, ...]) -> Segment:
    """The segment that ends in some of the watched values `seen`, found backwards from there."""
    names = {value: name for name, value in seen.items() if name not in ends}
    inside = _inside(graph, frozenset(names), [seen[name] for name in ends])
    nodes = tuple(call.address for call in graph.calls if call.address in inside)
    last = graph.call(nodes[-1])
    if len(nodes) == 1 and len(ends) == sum(type_.is_image for type_ in last.outputs.values()):
        reads = tuple(names[last.inputs[port.name]] for port in last.signature.inputs)
        return Segment(last.address, nodes, reads, ends)
    read = {value for address in nodes for value in _images(graph.call(address))}
    reads = tuple(name for value, name in names.items() if value in read)
    return Segment(_unused(graph, ends[0]), nodes, reads, ends)


def _inside(graph: Graph, stops: frozenset[Value], ends: Iterable[Value]) -> set[str]:
    """The nodes between values that are watched and some of those."""
    outer = _outer(graph, stops)
    inside: set[str] = set()
    open_ = [value for value in ends if value.node is not None]
    while open_:
        address = open_.pop().node
        if address is None or address in inside:
            continue
        inside.add(address)
        call = graph.call(address)
        open_ += [value for value in _images(call) if value not in stops]
        open_ += [value for value in call.needs.values() if value.node not in outer]
    return inside


def _images(call: Call) -> tuple[Value, ...]:
    """The images of this frame that a call reads."""
    return () if call.previous else tuple(call.inputs.values())


def _outer(graph: Graph, stops: frozenset[Value]) -> set[str]:
    """The statistics that can be computed from what is watched alone."""
    outer: set[str] = set()
    for call in graph.calls:
        needs = (value.node for value in call.needs.values() if value.node is not None)
        if call.statistic and stops.issuperset(call.inputs.values()) and outer.issuperset(needs):
            outer.add(call.address)
    return outer


def _unused(graph: Graph, name: str) -> str:
    """A name that no node has."""
    while name in graph.nodes:
        name += "_"
    return name


# ---- graphs of segments ---------------------------------------------------------------------------------------


def collapse(graph: Graph, chosen: Iterable[Segment]) -> Graph:
    """The graph with one call in the place of each segment of several nodes. Its table of addresses stays.

    Nodes that something else needs stay too. Taps and names of values inside are gone.
    """
    verify(graph)
    several = [segment for segment in chosen if segment.address not in graph.nodes]
    seen = watched(replace(graph, taps={})) | watched(graph) if several else {}
    made = {
        segment.address: single(
            graph, segment, ({name: seen[name] for name in segment.reads}, {name: seen[name] for name in segment.gives})
        )
        for segment in several
    }
    moved: dict[Value, Value] = {}
    for segment in several:
        ports = made[segment.address].outputs
        for name, port in zip(segment.gives, ports, strict=True):
            moved[seen[name]] = Value(node=segment.address, port=port)

    def kept(values: Mapping[str, Value]) -> dict[str, Value]:
        return {name: moved.get(value, value) for name, value in values.items()}

    calls = [replace(call, inputs=kept(call.inputs), needs=kept(call.needs)) for call in (*graph.calls, *made.values())]
    hidden = {node for segment in several for node in segment.nodes}
    taps = {name: value for name, value in kept(graph.taps).items() if value.node not in hidden}
    places = {"results": kept(graph.results), "taps": taps, "names": kept(graph.names)}
    return prune(rebuilt(graph, calls, **places))


def cut(graph: Graph, address: str) -> Graph:
    """Only one call, with the statistics that it needs; the watched values that they read are the inputs.

    A statistic of the frame before becomes one of this frame: of a still, both are the same.

    Args:
        graph: flat or collapsed.
        address: of a call whose images are watched.

    Raises:
        PlanError: there is no such call, or it reads an image that is not watched.
    """
    if address not in graph.nodes:
        raise PlanError(f"{graph.name} has no node {address}", f"its nodes are {', '.join(graph.nodes)}")
    names = {value: name for name, value in watched(graph).items()}
    call = graph.call(address)
    kept = [replace(each, previous=False) for each in _statistics(graph, call)]
    images = tuple(value for each in (call, *kept) for value in each.inputs.values())
    unseen = [value for value in images if value not in names]
    if unseen:
        raise PlanError(f"{address} reads {unseen[0]}, which is not watched", "give it a tap, or collapse the graph")
    inputs = {names[value]: graph.type_of(value) for value in images}
    ports = tuple(Port(name=name, type=type_, location=call.location) for name, type_ in inputs.items())
    ports += tuple(port for port in graph.inputs if not port.type.is_image)

    def outside(values: Mapping[str, Value]) -> dict[str, Value]:
        return {
            name: Value(node=None, port=names[value]) if value in names else value for name, value in values.items()
        }

    calls = [replace(each, inputs=outside(each.inputs)) for each in (*kept, call)]
    results = {
        names.get(value, value.port): value for port in call.outputs for value in [Value(node=address, port=port)]
    }
    outputs = tuple(
        Port(name=name, type=call.outputs[value.port], location=call.location) for name, value in results.items()
    )
    return verify(rebuilt(graph, calls, inputs=ports, outputs=outputs, results=results, taps={}, names={}))


def _statistics(graph: Graph, call: Call) -> list[Call]:
    """The statistics that a call needs, and those that they need."""
    found: dict[str, Call] = {}
    open_ = [call]
    while open_:
        for value in open_.pop().needs.values():
            if value.node is not None and value.node not in found:
                found[value.node] = graph.call(value.node)
                open_.append(found[value.node])
    return [each for each in graph.calls if each.address in found]
