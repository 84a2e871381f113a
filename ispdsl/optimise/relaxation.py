"""What is free, as numbers that a gradient can move: choices and switches as weights, register codes rounded.

Weights are a softmax whose temperature falls, so that they end as one of the options (Jang, Gu and Poole, "Categorical
Reparameterization with Gumbel-Softmax", ICLR 2017, here without the noise). Codes are rounded on the way forward alone:
the straight-through estimator of Bengio, Leonard and Courville, arXiv:1308.3432, 2013.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ispdsl.backends.vector import unit_to_settings
from ispdsl.ir.params import Choice, Register, Toggle
from ispdsl.ir.units import UNITS
from ispdsl.optimise.free import Free, Part
from ispdsl.optimise.mixtures import Weighed
from ispdsl.optimise.space import Numbers
from ispdsl.runtime.vector import Vector

TAKEN, OTHER = 0.6, 0.4
"""Where an option begins that is chosen at the start, and where the others do."""


def straight_through(x: Tensor, levels: int) -> Tensor:
    """Numbers in 0..1 rounded to so many even levels, the ends among them; slopes pass as if they were not."""
    steps = max(levels - 1, 1)
    return x + (torch.round(x * steps) / steps - x).detach()


@dataclass(frozen=True, eq=False)
class Relaxation:
    """Points ``(R,)`` of the unit cube: a number for each number that is free, and one for each option of a choice."""

    free: Free

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return sum(_size(part) for part in self.free.parts)

    @property
    def of_names(self) -> NDArray[np.bool_]:
        """Which numbers are those of options, ``(R,)``."""
        return np.concatenate([np.full(_size(part), _chosen(part)) for part in self.free.parts])

    def start(self, point: Numbers) -> Numbers:
        """Where a legal point of the free space lies."""
        found = np.zeros(self.size)
        for part, here, there in self._places():
            if _chosen(part):
                found[there] = OTHER
                found[there.start + round(float(point[here][0] * (_size(part) - 1)))] = TAKEN
            else:
                found[there] = point[here]
        return found

    def settings(self, x: Tensor, temperature: float, image: int = 0) -> tuple[dict[str, Tensor], dict[str, Weighed]]:
        """What the composite takes for an image at a point, and the weights of options, by address; gradients pass.

        Args:
            x: ``(R,)``.
            temperature: of the weights; at 0 the largest has all.
            image: the number of the image.
        """
        values: dict[str, Tensor] = {}
        choices: dict[str, Weighed] = {}
        for part, _, there in self._places():
            if part.image not in (None, image):
                continue
            if _chosen(part):
                choices[part.slot.address] = Weighed(_options(part), _weights(x[there], temperature))
            else:
                values[part.slot.address] = self._canonical(part, x[there])
        return values, choices

    def legal(self, x: Numbers, most: int = 1) -> list[Numbers]:
        """Legal points of the free space near a point: names with the largest weights first, codes rounded.

        Args:
            x: ``(R,)``.
            most: how many, which differ in the names.
        """
        point = np.zeros(self.free.space.size)
        names: list[list[tuple[float, int, float]]] = []  # how much is lost by an option, where it goes, its level
        for part, here, there in self._places():
            if _chosen(part):
                lost = float(x[there].max()) - x[there]
                order = np.argsort(lost, kind="stable").tolist()
                names.append([(float(lost[option]), here.start, option / max(_size(part) - 1, 1)) for option in order])
            else:
                point[here] = x[there]
        near = [each[:most] for each in names]
        combined = sorted(itertools.islice(itertools.product(*near), 10_000), key=lambda each: sum(o[0] for o in each))
        found: list[Numbers] = []
        for options in combined[:most]:
            other = point.copy()
            for _, place, level in options:
                other[place] = level
            found.append(self.free.space.snap(other))
        return found

    def _canonical(self, part: Part, x: Tensor) -> Tensor:
        """The value of a number or table in canonical units."""
        slot = part.slot
        low, high = (torch.tensor(end, dtype=x.dtype, device=x.device) for end in (part.low, part.high))
        if isinstance(slot.declaration, Register):
            code = low + straight_through(x, int(part.high[0] - part.low[0]) + 1) * (high - low)
            return (code * float(slot.declaration.field.format.step * UNITS[slot.unit].scale))[0]
        return unit_to_settings(Vector(self.free.settings, "unit", (slot,)), low + x * (high - low))[slot.address]

    def _places(self) -> Iterator[tuple[Part, slice, slice]]:
        """Each part, where it lies in a point of the free space, and where in one of this."""
        here = there = 0
        for part in self.free.parts:
            yield part, slice(here, here + len(part.low)), slice(there, there + _size(part))
            here, there = here + len(part.low), there + _size(part)


def _chosen(part: Part) -> bool:
    return isinstance(part.slot.declaration, Choice | Toggle)


def _options(part: Part) -> tuple[str | bool, ...]:
    declaration = part.slot.declaration
    return declaration.options if isinstance(declaration, Choice) else (False, True)


def _size(part: Part) -> int:
    return len(_options(part)) if _chosen(part) else len(part.low)


def _weights(x: Tensor, temperature: float) -> Tensor:
    if temperature > 0:
        return torch.softmax(x / temperature, 0)
    return torch.zeros_like(x).index_fill(0, x.argmax(), 1.0)
