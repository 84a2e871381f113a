"""Which numbers of a search all pictures share, and which each has for itself."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ispdsl.optimise.box import Box
from ispdsl.optimise.space import Numbers
from ispdsl.runtime.values import Settings
from ispdsl.runtime.vector import Vector


@dataclass(frozen=True, eq=False)
class Sharing:
    """One point ``(N,)`` of the unit cube for all pictures, of which each picture sees some numbers.

    Attributes:
        boxes: of what is free for each picture. What is shared lies within the same bounds in all.
        places: for each picture, where in the point the numbers of its box lie, ``(V, n)``.
        names: of all ``(N,)``: addresses or elements; of a picture's own with its name, ``exposure.ev (a.dng)``.
    """

    boxes: tuple[Box, ...]
    places: NDArray[np.int64]
    names: tuple[str, ...]

    @staticmethod
    def of(vector: Vector, starts: Sequence[Settings], own: Collection[str] = (), names: Sequence[str] = ()) -> Sharing:
        """Settings at the addresses `own` for each picture by itself, all others for all together.

        Args:
            vector: what is free.
            starts: where the search begins for each picture; what is shared begins at the first.
            own: addresses of what is free.
            names: of the pictures; by default they are counted.

        Raises:
            ValueError: an address of `own` is not free.
        """
        unknown = set(own) - {slot.address for slot in vector.slots}
        if unknown:
            raise ValueError(f"{min(unknown)} cannot be each picture's own: it is not free")
        names = names or [f"picture {number}" for number in range(1, len(starts) + 1)]
        first = Box.around(vector, starts[0])
        mine = np.array([element.address in own for element in vector.elements], np.bool_)
        boxes = [first]
        for start in starts[1:]:
            box = Box.around(vector, start)
            boxes.append(Box(vector, np.where(mine, box.low, first.low), np.where(mine, box.high, first.high)))
        places = np.zeros((len(starts), mine.size), np.int64)
        called: list[str] = []
        for number, element in enumerate(vector.elements):
            alone = mine[number] and len(starts) > 1
            places[:, number] = len(called) + (np.arange(len(starts)) if alone else 0)
            called += [f"{element.name} ({name})" for name in names] if alone else [element.name]
        return Sharing(tuple(boxes), places, tuple(called))

    @property
    def size(self) -> int:
        """How many numbers there are in all."""
        return len(self.names)

    @property
    def units(self) -> tuple[str, ...]:
        """The declared unit of each number."""
        found = [""] * self.size
        for places in self.places:
            for place, element in zip(places, self.boxes[0].vector.elements, strict=True):
                found[place] = element.unit
        return tuple(found)

    @property
    def widths(self) -> tuple[Numbers, ...]:
        """How much of the hard ranges the box of each picture takes, each ``(n,)``."""
        return tuple(box.width for box in self.boxes)

    def start(self, settings: Sequence[Settings]) -> Numbers:
        """The point ``(N,)`` of each picture's settings; what is shared is that of the first."""
        parts = [box.place(box.vector.to_vector(each)) for box, each in zip(self.boxes, settings, strict=True)]
        return self._together(parts)

    def units_at(self, z: Numbers) -> list[Numbers]:
        """A point in the unit face of the hard ranges, for each picture."""
        return [box.unit(z[places]) for box, places in zip(self.boxes, self.places, strict=True)]

    def settings(self, z: Numbers, others: Sequence[Settings]) -> list[Settings]:
        """The settings of each picture at a point; what is not free as in `others`."""
        each = zip(self.boxes, self.places, others, strict=True)
        return [box.settings(z[places], mine) for box, places, mine in each]

    def physical(self, z: Numbers) -> Numbers:
        """Every number at a point in its declared unit, ``(N,)``."""
        return self._together(
            [np.array(box.physical(z[places])) for box, places in zip(self.boxes, self.places, strict=True)]
        )

    def declared(self, settings: Sequence[Settings]) -> Numbers:
        """Every number of each picture's settings in its declared unit, ``(N,)``."""
        vector = replace(self.boxes[0].vector, face="physical")
        return self._together([np.array(vector.to_vector(each)) for each in settings])

    def _together(self, parts: Sequence[Numbers]) -> Numbers:
        """Numbers of each picture as one point; of what is shared, the first picture's."""
        found = np.zeros(self.size)
        for places, part in reversed(list(zip(self.places, parts, strict=True))):
            found[places] = part
        return found
