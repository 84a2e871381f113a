"""What renders for a search: the real thing, and what may stand in its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ispdsl.cli.beforehand import check_permission, check_trust
from ispdsl.cli.boundary import CommandError
from ispdsl.cli.options import Backend, pairs
from ispdsl.cli.show import check_implementations

if TYPE_CHECKING:
    from ispdsl.graph import Graph
    from ispdsl.ir.model import Port


@dataclass(frozen=True)
class Means:
    """The real thing, the doubles and implementations beside it, and what code may run."""

    backend: Backend
    doubles: Path | None
    impl: Mapping[str, str]
    trust: tuple[str, ...]
    allow_exec: bool


def means_of(
    graph: Graph,
    backend: Backend,
    doubles: Path | None,
    impl: list[str] | None,
    trust: Sequence[str] | None,
    allow_exec: bool,
) -> Means:
    """What renders, as the command line has it.

    Raises:
        CommandError: a word names nothing that there is.
        CompileError, ExecutorError: doubles are none, or the real thing is not allowed.
    """
    means = Means(backend, doubles, dict(pairs(impl, "--impl", "STAGE=KIND")), tuple(trust or ()), allow_exec)
    check_implementations(graph, means.impl, doubles)
    check_trust(means.trust)
    check_permission(graph, backend, allow_exec)
    return means


def looked_at(graph: Graph) -> Port:
    """The output that is looked at: the first.

    Raises:
        CommandError: it is no picture in colour.
    """
    port = graph.outputs[0]
    if port.type.name != "rgb":
        raise CommandError(f"{graph.name} gives {port.name}: {port.type}, and what is looked at is a picture in colour")
    return port


def packages_of(graph: Graph, trust: Sequence[str]) -> tuple[str, ...]:
    """Trusted packages whose programs stages name; the others are for functions that look at pictures."""
    used = {
        each.target.partition(":")[0].partition(".")[0]
        for stage in graph.module.stages.values()
        for each in stage.signature.implementations
        if each.kind == "program"
    }
    return tuple(package for package in trust if package in used)
