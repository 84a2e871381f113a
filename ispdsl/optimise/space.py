"""What is searched: the unit cube, and what its axes stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Axis:
    """One free number.

    Attributes:
        name: of the setting, or of an element of a table.
        levels: how many values it has, evenly from 0 to 1; None where it may be any number of its range.
        ordered: whether neighbouring values are alike, as codes of a register are and the names of a choice are not.
    """

    name: str
    levels: int | None = None
    ordered: bool = True


@dataclass(frozen=True)
class Space:
    """Axes, in the order of the numbers of a point. Points lie in the unit cube."""

    axes: tuple[Axis, ...]

    @staticmethod
    def continuous(names: Sequence[str]) -> Space:
        """A space of numbers that may be anything in their ranges."""
        return Space(tuple(Axis(name) for name in names))

    @property
    def size(self) -> int:
        """How many axes there are."""
        return len(self.axes)

    @property
    def discrete(self) -> NDArray[np.bool_]:
        """Which axes have levels, ``(N,)``."""
        return np.array([axis.levels is not None for axis in self.axes], np.bool_)

    def snap(self, point: Sequence[float] | Numbers) -> Numbers:
        """The legal point next to a point: within the cube, and on the levels of the axes that have some."""
        inside = np.clip(np.asarray(point, np.float64), 0.0, 1.0)
        steps = np.array([max((axis.levels or 2) - 1, 1) for axis in self.axes], np.float64)
        on = np.where(self.discrete, np.round(inside * steps) / steps, inside)
        return np.where([axis.levels == 1 for axis in self.axes], 0.0, on)
