"""What each step of a plan costs on this machine: bytes, arithmetic, and the least time for both.

A step reads what its program takes and writes what it gives, each once. Neighbouring pointwise steps that the plan puts
into one run are counted a second time as one step, which reads what comes from outside of the run and writes what is
read outside of it: what passes between them never reaches memory.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from ispdsl.backends.composite import Composite
from ispdsl.bench.counting import Traffic, Work, count
from ispdsl.bench.machine import Roofs


@dataclass(frozen=True)
class Cost:
    """Of one step, or of a run of pointwise ones in one pass."""

    name: str
    """The node; of a run its label in the plan."""
    nodes: tuple[str, ...]
    run: str | None
    """Label of the run of pointwise steps that it belongs to, or is."""
    read: int
    """Bytes from memory."""
    written: int
    """Bytes to memory."""
    work: Work
    seconds: float
    """The least that the machine takes, by its roofs."""
    bound: str
    """What takes the longest: ``memory`` or ``arithmetic``."""


@dataclass(frozen=True)
class Costs:
    """Of a pipeline at a size."""

    pipeline: str
    size: tuple[int, int]
    roofs: Roofs
    steps: tuple[Cost, ...]
    fused: tuple[Cost, ...]
    """The steps in their order, runs of pointwise ones as one."""

    @property
    def pixels(self) -> int:
        """Of the image."""
        return self.size[0] * self.size[1]

    @property
    def uncounted(self) -> tuple[str, ...]:
        """Operations of torch that are counted nowhere."""
        return reduce(Work.__add__, (each.work for each in self.steps), Work()).uncounted


def costs(
    composite: Composite,
    size: tuple[int, int],
    settings: Mapping[str, Any],
    metadata: Mapping[str, Any],
    roofs: Roofs,
) -> Costs:
    """The cost of each step of a composite on images of float32 of a size (height and width in px).

    Raises:
        StageError: a program cannot be counted, since it looks at numbers.
    """
    works, traffic = count(composite, size, settings, metadata)
    groups = {step.node: step.group for step in composite.plan.steps}
    kept = _kept(composite)
    steps = tuple(_cost(node, (node,), groups[node], works, traffic, None, roofs) for node in works)
    fused: list[Cost] = []
    for name, nodes in _runs(list(works), groups).items():
        outside = kept | {value for node in works if node not in nodes for value in traffic[node].read}
        fused.append(_cost(name, nodes, groups[nodes[-1]], works, traffic, outside, roofs))
    return Costs(composite.name, size, roofs, steps, tuple(fused))


def _kept(composite: Composite) -> set[str]:
    """Values that somebody outside of the pipeline is given."""
    graph = composite.plan.graph
    statistics = {f"{call.address}.{port}" for call in graph.calls if call.statistic for port in call.outputs}
    return {str(value) for value in (*graph.results.values(), *graph.taps.values())} | statistics


def _runs(nodes: Sequence[str], groups: Mapping[str, str | None]) -> dict[str, tuple[str, ...]]:
    """The nodes in their order, those of a run together where its first one stands, by its label."""
    found: dict[str, tuple[str, ...]] = {}
    for node in nodes:
        key = groups[node] or node
        found[key] = (*found.get(key, ()), node)
    return found


def _cost(
    name: str,
    nodes: tuple[str, ...],
    run: str | None,
    works: Mapping[str, Work],
    traffic: Mapping[str, Traffic],
    outside: Collection[str] | None,
    roofs: Roofs,
) -> Cost:
    """Of nodes in one pass; `outside` are the values that have to be written, None for all."""
    made = {value: size for node in nodes for value, size in traffic[node].written.items()}
    taken = {value: size for node in nodes for value, size in traffic[node].read.items() if value not in made}
    read = sum(taken.values())
    written = sum(size for value, size in made.items() if outside is None or value in outside)
    work = reduce(Work.__add__, (works[node] for node in nodes))
    computing = roofs.computing(work.operations, work.functions)
    seconds = roofs.seconds(read + written, work.operations, work.functions)
    return Cost(name, nodes, run, read, written, work, seconds, "arithmetic" if computing >= seconds else "memory")
