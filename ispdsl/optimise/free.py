"""What of a pipeline's settings is free, as a space to search: sliders, tables, register codes, choices and toggles."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ispdsl.ir.params import Array, Choice, Register, Slider, Table, Toggle
from ispdsl.optimise.space import Axis, Numbers, Space
from ispdsl.runtime import faces
from ispdsl.runtime.slots import PhysicalValue, Slot
from ispdsl.runtime.values import Problem, Settings, SettingsError
from ispdsl.runtime.vector import frozen, named, why_not


@dataclass(frozen=True)
class Part:
    """A free setting, and what of it is searched.

    Attributes:
        slot: the setting.
        low, high: of each of its numbers: places in the unit face for sliders and tables, codes for registers, indices
            of the options for choices and toggles.
        image: the number of the only image that it is of, from 0; None where all share it.
        of: the name of that image.
    """

    slot: Slot
    low: tuple[float, ...]
    high: tuple[float, ...]
    image: int | None = None
    of: str = ""

    @property
    def name(self) -> str:
        """Its address, and where it is one image's own the name of that: ``exposure.ev (a.dng)``."""
        return self._named(self.slot.address)

    def _named(self, name: str) -> str:
        return name if self.image is None else f"{name} ({self.of})"

    @property
    def axes(self) -> tuple[Axis, ...]:
        """What it is in the space."""
        if isinstance(self.slot.declaration, Table):
            shape = self.slot.declaration.shape
            places = itertools.product(*(range(count) for count in shape))
            return tuple(Axis(self._named(f"{self.slot.address}[{','.join(map(str, place))}]")) for place in places)
        if isinstance(self.slot.declaration, Slider):
            return (Axis(self.name),)
        levels = int(self.high[0] - self.low[0]) + 1
        return (Axis(self.name, levels, ordered=isinstance(self.slot.declaration, Register)),)

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
    """Free settings in a fixed order, and what everything else stays at.

    Attributes:
        settings: where the search begins; of the first image.
        parts: what is free.
        each: where it begins for each image, where some settings are an image's own; else nothing.
    """

    settings: Settings
    parts: tuple[Part, ...]
    each: tuple[Settings, ...] = ()

    @staticmethod
    def of(
        settings: Settings,
        only: Iterable[str] | None = None,
        choices: bool = False,
        *,
        own: Iterable[str] = (),
        images: Sequence[tuple[str, Settings]] = (),
    ) -> Free:
        """All free numbers, or what is at the addresses `only`, within soft ranges that are widened to hold the start.

        Args:
            settings: where the search begins, resolved for a frame; what is not free stays as it is.
            only: addresses of sliders, registers, tables, choices and toggles, or patterns such as ``isp.gain_*`` for
                all that can be free and fit them; None for all free numbers.
            choices: where `only` is None, choices and toggles as well.
            own: addresses or patterns of what each image has for itself; free besides `only`.
            images: names of all images, and settings where the search of their own begins, resolved for each. With
                fewer than two everything is shared.

        Raises:
            SettingsError: an address is unknown or cannot be free, a value waits for metadata, or nothing is free.
        """
        mine = named(settings, own, why_not_free)
        if only is None:
            slots = tuple(
                slot for slot in settings.slots if why_not_free(slot) is None and (choices or not slot.static)
            )
        else:
            slots = named(settings, only, why_not_free)
        slots = tuple(dict.fromkeys((*slots, *mine)))
        several = bool(mine) and len(images) > 1
        begun = [begin for _, begin in images] if several else [settings]
        waiting = [
            slot for slot in slots if any(e[slot.address] is None for e in (begun if slot in mine else [settings]))
        ]
        if waiting:
            raise SettingsError(*(Problem(slot.address, "it has no value yet", "set it") for slot in waiting))
        if not slots:
            raise SettingsError(Problem("", f"nothing of {settings.name} is free"))
        parts: list[Part] = []
        for slot in slots:
            if several and slot in mine:
                parts += [_part(slot, each[slot.address], n, name) for n, (name, each) in enumerate(images)]
            else:
                parts.append(_part(slot, settings[slot.address]))
        return Free(settings, tuple(parts), tuple(each for _, each in images) if several else ())

    @property
    def space(self) -> Space:
        """What a searcher moves in."""
        return Space(tuple(axis for part in self.parts for axis in part.axes))

    @property
    def addresses(self) -> tuple[str, ...]:
        """Of everything that is free."""
        return tuple(dict.fromkeys(part.slot.address for part in self.parts))

    @property
    def own(self) -> tuple[str, ...]:
        """Addresses of what each image has for itself."""
        return tuple(dict.fromkeys(part.slot.address for part in self.parts if part.image is not None))

    @property
    def start(self) -> Numbers:
        """The point where the search begins."""
        return self.point(*(self.each or (self.settings,)))

    def point(self, *settings: Settings) -> Numbers:
        """Where some settings lie in the space; what lies outside of it goes to its edge.

        Args:
            settings: of all images, or one after the other those of each.
        """
        values = ((part, settings[(part.image or 0) % len(settings)][part.slot.address]) for part in self.parts)
        return np.clip(np.concatenate([part.place(value) for part, value in values if value is not None]), 0.0, 1.0)

    def at(self, point: Numbers) -> Settings:
        """The settings at a legal point: register codes and names, never something between. Of the first image."""
        return self.all_at(point)[0]

    def all_at(self, point: Numbers) -> tuple[Settings, ...]:
        """The settings of each image at a legal point; one for all where all share them."""
        places = np.cumsum([0, *(len(part.low) for part in self.parts)]).tolist()
        found = [
            (part, part.value(point[place : place + len(part.low)]))
            for part, place in zip(self.parts, places, strict=False)
        ]
        return tuple(
            begun.update({part.slot.address: value for part, value in found if part.image in (None, number)})
            for number, begun in enumerate(self.each or (self.settings,))
        )


def why_not_free(slot: Slot) -> Problem | None:
    """Why a slot cannot be free; None where it can."""
    return frozen(slot) if isinstance(slot.declaration, Choice | Toggle) else why_not(slot, "unit")


def _part(slot: Slot, value: PhysicalValue | None, image: int | None = None, of: str = "") -> Part:
    assert value is not None, "it has been asked for"
    low, high = _ends(slot)
    numbers = _numbers(slot, value)
    return Part(slot, tuple(min(low, each) for each in numbers), tuple(max(high, each) for each in numbers), image, of)


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
