"""A few steps of least squares from what was predicted, where a reference shows what is wanted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ispdsl.backends.vector import tensors
from ispdsl.errors import RunError
from ispdsl.learned.aim import chosen
from ispdsl.learned.ground import Ground, Scene, batch_of
from ispdsl.optimise.model import Model
from ispdsl.optimise.regression import Regression, Search, regress
from ispdsl.runtime.values import Settings
from ispdsl.runtime.vector import Vector

CALLS = 6
"""Pictures that are rendered on the way, at most; derivatives not counted."""


def refined(
    ground: Ground, scene: Scene, settings: Settings, target: NDArray[np.float32], calls: int = CALLS
) -> Regression:
    """Move the numbers that were predicted until the picture is as near to a reference as they can make it.

    Args:
        ground: what renders, on the CPU.
        scene: the raw.
        settings: as they were predicted, resolved for the raw. Choices and switches stay.
        target: ``(C, H, W)``, 1 for white, as the sensor lay.
        calls: pictures that are rendered, at most.

    Raises:
        RunError: only choices are predicted, or the ground is not on the CPU.
        RegressionError: the target has another size than what is rendered.
    """
    addresses: Sequence[str] = [part.slot.address for part in ground.aim.parts if not chosen(part)]
    if not addresses or ground.device != "cpu":
        what = "nothing but choices is predicted" if not addresses else f"the ground is on {ground.device}"
        raise RunError(f"least squares moves numbers on the CPU, and {what}")
    composite, vector = ground.composites[scene.cfa], Vector.of(settings, "unit", addresses)
    _, metadata = batch_of([scene])
    single = {name: value[0] for name, value in metadata.items()}
    held = {**ground.held, **_tensors(settings, vector)}
    model = Model(composite, vector, held, scene.image, single)

    def render(at: Settings) -> NDArray[np.float32]:
        with torch.no_grad():
            values = _tensors(at, None)
            found = composite(scene.image, values, single)
            if composite.feeds_back:
                found = composite(scene.image, values, single, found.statistics)
            return found.image.float().numpy()

    return regress(
        target, settings, vector, render, model, search=Search(calls=calls, starts=1), peak=ground.peak, exact=True
    )


def _tensors(settings: Settings, without: Vector | None) -> dict[str, object]:
    """Canonical values, of all that a vector does not move."""
    moved = {slot.address for slot in without.slots} if without else set[str]()
    return {address: value for address, value in tensors(settings).items() if address not in moved}
