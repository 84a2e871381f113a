"""What a call of a composite is given, made ready for its programs: images, settings and metadata of one batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ispdsl.backends import values
from ispdsl.backends.rendering import Inputs, checked_image
from ispdsl.calls import Given, canonical_meta
from ispdsl.errors import RunError
from ispdsl.graph import Graph
from ispdsl.ir.model import Meta
from ispdsl.runtime.slots import Slot


def checked_images(graph: Graph, image: Tensor | Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The images of a pipeline by name, on the device and in the dtype of the first.

    Raises:
        RunError: there are others, or they are not what the pipeline takes.
    """
    ports = graph.inputs
    if isinstance(image, Tensor):
        if len(ports) != 1:
            names = ", ".join(port.name for port in ports)
            raise RunError(f"{graph.name} takes {len(ports)} images", f"give them by name: {names}")
        image = {ports[0].name: image}
    missing = [port.name for port in ports if port.name not in image]
    extra = [name for name in image if name not in {port.name for port in ports}]
    if missing or extra:
        raise RunError(
            f"{graph.name} has no input {extra[0]}" if extra else f"{graph.name} needs the input {missing[0]}"
        )
    found = {port.name: checked_image(port, image[port.name]) for port in ports}
    like = next(iter(found.values()))
    return {name: each.to(like.device, like.dtype) for name, each in found.items()}


def in_one_batch(
    images: dict[str, Tensor],
    settings: dict[str, Any],
    metadata: Mapping[str, Any],
    slots: Mapping[str, Slot],
    metas: Mapping[str, Meta],
) -> tuple[dict[str, Tensor], dict[str, Any], bool]:
    """Images and settings in one batch where any of them or the metadata is one; whether it was made up.

    It is made up, of one, in forward mode: torch.func gives the product of a 0-dimensional float32 tensor and a Python
    number a float64 tangent, which later operations refuse. In a batch no setting is 0-dimensional.
    """
    sizes = [values.batch(values.rank(slot), settings[address]) for address, slot in slots.items()]
    sizes += [values.batch(3, image) for image in images.values()]
    sizes += [values.batch(values.RANKS[meta.type.name], metadata.get(meta.name)) for meta in metas.values()]
    size = next((size for size in sizes if size is not None), None)
    forward = not torch.compiler.is_compiling() and any(map(values.has_tangent, (*images.values(), *settings.values())))
    if size is None and not forward:
        return images, settings, False
    images = {name: each.expand(size or 1, *each.shape) if each.dim() == 3 else each for name, each in images.items()}
    if forward:
        settings = {address: values.for_each(slots[address], value, size or 1) for address, value in settings.items()}
    return images, settings, size is None


def start_of(slot: Slot, metadata: Mapping[str, Any], like: Tensor, table: Tensor | None) -> Any:
    """Where a parameter is when nobody sets it: free ones as tensors, fixed numbers as Python floats.

    Args:
        slot: of the parameter.
        metadata: of the frame.
        like: of the dtype and on the device of the answer.
        table: the numbers that the text gives a table.

    Raises:
        RunError: metadata that it starts at is missing.
    """
    if slot.start_meta is not None and slot.start_meta in metadata:
        return values.limited(slot, metadata[slot.start_meta], like)
    if slot.start is None:
        hint = f"give the frame {slot.start_meta}, or set {slot.address}"
        raise RunError(f"{slot.address} starts at the metadata {slot.start_meta}, which the frame does not have", hint)
    if table is not None:
        return table.to(like.device, like.dtype)
    value = values.constant(slot)
    if slot.static or slot.fixed:
        return value
    return torch.full((), float(value), dtype=like.dtype, device=like.device)


def metadata_of(wanted: Meta, given: Given, frame: Inputs, metas: Mapping[str, Meta], pipeline: str) -> Any:
    """A program's metadata: a constant of the text, a parameter, or the frame's.

    Raises:
        RunError: the frame has none, and there is no default.
    """
    if given.slot is not None:
        return frame.settings[given.slot]
    if given.meta is None:
        assert given.value is not None, "a constant"
        return values.default(wanted.type, wanted.name, given.value, frame.like)
    meta = metas[given.meta]
    if meta.name in frame.metadata:
        return values.metadata(meta, frame.metadata[meta.name], frame.like)
    if meta.default is None:
        hint = f"give metadata[{meta.name!r}], or a default in the pipeline"
        raise RunError(f"{pipeline} needs the metadata {meta.name}: {meta.type}, which the frame does not have", hint)
    default = canonical_meta(meta, meta.default)
    assert default is not None, "it has one"
    return values.default(meta.type, meta.name, default, frame.like)
