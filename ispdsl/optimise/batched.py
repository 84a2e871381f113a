"""Settings for many pictures at once, by the gradient of what somebody makes of the pictures: Adam on batches of them.

A classifier's or a detector's loss is a mean over many pictures, of which a step needs to see a few only. The answer is
the mean of where the last third of the steps were, which takes away most of what single batches did to them (Polyak and
Juditsky, "Acceleration of Stochastic Approximation by Averaging", SIAM J. Control and Optimization 30(4), 1992).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ispdsl.backends.composite import Composite
from ispdsl.backends.vector import tensors, unit_to_settings
from ispdsl.optimise.box import Box
from ispdsl.optimise.descent import Numbers, descend
from ispdsl.runtime.values import Settings
from ispdsl.runtime.vector import Vector

Look = Callable[[Tensor, NDArray[np.int64]], Tensor]
"""A loss ``()``, differentiable, of pictures ``(B, C, H, W)`` and their numbers ``(B,)`` among all pictures."""

KEPT = 3
"""The last of so many equal parts of the steps counts."""


@dataclass(frozen=True, eq=False)
class Tuned:
    """What a tuning found.

    Attributes:
        settings: the answer.
        path: the loss of each step's batch, in order.
    """

    settings: Settings
    path: tuple[float, ...]


def tune_in_batches(
    composite: Composite,
    vector: Vector,
    settings: Settings,
    images: Tensor,
    metadata: Mapping[str, Any],
    look: Look,
    *,
    steps: int = 60,
    together: int = 8,
    rate: float = 0.03,
    seed: int = 0,
    told: Callable[[int, float], None] | None = None,
) -> Tuned:
    """Tune what is free for all images together, within the soft ranges.

    Args:
        composite: compiled for the images.
        vector: what is free, in the unit face.
        settings: where it begins; what is not free stays there.
        images: ``(N, C, H, W)``, sensor codes, or whatever the pipeline takes.
        metadata: the same for all images.
        look: how wrong pictures are, such as the loss of a network that looks at them.
        steps: of Adam, each of which sees a batch.
        together: images in a batch; each is seen once before any is seen again.
        rate: of Adam, as a part of the ranges.
        seed: of the order of images.
        told: called after each step with its number and the loss of its batch.

    Raises:
        ValueError: there is nothing free, no step, or a batch is empty.
        RunError: an image, a setting or the metadata is wrong.
    """
    if not vector.slots or not 1 <= together <= len(images):
        raise ValueError(f"there is nothing to tune: {len(vector.slots)} free, batches of {together} of {len(images)}")
    box = Box.around(vector, settings)
    low, width = torch.from_numpy(box.low), torch.from_numpy(box.width)
    held = tensors(settings)
    batches = _batches(len(images), together, seed)
    seen: list[Numbers] = []

    def loss(z: Tensor) -> Tensor:
        seen.append(z.detach().numpy().copy())
        numbers = next(batches)
        values = {**held, **unit_to_settings(vector, (low + z * width).clamp(0, 1))}
        return look(composite(images[torch.from_numpy(numbers)], values, metadata).image, numbers)

    start = box.place(vector.to_vector(settings))
    cube = np.zeros(len(start)), np.ones(len(start))
    found = descend(loss, start, cube, rate=rate, steps=steps, told=told)
    last = np.mean(seen[-max(steps // KEPT, 1) :], axis=0)
    return Tuned(box.settings(last, settings), found.path)


def _batches(count: int, together: int, seed: int) -> Iterator[NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    while True:
        order = rng.permutation(count)
        for first in range(0, count - together + 1, together):
            yield order[first : first + together]


def rendered(
    composite: Composite, settings: Settings, images: Tensor, metadata: Mapping[str, Any], together: int = 8
) -> Tensor:
    """The pictures ``(N, C, H, W)`` of images at some settings, without gradients, `together` at a time.

    Raises:
        RunError: an image, a setting or the metadata is wrong.
    """
    values = tensors(settings)
    with torch.no_grad():
        return torch.cat([composite(some, values, metadata).image for some in images.split(together)])
