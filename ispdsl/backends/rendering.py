"""What a composite is given in one call, and what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ispdsl.errors import RunError
from ispdsl.ir.model import Port
from ispdsl.ir.types import INTEGER_STORAGE, Type

GREY = 0.18
"""What the frame before the first one is taken to have been: a flat grey of 18 %, the photographic standard."""


@dataclass(frozen=True)
class Rendering:
    """What a composite gives. `statistics` of this frame are `previous` of the next one."""

    outputs: dict[str, Tensor]
    taps: dict[str, Tensor]
    statistics: dict[str, Tensor]

    @property
    def image(self) -> Tensor:
        """The first output."""
        return next(iter(self.outputs.values()))


# A pytree, so that torch's transforms and exports, saved ones too, see the tensors inside.
torch.export.register_dataclass(Rendering, serialized_type_name="ispdsl.Rendering")


@dataclass(frozen=True)
class Inputs:
    """What one call of the composite was given, ready for programs."""

    like: Tensor
    """A tensor of the frame's dtype, device and shape."""
    settings: Mapping[str, Any]
    metadata: Mapping[str, Any]
    previous: Mapping[str, Any]
    found: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    """Values of the graph by name."""


def checked_image(port: Port, image: Tensor) -> Tensor:
    """An input, once its dtype and planes are known to be right.

    Raises:
        RunError: they are not.
    """
    if not port.type.is_image:
        return image
    if not image.is_floating_point():
        raise RunError(f"{port.name} is of {image.dtype}", "convert it, for example image.float()")
    if image.dim() not in (3, 4) or image.shape[-3] != port.type.planes:
        planes = port.type.planes
        shape = tuple(image.shape)
        raise RunError(f"{port.name} has the shape {shape}", f"{port.type} is ({planes}, H, W) or (B, {planes}, H, W)")
    return image


def flat_grey(type_: Type, like: Tensor) -> Tensor:
    """A flat grey of the frame's size in the planes and codes of `type_`."""
    storage = INTEGER_STORAGE.fullmatch(str(type_.args[1])) if len(type_.args) > 1 else None
    level = GREY * (2 ** int(storage[1]) - 1) if storage else GREY
    shape = (*like.shape[:-3], type_.planes, *like.shape[-2:])
    return torch.full(shape, level, dtype=like.dtype, device=like.device)
