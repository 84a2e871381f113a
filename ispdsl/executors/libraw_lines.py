"""How the text ties parameters to LibRaw's keywords: one line for each keyword.

    KEYWORD = VALUE [, VALUE ...] [when TOGGLE | when CHOICE is OPTION]

A value is a parameter of the stage, a number, ``on`` or ``off``, or a name that the keyword knows, as in
``output_color = sRGB``.

Of several lines for one keyword the first whose ``when`` holds speaks; where none does, LibRaw keeps its default.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ispdsl.executors import libraw_keywords as rawpy_keywords
from ispdsl.executors.libraw_keywords import Keyword, Scalar
from ispdsl.ir.model import Signature
from ispdsl.ir.params import Choice, Parameter, Toggle

FORM = re.compile(r"(\w+)\s*=\s*([^=]+?)(?:\s+when\s+(\w+)(?:\s+is\s+(\w+))?)?")
NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
SWITCH = {"on": True, "off": False}


@dataclass(frozen=True)
class Line:
    """A line: the keyword, its values as written, and the toggle or choice (with its option) on which it depends."""

    keyword: Keyword
    values: tuple[str, ...]
    when: str | None = None
    option: str | None = None

    def holds(self, settings: Mapping[str, Scalar]) -> bool:
        """Whether its ``when`` holds."""
        return self.when is None or settings[self.when] == (True if self.option is None else self.option)


def read(text: str, signature: Signature) -> Line:
    """A line of a stage.

    Raises:
        ValueError: it is no line, or names a keyword, parameter or option that does not exist.
    """
    match = FORM.fullmatch(text.strip())
    if match is None:
        raise ValueError(f'"{text}" is no line of the form "keyword = parameter"')
    parameters = {each.name: each for each in signature.parameters}
    line = Line(rawpy_keywords.find(match[1]), tuple(re.split(r"\s*,\s*", match[2])), match[3], match[4])
    if line.when is not None:
        _check_condition(line.when, line.option, parameters)
    return line


def _check_condition(name: str, option: str | None, parameters: Mapping[str, Parameter]) -> None:
    declared = parameters.get(name)
    if declared is None:
        raise ValueError(f"when {name}: the stage has no such parameter")
    if option is None and not isinstance(declared, Toggle):
        raise ValueError(f"when {name}: it is no toggle; say which option: when {name} is ...")
    if option is not None and not (isinstance(declared, Choice) and option in declared.options):
        raise ValueError(f"when {name} is {option}: {name} has no such option")


def check(lines: Iterable[Line], parameters: Sequence[Parameter]) -> None:
    """Make sure that every value that the parameters can take can be told.

    Raises:
        ValueError: one cannot.
    """
    spoken: dict[str, list[Line]] = {}
    for line in lines:
        earlier = spoken.setdefault(line.keyword.name, [])
        for settings in _samples(line, parameters):
            if line.holds(settings) and not any(other.holds(settings) for other in earlier):
                _value(line, settings)
        earlier.append(line)


def _samples(line: Line, parameters: Sequence[Parameter]) -> list[dict[str, Scalar]]:
    """Settings at which everything but the choices and toggles of a line stays at its default."""
    samples: list[dict[str, Scalar]] = [{}]
    for parameter in parameters:
        match parameter:
            case Choice(options=options):
                values: tuple[Any, ...] = options if parameter.name in (*line.values, line.when) else options[:1]
            case Toggle():
                values = (True, False)
            case _:
                values = (parameter.default,)
        samples = [{**sample, parameter.name: value} for sample in samples for value in values]
    return samples


def told(lines: Iterable[Line], settings: Mapping[str, Scalar]) -> dict[str, Any]:
    """What LibRaw is told at these settings, in canonical units, by keyword.

    Raises:
        ValueError: a value cannot be told.
    """
    found: dict[str, Any] = {}
    for line in lines:
        if line.keyword.name not in found and line.holds(settings):
            found[line.keyword.name] = _value(line, settings)
    return found


def _value(line: Line, settings: Mapping[str, Scalar]) -> Any:
    return rawpy_keywords.told(line.keyword, [_read(word, settings) for word in line.values])


def _read(word: str, settings: Mapping[str, Scalar]) -> Scalar:
    if word in settings:
        return settings[word]
    if word in SWITCH:
        return SWITCH[word]
    return float(word) if NUMBER.fullmatch(word) else word
