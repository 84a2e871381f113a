"""The address table: one row for every parameter of a pipeline that can be seen from outside."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from ispdsl.ir.params import Choice, Parameter, Slider, Table, TableValue, Toggle

PhysicalValue = TableValue | bool | str
"""A parameter's value as the language has it: numbers in the declared unit, names of choices, on and off, tables."""


@dataclass(frozen=True)
class Slot:
    """A parameter under its address: ``exposure.ev``, ``denoise.luma_strength``, or the pipeline's own ``strength``.

    `start` is the value before anything is set, in the declared unit. With `start_meta` it is the frame's metadata of
    that name instead, and `start` only where the frame has none. `drives` lists the node parameters that take the
    value; it is empty where no node that runs needs it.
    """

    address: str
    declaration: Parameter
    start: PhysicalValue | None
    start_meta: str | None = None
    fixed: bool = False
    structural: bool = False
    drives: tuple[tuple[str, str], ...] = ()

    @property
    def static(self) -> bool:
        """Whether its value is a Python value to programs: a choice, a toggle or a size."""
        return self.structural or isinstance(self.declaration, Choice | Toggle)

    @property
    def free(self) -> bool:
        """Whether gradients and searches may move it: continuous, not `fixed`, and some node that runs uses it."""
        return not self.fixed and not self.static and bool(self.drives)

    @property
    def unit(self) -> str:
        """The declared unit; empty for plain numbers, choices and toggles."""
        return "" if isinstance(self.declaration, Choice | Toggle) else self.declaration.unit


class Adjustable(Protocol):
    """What settings are for: a graph, or what was compiled from it."""

    @property
    def name(self) -> str:
        """Name of the pipeline."""
        ...

    @property
    def sha256(self) -> str:
        """Hash of the texts that define it."""
        ...

    @property
    def slots(self) -> tuple[Slot, ...]:
        """Its address table."""
        ...


def is_structural(declaration: Parameter) -> bool:
    """Whether a type depends on the parameter."""
    return isinstance(declaration, Slider) and declaration.structural


def find(slots: Iterable[Slot], address: str) -> Slot | None:
    """The slot at `address`, if there is one."""
    return next((slot for slot in slots if slot.address == address), None)


def is_table(slot: Slot) -> bool:
    """Whether the slot holds an array of numbers."""
    return isinstance(slot.declaration, Table)
