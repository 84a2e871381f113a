"""`ispdsl plan --cost`: what each step costs on this machine."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ispdsl.cli.boundary import CommandError
from ispdsl.cli.console import emit, note

if TYPE_CHECKING:
    from ispdsl.backends.composite import Composite
    from ispdsl.bench.machine import Roofs
    from ispdsl.graph import Graph

SIZE = re.compile(r"(\d+)\s*[xX]\s*(\d+)")
SMALLEST, LARGEST = 16, 40_000
PLAIN = (3000, 4000)
"""Where nobody names a size: 12 MP."""


@dataclass(frozen=True)
class Asked:
    """What the command line says of a cost."""

    size: str | None = None
    raw: Path | None = None
    describe: Path | None = None
    bandwidth: float | None = None
    arithmetic: float | None = None
    functions: float | None = None
    anew: bool = False
    trust: tuple[str, ...] = ()

    @property
    def given(self) -> list[str]:
        """The options that make sense with --cost alone, of those that were given."""
        named: dict[str, object] = {
            "--size": self.size,
            "--raw": self.raw,
            "--describe": self.describe,
            "--bandwidth": self.bandwidth,
            "--arithmetic": self.arithmetic,
            "--functions": self.functions,
            "--measure": self.anew or None,
            "--trust": self.trust or None,
        }
        return [name for name, value in named.items() if value is not None]


def check(asked: Asked, cost: bool, as_list: bool) -> None:
    """Refuse options that do not fit together.

    Raises:
        CommandError: one of them says nothing here.
    """
    if not cost and asked.given:
        raise CommandError(f"{asked.given[0]} says nothing of a plan without its cost", "add --cost")
    if cost and as_list:
        raise CommandError("--parameters lists parameters, and --cost steps", "ask for one of them")
    if asked.size is not None and asked.raw is not None:
        raise CommandError("--size and --raw both say how large the image is", "give one of them")
    if asked.describe is not None and asked.raw is None:
        raise CommandError("--describe is about a raw, and there is none", "name it by --raw")


def show_cost(
    graph: Graph,
    asked: Asked,
    cfa: str | None,
    impl: Mapping[str, str],
    doubles: Path | None,
    as_json: bool,
) -> None:
    """Print what each step of a plan costs.

    Raises:
        CommandError: a size that is none; a step is run by a real thing.
        RawError: the raw cannot be read.
    """
    from ispdsl.bench.cost import costs
    from ispdsl.bench.cost_text import content, table
    from ispdsl.bench.machine import facts

    size = parse_size(asked.size) if asked.size else PLAIN
    composite, size, settings, metadata = _call(graph, asked, size, cfa, impl, doubles)
    found = costs(composite, size, settings, metadata, _roofs(asked))
    emit(json.dumps(content(found, facts()), indent=2) if as_json else table(found, facts()))


def parse_size(text: str) -> tuple[int, int]:
    """Height and width of ``HxW``.

    Raises:
        CommandError: it is none, or too small or large.
    """
    found = SIZE.fullmatch(text.strip())
    sides = (int(found[1]), int(found[2])) if found and len(text) < 24 else (0, 0)
    if not all(SMALLEST <= side <= LARGEST for side in sides):
        raise CommandError(f"--size {text} is no size", f"write HEIGHTxWIDTH, each {SMALLEST}..{LARGEST}, as 3000x4000")
    return sides


def _call(
    graph: Graph,
    asked: Asked,
    size: tuple[int, int],
    cfa: str | None,
    impl: Mapping[str, str],
    doubles: Path | None,
) -> tuple[Composite, tuple[int, int], dict[str, Any], dict[str, Any]]:
    """The composite, and what it is called with."""
    from ispdsl.backends.composite import compile
    from ispdsl.cli.beforehand import check_trust
    from ispdsl.cli.raws import read_quietly
    from ispdsl.export.example import example_of

    check_trust(asked.trust)
    _refuse_real(graph, impl)
    given: dict[str, Any] = {"impl": impl, "taps": (), "trust": asked.trust, "doubles": doubles}
    if asked.raw is None:
        composite = compile(graph, cfa=cfa or "rggb" if _open(graph) else cfa, **given)
        _, settings, metadata = example_of(composite, 2, 2)
        return composite, size, settings, metadata
    from ispdsl.backends.vector import tensors as settings_tensors
    from ispdsl.darkroom import mosaic_input, tensors
    from ispdsl.passes.select import match
    from ispdsl.runtime.values import Settings

    frame = read_quietly(asked.raw, asked.describe)
    composite = compile(graph, types=match(graph, {mosaic_input(graph): frame.type}), **given)
    settings = settings_tensors(Settings.of(graph).resolved(frame.metadata))
    return composite, frame.size, settings, tensors(frame)[1]


def _open(graph: Graph) -> bool:
    """Whether a pipeline takes a mosaic of any CFA."""
    from ispdsl.ir.types import is_variable

    return any(port.type.name == "raw" and is_variable(port.type.args[0]) for port in graph.inputs)


def _refuse_real(graph: Graph, impl: Mapping[str, str]) -> None:
    """A real thing computes where nobody can look."""
    from ispdsl.plan import prepared

    nodes: Collection[str] = [
        call.address
        for call in prepared(graph, impl=dict(impl)).calls
        if call.implementation is not None and call.implementation.kind == "executor"
    ]
    if nodes:
        raise CommandError(f"{next(iter(nodes))} is run by a real thing, which cannot be counted", "choose its program")


def _roofs(asked: Asked) -> Roofs:
    """What the machine can do: as given, as kept, or as measured now; what is given is not measured."""
    from ispdsl.bench import quiet
    from ispdsl.bench.machine import Roofs, known_roofs

    said = {"bandwidth": asked.bandwidth, "arithmetic": asked.arithmetic, "functions": asked.functions}
    given = {name: 1e9 * value for name, value in said.items() if value is not None}
    if len(given) == len(said):
        return Roofs(**given)
    begun = quiet.now()
    busy = quiet.look(0.1)
    found = known_roofs(asked.anew, keep=quiet.warning(busy) is None)
    noisy = quiet.warning(quiet.others(begun, quiet.now()))
    if noisy and asked.anew:
        note(f"note: {noisy}")
    return found.model_copy(update=given)
