"""Develop one image by a compiled pipeline, without gradients: the place where an engine is chosen.

Whoever has an image and wants a picture comes here; training, fitting and export call the composite itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ispdsl.backends.composite import Composite
from ispdsl.backends.rendering import Inputs, Rendering
from ispdsl.backends.tiles import Tiling, run_in_tiles

SAMPLE = 256
"""Height and width at most of the flat grey that stands for the frame before: its statistics are those of any size."""


def render(
    composite: Composite,
    image: Tensor | Mapping[str, Tensor],
    settings: Mapping[str, Any],
    metadata: Mapping[str, Any],
    tiling: Tiling | None = None,
) -> Rendering:
    """Run a pipeline on an image.

    A pipeline that reads statistics of the frame before runs as if that frame had been the same.

    Args:
        composite: as compiled.
        image: ``(C, H, W)`` or ``(B, C, H, W)``, a mapping by name where there are several; integer codes are taken as
            float32.
        settings: values by address, as the composite takes them.
        metadata: canonical values by name.
        tiling: how images are cut into tiles; None for the usual way. An image that is no larger than two tiles, or not
            in the machine's own memory, goes through whole.

    Raises:
        RunError: as the composite; as StageError, a node gave a number that is not finite.
    """
    images = image if isinstance(image, Mapping) else {composite.plan.graph.inputs[0].name: image}
    engine = _tiled if (tiling or Tiling()).cuts(images.values()) else _whole
    arguments = composite, images, settings, metadata, tiling or Tiling()
    with torch.no_grad():  # unlike inference_mode it lets a program that writes into its input be found
        previous = engine(*arguments, None, True).statistics if composite.feeds_back else None
        rendering = engine(*arguments, previous, False)
        if not all(map(_finite, rendering.outputs.values())):
            composite.on_step(None)
            if composite.feeds_back:
                engine(*arguments, None, True, True)
            engine(*arguments, previous, False, True)
    return rendering


def _finite(image: Tensor) -> bool:
    """Whether all of an image is finite: its ends are, and one is no number where a sample is none."""
    if not image.numel() or not image.is_floating_point():
        return True
    return bool(torch.stack(image.aminmax()).isfinite().all())


def _dtype(image: Tensor) -> torch.dtype:
    """What programs calculate in."""
    return image.dtype if image.is_floating_point() else torch.float32


def _whole(
    composite: Composite,
    images: Mapping[str, Tensor],
    settings: Mapping[str, Any],
    metadata: Mapping[str, Any],
    _: Tiling,
    previous: Mapping[str, Tensor] | None,
    statistics: bool,
    inspects: bool = False,
) -> Rendering:
    """By the composite itself. Whoever asks for statistics gets the rest as well."""
    floats = {name: image.to(_dtype(image)) for name, image in images.items()}
    if inspects:
        composite.inspect(floats, settings, metadata, previous)
    return composite(floats, settings, metadata, previous)


def _tiled(
    composite: Composite,
    images: Mapping[str, Tensor],
    settings: Mapping[str, Any],
    metadata: Mapping[str, Any],
    tiling: Tiling,
    previous: Mapping[str, Tensor] | None,
    statistics: bool,
    inspects: bool = False,
) -> Rendering:
    """In tiles. Where only the statistics for the frame after are asked for, only what they need is computed."""
    dtype = _dtype(next(iter(images.values())))
    frame = _frame(composite, images, dtype, settings, metadata, previous)
    graph, names = composite.plan.graph, composite.statistics
    if statistics:
        names = {name: value for name, value in names.items() if value.rpartition(".")[0] in composite.fed_back}
        wanted: Collection[str] = set(names.values())
    else:
        wanted = {*map(str, graph.results.values()), *map(str, graph.taps.values()), *names.values()}
    found = run_in_tiles(composite, frame, wanted, tiling, dtype, inspects)
    if statistics:
        return Rendering({}, {}, {name: found[value] for name, value in names.items()})
    return composite.rendering({name: value.to(dtype) for name, value in found.items()})


def _frame(
    composite: Composite,
    images: Mapping[str, Tensor],
    dtype: torch.dtype,
    settings: Mapping[str, Any],
    metadata: Mapping[str, Any],
    previous: Mapping[str, Tensor] | None,
) -> Inputs:
    """What the composite makes of its arguments, the images not copied, and with the statistics of the frame before."""
    shapes = {name: torch.zeros((), dtype=dtype).expand(image.shape) for name, image in images.items()}
    frame, _ = composite.inputs(shapes, settings, metadata, previous)
    small = replace(frame, like=frame.like[..., :SAMPLE, :SAMPLE])
    found = {name: images[name].expand(given.shape) for name, given in frame.found.items()}
    return replace(frame, previous=composite.before(small), found=found)
