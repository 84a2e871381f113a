"""Numbers with units, and lists of them."""

from __future__ import annotations

from ispdsl.ir.params import Array
from ispdsl.ir.units import UNITS, convert
from ispdsl.lower.scope import Hint, Sink, listed, meant
from ispdsl.syntax.tree import ListValue, Name, Number, Range, String, Value

SPELT_OUT = {
    "stop": "ev",
    "stops": "ev",
    "kelvin": "K",
    "percent": "%",
    "pct": "%",
    "pixel": "px",
    "pixels": "px",
    "degree": "deg",
    "degrees": "deg",
    "nits": "nit",
    "sec": "s",
    "bits": "bit",
}
"""Units by the words that people try."""


def describe(value: Value) -> str:
    """What kind of value this is, in a word or two."""
    match value:
        case Number():
            return f"the number {value.text}"
        case Name():
            return f"the name {value.text}"
        case String():
            return "a string"
        case ListValue():
            return "a list"


def unit_of(value: Value | None, sink: Sink) -> str:
    """The unit that a number carries ("" for none, or for an unknown one, which is reported)."""
    if not isinstance(value, Number) or not value.unit:
        return ""
    if value.unit not in UNITS:
        sink.add("E401", f"unknown unit {value.unit}", value.span, hint=unit_hint(value.unit))
        return ""
    return value.unit


def unit_hint(unit: str) -> Hint:
    """What an unknown unit was meant to be."""
    known = [symbol for symbol in UNITS if symbol]
    word = SPELT_OUT.get(unit.lower())
    return f"write {word}" if word else meant(unit, known, f"units: {', '.join(known)}")


def number(value: Value, unit: str, sink: Sink, what: str) -> float | None:
    """A number in `unit`; anything else is reported, and None.

    A number without a unit is taken where none is declared, and when it is zero.
    """
    if not isinstance(value, Number):
        sink.add(
            "E407", f"{what} must be a number, not {describe(value)}", value.span, hint=f"write for example 0{unit}"
        )
        return None
    if value.unit and value.unit not in UNITS:
        unit_of(value, sink)
        return None
    if value.unit == unit:
        return value.value
    if not value.unit:
        if value.value == 0:
            return 0.0
        meaning = f"write {value.value * 100:.10g}% for a factor of {value.text}, else {value.text}%"
        hint = meaning if unit == "%" else f"write {value.text}{unit}"
        sink.add("E402", f"{what} needs the unit {unit}", value.span, "no unit", hint=hint)
        return None
    try:
        return convert(value.value, value.unit, unit)
    except ValueError as error:
        same = [u for u in UNITS if u and UNITS[u].dimension == UNITS[unit].dimension]
        hint = f"give it in {listed(same)}" if unit else "write it without a unit"
        sink.add("E402", f"{what}: {error}", value.span, hint=hint)
        return None


def array(value: ListValue, unit: str, sink: Sink, what: str) -> Array | None:
    """A rectangular list of numbers, reported when it is not one."""
    rows: list[tuple[tuple[int, ...], list[float]]] = []
    for item in value.items:
        if isinstance(item, ListValue):
            inner = array(item, unit, sink, what)
            if inner is None:
                return None
            rows.append((inner.shape, list(inner.values)))
        else:
            element = number(item, unit, sink, what)
            if element is None:
                return None
            rows.append(((), [element]))
    if not rows or len({shape for shape, _ in rows}) != 1:
        sink.add("E416", f"{what}: a list must hold one or more elements, all of the same shape", value.span)
        return None
    return Array(shape=(len(rows), *rows[0][0]), values=tuple(x for _, values in rows for x in values))


def declared_unit(range_: Range | None, default: Value, sink: Sink) -> str:
    """The unit of a parameter: that of its range, or without a range that of its default."""
    if range_ is None:
        return unit_of(default, sink)
    return unit_of(range_.low, sink) or unit_of(range_.high, sink)


def interval(range_: Range, unit: str, sink: Sink, what: str) -> tuple[float, float] | None:
    """A range whose low end is below its high end."""
    low, high = (
        number(range_.low, unit, sink, f"the low end of {what}"),
        number(range_.high, unit, sink, f"the high end of {what}"),
    )
    if low is None or high is None:
        return None
    if low >= high:
        sink.add("E403", f"{what} is empty: {low:g} is not below {high:g}", range_.span, hint="write the low end first")
        return None
    return low, high


def inside(value: float, bounds: tuple[float, float]) -> bool:
    """Whether a value lies in a closed interval."""
    return bounds[0] <= value <= bounds[1]
