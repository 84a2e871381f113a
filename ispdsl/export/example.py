"""Calls of a composite without a raw: images of a size, settings at their start, metadata such as cameras write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ispdsl.backends.composite import Composite
from ispdsl.errors import RunError
from ispdsl.ir.model import Meta
from ispdsl.ir.types import INTEGER_STORAGE

LARGEST_CODE = 16383.0
"""Of a made-up camera: 14 bits."""


def example_of(composite: Composite, height: int, width: int) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """A call of the composite to trace: grey images, settings at their start, metadata of any camera.

    Raises:
        RunError: the size of the metadata that it reads is not known.
    """
    graph = composite.plan.graph
    images: dict[str, Tensor] = {
        port.name: torch.full((port.type.planes, height, width), 0.18) for port in graph.inputs if port.type.is_image
    }
    read = metadata_read(composite)
    started = {slot.start_meta for slot in graph.slots if slot.drives and slot.start_meta is not None}
    known = {meta.name: made_up(meta) for meta in graph.metas if meta.name in read | started}
    start = composite.start(known, torch.float32)
    held = {slot.start_meta for slot in graph.slots if slot.drives and slot.fixed}  # no setting stands for these
    metadata = {name: value for name, value in known.items() if name in read | held}
    settings = {address: value for address, value in start.items() if isinstance(value, torch.Tensor)}
    return (next(iter(images.values())) if len(images) == 1 else images), settings, metadata


def metadata_read(composite: Composite) -> set[str]:
    """The names of the metadata that programs of the composite read of the frame."""
    calls = composite.plan.graph.calls
    return {given.meta for call in calls for given in call.metas.values() if given.meta is not None}


def random_images(composite: Composite, height: int, width: int, seed: int) -> Any:
    """Images of a size for every input, evenly random from black to white: one tensor, or several by name."""
    generator = torch.Generator().manual_seed(seed)
    found: dict[str, Tensor] = {}
    for port in composite.plan.graph.inputs:
        if port.type.is_image:
            storage = INTEGER_STORAGE.fullmatch(str(port.type.args[-1]))
            white = min(2.0 ** int(storage[1]) - 1, LARGEST_CODE) if storage else 1.0
            found[port.name] = torch.rand(port.type.planes, height, width, generator=generator) * white
    return next(iter(found.values())) if len(found) == 1 else found


def made_up(meta: Meta) -> Tensor:
    """Numbers of the shape of metadata, such as a camera writes them.

    Raises:
        RunError: it is no number, vector, matrix or grid.
    """
    sizes = tuple(size for size in meta.type.args if isinstance(size, int))
    known: Mapping[str, float] = {
        "white_level": LARGEST_CODE,
        "as_shot_temperature": 5000.0,
        "black_level": 512.0,
        "illuminant_1": 2856.0,
        "illuminant_2": 6504.0,
        "as_shot_tint": 0.0,
        "baseline_exposure": 0.0,
    }
    if meta.type.name == "matrix":
        return torch.eye(*sizes)
    if meta.type.name == "grid":
        return torch.ones(4, 2, 2)
    if meta.type.name not in ("real", "vector"):
        raise RunError(
            f"the pipeline reads the metadata {meta.name}: {meta.type}, which is no number", "give it a default"
        )
    return torch.full(sizes, known.get(meta.name, 1.0))
