"""Steps in a row that mix the planes of each pixel linearly, run as one matrix: exposure, colour, saturation.

Those are steps of ispdsl's own whose contract says so. Each is asked about red, green and blue, once for all tiles, and
random pixels have to come out of the matrix as they come out of the step.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ispdsl.backends.programs import OWN
from ispdsl.backends.steps import Step
from ispdsl.backends.stretches import Part

PROBE = (3, 5)
"""Rows and columns of the image that steps are asked about."""

NEAR = 1e-9
"""Of pixels in float64, by a step and by its matrix."""


@dataclass(frozen=True, eq=False)
class Mix:
    """Steps that are one matrix ``(D, C)``, in float64, from one image to another, by name."""

    image: str
    result: str
    matrix: Tensor

    def of(self, image: Tensor) -> Tensor:
        """The result ``(..., D, H, W)`` for an image ``(..., C, H, W)``, in its dtype."""
        return torch.einsum("dc,...chw->...dhw", self.matrix.to(image), image)

    def after(self, first: Mix) -> Mix:
        """Both as one."""
        return Mix(first.image, self.result, self.matrix @ first.matrix)


def mixed(
    parts: Iterable[Part], keywords: Mapping[str, Mapping[str, Any]], keeps: Collection[str], dtype: torch.dtype
) -> tuple[Part | Mix, ...]:
    """The parts of a stretch, with two or more linear ones in a row as one.

    Args:
        parts: in order.
        keywords: of each step, by its node.
        keeps: images that are wanted afterwards, so that they have to be made.
        dtype: that programs calculate in.
    """
    parts = tuple(parts)
    read = [name for part in parts for name in part.step.images]
    found: list[Part | Mix] = []
    last: Mix | None = None
    for part in parts:
        mix = _mix(part, keywords[part.step.node], dtype)
        if mix and last and last.result == mix.image and read.count(mix.image) == 1 and mix.image not in keeps:
            found[-1] = last = mix.after(last)
        else:
            found.append(part)
            last = mix
    return tuple(found)


def _mix(part: Part, keywords: Mapping[str, Any], dtype: torch.dtype) -> Mix | None:
    """What a step does to the planes of a pixel; None where that is no matrix."""
    step = part.step
    own = str(getattr(step.program.function, "__module__", "")).startswith(f"{OWN}.")
    images = [*step.image_types, *(type_ for _, type_ in step.outputs)]
    colours = len(images) == 2 and all(type_.is_image and type_.planes == 3 for type_ in images)
    if not part.linear or part.radius or step.program.placed or not own or not colours:
        return None
    try:
        asked = _probe()
        answered = step.program.function(asked, **keywords)
        precise = _solved(step, answered)
        near = float((precise.of(asked) - answered).abs().max()) <= NEAR * max(1.0, float(answered.abs().max()))
        return _solved(step, step.program.function(asked.to(dtype), **keywords)) if near else None
    except Exception:  # whatever it is, the step itself runs into it, and says where
        return None


def _probe() -> Tensor:
    """Random pixels, and red, green and blue; ``(1, 3, H, W)``, float64."""
    pixels = torch.rand(1, 3, *PROBE, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 0.5
    pixels[..., 0, :3] = torch.eye(3)
    return pixels


def _solved(step: Step, answered: Tensor) -> Mix:
    """The matrix that gives what a step made of the three colours."""
    return Mix(step.images[0], step.outputs[0][0], answered[0, :, 0, :3].double())
