"""What is the same for all samples of a run, and how a sample is put together from images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ispdsl.backends.blackbox import COMPOSITE
from ispdsl.darkroom import mosaic_input
from ispdsl.graph import Graph
from ispdsl.passes.segments import segments
from ispdsl.passes.select import match
from ispdsl.runtime.sidecar import Sidecar
from ispdsl.runtime.values import Settings
from ispdsl.sampling.asks import Ask
from ispdsl.sampling.views import View, alone, flat_of, upstream, whole
from ispdsl.store.sample import Sample

CHART = "chart"
"""Name of the raw of a sample that shows a chart."""


@dataclass(frozen=True)
class Recipe:
    """What a worker has to know of the run, the same for all asks. It can be sent to other processes."""

    graph: Graph = field(repr=False)
    settings: Settings = field(repr=False)
    """What asks change."""
    taps: tuple[str, ...] | None
    border: int
    backend: str = COMPOSITE
    trust: tuple[str, ...] = ()
    allow_exec: bool = False


def view_of(recipe: Recipe, ask: Ask) -> View:
    """What of the pipeline an ask is for, with the types of its frame."""
    types = match(recipe.graph, {mosaic_input(recipe.graph): ask.part.frame.type})
    flat = flat_of(recipe.graph, types, recipe.taps, recipe.backend)
    if ask.stage is None:
        return whole(flat)
    segment = next(each for each in segments(flat) if each.address == ask.stage)
    return upstream(flat, segment) if ask.chart is None else alone(flat, segment)


def sample_of(recipe: Recipe, ask: Ask, images: Mapping[str, NDArray[np.float32]]) -> Sample:
    """The sample of an ask. Its seconds are left at 0, so that equal asks give equal bytes; the ledger has them."""
    frame = ask.part.frame
    settings = replace(recipe.settings, changed=ask.changed).resolved(frame.metadata)
    is_chart = ask.chart is not None
    height, width = next(iter(images.values())).shape[1:]
    return Sample(
        images=images,
        settings=Sidecar.of(settings, complete=True).settings,
        metadata=frame.metadata,
        type=str(frame.type),
        raw=CHART if is_chart else ask.part.raw,
        part=(0, 0, height, width) if is_chart else ask.part.place,
        extra={"border": 0 if is_chart else recipe.border, "stage": ask.stage, "chart": is_chart},
    )
