"""The parameter kinds as declared: sliders, registers, choices, toggles, and tables (curves, LUTs, matrices)."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from ispdsl.ir.location import Location


class FixedPoint(BaseModel, frozen=True):
    """A register's number format: ``u4.8`` unsigned, ``s4.8`` with a sign bit besides (two's complement), ``u8``."""

    signed: bool
    integer_bits: int
    fraction_bits: int

    @staticmethod
    def parse(text: str) -> FixedPoint | None:
        """Read ``u4.8``, ``s3.12`` or ``u8``; None when the text is no format of 1 to 32 bits."""
        match = re.fullmatch(r"([us])(\d{1,2})(?:\.(\d{1,2}))?", text)
        if not match:
            return None
        found = FixedPoint(signed=match[1] == "s", integer_bits=int(match[2]), fraction_bits=int(match[3] or 0))
        return found if 1 <= found.width <= 32 else None

    def __str__(self) -> str:
        fraction = f".{self.fraction_bits}" if self.fraction_bits else ""
        return f"{'s' if self.signed else 'u'}{self.integer_bits}{fraction}"

    @property
    def width(self) -> int:
        """Bits of the field."""
        return self.integer_bits + self.fraction_bits + self.signed

    @property
    def step(self) -> Fraction:
        """The value of one least significant bit."""
        return Fraction(1, 2**self.fraction_bits)

    @property
    def codes(self) -> tuple[int, int]:
        """Lowest and highest code as signed numbers."""
        top = 2 ** (self.integer_bits + self.fraction_bits)
        return (-top if self.signed else 0), top - 1


class BitField(BaseModel, frozen=True):
    """Where a register's bits lie: byte address, highest and lowest bit, and the format of the number."""

    address: int
    high: int
    low: int
    format: FixedPoint


class FileReference(BaseModel, frozen=True):
    """A table kept in a file beside the text, with the hash of its content."""

    path: str
    sha256: str
    found: str = Field(default="", exclude=True, repr=False)
    """Absolute path; not part of the printed form, so that it is the same on every machine. Empty in an IR that was
    read back: whoever needs the numbers looks for `path` again."""


class Array(BaseModel, frozen=True):
    """A bracketed list of numbers: its shape, and its values in row-major order."""

    shape: tuple[int, ...]
    values: tuple[float, ...]


TableValue = float | Array | Literal["identity"] | FileReference
"""Numbers that broadcast to the table's shape as numpy's do, its identity (ramp, unit matrix, grid), or a file."""


class Slider(BaseModel, frozen=True):
    """A real number within a range. `hard` is what is legal, `soft` what a search may try; all in `unit`."""

    kind: Literal["slider"] = "slider"
    name: str
    unit: str
    hard: tuple[float, float]
    soft: tuple[float, float]
    default: float
    structural: bool = False
    """Whether a type depends on it: then it is a whole number, and never free."""
    doc: str = ""
    location: Location


class Register(BaseModel, frozen=True):
    """A fixed-point number in a bit field. `hard` and `default` are physical values."""

    kind: Literal["register"] = "register"
    name: str
    unit: str = ""
    field: BitField
    hard: tuple[float, float]
    soft: tuple[float, float]
    default: float
    doc: str = ""
    location: Location


class Choice(BaseModel, frozen=True):
    """One of several names."""

    kind: Literal["choice"] = "choice"
    name: str
    options: tuple[str, ...]
    default: str
    doc: str = ""
    location: Location


class Toggle(BaseModel, frozen=True):
    """On or off."""

    kind: Literal["toggle"] = "toggle"
    name: str
    default: bool
    doc: str = ""
    location: Location


class Table(BaseModel, frozen=True):
    """An array of numbers: a ``curve`` [N], a ``lut`` of any rank, a ``matrix`` [R, C]; each element within `hard`."""

    kind: Literal["curve", "lut", "matrix"]
    name: str
    unit: str = ""
    shape: tuple[int, ...]
    hard: tuple[float, float] | None
    default: TableValue
    doc: str = ""
    location: Location


Parameter = Annotated[Slider | Register | Choice | Toggle | Table, Field(discriminator="kind")]
