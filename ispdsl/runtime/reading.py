"""Values as people write them, read and written: ``0.7``, ``0.7ev``, ``50%``, ``on``, ``filmic``, ``[0, 0.5, 1]``."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from ispdsl.diagnostics import nearest
from ispdsl.ir.params import Array, Choice, FileReference, Parameter, Register, Slider, Table, Toggle
from ispdsl.ir.units import UNITS, convert
from ispdsl.runtime import faces
from ispdsl.runtime.slots import PhysicalValue

SWITCHES = {"on": True, "true": True, "yes": True, "off": False, "false": False, "no": False}

LARGEST_FILE = 160 * 2**20
"""Bytes of a table's file."""

LONGEST_TEXT = 1 << 20
DEEPEST_LIST = 8

_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([A-Za-z%]*)", re.ASCII)


def read(declaration: Parameter, given: object, folder: Path | None = None) -> PhysicalValue:
    """A legal physical value from Python or JSON data, or from text.

    Args:
        declaration: the parameter.
        given: a number, a switch, nested lists, an `Array`, or text. A number without a unit is in the declared one.
        folder: where a table's file is looked for; without it no file is read.

    Raises:
        ValueError: the wrong kind, unit or range.
    """
    if isinstance(given, list | tuple):
        given = array_of(given, declaration)
    if isinstance(given, str) and len(given) > LONGEST_TEXT:
        raise ValueError("the text is too long")
    match declaration:
        case Slider() | Register():
            value = number(given, declaration.unit) if isinstance(given, str) else given
        case Toggle():
            value = SWITCHES.get(given.strip().lower(), given) if isinstance(given, str) else given
        case Choice():
            value = given.strip() if isinstance(given, str) else given
        case Table():
            value = _table(declaration, given, folder) if isinstance(given, str) else given
    return faces.check(declaration, value)


def number(text: str, unit: str) -> float:
    """A number with or without a unit, in `unit`.

    Raises:
        ValueError: no number, an unknown unit, or one that measures something else.
    """
    match = _NUMBER.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text[:40]!r} is no number")
    value, given = float(match[1]), match[2] or unit
    if given not in UNITS:
        near = nearest(given, UNITS)
        raise ValueError(f"unknown unit {given[:20]}" + (f"; did you mean {near}?" if near else ""))
    return convert(value, given, unit)


def _table(declaration: Table, text: str, folder: Path | None) -> Any:
    text = text.strip()
    if text.startswith("["):
        return array_of(_brackets(text), declaration)
    if _NUMBER.fullmatch(text):
        return number(text, declaration.unit)
    if text.lower().endswith(".cube") and folder is not None:
        return file_reference(text, folder)
    return text


def _brackets(text: str) -> list[Any]:
    """Nested lists of the words of ``[a, [b, c]]``."""
    stack: list[list[Any]] = [[]]
    for word in re.findall(r"[\[\],]|[^\[\],\s][^\[\],]*", text):
        if word == "[":
            if len(stack) > DEEPEST_LIST:
                raise ValueError("the lists are nested too deeply")
            stack.append([])
        elif word == "]":
            if len(stack) == 1:
                raise ValueError("a bracket closes that was not opened")
            inner = stack.pop()
            stack[-1].append(inner)
        elif word != ",":
            stack[-1].append(word)
    if len(stack) != 1 or len(stack[0]) != 1:
        raise ValueError("the brackets do not match")
    return stack[0][0]


def array_of(nested: Any, declaration: Parameter) -> Array:
    """Nested lists of numbers, or of texts with units, as an `Array`.

    Raises:
        ValueError: the lists are ragged, empty, too deep, or hold something else.
    """
    shape: list[int] = []
    level = nested
    while isinstance(level, list | tuple):
        shape.append(len(level))
        if not level or len(shape) > DEEPEST_LIST:
            raise ValueError("a list is empty" if not level else "the lists are nested too deeply")
        level = level[0]
    unit = getattr(declaration, "unit", "")
    values: list[float] = []

    def gather(part: Any, depth: int) -> None:
        if depth < len(shape):
            if not isinstance(part, list | tuple) or len(part) != shape[depth]:
                raise ValueError("the rows of a list differ in length")
            for item in part:
                gather(item, depth + 1)
        elif isinstance(part, str):
            values.append(number(part, unit))
        elif isinstance(part, int | float) and not isinstance(part, bool):
            values.append(faces.finite(part))
        else:
            raise ValueError(f"{str(part)[:40]!r} in a list is no number")

    gather(nested, 0)
    return Array(shape=tuple(shape), values=tuple(values))


def file_reference(name: str, folder: Path) -> FileReference:
    """The table file `name` in `folder`, with the hash of its content.

    Raises:
        ValueError: it cannot be read, or is larger than any table.
    """
    path = folder / name
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ValueError(f"{name} is larger than {LARGEST_FILE >> 20} MiB")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ValueError(f"cannot read {name}: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"cannot read {name!r}: {error}") from error
    return FileReference(path=name, sha256=digest, found=str(path.resolve()))


def plain(declaration: Parameter, value: PhysicalValue) -> Any:
    """A value as JSON has it, which `read` reads back exactly: ``"0.7ev"``, ``0.5``, true, nested lists."""
    if isinstance(value, FileReference):
        return {"file": value.path, "sha256": value.sha256}
    if isinstance(value, Array):
        return _nested(value.values, value.shape)
    unit = getattr(declaration, "unit", "")
    if isinstance(value, float) and unit:
        return f"{value!r}".removesuffix(".0") + unit
    return value


def _nested(values: tuple[float, ...], shape: tuple[int, ...]) -> Any:
    if not shape:
        return values[0]
    size = len(values) // shape[0]
    return [_nested(values[i * size : (i + 1) * size], shape[1:]) for i in range(shape[0])]


def text(declaration: Parameter, value: PhysicalValue | None) -> str:
    """A value for people: ``0.7ev``, ``on``, ``filmic``, ``4 numbers``, a file's name."""
    if value is None:
        return "unset"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, FileReference):
        return value.path
    if isinstance(value, Array):
        return " x ".join(map(str, value.shape)) + " numbers"
    return value if isinstance(value, str) else f"{value:g}{getattr(declaration, 'unit', '')}"
