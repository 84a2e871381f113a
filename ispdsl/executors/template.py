"""Placeholders in argument lists and settings files: ``{image}``, ``{exposure.ev:.3f}``, ``{wb.temperature in K:d}``.

A placeholder is a brace, directly a name, optionally ``in UNIT``, optionally ``:`` and a format, and the closing brace,
all on one line. Every other brace stands for itself, so JSON and spaced CSS need nothing done to them. A text that
would read as a placeholder and is none is written with its braces doubled: ``{{color:red}}`` gives ``{color:red}``. For
texts full of such, a template may have marks of its own: ``marks = ["<<", ">>"]``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ispdsl.diagnostics import nearest
from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.ir.params import Choice, Parameter, Register, Slider, Table, Toggle
from ispdsl.ir.units import UNITS, convert
from ispdsl.runtime.faces import elements, to_code
from ispdsl.runtime.slots import PhysicalValue, Slot

BRACES = ("{", "}")

_NAME = r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*"
_BODY = (
    r"(?P<name>beside/[^{{}}<>:|\n]+|" + _NAME + r")"
    r"(?:\[(?P<index>\d+(?:,\s*\d+)*)\])?"
    r"(?: in (?P<unit>[A-Za-z%]+))?"
    r"(?::(?P<format>{inside}))?"
)
_NUMBER = re.compile(r"\+?0?\d{0,2}(?:\.\d{1,2})?[dfeg]?")


@dataclass(frozen=True)
class Placeholder:
    """A placeholder as written.

    Attributes:
        text: with its marks, for messages.
        name: address of a parameter, or what the executor itself gives.
        index: of one element of a table; empty for the whole.
        unit: that the number is wanted in; None for the declared one.
        format: what stands behind the colon; empty for the usual one.
        line: in the text, counted from 1.
    """

    text: str
    name: str
    index: tuple[int, ...] = ()
    unit: str | None = None
    format: str = ""
    line: int = 1


Template = tuple[str | Placeholder, ...]
"""A text in pieces: what is copied, and what is filled in."""

Render = Callable[[PhysicalValue], str]
"""The text of a value."""


class TemplateError(ValueError):
    """A placeholder that cannot be filled in: `message` says which and why, `hint` how to mend it."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(f"{message}; {hint}" if hint else message)
        self.message = message
        self.hint = hint


def parse(text: str, marks: tuple[str, str] = BRACES) -> Template:
    """A text in pieces.

    Args:
        text: any text.
        marks: what stands before and behind a placeholder.
    """
    pieces: list[str | Placeholder] = []
    plain, line, at = "", 1, 0
    for found in _pattern(marks).finditer(text):
        plain += text[at : found.start()]
        line += text.count("\n", at, found.start())
        at = found.end()
        if found["doubled"]:
            plain += found["doubled"][len(marks[0]) : -len(marks[1])]
            continue
        if plain:
            pieces.append(plain)
        plain = ""
        index = tuple(int(number) for number in found["index"].split(",")) if found["index"] else ()
        pieces.append(Placeholder(found[0], found["name"], index, found["unit"], found["format"] or "", line))
    plain += text[at:]
    return (*pieces, plain) if plain else tuple(pieces)


def _pattern(marks: tuple[str, str]) -> re.Pattern[str]:
    left, right = (re.escape(mark) for mark in marks)
    inside = rf"(?:(?!{left}|{right})[^\n])*"
    body = _BODY.replace("{inside}", inside).replace("{{}}", "{}")
    unnamed = re.sub(r"\?P<\w+>", "?:", body)
    return re.compile(rf"(?P<doubled>{left}{left}{unnamed}{right}{right})|{left}{body}{right}")


def placeholders(template: Template) -> tuple[Placeholder, ...]:
    """The placeholders of a template, in order."""
    return tuple(piece for piece in template if isinstance(piece, Placeholder))


def fill(template: Template, texts: Mapping[Placeholder, str]) -> str:
    """The text with every placeholder filled in."""
    return "".join(piece if isinstance(piece, str) else texts[piece] for piece in template)


# ---- parameters ---------------------------------------------------------------------------------------------


def unknown(placeholder: Placeholder, given: Iterable[str], slots: Sequence[Slot]) -> TemplateError:
    """What to say of a placeholder that names nothing."""
    addresses = [slot.address for slot in slots]
    known = [*given, *addresses]
    last = placeholder.name.rpartition(".")[2]
    near = nearest(placeholder.name, known)
    near = next((address for address in addresses if address.rpartition(".")[2] == last), near)
    names = ", ".join(f"{{{name}}}" for name in known[:40]) + (", ..." if len(known) > 40 else "")
    hint = f"did you mean {{{near}}}?" if near else f"known are {names}"
    hint += f" (a text that is no placeholder is written {{{placeholder.text}}})"
    return TemplateError(f"{placeholder.text} names nothing", hint)


def renderer(placeholder: Placeholder, slot: Slot) -> Render:
    """How a parameter's value becomes the text that stands for this placeholder.

    Raises:
        TemplateError: the unit, the format or the element does not fit the parameter.
    """
    declaration = slot.declaration
    what = f"{placeholder.text}: {slot.address}"
    if placeholder.index and not isinstance(declaration, Table):
        raise TemplateError(f"{what} is a {declaration.kind} and has no elements")
    if placeholder.unit is not None and isinstance(declaration, Choice | Toggle):
        raise TemplateError(f"{what} is a {declaration.kind} and has no unit")
    match declaration:
        case Choice():
            return _choice(placeholder, declaration, what)
        case Toggle():
            return _toggle(placeholder, what)
        case Table():
            return _table(placeholder, declaration, what)
        case Slider() | Register():
            return _scalar(placeholder, declaration, what)


def _choice(placeholder: Placeholder, declaration: Choice, what: str) -> Render:
    """The option's name, or the text that ``NAME=TEXT|...`` or ``TEXT|TEXT|...`` gives for it."""
    if not placeholder.format:
        return str
    texts = placeholder.format.split("|")
    options = declaration.options
    pairs = [text.partition("=") for text in texts]
    if all(name in options and equals for name, equals, _ in pairs):
        table = dict(zip(options, options, strict=True)) | {name: text for name, _, text in pairs}
    elif len(texts) == len(options):
        table = dict(zip(options, texts, strict=True))
    else:
        wrong = next((name for name, equals, _ in pairs if equals and name not in options), None)
        near = nearest(wrong, options) if wrong else None
        message = f"{what} has no option {wrong}" if wrong else f"{what} has {len(options)} options, not {len(texts)}"
        hint = f"did you mean {near}?" if near else f"write a text for each of {', '.join(options)}, or OPTION=TEXT"
        raise TemplateError(message, hint)
    return lambda value: table[str(value)]


def _toggle(placeholder: Placeholder, what: str) -> Render:
    """The text for on and the text for off."""
    texts = (placeholder.format or "true|false").split("|")
    if len(texts) != 2:
        raise TemplateError(f"{what} is a toggle", "write the texts for on and for off: {name:true|false}")
    return lambda value: texts[0] if value else texts[1]


def _scalar(placeholder: Placeholder, declaration: Slider | Register, what: str) -> Render:
    """A number in the unit that is asked for, or the code of a register."""
    if placeholder.format == "code":
        if not isinstance(declaration, Register):
            raise TemplateError(f"{what} is a slider and has no code", "write a format of numbers, such as .3f or d")
        return lambda value: str(to_code(declaration, value, nearest=True))
    scale = _scale(placeholder, declaration, what)
    write = _number(placeholder.format, what)
    return lambda value: write(scale(float(value)))  # type: ignore[arg-type]


def _table(placeholder: Placeholder, declaration: Table, what: str) -> Render:
    """One element of a table, or all: ``FORMAT|SEPARATOR|SEPARATOR OF ROWS``."""
    shape, index = declaration.shape, placeholder.index
    form, *separators = placeholder.format.split("|")
    scale = _scale(placeholder, declaration, what)
    write = _number(form, what)
    if index:
        if len(index) != len(shape) or any(at >= size for at, size in zip(index, shape, strict=True)):
            by = " x ".join(map(str, shape))
            raise TemplateError(f"{what} has {by} elements, counted from 0", "write an index for each of its axes")
        place = int(np.ravel_multi_index(index, shape))
        return lambda value: write(scale(_elements(declaration, value)[place]))
    between = separators[0] if separators else ","
    rows = separators[1] if len(separators) > 1 else between

    def whole(value: PhysicalValue) -> str:
        texts = [write(scale(number)) for number in _elements(declaration, value)]
        length = shape[-1]
        return rows.join(between.join(texts[start : start + length]) for start in range(0, len(texts), length))

    return whole


def _elements(declaration: Table, value: PhysicalValue) -> tuple[float, ...]:
    """The numbers of a table.

    Raises:
        ExecutorError: they are kept in a file, or do not broadcast.
    """
    try:
        return elements(declaration, value)  # type: ignore[arg-type]
    except ValueError as error:
        message = f"{declaration.name} cannot be written down: {error}"
        raise ExecutorError(Fault.SETTINGS, message, "write its numbers in brackets") from None


def _scale(placeholder: Placeholder, declaration: Parameter, what: str) -> Callable[[float], float]:
    """From the declared unit to the one that is asked for."""
    given = "" if isinstance(declaration, Choice | Toggle) else declaration.unit
    wanted = placeholder.unit
    if wanted is None or wanted == given:
        return lambda number: number
    if wanted == "one":  # a plain number: 50% as 0.5
        wanted = ""
    if wanted not in UNITS:
        near = nearest(wanted, UNITS)
        hint = f"did you mean {near}?" if near else f"it is one of {', '.join(unit for unit in UNITS if unit)}, one"
        raise TemplateError(f"{placeholder.text}: there is no unit {wanted}", hint)
    if {given, wanted} == {"K", "mired"}:
        return lambda number: 1e6 / number
    try:
        convert(1.0, given, wanted)
    except ValueError as error:
        raise TemplateError(f"{what} is declared in {given or 'plain numbers'}: {error}") from None
    return lambda number: convert(number, given, wanted)


def _number(form: str, what: str) -> Callable[[float], str]:
    """Digits of a number: by a format of Python's, or the fewest that read back as the same number."""
    if not form:
        return digits
    if not _NUMBER.fullmatch(form):
        hint = "write for example .3f (three decimals), d (nearest whole number), e, g, +.2f or 04d"
        raise TemplateError(f"{what} is a number, and {form!r} is no format of one", hint)
    if form.endswith("d"):
        if "." in form:
            raise TemplateError(f"{what}: a whole number has no decimals", "write d, or for example .2f")
        return lambda number: format(round(number), form)

    def written(number: float) -> str:
        text = format(number, form)
        return text.replace("-", "", 1) if text.startswith("-") and float(text) == 0 else text

    return written


def digits(number: float) -> str:
    """The fewest digits that read back as the same number, without an exponent; whole numbers without a point."""
    text = np.format_float_positional(number, trim="-")
    return "0" if text == "-0" else text
