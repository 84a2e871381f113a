"""What is exported: a pipeline at settings, with the raw or the size that it is tried on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ispdsl.backends.composite import Composite, compile
from ispdsl.backends.doubles import cards
from ispdsl.backends.vector import tensors as settings_tensors
from ispdsl.darkroom import mosaic_input, tensors
from ispdsl.export.example import example_of, made_up, metadata_read, random_images
from ispdsl.graph import Graph
from ispdsl.passes.select import match
from ispdsl.plan import prepared
from ispdsl.runtime.frame import Frame
from ispdsl.runtime.slots import PhysicalValue, Slot
from ispdsl.runtime.values import Settings

SIZE = (256, 320)
"""Height and width of the images of a trial where nobody says."""


@dataclass(frozen=True, eq=False)
class Source:
    """A pipeline at settings.

    Attributes:
        graph: as built.
        settings: of the graph, resolved where there is a frame.
        frame: the raw that the export is tried on, and whose metadata it holds.
        cfa: of the mosaic, where there is no frame.
        size: height and width of made-up images, where there is no frame.
        impl, trust, doubles: as `ispdsl.compile` takes them.
        seed: of made-up images, and of programs that draw random numbers.
    """

    graph: Graph
    settings: Settings
    frame: Frame | None = None
    cfa: str | None = None
    size: tuple[int, int] = SIZE
    impl: Mapping[str, str] = field(default_factory=dict[str, str])
    trust: tuple[str, ...] = ()
    doubles: Path | None = None
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a composite: its images, settings and metadata, all float32; choices and switches as they are."""

    image: Any
    settings: dict[str, Any]
    metadata: dict[str, Tensor]


def with_predicted(source: Source) -> tuple[Source, tuple[str, ...]]:
    """The source at the settings of its frame, with those that the pipeline's predictor gives, and what is to be noted.

    Raises:
        SettingsError: a starting value is missing from the frame.
        CompileError: the predictor is missing or of another pipeline.
    """
    if source.frame is None:
        return source, ()
    settings, notes = source.settings, ()
    if source.graph.predictor is not None:
        from ispdsl.learned.applying import developed_settings

        settings, notes = developed_settings(source.graph, source.frame, settings)
    return replace(source, settings=settings.resolved(source.frame.metadata)), notes


def composite_of(source: Source) -> Composite:
    """The composite of a source, without taps.

    Raises:
        PlanError, CompileError: as `ispdsl.compile`.
    """
    graph = source.graph
    types = None if source.frame is None else match(graph, {mosaic_input(graph): source.frame.type})
    cfa = source.cfa if source.frame is None else None
    made = compile(graph, types=types, cfa=cfa, impl=source.impl, taps=(), trust=source.trust, doubles=source.doubles)
    return made.requires_grad_(requires_grad=False)


def prepared_graph(source: Source) -> Graph:
    """The graph of a source as it will run, without taps; nothing is imported for it.

    Raises:
        PlanError: as `ispdsl.plan`.
    """
    graph, doubles = source.graph, cards(source.doubles) if source.doubles else None
    types = None if source.frame is None else match(graph, {mosaic_input(graph): source.frame.type})
    cfa = source.cfa if source.frame is None else None
    return prepared(graph, types, source.impl, (), cfa, doubles)


def call_of(source: Source, composite: Composite) -> Call:
    """The call of a source: its frame, or made-up images and metadata; a value for every setting that drives something.

    Raises:
        RunError: metadata is missing, or of no known size.
    """
    wanted = {slot.address for slot in composite.slots if slot.drives}
    known = {address: value for address, value in settings_of(source).items() if address in wanted}
    if source.frame is not None:
        image, metadata = tensors(source.frame)
        read = {meta.name for meta in composite.plan.graph.metas}
        return Call(image, known, {name: value for name, value in metadata.items() if name in read})
    _, _, metadata = example_of(composite, *source.size)
    started = {slot.start_meta for slot in composite.slots if slot.drives and slot.address not in known}
    given = {**made_up_start(composite, started), **metadata}
    start = composite.start(given, torch.float32)
    settings = {address: known.get(address, value) for address, value in start.items()}
    return Call(random_images(composite, *source.size, source.seed), settings, given)


def made_up_start(composite: Composite, names: set[str | None]) -> dict[str, Tensor]:
    """Made-up metadata at which settings start, by name."""
    return {meta.name: made_up(meta) for meta in composite.plan.graph.metas if meta.name in names}


def settings_of(source: Source) -> dict[str, Any]:
    """The settings as a composite takes them; what waits for metadata is left out."""
    return dict(settings_tensors(source.settings, torch.float32))


def value_of(settings: Settings, slot: Slot) -> PhysicalValue | None:
    """The value of a setting; without a raw, what starts at metadata is at the text's default, where it has one."""
    value = settings[slot.address]
    return slot.start if value is None else value


def following(source: Source, composite: Composite) -> dict[str, str]:
    """The settings that nobody has set and that start at metadata, with the name of that."""
    changed = source.settings.changed
    slots = (slot for slot in composite.slots if slot.drives and not slot.fixed)
    return {slot.address: slot.start_meta for slot in slots if slot.start_meta and slot.address not in changed}


def fixed_to_metadata(composite: Composite) -> set[str]:
    """Names of the metadata that programs read, and at which fixed parameters are."""
    fixed = {slot.start_meta for slot in composite.slots if slot.drives and slot.fixed and slot.start_meta}
    return metadata_read(composite) | fixed


def rendered(composite: Composite, call: Call, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """The outputs of a composite; one that reads statistics of the frame before runs twice, as `develop` has it.

    Raises:
        RunError: as the composite.
    """
    with torch.no_grad():
        torch.manual_seed(seed)
        rendering = composite(call.image, call.settings, call.metadata)
        if composite.feeds_back:
            rendering = composite(call.image, call.settings, call.metadata, rendering.statistics)
    return {name: image.float().numpy() for name, image in rendering.outputs.items()}
