"""What there is to train: the segments of the pipeline that a run sampled, and the network that suits each."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from ispdsl.backends import programs
from ispdsl.calls import Call
from ispdsl.diagnostics import nearest
from ispdsl.errors import CompileError
from ispdsl.graph import Graph, build
from ispdsl.ir.types import Type
from ispdsl.lower.loader import load
from ispdsl.passes.segments import Segment, collapse, segments
from ispdsl.passes.select import match, specialise, type_variables
from ispdsl.proxies import kinds
from ispdsl.proxies.codec import is_mosaic
from ispdsl.sampling.views import flat_of
from ispdsl.store.runs import Run
from ispdsl.training.data import TrainingError

LINEAR = "linear"
"""The CFA of frames that are no mosaic."""
EVERY = "*"


@dataclass(frozen=True, eq=False)
class Ground:
    """What a run sampled, as training sees it.

    Attributes:
        run: the run.
        flat: the pipeline without sub-pipelines, its CFA open.
        collapsed: the same with one call for each segment.
        segments: what can be doubled, in order.
        trust: packages whose programs may run, for statistics.
    """

    run: Run
    flat: Graph
    collapsed: Graph
    segments: tuple[Segment, ...]
    trust: tuple[str, ...] = ()

    def segment(self, address: str) -> Segment:
        """The segment of this address."""
        return next(segment for segment in self.segments if segment.address == address)

    def program(self, address: str, type_: str) -> Callable[..., Any]:
        """The stage's own program, for frames of this type; it takes the keywords of an example.

        Raises:
            CompileError: the stage has none, or it is not trusted.
        """
        return _program(self, address, type_)

    def call(self, address: str) -> Call:
        """The call in the place of a segment."""
        return self.collapsed.call(address)


@dataclass(frozen=True)
class Network:
    """A kind of network with its arguments."""

    kind: str
    arguments: Mapping[str, Any]

    @property
    def pixelwise(self) -> bool:
        """Whether it looks at pixels alone, and is trained on them."""
        return kinds.kind(self.kind).layout(self.arguments) == "sites"


def ground_of(run: Run, file: Path, whole: bool = False, trust: Sequence[str] = ()) -> Ground:
    """The ground of a run.

    Args:
        run: with samples.
        file: text of the pipeline.
        whole: one segment from what goes in to what comes out.
        trust: packages besides ispdsl whose programs may run.

    Raises:
        TrainingError: the text is not the one that was sampled.
        IspError: it has errors.
    """
    head = run.head
    graph = build(load(file), head.pipeline.name)
    if graph.sha256 != head.pipeline.sha256:
        hint = "bring the text back to what it was, or sample anew"
        raise TrainingError(f"{file} has changed since {run.path} was sampled", hint)
    types: dict[str, str | int] = {}
    for name, text in head.types.items():
        known = [Type.parse(part) for part in text.split(" | ")]
        # a double of a mosaic is for all four phases, but one of a frame without mosaic is not
        if all(LINEAR in type_.args for type_ in known):
            types.update(match(graph, {name: known[0]}))
    taps = head.design.get("taps")
    names = None if not isinstance(taps, list) else [str(name) for name in taps]
    flat = flat_of(graph, types, names, head.backend)
    chosen = segments(flat, whole)
    return Ground(run, flat, collapse(flat, chosen), chosen, tuple(trust))


def chosen(
    ground: Ground, only: Collection[str] = (), skip: Collection[str] = (), named: Collection[str] = ()
) -> list[Segment]:
    """The segments to train: those in `only`, else all, but for those that stay programs; others may be `named`.

    Raises:
        TrainingError: there is no segment of a name, or nothing is left.
    """
    known = [segment.address for segment in ground.segments]
    for name in (*only, *skip, *named):
        if name not in known:
            near = nearest(name, known)
            hint = f"did you mean {near}?" if near else f"there are {', '.join(known)}"
            raise TrainingError(f"{ground.flat.name} has no stage {name} between its taps", hint)
    found = [each for each in ground.segments if (not only or each.address in only) and each.address not in skip]
    if not found:
        raise TrainingError("no stage is left to train", f"there are {', '.join(known)}")
    return found


def network_of(ground: Ground, segment: Segment, wanted: Mapping[str, Network], whole: bool = False) -> Network:
    """The network for a segment: what is wanted of it, what its stage's `proxy` line says, or what its footprint asks.

    Raises:
        CompileError: there is no such network, or it takes other arguments.
    """
    call = ground.call(segment.address)
    line = next((item for item in call.signature.implementations if item.kind == "proxy"), None)
    found = wanted.get(segment.address) or wanted.get(EVERY)
    if found is None and line is not None:
        found = Network(line.target, dict(line.arguments))
    if found is None:
        found = Network(_suited(ground, call, whole), {})
    return Network(found.kind, kinds.check(found.kind, found.arguments))


def _suited(ground: Ground, call: Call, whole: bool) -> str:
    """What suits a footprint; colour from a mosaic, and what looks everywhere, takes a network that looks far."""
    reads = [is_mosaic(ground.collapsed.type_of(value)) for value in call.inputs.values()]
    gives = [is_mosaic(type_) for type_ in call.outputs.values()]
    footprint = call.footprint.kind if call.footprint else "global"
    if whole or footprint == "global" or any(reads) != any(gives):
        return "unet"
    return "pointwise" if footprint == "pointwise" else "areawise"


def read_network(text: str) -> tuple[str, Network]:
    """``ADDRESS=KIND`` or ``KIND``, either with arguments as in ``areawise(width=16, depth=3)``.

    Raises:
        TrainingError: the text is of another form.
    """
    form = re.fullmatch(r"\s*(?:([\w.*]+)\s*=\s*)?([a-z_]+)\s*(?:\(([^()]*)\))?\s*", text)
    if not form:
        raise TrainingError(f"--network {text} is not of the form ADDRESS=KIND", "as in tone=areawise(width=16)")
    arguments: dict[str, Any] = {}
    for word in (form[3] or "").split(",") if (form[3] or "").strip() else []:
        name, sign, value = (part.strip() for part in word.partition("="))
        if not sign:
            raise TrainingError(f"--network {text}: {word.strip()} is not of the form NAME=VALUE")
        arguments[name] = int(value) if value.isdigit() else value
    return form[1] or EVERY, Network(form[2], arguments)


@lru_cache(maxsize=64)
def _program(ground: Ground, address: str, type_: str) -> Callable[..., Any]:
    graph = ground.collapsed
    mosaics = {port.name: Type.parse(type_) for port in graph.inputs if port.type.name == "raw"}
    if type_variables(graph) and mosaics:
        graph = specialise(graph, match(graph, mosaics))
    call = graph.call(address)
    own = next((item for item in call.signature.implementations if item.kind == "program"), None)
    if own is None:
        raise CompileError(f"{address} has no program that a network could correct", "choose another --network")
    bound = programs.bind(replace(call, implementation=own), ground.trust)

    def program(*images: Any, **keywords: Any) -> Any:
        plain = {name: value for name, value in keywords.items() if name != "cfa"}
        return bound.function(*images, **{**plain, **bound.layout})

    return program
