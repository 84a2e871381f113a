"""Where a regression searches: the soft ranges of what is free, as the unit cube."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from ispdsl.optimise.space import Numbers
from ispdsl.runtime import faces
from ispdsl.runtime.values import Settings
from ispdsl.runtime.vector import Vector, size


@dataclass(frozen=True)
class Box:
    """The soft ranges, widened to hold the start. Points ``(N,)`` of the box lie in 0..1.

    Attributes:
        vector: what is free, in the unit face of the hard ranges.
        low, high: the ends of the box, in that face.
    """

    vector: Vector
    low: Numbers
    high: Numbers

    @staticmethod
    def around(vector: Vector, settings: Settings, hard: Collection[str] = ()) -> Box:
        """The box of what is free, where a search begins at these settings; of `hard` addresses all that is legal."""
        start = np.array(vector.to_vector(settings))
        whole = np.repeat([slot.address in hard for slot in vector.slots], [size(slot) for slot in vector.slots])
        low, high = np.where(whole, np.array(vector.bounds).T, np.array(vector.soft_bounds).T)
        return Box(vector, np.minimum(low, start), np.maximum(high, start))

    @property
    def width(self) -> Numbers:
        """How much of the hard ranges it takes, ``(N,)``."""
        return self.high - self.low

    def unit(self, z: Numbers) -> Numbers:
        """A point of the box in the unit face."""
        return np.clip(self.low + z * self.width, 0.0, 1.0)

    def place(self, unit: Sequence[float]) -> Numbers:
        """The point of the box that lies there in the unit face."""
        return (np.array(unit) - self.low) / np.maximum(self.width, 1e-300)

    def settings(self, z: Numbers, others: Settings) -> Settings:
        """The settings at a point; what is not free as in `others`."""
        return replace(self.vector, settings=others).from_vector(self.unit(z).tolist())

    def physical(self, z: Numbers) -> list[float]:
        """Every number in its declared unit."""
        numbers = zip(self.vector.elements, _hard(self.vector), self.unit(z), strict=True)
        return [faces.number_at(hard, element.unit, Fraction(float(place))) for element, hard, place in numbers]


def _hard(vector: Vector) -> Iterable[tuple[float, float]]:
    """The hard range of each number in its declared unit."""
    for slot in vector.slots:
        hard = getattr(slot.declaration, "hard", None)
        assert hard is not None, "the unit face has only what has a range"
        yield from [hard] * size(slot)
