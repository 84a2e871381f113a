"""What of a pipeline's settings is free, as a space to search: sliders, tables, register codes, choices and toggles."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from fractions import Fraction

import numpy as np

from ispdsl.ir.params import Array, Choice, Register, Slider, Table, Toggle
from ispdsl.optimise.space import Axis, Numbers, Space
from ispdsl.runtime import faces
from ispdsl.runtime.slots import PhysicalValue, Slot
from ispdsl.runtime.values import Problem, Settings, SettingsError
from ispdsl.runtime.vector import why_not


@dataclass(frozen=True)
class Part:
    """A free setting, and what of it is searched.

    Attributes:
        slot: the setting.
        low, high: of each of its numbers: places in the unit face for sliders and tables, codes for registers, indices
            of the options for choices and toggles.
    """

    slot: Slot
    low: tuple[float, ...]
    high: tuple[float, ...]

    @property
    def axes(self) -> tuple[Axis, ...]:
        """What it is in the space."""
        if isinstance(self.slot.declaration, Table):
            shape = self.slot.declaration.shape
            places = itertools.product(*(range(count) for count in shape))
            return tuple(Axis(f"{self.slot.address}[{','.join(map(str, place))}]") for place in places)
        if isinstance(self.slot.declaration, Slider):
            return (Axis(self.slot.address),)
        levels = int(self.high[0] - self.low[0]) + 1
        return (Axis(self.slot.address, levels, ordered=isinstance(self.slot.declaration, Register)),)

    def place(self, value: PhysicalValue) -> Numbers:
        """Where a value lies between `low` and `high`, each number as a part of 1."""
        low, high = np.array(self.low), np.array(self.high)
        return (np.array(_numbers(self.slot, value)) - low) / np.where(high > low, high - low, 1.0)

    def value(self, point: Sequence[float] | Numbers) -> PhysicalValue:
        """The legal value at a place; the inverse of `place`."""
        low, high = np.array(self.low), np.array(self.high)
        numbers = low + np.asarray(point, np.float64) * (high - low)
        declaration = self.slot.declaration
        match declaration:
            case Table():
                return faces.from_unit(declaration, tuple(np.clip(numbers, 0, 1).tolist()))
            case Slider():
                return faces.from_unit(declaration, float(np.clip(numbers[0], 0, 1)))
            case _:
                return faces.from_code(declaration, round(float(numbers[0])))


@dataclass(frozen=True)
class Free:
    """Free settings in a fixed order, and what everything else stays at."""

    settings: Settings
    parts: tuple[Part, ...]

    @staticmethod
    def of(settings: Settings, only: Iterable[str] | None = None, choices: bool = False) -> Free:
        """All free numbers, or what is at the addresses `only`, within soft ranges that are widened to hold the start.

        Args:
            settings: where the search begins, resolved for a frame; what is not free stays as it is.
            only: addresses of sliders, registers, tables, choices and toggles, or patterns such as ``isp.gain_*`` for
                all that can be free and fit them; None for all free numbers.
            choices: where `only` is None, choices and toggles as well.

        Raises:
            SettingsError: an address is unknown or cannot be free, a value waits for metadata, or nothing is free.
        """
        if only is None:
            slots = [slot for slot in settings.slots if _why_not(slot) is None and (choices or not slot.static)]
        else:
            slots = list(dict.fromkeys(slot for address in only for slot in _named(settings, address)))
            reasons = [(slot.address, _why_not(slot)) for slot in slots]
            problems = [Problem(address, reason) for address, reason in reasons if reason is not None]
            if problems:
                raise SettingsError(*problems)
        waiting = [slot for slot in slots if settings[slot.address] is None]
        if waiting:
            raise SettingsError(*(Problem(slot.address, "it has no value yet", "set it") for slot in waiting))
        if not slots:
            raise SettingsError(Problem("", f"nothing of {settings.name} is free"))
        return Free(settings, tuple(_part(slot, settings[slot.address]) for slot in slots))

    @property
    def space(self) -> Space:
        """What a searcher moves in."""
        return Space(tuple(axis for part in self.parts for axis in part.axes))

    @property
    def addresses(self) -> tuple[str, ...]:
        """Of everything that is free."""
        return tuple(part.slot.address for part in self.parts)

    def point(self, settings: Settings) -> Numbers:
        """Where some settings lie in the space; what lies outside of it goes to its edge."""
        values = ((part, settings[part.slot.address]) for part in self.parts)
        return np.clip(np.concatenate([part.place(value) for part, value in values if value is not None]), 0.0, 1.0)

    def at(self, point: Numbers) -> Settings:
        """The settings at a legal point: register codes and names, never something between."""
        values: dict[str, PhysicalValue] = {}
        place = 0
        for part in self.parts:
            values[part.slot.address] = part.value(point[place : place + len(part.low)])
            place += len(part.low)
        return self.settings.update(values)


def _why_not(slot: Slot) -> str | None:
    """Why a slot cannot be free; None where it can."""
    if not isinstance(slot.declaration, Choice | Toggle):
        return why_not(slot, "unit")
    if slot.fixed or slot.structural or not slot.drives:
        return "it is not free: fixed, or used by no node that runs"
    return None


def _named(settings: Settings, address: str) -> list[Slot]:
    """The slot at an address, or what fits a pattern and can be free."""
    fits = [slot for slot in settings.slots if fnmatchcase(slot.address, address) and _why_not(slot) is None]
    if any(sign in address for sign in "*?") and fits:
        return fits
    return [settings.slot(address)]


def _part(slot: Slot, value: PhysicalValue | None) -> Part:
    assert value is not None, "it has been asked for"
    low, high = _ends(slot)
    numbers = _numbers(slot, value)
    return Part(slot, tuple(min(low, each) for each in numbers), tuple(max(high, each) for each in numbers))


def _ends(slot: Slot) -> tuple[float, float]:
    """Lowest and highest place, code or index that a search should try."""
    match slot.declaration:
        case Slider() as slider:
            low, high = (float(faces.place_in(slider.hard, slider.unit, end)) for end in slider.soft)
            return low, high
        case Register() as register:
            step, (first, last) = register.field.format.step, faces.codes(register)
            low, high = math.ceil(Fraction(register.soft[0]) / step), math.floor(Fraction(register.soft[1]) / step)
            return min(max(low, first), last), max(min(high, last), first)
        case Table():
            return 0.0, 1.0
        case Choice(options=options):
            return 0, len(options) - 1
        case Toggle():
            return 0, 1


def _numbers(slot: Slot, value: PhysicalValue) -> list[float]:
    """A value in the numbers that are searched."""
    if isinstance(slot.declaration, Slider):
        place = faces.to_unit(slot.declaration, value)
        assert isinstance(place, Fraction)
        return [float(place)]
    if isinstance(slot.declaration, Table):
        places = faces.to_unit(slot.declaration, value)
        assert isinstance(places, tuple)
        return [float(each) for each in places]
    code = faces.to_code(slot.declaration, value)
    assert isinstance(code, int)
    return [float(code)]


def written(value: PhysicalValue | None, unit: str = "") -> str:
    """A value for people: a number with its unit, a name, on or off, or how many numbers a table has."""
    match value:
        case bool():
            return "on" if value else "off"
        case float() | int():
            return f"{value:.6g}{'' if unit == '1' else unit}"
        case Array(shape=shape):
            return f"{' x '.join(map(str, shape))} numbers"
        case _:
            return str(value)
