"""Samples by the composite: what the programs of the stages make of one ask."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ispdsl.backends.composite import Composite, Rendering, compile
from ispdsl.backends.vector import tensors as settings_tensors
from ispdsl.darkroom import tensors
from ispdsl.errors import RunError
from ispdsl.sampling.asks import Ask
from ispdsl.sampling.charts import chart
from ispdsl.sampling.recipe import Recipe, sample_of, view_of
from ispdsl.store.sample import Sample


def renderer(recipe: Recipe) -> Callable[[Ask], tuple[Sample, float]]:
    """A function that renders asks. It compiles each view of the pipeline once, when it is first asked for.

    It returns the sample and the seconds that the programs took, and raises CompileError and PlanError where nothing
    can be rendered, SettingsError and RunError (or StageError) where this ask cannot.
    """
    compiled: dict[tuple[str, str | None, bool], tuple[Composite, tuple[str, ...]]] = {}

    def render(ask: Ask) -> tuple[Sample, float]:
        is_chart = ask.chart is not None
        place = (str(ask.part.frame.type), ask.stage, is_chart)
        if place not in compiled:
            view = view_of(recipe, ask)
            compiled[place] = compile(view.graph, trust=recipe.trust, allow_exec=recipe.allow_exec), view.names
        composite, names = compiled[place]
        begun = time.perf_counter()
        images = rendered(composite, names, recipe, ask)
        seconds = time.perf_counter() - begun
        return sample_of(recipe, ask, images), seconds

    return render


def rendered(composite: Composite, names: tuple[str, ...], recipe: Recipe, ask: Ask) -> dict[str, NDArray[np.float32]]:
    """The watched images of one ask.

    Raises:
        RunError: as StageError, a program failed or gave what is not finite.
    """
    frame = ask.part.frame
    settings = replace(recipe.settings, changed=ask.changed).resolved(frame.metadata)
    given = settings_tensors(settings)
    with torch.no_grad():
        image, metadata = tensors(frame)
        port = composite.plan.graph.inputs[0]
        if ask.chart is not None:
            image = torch.from_numpy(chart(port.type, ask.chart))
        before: Mapping[str, Tensor] | None = None
        rendering = composite(image, given, metadata)
        if composite.feeds_back:
            before = rendering.statistics
            rendering = composite(image, given, metadata, before)
        found = _named(rendering, port.name, image)
        images = {name: np.ascontiguousarray(found[name].float().numpy()) for name in names}
        if not all(map(_finite, images.values())):
            composite.inspect(image, given, metadata, before)
            raise RunError("a value is not finite")
    return images


def _named(rendering: Rendering, port: str, image: Tensor) -> dict[str, Tensor]:
    return {port: image, **rendering.outputs, **rendering.taps}


def _finite(image: NDArray[np.float32]) -> bool:
    """Whether all is finite. The sum of squares says so in a third of the time, unless it is too large itself."""
    row = torch.from_numpy(image).reshape(-1)
    return bool(torch.dot(row, row).isfinite() or row.isfinite().all())
