"""The free parameters of a pipeline as one vector of numbers, for optimisers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import Literal

from ispdsl.ir.params import Array, Choice, FileReference, Register, Slider, Table, Toggle
from ispdsl.runtime import faces
from ispdsl.runtime.slots import PhysicalValue, Slot
from ispdsl.runtime.values import Problem, Settings, SettingsError

Face = Literal["unit", "physical"]
Bounds = tuple[float, float]


@dataclass(frozen=True)
class Element:
    """One number of the vector: a slider or register, or one element of a table (``curve.points[3]``)."""

    name: str
    address: str
    kind: str
    unit: str
    hard: Bounds
    soft: Bounds
    """Both in the face of the vector."""


@dataclass(frozen=True)
class Vector:
    """Free parameters in a fixed order, either in their declared units or each over [0, 1].

    Tables that are kept in a file are not part of it, nor, in the unit face, tables without a range.
    """

    settings: Settings = field(repr=False)
    """What everything else stays at."""
    face: Face
    slots: tuple[Slot, ...]

    @staticmethod
    def of(settings: Settings, face: Face = "unit", only: Iterable[str] | None = None) -> Vector:
        """The vector of all free parameters, or of those at the addresses `only`.

        Args:
            settings: what everything else stays at.
            face: of the numbers.
            only: addresses, or patterns such as ``tone_map.*`` for all that are free and fit them; None for all.

        Raises:
            SettingsError: an address is unknown, not free, or a table that has no vector in this face.
        """
        if only is None:
            return Vector(settings, face, tuple(slot for slot in settings.slots if why_not(slot, face) is None))
        return Vector(settings, face, named(settings, only, lambda slot: why_not(slot, face)))

    @property
    def elements(self) -> tuple[Element, ...]:
        """Name, kind, unit and bounds of each number."""
        return tuple(element for slot in self.slots for element in _elements(slot, self.face))

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each number."""
        return tuple(element.name for element in self.elements)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kind of parameter behind each number."""
        return tuple(element.kind for element in self.elements)

    @property
    def units(self) -> tuple[str, ...]:
        """The declared unit of each number."""
        return tuple(element.unit for element in self.elements)

    @property
    def bounds(self) -> tuple[Bounds, ...]:
        """What is legal."""
        return tuple(element.hard for element in self.elements)

    @property
    def soft_bounds(self) -> tuple[Bounds, ...]:
        """What a search should try."""
        return tuple(element.soft for element in self.elements)

    def to_vector(self, settings: Settings) -> tuple[float, ...]:
        """The numbers of some settings.

        Raises:
            SettingsError: a value still waits for metadata.
        """
        numbers: list[float] = []
        for slot in self.slots:
            value = settings[slot.address]
            if value is None:
                hint = f"resolve the settings with a frame that has {slot.start_meta}, or set it"
                raise SettingsError(Problem(slot.address, "it has no value yet", hint))
            numbers += _numbers(slot, value, self.face)
        return tuple(numbers)

    def from_vector(self, numbers: Sequence[float]) -> Settings:
        """The settings at which the vector has these numbers; everything else as in `settings`.

        Raises:
            SettingsError: not as many numbers as elements, or a number out of its bounds.
        """
        numbers = [float(number) for number in numbers]
        if len(numbers) != len(self.elements):
            raise SettingsError(Problem("", f"{len(numbers)} numbers are no vector of {len(self.elements)}"))
        values: dict[str, PhysicalValue] = {}
        problems: list[Problem] = []
        place = 0
        for slot in self.slots:
            part = tuple(numbers[place : place + size(slot)])
            place += size(slot)
            try:
                values[slot.address] = _value(slot, part, self.face)
            except ValueError as error:
                problems.append(Problem(slot.address, str(error)))
        if problems:
            raise SettingsError(*problems)
        return self.settings.update(values)


def size(slot: Slot) -> int:
    """How many numbers a slot has."""
    return math.prod(slot.declaration.shape) if isinstance(slot.declaration, Table) else 1


def named(
    settings: Settings, only: Iterable[str], why: Callable[[Slot], Problem | None] = lambda _: None
) -> tuple[Slot, ...]:
    """The slots at addresses, each once; of those that fit a pattern such as ``tone_map.*``, all that can be free.

    Args:
        settings: whose slots they are.
        only: addresses and patterns.
        why: says why a slot cannot be free; None where it can.

    Raises:
        SettingsError: an address is unknown, or cannot be free; or nothing that fits a pattern can.
    """
    found = dict.fromkeys(slot for address in only for slot in _fitting(settings, address, why))
    problems = [problem for slot in found if (problem := why(slot)) is not None]
    if problems:
        raise SettingsError(*problems)
    return tuple(found)


def _fitting(settings: Settings, address: str, why: Callable[[Slot], Problem | None]) -> list[Slot]:
    if not any(sign in address for sign in "*?"):
        return [settings.slot(address)]
    fits = [slot for slot in settings.slots if fnmatchcase(slot.address, address)]
    return [slot for slot in fits if why(slot) is None] or fits or [settings.slot(address)]


def why_not(slot: Slot, face: Face) -> Problem | None:
    """Why a slot is no part of a vector, and how to make it one; None when it is."""
    match slot.declaration:
        case Choice(options=options):
            hint = f"`ispdsl tune` searches choices; --set {slot.address}={options[0]} makes one"
            return frozen(slot) or Problem(slot.address, f"it is not free: a choice of {', '.join(options)}", hint)
        case Toggle():
            hint = f"`ispdsl tune` searches switches; --set {slot.address}=on sets it"
            return frozen(slot) or Problem(slot.address, "it is not free: a switch, on or off", hint)
        case Table(hard=hard) if frozen(slot) is None:
            if isinstance(slot.start, FileReference):
                hint = "write its numbers into the pipeline to search them"
                return Problem(slot.address, "it is not free: its numbers are kept in a file", hint)
            if hard is None and face == "unit":
                message = "it is not free: it has no range, so its numbers have no place in 0..1"
                return Problem(slot.address, message, "declare its range in the stage, such as `in 0..1`")
            return None
        case _:
            return frozen(slot)


def frozen(slot: Slot) -> Problem | None:
    """Why nobody may move a slot, be it a number or a choice, and what would have to change; None where one may."""
    if slot.fixed:
        at = f"at the metadata {slot.start_meta}" if slot.start_meta is not None else "in the pipeline"
        hint = "remove `fixed` there to make it adjustable"
        return Problem(slot.address, f"it is not free: it is fixed {at}", hint)
    if slot.structural:
        hint = "set it in the pipeline"
        return Problem(slot.address, "it is not free: it decides the size of a type", hint)
    if not slot.drives:
        return Problem(slot.address, "it is not free: no node that runs uses it", "leave it out, or use it")
    return None


def _elements(slot: Slot, face: Face) -> list[Element]:
    declaration = slot.declaration
    assert isinstance(declaration, Slider | Register | Table)
    hard = declaration.hard or (-math.inf, math.inf)
    soft = hard if isinstance(declaration, Table) else declaration.soft
    if face == "unit":
        soft = tuple(float(faces.place_in(hard, declaration.unit, end)) for end in soft)
        hard = (0.0, 1.0)
    bounds = hard, (soft[0], soft[1])
    if not isinstance(declaration, Table):
        return [Element(slot.address, slot.address, declaration.kind, declaration.unit, *bounds)]
    places = itertools.product(*(range(count) for count in declaration.shape))
    names = (f"{slot.address}[{','.join(map(str, place))}]" for place in places)
    return [Element(name, slot.address, declaration.kind, declaration.unit, *bounds) for name in names]


def _numbers(slot: Slot, value: PhysicalValue, face: Face) -> list[float]:
    if face == "unit":
        place = faces.to_unit(slot.declaration, value)
        return [float(place)] if isinstance(place, Fraction) else [float(each) for each in place]
    if isinstance(slot.declaration, Table):
        return list(faces.elements(slot.declaration, faces.checked_table(slot.declaration, value)))
    return [faces.finite(value)]


def _value(slot: Slot, numbers: tuple[float, ...], face: Face) -> PhysicalValue:
    table = isinstance(slot.declaration, Table)
    if face == "unit":
        return faces.from_unit(slot.declaration, numbers if table else numbers[0])
    if isinstance(slot.declaration, Table):
        return Array(shape=slot.declaration.shape, values=numbers)
    return numbers[0]
