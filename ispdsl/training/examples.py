"""From the samples of a run to what doubles are trained on: one pass over the files serves all stages of a process."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ispdsl.backends.feeding import Example, driven, example, task_of
from ispdsl.errors import UserError
from ispdsl.graph import Graph
from ispdsl.ir.params import Register, Slider, Table
from ispdsl.ir.types import Type
from ispdsl.ir.units import canonical
from ispdsl.passes.segments import Segment, cut
from ispdsl.passes.single import constants, declaration
from ispdsl.proxies import kinds
from ispdsl.proxies.card import Card
from ispdsl.proxies.codec import code_range
from ispdsl.proxies.conditioning import Statistics, measure
from ispdsl.store.runs import Row, Run, get, rows
from ispdsl.store.sample import Sample
from ispdsl.training import data
from ispdsl.training.data import Scene, TrainingError
from ispdsl.training.stages import Ground, Network

MOST_SAMPLES = 3000
"""Samples that a training looks at; of more, so many are drawn."""
MOST_PIXELS = 2_000_000
"""Pixels that are kept for a pointwise stage."""
MOST_BYTES = 800_000_000
"""Memory for the images of any other stage."""
LARGEST_WINDOW = 256
"""Side of what is kept of a part, for stages that look around."""
HELD_PIXELS = 4096
"""Pixels of a held-out scene, for networks that look at pixels."""


@dataclass(frozen=True)
class Roles:
    """Names of the raws: to train on, to be judged by, and to leave alone until the evaluation."""

    training: frozenset[str]
    held_out: frozenset[str]
    unused: frozenset[str]


@dataclass(frozen=True, eq=False)
class Material:
    """What a double is trained on.

    Attributes:
        card: of the double, but for what training finds.
        statistics: of what it reads.
        training, held_out: scenes, whose conditions a double makes of the keywords.
        keywords: of the scenes, those to train on first.
        peaks: what counts as white in each image that comes out.
        fingerprint: says which samples these are.
    """

    card: Card
    statistics: Statistics
    training: tuple[Scene, ...]
    held_out: tuple[Scene, ...]
    keywords: tuple[Mapping[str, Any], ...]
    peaks: tuple[float, ...]
    fingerprint: str

    def scenes(self, conditions: Sequence[Tensor]) -> tuple[list[Scene], list[Scene]]:
        """Scenes to train on and to be judged by, given their conditions in the order of `keywords`."""
        every = [
            replace(scene, condition=condition)
            for scene, condition in zip((*self.training, *self.held_out), conditions, strict=True)
        ]
        return every[: len(self.training)], every[len(self.training) :]


def roles_of(run: Run, hold_out: Iterable[str] = ()) -> Roles:
    """Which raw is for what: as the run says, unless names are given; else the last of several is held out.

    Raises:
        TrainingError: there is no raw of a name, or none to train on.
    """
    names = {raw.name: raw.role for raw in run.head.raws}
    stems = {Path(name).stem: name for name in names}
    wanted = frozenset(stems.get(name, name) for name in hold_out)
    unknown = sorted(wanted - names.keys())
    if unknown:
        raise TrainingError(f"{run.path} has no raw {unknown[0]}", f"it has {', '.join(names) or 'none'}")
    unused = frozenset(name for name, role in names.items() if role == "test") - wanted
    held = wanted or frozenset(name for name, role in names.items() if role == "validation")
    rest = [name for name in names if name not in held | unused]
    if not held and len(rest) > 1:
        count = max(len(rest) // 8, 1)
        held, rest = frozenset(rest[-count:]), rest[:-count]
    if not rest:
        raise TrainingError(f"no raw of {run.path} is left to train on", "sample more raws, or hold out fewer")
    return Roles(frozenset(rest), held, unused)


def materials(
    ground: Ground, networks: Mapping[str, Network], roles: Roles, seed: int, most: int = MOST_SAMPLES
) -> dict[str, Material | UserError]:
    """What the doubles of some segments are trained on, by address; or why there is nothing.

    Args:
        ground: the run.
        networks: of the segments to train, by address.
        roles: which raw is for what.
        seed: decides what is left out of large runs.
        most: samples that are looked at.

    Raises:
        StoreError: a sample is missing, or no sample.
    """
    found = _some(rows(ground.run), most, seed)
    kept: dict[str, list[_Kept]] = {address: [] for address in networks}
    share = len(networks) if ground.run.head.design.get("per_stage") else 1
    expected = max(len(found) // share, 1)
    failed: dict[str, UserError] = {}
    needed = {address: _needed(ground.collapsed, address) for address in networks}
    wanted = frozenset[str]().union(*needed.values())
    for row in found:
        sample = get(ground.run, row.blob, wanted)
        if sample.raw in roles.unused:
            continue
        for address, network in networks.items():
            if address in failed or not needed[address] <= sample.images.keys():
                continue
            held = sample.raw in roles.held_out
            try:
                kept[address].append(_reduced(ground, address, network, sample, row.number, seed, expected, held))
            except UserError as error:
                failed[address] = error
    return {
        address: failed.get(address) or _tried(ground, ground.segment(address), network, kept[address], roles)
        for address, network in networks.items()
    }


def _tried(
    ground: Ground, segment: Segment, network: Network, kept: Sequence[_Kept], roles: Roles
) -> Material | UserError:
    try:
        return _material(ground, segment, network, kept, roles)
    except UserError as error:
        return error


def _some(every: Sequence[Row], most: int, seed: int) -> list[Row]:
    if len(every) <= most:
        return list(every)
    chosen = torch.randperm(len(every), generator=data.seeded(seed, "samples", 0))[:most].sort().values
    return [every[index] for index in chosen.tolist()]


def _needed(graph: Graph, address: str) -> set[str]:
    """Names of the images that a sample must have to be of use."""
    part = cut(graph, address)
    return {port.name for port in (*part.inputs, *part.outputs) if port.type.is_image}


@dataclass(frozen=True, eq=False)
class _Kept:
    """A scene without its condition, which takes all scenes to be known, and the keywords that it will come from."""

    scene: Scene
    keywords: Mapping[str, Any]
    metadata: Mapping[str, Any]


def _reduced(
    ground: Ground, address: str, network: Network, sample: Sample, number: int, seed: int, expected: int, held: bool
) -> _Kept:
    """What is kept of a sample for one segment."""
    found = example(ground.collapsed, address, sample, ground.trust)
    base = _corrected(ground, address, found, sample.type) if kinds.kind(network.kind).program else ()
    cfa = found.keywords.get("cfa")  # of calls that read a mosaic
    scene = Scene(
        (*found.images, *base),
        found.targets,
        torch.zeros(0),
        sample.raw,
        number,
        None if cfa is None else str(cfa),
        bool(sample.extra.get("chart")),
    )
    if network.pixelwise:
        prepared = kinds.kind(network.kind).prepared
        if prepared is not None:
            scene = replace(scene, images=tuple(prepared(image[None])[0] for image in scene.images))
        most = HELD_PIXELS if held else max(MOST_PIXELS // expected, 64)
        scene = data.quads(scene, most, seed)
    else:
        planes = sum(each.shape[0] for each in (*scene.images, *scene.targets))
        side = math.isqrt(MOST_BYTES // (4 * planes * expected))
        scene = data.window(scene, min(max(side, 32), LARGEST_WINDOW), seed)
    return _Kept(scene, found.keywords, sample.metadata)


def _corrected(ground: Ground, address: str, found: Example, type_: str) -> tuple[Tensor, ...]:
    """What the program that a grey box corrects makes of an example."""
    with torch.no_grad():
        made = ground.program(address, type_)(*found.images, **found.keywords)
    return tuple(made) if isinstance(made, tuple | list) else (made,)


def _material(ground: Ground, segment: Segment, network: Network, kept: Sequence[_Kept], roles: Roles) -> Material:
    address = segment.address
    training = [each for each in kept if each.scene.raw not in roles.held_out]
    if not training:
        hint = "sample with this tap, or leave the stage a program with --skip"
        raise TrainingError(f"{ground.run.path} has no samples to train {address} on", hint)
    held = [each for each in kept if each.scene.raw in roles.held_out and not each.scene.chart]
    ranges, same = _varied(ground, address, training)
    task = task_of(ground.collapsed, address, ranges)
    call = ground.call(address)
    head = ground.run.head
    card = Card(
        task=task,
        nodes=segment.nodes,
        watched=(segment.reads, segment.gives),
        stage=call.signature.name if len(segment.nodes) == 1 else None,
        signature=declaration(call),
        constants={**same, **constants(ground.flat, address, segment.nodes)},
        network=network.kind,
        arguments=dict(network.arguments),
        pipeline=head.pipeline.name,
        pipeline_sha256=head.pipeline.sha256,
        real=head.real,
        data={
            "samples": len(training),
            "held_out_samples": len(held),
            "charts": sum(each.scene.chart for each in training),
            "raws": [{"name": raw.name, "sha256": raw.sha256} for raw in head.raws if raw.name in roles.training],
            "held_out": sorted(roles.held_out),
            "design": {name: head.design.get(name) for name in ("kind", "ranges", "count", "size")},
        },
    )
    keywords = [each.keywords for each in training]
    return Material(
        card,
        measure(task, keywords),
        tuple(each.scene for each in training),
        tuple(each.scene for each in held),
        tuple(each.keywords for each in (*training, *held)),
        tuple(_peak(type_, training[0].metadata) for type_ in task.outputs),
        f"{len(training)} {len(held)} {head.design.get('samples_sha256', '')}",
    )


def _peak(type_: Type, metadata: Mapping[str, Any]) -> float:
    """White: 1 of floats, the largest code of codes, of a mosaic the white level."""
    top = code_range(type_)
    if top is not None and type_.name == "raw" and "white_level" in metadata:
        return float(metadata["white_level"])
    return float(top) if top is not None else 1.0


def _varied(
    ground: Ground, address: str, kept: Sequence[_Kept]
) -> tuple[dict[str, tuple[float, float]], dict[str, Any]]:
    """Ranges of what was varied, by address, and values of what was the same in all samples, by keyword.

    What the design did not vary may differ from raw to raw, where it starts at metadata.
    """
    graph = ground.collapsed
    told: Any = ground.run.head.design.get("varied") or {}
    declarations = {slot.address: slot.declaration for slot in graph.slots}
    ranges: dict[str, tuple[float, float]] = {}
    same: dict[str, Any] = {}
    for name, slot in driven(graph, graph.call(address)):
        values = [_plain(each.keywords[name]) for each in kept]
        if slot not in told and all(value == values[0] for value in values):
            same[name] = values[0]
            continue
        declaration, known = declarations[slot], told.get(slot, {})
        if not isinstance(declaration, Slider | Register | Table):
            ranges[slot] = (0.0, 1.0)
            continue
        numbers = [number for value in values for number in _numbers(value)]
        ends = [known["low"], known["high"]] if "low" in known else []
        numbers += [canonical(float(end), declaration.unit) for end in ends]
        ranges[slot] = (min(numbers), max(numbers))
    return ranges, same


def _plain(value: Any) -> Any:
    """A keyword as JSON has it."""
    return value.tolist() if isinstance(value, Tensor) else value


def _numbers(value: Any) -> list[float]:
    if isinstance(value, list):
        return [number for each in value for number in _numbers(each)]
    return [float(value)]
