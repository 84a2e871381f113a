"""The three faces of a parameter, and exact conversion between them.

*Physical*: the number in the declared unit, the name of a choice, on or off, the numbers of a table. *Code*: what a
register holds (signed); a number without a register format is coded as the 64 bits of its IEEE 754 binary64; a choice
by its index, a toggle as 0 or 1. *Unit*: an exact fraction in [0, 1] over the hard range, so that every float comes
back as itself; temperatures in kelvin are spaced evenly in reciprocal temperature (mired), where equal steps look
equal (Judd 1933), and rise with the kelvin. A table has each face element by element.

All errors are `ValueError` with a message that names the range.
"""

from __future__ import annotations

import itertools
import math
import struct
from fractions import Fraction

from ispdsl.ir.params import Array, Choice, FileReference, Parameter, Register, Slider, Table, TableValue, Toggle
from ispdsl.ir.units import canonical as canonical_number
from ispdsl.runtime.slots import PhysicalValue

UnitFace = Fraction | tuple[Fraction, ...]
CodeFace = int | tuple[int, ...]


def check(declaration: Parameter, value: object) -> PhysicalValue:
    """A physical value as its kind has it, once it is known to be legal: finite, in range, one of the options.

    Whole numbers become floats; a table may be a number, an `Array` that broadcasts, ``identity`` or a file. A
    matrix is an `Array` of its own shape, ``identity`` or 0.

    Raises:
        ValueError: another kind of value, or outside what is legal.
    """
    match declaration:
        case Choice():
            if isinstance(value, str) and value in declaration.options:
                return value
            raise ValueError(f"{value!r} is no option; it is one of {', '.join(declaration.options)}")
        case Toggle():
            if isinstance(value, bool):
                return value
            raise ValueError(f"{value!r} is neither on nor off")
        case Slider() | Register():
            return _legal(finite(value), declaration.hard, declaration.unit)
        case Table():
            return checked_table(declaration, value)


def finite(value: object) -> float:
    """A finite float from a number.

    Raises:
        ValueError: no number, or not finite.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{value!r} is no number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{number} is not finite")
    return number


def _legal(number: float, hard: tuple[float, float] | None, unit: str) -> float:
    if hard is not None and not hard[0] <= number <= hard[1]:
        raise ValueError(f"{number:g}{unit} is outside the range {range_text(hard, unit)}")
    return number


def range_text(hard: tuple[float, float], unit: str) -> str:
    """A range as the language writes it."""
    return f"{hard[0]:g}{unit}..{hard[1]:g}{unit}"


def checked_table(declaration: Table, value: object) -> TableValue:
    """What `check` does, for a table.

    Raises:
        ValueError: no table of that shape, or a number outside the range.
    """
    if isinstance(value, FileReference):
        if declaration.kind != "lut" or len(declaration.shape) != 4 or declaration.shape[-1] != 3:
            raise ValueError(f"a {declaration.kind} of {_by(declaration.shape)} is not read from a .cube file")
        return value
    if isinstance(value, str):
        if value != "identity":
            raise ValueError(f"{value!r} is no table; write numbers in brackets, one number for all, or identity")
        identity_values(declaration)
        return value
    if not isinstance(value, Array):
        if declaration.kind == "matrix" and finite(value):
            raise ValueError(f"one number is no matrix of {_by(declaration.shape)}; write all of them, identity or 0")
        return _legal(finite(value), declaration.hard, declaration.unit)
    if len(value.values) != math.prod(value.shape):
        raise ValueError(f"{len(value.values)} numbers make no table of {_by(value.shape)}")
    for number in value.values:
        _legal(finite(number), declaration.hard, declaration.unit)
    if declaration.kind == "matrix" and value.shape != declaration.shape:
        raise ValueError(
            f"a list of {_by(value.shape)} is no matrix of {_by(declaration.shape)}; write all its numbers"
        )
    broadcast(value, declaration.shape)
    return value


# ---- tables -------------------------------------------------------------------------------------------------


def elements(declaration: Table, value: TableValue) -> tuple[float, ...]:
    """All numbers of a table in row-major order, in the declared unit.

    Raises:
        ValueError: the value does not broadcast to the table's shape, or is kept in a file.
    """
    if isinstance(value, FileReference):
        raise ValueError(f"its numbers are kept in {value.path}")
    if isinstance(value, str):
        return identity_values(declaration)
    array = value if isinstance(value, Array) else Array(shape=(), values=(value,))
    return broadcast(array, declaration.shape)


def identity_values(declaration: Table) -> tuple[float, ...]:
    """The numbers that leave everything as it is: a ramp, a unit matrix, a grid of the colours themselves.

    Raises:
        ValueError: a table of this kind and shape has no identity.
    """
    shape = declaration.shape
    if declaration.kind == "curve" and shape[0] >= 2:
        return tuple(index / (shape[0] - 1) for index in range(shape[0]))
    if declaration.kind == "matrix" and shape[0] == shape[1]:
        return tuple(float(row == column) for row in range(shape[0]) for column in range(shape[1]))
    if declaration.kind == "lut" and shape[-1] == len(shape) - 1 and min(shape[:-1]) >= 2:
        places = itertools.product(*(range(size) for size in shape[:-1]))
        return tuple(i / (size - 1) for place in places for i, size in zip(place, shape[:-1], strict=True))
    raise ValueError(f"a {declaration.kind} of {_by(shape)} has no identity")


def broadcast(array: Array, shape: tuple[int, ...]) -> tuple[float, ...]:
    """The numbers of `array` repeated to `shape`, as numpy broadcasts: from the last axis, axes of one repeat.

    Raises:
        ValueError: the shapes do not fit.
    """
    given = (1,) * (len(shape) - len(array.shape)) + array.shape
    if len(given) > len(shape) or any(mine not in (1, size) for mine, size in zip(given, shape, strict=True)):
        raise ValueError(f"a table of {_by(array.shape)} does not fit {_by(shape)}")
    strides = [math.prod(given[axis + 1 :]) if given[axis] > 1 else 0 for axis in range(len(shape))]
    places = itertools.product(*(range(size) for size in shape))
    return tuple(
        array.values[sum(index * stride for index, stride in zip(place, strides, strict=True))] for place in places
    )


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "one number"


# ---- the unit face ------------------------------------------------------------------------------------------


def to_unit(declaration: Parameter, value: PhysicalValue) -> UnitFace:
    """The place of a legal value in [0, 1], exactly.

    Raises:
        ValueError: the value is illegal, or a table has no range.
    """
    value = check(declaration, value)
    match declaration:
        case Choice():
            return Fraction(2 * declaration.options.index(str(value)) + 1, 2 * len(declaration.options))
        case Toggle():
            return Fraction(bool(value))
        case Slider() | Register():
            return place_in(declaration.hard, declaration.unit, finite(value))
        case Table():
            hard = _range_of(declaration)
            numbers = elements(declaration, checked_table(declaration, value))
            return tuple(place_in(hard, declaration.unit, _legal(number, hard, declaration.unit)) for number in numbers)


def from_unit(declaration: Parameter, unit: UnitFace | float | tuple[float, ...]) -> PhysicalValue:
    """The physical value at a place in [0, 1]: the float nearest to the exact one; of a table, an `Array`.

    Raises:
        ValueError: outside [0, 1], not finite, or not as many numbers as the table holds.
    """
    if isinstance(declaration, Table):
        hard = _range_of(declaration)
        places: tuple[Fraction | float, ...] = unit if isinstance(unit, tuple) else (unit,)
        if len(places) != math.prod(declaration.shape):
            raise ValueError(f"{len(places)} numbers make no table of {_by(declaration.shape)}")
        values = tuple(number_at(hard, declaration.unit, _fraction(place)) for place in places)
        return Array(shape=declaration.shape, values=values)
    if isinstance(unit, tuple):
        raise ValueError("one number is wanted")
    place = _fraction(unit)
    match declaration:
        case Choice():
            return declaration.options[min(int(place * len(declaration.options)), len(declaration.options) - 1)]
        case Toggle():
            return place >= Fraction(1, 2)
        case Slider() | Register():
            return number_at(declaration.hard, declaration.unit, place)


def place_in(hard: tuple[float, float], unit: str, number: float) -> Fraction:
    """Where a number lies in a range: 0 at its low end, 1 at its high end; kelvin by reciprocal temperature."""
    low, high, exact = Fraction(hard[0]), Fraction(hard[1]), Fraction(number)
    if low == high:
        return Fraction(0)
    if is_reciprocal(hard, unit):
        return (1 / low - 1 / exact) / (1 / low - 1 / high)
    return (exact - low) / (high - low)


def number_at(hard: tuple[float, float], unit: str, place: Fraction) -> float:
    """The float nearest to the number at `place` of a range; the inverse of `place_in`."""
    low, high = Fraction(hard[0]), Fraction(hard[1])
    if is_reciprocal(hard, unit):
        return float(low * high / (high - place * (high - low)))
    return float(low + place * (high - low))


def is_reciprocal(hard: tuple[float, float], unit: str) -> bool:
    """Whether a range is spaced evenly in the reciprocals of its numbers."""
    return unit == "K" and hard[0] > 0


def _range_of(declaration: Table) -> tuple[float, float]:
    if declaration.hard is None:
        raise ValueError(f"{declaration.kind} {declaration.name} has no range")
    return declaration.hard


def _fraction(unit: Fraction | float) -> Fraction:
    if isinstance(unit, float) and not math.isfinite(unit):
        raise ValueError(f"{unit} is not finite")
    place = Fraction(unit)
    if not 0 <= place <= 1:
        raise ValueError(f"{float(place):g} is outside 0..1")
    return place


# ---- the code face ------------------------------------------------------------------------------------------


def codes(declaration: Register) -> tuple[int, int]:
    """The lowest and highest code of a register inside its hard range.

    Raises:
        ValueError: no code lies in the range.
    """
    step, (low, high) = declaration.field.format.step, declaration.field.format.codes
    first = max(low, math.ceil(Fraction(declaration.hard[0]) / step))
    last = min(high, math.floor(Fraction(declaration.hard[1]) / step))
    if first > last:
        raise ValueError(f"{declaration.field.format} has no code in {range_text(declaration.hard, declaration.unit)}")
    return first, last


def to_code(declaration: Parameter, value: PhysicalValue, *, nearest: bool = False) -> CodeFace:
    """The code of a value. Numbers between two codes go to the nearest, halves to the even one.

    Args:
        declaration: the parameter.
        value: its physical value.
        nearest: take the nearest legal code for a number out of range, instead of refusing it.

    Raises:
        ValueError: the value is illegal (and `nearest` is not set).
    """
    if isinstance(declaration, Register):
        number = finite(value) if nearest else finite(check(declaration, value))
        first, last = codes(declaration)
        return min(max(round(Fraction(number) / declaration.field.format.step), first), last)
    if nearest and isinstance(declaration, Slider):
        value = min(max(finite(value), declaration.hard[0]), declaration.hard[1])
    value = check(declaration, value)
    match declaration:
        case Choice():
            return declaration.options.index(str(value))
        case Toggle():
            return int(bool(value))
        case Slider():
            return _bits(finite(value))
        case Table():
            return tuple(_bits(number) for number in elements(declaration, checked_table(declaration, value)))


def from_code(declaration: Parameter, code: CodeFace) -> PhysicalValue:
    """The physical value of a code; the inverse of `to_code` on codes.

    Raises:
        ValueError: no legal value has that code.
    """
    if isinstance(declaration, Table):
        numbers = tuple(_float(each) for each in (code if isinstance(code, tuple) else (code,)))
        return check(declaration, Array(shape=declaration.shape, values=numbers))
    if isinstance(code, tuple):
        raise ValueError("one code is wanted")
    match declaration:
        case Choice():
            if not 0 <= code < len(declaration.options):
                raise ValueError(f"code {code} is outside 0..{len(declaration.options) - 1}")
            return declaration.options[code]
        case Toggle():
            if code not in (0, 1):
                raise ValueError(f"code {code} is neither 0 nor 1")
            return bool(code)
        case Register():
            first, last = codes(declaration)
            if not first <= code <= last:
                raise ValueError(f"code {code} is outside {first}..{last}")
            return float(code * declaration.field.format.step)
        case Slider():
            return check(declaration, _float(code))


def _bits(number: float) -> int:
    return int.from_bytes(struct.pack(">d", number), "big")


def _float(bits: int) -> float:
    if not 0 <= bits < 2**64:
        raise ValueError(f"code {bits} is outside 0..{2**64 - 1}")
    return struct.unpack(">d", bits.to_bytes(8, "big"))[0]


# ---- what programs receive ----------------------------------------------------------------------------------


def canonical(declaration: Parameter, value: PhysicalValue) -> PhysicalValue:
    """The value that a program receives: numbers in canonical units (``110%`` is 1.1), tables as full `Array`."""
    match declaration:
        case Choice() | Toggle():
            return value
        case Slider() | Register():
            return canonical_number(finite(value), declaration.unit)
        case Table():
            if isinstance(value, FileReference):
                return value
            numbers = elements(declaration, checked_table(declaration, value))
            values = tuple(canonical_number(number, declaration.unit) for number in numbers)
            return Array(shape=declaration.shape, values=values)
