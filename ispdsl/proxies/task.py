"""What a double has to do: the images that go in and come out, and everything that it is conditioned on."""

from __future__ import annotations

from typing import Literal

from ispdsl.ir.model import Footprint, Frozen
from ispdsl.ir.types import Type


class Knob(Frozen, frozen=True):
    """A parameter that was varied when the real thing was sampled. Numbers are canonical.

    Attributes:
        name: keyword of the stage's declaration; of a double of several nodes, the address with ``_`` for ``.``.
        address: of the pipeline's address table.
        kind: ``number`` (a slider or register), ``table`` (each of its elements), ``choice`` or ``toggle``.
        low, high: the range that was sampled, of numbers and elements.
        reciprocal: whether equal steps are equal steps of 1/value, as of a temperature in kelvin.
        options: the names of a choice.
        shape: of a table.
    """

    name: str
    address: str
    kind: Literal["number", "table", "choice", "toggle"]
    low: float = 0.0
    high: float = 1.0
    reciprocal: bool = False
    options: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()


class Reading(Frozen, frozen=True):
    """Metadata or a statistic that a double reads: numbers of this shape, ``()`` for one."""

    name: str
    kind: Literal["metadata", "statistic"]
    shape: tuple[int, ...] = ()


class Task(Frozen, frozen=True):
    """What a double of a call has to do.

    Attributes:
        name: of the call, the address of the double in the graph.
        inputs, outputs: types of the images, in order; a CFA may stay a variable.
        knobs: what it is conditioned on, in the order of the declaration.
        readings: metadata and statistics that the stage reads from the frame or graph; constants of the text are none.
        footprint: what of its input a pixel of the output depends on.
    """

    name: str
    inputs: tuple[Type, ...]
    outputs: tuple[Type, ...]
    knobs: tuple[Knob, ...] = ()
    readings: tuple[Reading, ...] = ()
    footprint: Footprint
