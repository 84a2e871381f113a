"""The tree of a `.isp` file: what was written, where, and nothing that was not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ispdsl.source import Span

# ---- values ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Name:
    """An identifier, dotted or plain."""

    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class Number:
    """A number as written, with the unit glued on: ``0.5ev``, ``0x100``, ``50%``."""

    text: str
    span: Span

    @property
    def unit(self) -> str:
        """The letters or percent sign after the digits; hexadecimal numbers have none."""
        return "" if self._is_hexadecimal else self.text[len(self._digits) :]

    @property
    def value(self) -> float:
        """The number before its unit, as written (``50%`` is 50)."""
        return float(int(self.text, 16)) if self._is_hexadecimal else float(self._digits)

    @property
    def is_integer(self) -> bool:
        """Whether it was written without a point or an exponent."""
        return self._is_hexadecimal or self._digits.lstrip("-").isdigit()

    @property
    def _is_hexadecimal(self) -> bool:
        return self.text.lstrip("-").startswith("0x")

    @property
    def _digits(self) -> str:
        end = len(self.text)
        while end and (self.text[end - 1].isalpha() or self.text[end - 1] == "%"):
            end -= 1
        return self.text[:end]


@dataclass(frozen=True, slots=True)
class String:
    """A string in double quotes; `text` is without them. There are no escapes."""

    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class ListValue:
    """A bracketed list."""

    items: tuple[Value, ...]
    span: Span


Value = Number | Name | String | ListValue


@dataclass(frozen=True, slots=True)
class Range:
    """``low..high``."""

    low: Value
    high: Value
    span: Span


# ---- types and signatures ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TypeExpression:
    """``rgb<linear_srgb, unit>``."""

    name: Name
    args: tuple[Name | Number, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Port:
    """``name: type`` in a signature. The single unnamed result of a stage is a port without a name."""

    name: Name | None
    type: TypeExpression
    span: Span


@dataclass(frozen=True, slots=True)
class Doc:
    """The ``##`` lines before a declaration, markers and one leading space removed."""

    lines: tuple[str, ...]
    span: Span


# ---- what a stage or pipeline holds --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """``0x100[11:0]``: address, highest and lowest bit (the same for a single bit)."""

    address: Number
    high: Number
    low: Number
    span: Span


@dataclass(frozen=True, slots=True)
class Slider:
    name: Name
    hard: Range
    soft: Range | None
    default: Value
    doc: Doc | None
    span: Span


@dataclass(frozen=True, slots=True)
class Register:
    name: Name
    place: Place
    format: Name
    hard: Range | None
    soft: Range | None
    default: Value
    doc: Doc | None
    span: Span


@dataclass(frozen=True, slots=True)
class Choice:
    name: Name
    options: tuple[Name, ...]
    default: Name
    doc: Doc | None
    span: Span


@dataclass(frozen=True, slots=True)
class Toggle:
    name: Name
    default: Value
    doc: Doc | None
    span: Span


@dataclass(frozen=True, slots=True)
class Table:
    """A ``curve``, ``lut`` or ``matrix``, which `kind` says."""

    kind: Literal["curve", "lut", "matrix"]
    name: Name
    shape: tuple[Number, ...]
    hard: Range | None
    default: Value
    doc: Doc | None
    span: Span


Parameter = Slider | Register | Choice | Toggle | Table


@dataclass(frozen=True, slots=True)
class Meta:
    name: Name
    type: TypeExpression
    default: Value | None
    doc: Doc | None
    span: Span


@dataclass(frozen=True, slots=True)
class Needs:
    name: Name
    type: TypeExpression
    doc: Doc | None
    span: Span


@dataclass(frozen=True, slots=True)
class Program:
    target: String
    span: Span


@dataclass(frozen=True, slots=True)
class Proxy:
    call: Call
    span: Span


@dataclass(frozen=True, slots=True)
class Executor:
    call: Call
    span: Span


@dataclass(frozen=True, slots=True)
class Predictor:
    """``predictor "file.safetensors"``."""

    path: String
    span: Span


@dataclass(frozen=True, slots=True)
class Comparison:
    left: Name
    operator: Literal["==", "!=", "<=", ">=", "<", ">"]
    right: Value
    span: Span


@dataclass(frozen=True, slots=True)
class Property:
    """``property NAME [names | range | degree] [in names] [when condition] [within value]``."""

    name: Name
    names: tuple[Name, ...]
    range: Range | None
    degree: Number | None
    inside: tuple[Name, ...]
    when: tuple[Comparison, ...]
    within: Value | None
    span: Span


# ---- dataflow --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Argument:
    """``value`` or ``name = [fixed] value``."""

    name: Name | None
    fixed: bool
    value: Value
    span: Span


@dataclass(frozen=True, slots=True)
class Call:
    """``stage(arguments) as alias``; ``-> stage`` without parentheses is a call without arguments."""

    name: Name
    arguments: tuple[Argument, ...]
    alias: Name | None
    parentheses: bool
    span: Span


@dataclass(frozen=True, slots=True)
class Tap:
    """``-> tap name``."""

    name: Name
    span: Span


@dataclass(frozen=True, slots=True)
class Flow:
    """``targets = head -> step -> step``. A head that is a `Name` refers to a value."""

    targets: tuple[Name, ...]
    head: Name | Call
    steps: tuple[Call | Tap, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Stat:
    """``stat name = call of [previous] value``."""

    name: Name
    call: Call
    of: Name
    previous: bool
    doc: Doc | None
    span: Span


Part = Parameter | Meta | Needs
"""What a caller may give by name."""

Item = Parameter | Meta | Needs | Stat | Flow | Program | Proxy | Executor | Predictor | Property


# ---- files -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Import:
    """``from origin import names``; an origin in quotes is a path beside the file."""

    origin: Name | String
    names: tuple[Name, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Declaration:
    """A ``stage`` or a ``pipeline``, which `kind` says; its items in the order of the text."""

    kind: Literal["stage", "pipeline"]
    name: Name
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    items: tuple[Item, ...]
    doc: Doc | None
    span: Span


@dataclass(frozen=True, slots=True)
class Comment:
    """A ``#`` comment with its marker; `own_line` when nothing stands before it on its line."""

    text: str
    own_line: bool
    span: Span


@dataclass(frozen=True, slots=True)
class File:
    imports: tuple[Import, ...]
    declarations: tuple[Declaration, ...]
    comments: tuple[Comment, ...]
    span: Span
