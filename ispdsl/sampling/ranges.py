"""What a parameter is varied over: an interval, codes of a register, or a list of values."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ispdsl.ir.params import Choice, Parameter, Register, Slider, Table, Toggle
from ispdsl.runtime import faces
from ispdsl.runtime.reading import plain, read
from ispdsl.runtime.slots import PhysicalValue, Slot
from ispdsl.runtime.values import Problem, SettingsError


@dataclass(frozen=True)
class Range:
    """The values between `low` and `high` in the declared unit, or those of a list.

    Of a register only what has a code; temperatures are spaced by their reciprocal.
    """

    declaration: Parameter
    low: float = 0.0
    high: float = 0.0
    values: tuple[PhysicalValue, ...] = ()

    @property
    def ordered(self) -> bool:
        """Whether the values between two of them can be left out."""
        return not self.values

    @property
    def count(self) -> int | None:
        """How many values there are; None where they are without number."""
        if self.values:
            return len(self.values)
        if isinstance(self.declaration, Register):
            first, last = self._codes(self.declaration)
            return last - first + 1
        return 1 if self.low == self.high else None

    def at(self, place: float) -> PhysicalValue:
        """The value at a place in [0, 1]; values that can be counted have equal shares of it."""
        if self.values:
            return self.values[_index(place, len(self.values))]
        if isinstance(self.declaration, Register):
            first, last = self._codes(self.declaration)
            return faces.from_code(self.declaration, first + _index(place, last - first + 1))
        assert isinstance(self.declaration, Slider | Table), "what is left are numbers"
        hard = self.declaration.hard or (self.low, self.high)
        low, high = (faces.place_in(hard, self.declaration.unit, end) for end in (self.low, self.high))
        found = faces.number_at(hard, self.declaration.unit, low + (high - low) * Fraction(place))
        return min(max(found, self.low), self.high)

    def told(self) -> dict[str, Any]:
        """As JSON has it: ``low`` and ``high`` in the declared unit, or ``values``."""
        if self.values:
            return {"values": [plain(self.declaration, value) for value in self.values]}
        return {"low": self.low, "high": self.high, "unit": getattr(self.declaration, "unit", "")}

    def _codes(self, register: Register) -> tuple[int, int]:
        """The first and last code in the range."""
        step, (first, last) = register.field.format.step, faces.codes(register)
        inside = max(first, math.ceil(Fraction(self.low) / step)), min(last, math.floor(Fraction(self.high) / step))
        if inside[0] > inside[1]:
            raise SettingsError(Problem(register.name, f"no code lies in {self.low:g}..{self.high:g}"))
        return inside


def _index(place: float, count: int) -> int:
    return min(int(place * count), count - 1)


def range_of(declaration: Parameter, extent: str) -> Range:
    """What a parameter is varied over where nothing is said: the soft or hard range, all options, off and on."""
    match declaration:
        case Choice():
            return Range(declaration, values=declaration.options)
        case Toggle():
            return Range(declaration, values=(False, True))
        case Slider() | Register():
            low, high = declaration.soft if extent == "soft" else declaration.hard
            return Range(declaration, low, high)
        case Table():
            low, high = declaration.hard or (0.0, 1.0)
            return Range(declaration, low, high)


def told_range(slot: Slot, text: str) -> Range:
    """What a parameter is varied over: ``LOW..HIGH``, ``A, B`` or ``all``; of a table, each of its elements.

    Raises:
        SettingsError: the text is none of these, or a value is illegal.
    """
    declaration = slot.declaration
    if text.strip() == "all":
        return range_of(declaration, "hard")
    try:
        ends = re.fullmatch(r"\s*(.+?)\s*\.\.\s*(.+?)\s*", text)
        if ends and isinstance(declaration, Slider | Register | Table):
            low, high = (faces.finite(read(declaration, ends[index])) for index in (1, 2))
            if low > high:
                raise ValueError(f"{low:g} is above {high:g}")
            return Range(declaration, low, high)
        if isinstance(declaration, Table):
            raise ValueError("the elements of a table are varied over a range")
        return Range(declaration, values=tuple(read(declaration, word) for word in text.split(",")))
    except ValueError as error:
        raise SettingsError(Problem(slot.address, str(error), "write LOW..HIGH, or A, B, C, or all")) from error
