"""What a double is fed: its task, and from a sample exactly what a program in its place would be called with."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ispdsl.backends.composite import Composite
from ispdsl.backends.vector import tensors
from ispdsl.calls import Call
from ispdsl.errors import PlanError, RunError
from ispdsl.graph import Graph
from ispdsl.ir.model import Footprint, Value
from ispdsl.ir.params import Choice, Parameter, Table, Toggle
from ispdsl.ir.types import Type
from ispdsl.passes.levels import levelled
from ispdsl.passes.segments import cut, watched
from ispdsl.passes.select import PROXY, match, select, specialise, type_variables
from ispdsl.plan import planned
from ispdsl.proxies.task import Knob, Reading, Task
from ispdsl.runtime import faces
from ispdsl.runtime.sidecar import Sidecar
from ispdsl.runtime.values import Settings
from ispdsl.store.sample import Sample


@dataclass(frozen=True, eq=False)
class Example:
    """One call of what a double stands for.

    Attributes:
        images: by position, `(C, H, W)`.
        keywords: parameters, metadata and statistics as a program gets them: tensors without a batch, names, switches
            and, where the text fixes a number, Python numbers.
        targets: what the real thing gave, `(C, H, W)`.
    """

    images: tuple[Tensor, ...]
    keywords: Mapping[str, Any]
    targets: tuple[Tensor, ...]


# ---- the task -------------------------------------------------------------------------------------------------


def task_of(graph: Graph, address: str, ranges: Mapping[str, tuple[float, float]]) -> Task:
    """What a double of a call has to do.

    Args:
        graph: flat or collapsed.
        address: of the call.
        ranges: lowest and highest canonical number of every parameter that was varied, by address; of a table those
            of its elements. Of choices and switches only that they are there counts. What is not there is a constant.

    Raises:
        PlanError: the graph has no such call.
    """
    called(graph, address)
    graph = levelled(graph, address)
    call = graph.call(address)
    declarations = {slot.address: slot.declaration for slot in graph.slots}
    varied = [
        _knob(name, slot, declarations[slot], ranges[slot]) for name, slot in driven(graph, call) if slot in ranges
    ]
    metas = ((meta.name, meta.type) for meta in call.signature.metas if call.metas[meta.name].meta is not None)
    readings = [Reading(name=name, kind="metadata", shape=shape_of(type_)) for name, type_ in metas if _read(type_)]
    needs = ((need.name, graph.type_of(call.needs[need.name])) for need in call.signature.needs)
    readings += [Reading(name=name, kind="statistic", shape=shape_of(type_)) for name, type_ in needs if _read(type_)]
    return Task(
        name=address,
        inputs=tuple(graph.type_of(call.inputs[port.name]) for port in call.signature.inputs),
        outputs=tuple(call.outputs[port.name] for port in call.signature.outputs),
        knobs=tuple(varied),
        readings=tuple(readings),
        footprint=call.footprint or Footprint(kind="global"),
    )


def called(graph: Graph, address: str) -> Call:
    """The call at an address.

    Raises:
        PlanError: there is none.
    """
    if address not in graph.network:
        raise PlanError(f"{graph.name} has no node {address}", f"its nodes are {', '.join(graph.network)}")
    return graph.call(address)


def driven(graph: Graph, call: Call) -> list[tuple[str, str]]:
    """Keyword and address of everything that settings can change of a call, in the order of the declaration."""
    fixed = {slot.address for slot in graph.slots if slot.fixed or slot.structural}
    metas = ((meta.name, call.metas[meta.name].slot) for meta in call.signature.metas)
    pairs = [(item.name, call.parameters[item.name]) for item in call.signature.parameters]
    pairs += [(name, slot) for name, slot in metas if slot is not None]
    return [(name, slot) for name, slot in pairs if slot not in fixed]


def _knob(name: str, address: str, declaration: Parameter, ends: tuple[float, float]) -> Knob:
    if isinstance(declaration, Toggle):
        return Knob(name=name, address=address, kind="toggle")
    if isinstance(declaration, Choice):
        return Knob(name=name, address=address, kind="choice", options=declaration.options)
    low, high = ends
    if isinstance(declaration, Table):
        return Knob(name=name, address=address, kind="table", low=low, high=high, shape=declaration.shape)
    reciprocal = faces.is_reciprocal(declaration.hard, declaration.unit)
    return Knob(name=name, address=address, kind="number", low=low, high=high, reciprocal=reciprocal)


def _read(type_: Type) -> bool:
    """Whether a double can read a value of this type: a grid has any size, and text is no number."""
    return type_.name in ("real", "vector", "matrix") and all(
        isinstance(size, int) for size in type_.args if type_.name != "real"
    )


def shape_of(type_: Type) -> tuple[int, ...]:
    """The shape of a value of metadata or a statistic."""
    return () if type_.name == "real" else tuple(size for size in type_.args if isinstance(size, int))


# ---- examples -------------------------------------------------------------------------------------------------


def example(graph: Graph, address: str, sample: Sample, trust: Collection[str] = ()) -> Example:
    """What a program in the place of a call is given for a sample, and what the real thing gave there.

    Statistics are computed by their programs from the watched images. What is compiled for that is kept, so that the
    next sample with the same graph is quick.

    Args:
        graph: flat or collapsed; the same object for all samples.
        address: of a call whose images are watched.
        sample: of the graph's pipeline.
        trust: packages besides `ispdsl.programs` whose programs may run.

    Raises:
        PlanError: no such call; it reads or gives what is not watched; the sample is of another CFA.
        RunError: the sample lacks an image.
    """
    return _feeder(_Same(graph), address, sample.type, tuple(trust))(sample)


@dataclass(frozen=True, eq=False)
class _Same:
    """A graph as a key: equal to itself alone."""

    graph: Graph

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.graph is self.graph

    def __hash__(self) -> int:
        return id(self.graph)


@lru_cache(maxsize=64)
def _feeder(key: _Same, address: str, type_: str, trust: tuple[str, ...]) -> Callable[[Sample], Example]:
    """A function from samples to examples."""
    graph = key.graph
    called(graph, address)
    mosaics = {port.name: Type.parse(type_) for port in graph.inputs if port.type.name == "raw"}
    if type_variables(graph) and mosaics:
        graph = specialise(graph, match(graph, mosaics))
    part = select(levelled(cut(graph, address), address), {address: PROXY}, {address: "recorder"})
    seen = {value: name for name, value in watched(graph).items()}
    ports = [port.name for port in graph.call(address).signature.outputs]
    values = [Value(node=address, port=port) for port in ports]
    unseen = [value for value in values if value not in seen]
    if unseen:
        raise PlanError(f"{unseen[0]} is not watched", "give it a tap, or collapse the graph")
    targets = [seen[value] for value in values]
    recorded: list[tuple[tuple[Tensor, ...], dict[str, Any]]] = []
    answers: list[Tensor] = []

    def recorder(*images: Tensor, **keywords: Any) -> tuple[Tensor, ...]:
        recorded.append((images, keywords))
        return tuple(answers)

    composite = Composite(planned(part), trust, doubles={address: recorder})
    addresses = {slot.address for slot in composite.slots if slot.drives}
    everything = Settings.of(graph)

    def feed(sample: Sample) -> Example:
        images = {port.name: _image(sample, port.name) for port in part.inputs}
        answers[:] = [_image(sample, name) for name in targets]
        written = {name: value for name, value in sample.settings.items() if name in addresses}
        settings = Sidecar(written).apply(everything).resolved(sample.metadata)
        metadata = {name: _numbers(value) for name, value in sample.metadata.items()}
        chosen = {name: value for name, value in tensors(settings).items() if name in addresses}
        with torch.no_grad():
            composite(images, chosen, metadata)
        given, keywords = recorded.pop()
        return Example(given, keywords, tuple(answers))

    return feed


def _image(sample: Sample, name: str) -> Tensor:
    if name not in sample.images:
        raise RunError(f"the sample has no image {name}", f"it has {', '.join(sample.images) or 'none'}")
    return torch.from_numpy(np.ascontiguousarray(sample.images[name]))


def _numbers(value: Any) -> Any:
    return value if isinstance(value, str) else torch.from_numpy(np.asarray(value, dtype=np.float32))
