"""A pipeline as a function of a point of the unit cube: its picture, and the picture's derivatives in forward mode."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ispdsl.backends.composite import Composite
from ispdsl.backends.front import Front, front_of
from ispdsl.backends.still import with_still_steps
from ispdsl.backends.vector import unit_to_settings
from ispdsl.runtime.vector import Vector

Picture = NDArray[np.float32]
"""The first output, ``(C, H, W)``, in the numbers of its type, or what a lens makes of it."""

TOGETHER = 1 << 24
"""Derivatives, counted as numbers of a picture, that are carried through the pipeline at once: memory is the limit."""


@dataclass(frozen=True, eq=False)
class Model:
    """What renders and can be differentiated: programs, doubles, or both.

    Attributes:
        composite: compiled for the frame.
        vector: what is free, in the unit face.
        held: canonical values of everything else, as the composite takes them.
        image: the frame, ``(C, H, W)``; or ``(B, C, H, W)``, with a value for each in `held` and `metadata`.
        metadata: of the frame.
        lens: a linear map through which the picture is looked at, such as that to another grid; None for none.
    """

    composite: Composite
    vector: Vector
    held: Mapping[str, Any]
    image: Tensor
    metadata: Mapping[str, Tensor]
    lens: Callable[[Tensor], Tensor] | None = None

    def picture(self, point: NDArray[np.float64]) -> Picture:
        """The picture at a point ``(N,)``."""
        with torch.no_grad():
            return self.pictures(torch.from_numpy(point)).numpy()

    def jacobian(self, point: NDArray[np.float64], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The derivatives ``(M, N)`` of some numbers of the picture, named by their places in reading order."""
        places = torch.from_numpy(rows)

        def seen(x: Tensor) -> Tensor:
            return self.pictures(x).reshape(-1)[places]

        x = torch.from_numpy(point)

        def along(direction: Tensor) -> Tensor:
            return torch.func.jvp(seen, (x,), (direction,))[1]

        several = torch.func.vmap(along, randomness="same")
        count = max(1, TOGETHER // (3 * self.image[0].numel()))
        found = [several(some).numpy() for some in torch.eye(len(x), dtype=x.dtype).split(count)]
        return np.concatenate(found).T

    def pictures(self, x: Tensor) -> Tensor:
        """The picture at a point ``(N,)``, or of a batch of images those at points ``(B, N)``; gradients pass."""
        values = {**self.held, **unit_to_settings(self.vector, x)}
        rendering = self._composite(self.image, values, self.metadata)
        if self.composite.feeds_back:  # a still is what a camera settles on
            rendering = self._composite(self.image, values, self.metadata, rendering.statistics)
        return rendering.image if self.lens is None else self.lens(rendering.image)

    @cached_property
    def front(self) -> Front | None:
        """What lies before everything free; None where the rest cannot be run on a part of the picture."""
        if self.lens is not None:
            return None
        return front_of(self.composite, self.image, self.held, self.metadata, self._addresses)

    @property
    def _addresses(self) -> set[str]:
        return {slot.address for slot in self.vector.slots}

    @cached_property
    def _composite(self) -> Composite:
        """The composite with what lies before everything free computed once."""
        return with_still_steps(self.composite, self.image, self.held, self.metadata, self._addresses)
