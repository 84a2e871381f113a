"""Units of numbers. A number is kept as declared; programs receive the canonical value (``50%`` is 0.5)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit: the dimension that it measures, and the size of one of it in canonical units of that dimension."""

    symbol: str
    dimension: str
    scale: Fraction
    meaning: str


_ROWS = (
    ("", "ratio", Fraction(1), "a plain number"),
    ("%", "ratio", Fraction(1, 100), "hundredths"),
    ("ev", "exposure", Fraction(1), "stops: a factor of two of light each"),
    ("dB", "level", Fraction(1), "decibels"),
    ("K", "temperature", Fraction(1), "kelvin, correlated colour temperature"),
    ("mired", "reciprocal temperature", Fraction(1), "a million over kelvin"),
    ("px", "length", Fraction(1), "pixels of the image that a stage receives"),
    ("mm", "focal length", Fraction(1), "millimetres"),
    ("deg", "angle", Fraction(1), "degrees"),
    ("nit", "luminance", Fraction(1), "candela per square metre"),
    ("s", "time", Fraction(1), "seconds"),
    ("ms", "time", Fraction(1, 1000), "milliseconds"),
    ("us", "time", Fraction(1, 1_000_000), "microseconds"),
    ("bit", "width", Fraction(1), "bits of a word or a field"),
    ("lsb", "code", Fraction(1), "steps of a register code or an integer sample"),
)

UNITS: dict[str, Unit] = {
    symbol: Unit(symbol, dimension, scale, meaning) for symbol, dimension, scale, meaning in _ROWS
}
"""Every unit by its symbol; the empty symbol is a plain number."""


def convert(value: float, given: str, wanted: str) -> float:
    """Express `value` in another unit of the same dimension, rounded once.

    Raises:
        ValueError: the units measure different things.
    """
    if given == wanted:
        return value
    source, target = UNITS[given], UNITS[wanted]
    if source.dimension != target.dimension:
        names = [unit or "a plain number" for unit in (given, wanted)]
        raise ValueError(f"{names[0]} measures {source.dimension}, {names[1]} {target.dimension}")
    return float(Fraction(value) * source.scale / target.scale)


def canonical(value: float, unit: str) -> float:
    """The value that a program receives for `value` in `unit`.

    Division by an integer, rather than multiplication by an inexact fraction: 110 % is exactly the float 1.1.
    """
    scale = UNITS[unit].scale
    return value * scale.numerator / scale.denominator
