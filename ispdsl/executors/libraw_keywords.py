"""What LibRaw can be told: the keywords of rawpy's `Params`, as rawpy itself declares them. Here is no list of them."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from ispdsl.diagnostics import nearest
from ispdsl.executors.faults import ExecutorError, Fault

GET = "python -m pip install rawpy"

Scalar = bool | float | str
"""A value of the text: on or off, a number, a word."""

Told = Mapping[str, Any]
"""What LibRaw is told, by keyword, as JSON holds it: the member of an enumeration is its name."""

OWN: Mapping[str, str] = {
    "output_bps": "the storage of the output decides it: 8 bits for u8, 16 for u16 and unit",
    "user_flip": "the picture comes as the sensor lay; the orientation is applied when it is written",
}
"""Keywords that the executor itself answers for, and why the text cannot."""


@dataclass(frozen=True)
class Keyword:
    """A keyword of `rawpy.Params`: the kinds of values that it takes, in a row of them or alone, and its default."""

    name: str
    kinds: tuple[type, ...]
    row: type[list[Any]] | type[tuple[Any, ...]] | None
    default: Any

    @property
    def names(self) -> type[Enum] | None:
        """The enumeration that it chooses from, if it does."""
        return next((kind for kind in self.kinds if issubclass(kind, Enum)), None)

    @property
    def is_file(self) -> bool:
        """Whether its value is the path of a file."""
        return str in self.kinds


@cache
def keywords() -> Mapping[str, Keyword]:
    """Every keyword of the installed rawpy.

    Raises:
        ExecutorError: rawpy is not installed.
    """
    try:
        import rawpy
    except ImportError as error:
        raise ExecutorError(Fault.ABSENT, f"LibRaw is not here: {error}", GET) from error

    hints = get_type_hints(rawpy.Params.__init__)
    parameters = inspect.signature(rawpy.Params.__init__).parameters
    return {name: _keyword(name, hint, parameters[name].default) for name, hint in hints.items() if name != "return"}


def _keyword(name: str, hint: Any, default: Any) -> Keyword:
    several = get_origin(hint) in (Union, UnionType)
    choices = [each for each in (get_args(hint) if several else (hint,)) if each is not type(None)]
    rows = [each for each in choices if get_origin(each) in (list, tuple)]
    kinds = [kind for row in rows for kind in get_args(row)] if rows else choices
    return Keyword(name, tuple(dict.fromkeys(kinds)), get_origin(rows[0]) if rows else None, default)


def find(name: str) -> Keyword:
    """The keyword of a name.

    Raises:
        ValueError: rawpy has none of this name, or the text has no say in it.
    """
    if name in OWN:
        raise ValueError(f"{name} is not the text's to say: {OWN[name]}")
    known = keywords()
    if name not in known:
        near = nearest(name, known)
        raise ValueError(
            f"LibRaw has no parameter {name}; " + (f"did you mean {near}?" if near else "see rawpy.Params")
        )
    return known[name]


def told(keyword: Keyword, values: Sequence[Scalar]) -> Any:
    """A value for a keyword, as JSON holds it.

    Numbers of whole-numbered keywords are rounded, half to even, as a register's are to its codes.

    Raises:
        ValueError: the keyword takes no such value, or this LibRaw was built without what it names.
    """
    if keyword.row is not None:
        return [_scalar(keyword, value) for value in values]
    if len(values) != 1:
        raise ValueError(f"{keyword.name} takes one value, not {len(values)}")
    return _scalar(keyword, values[0])


def _scalar(keyword: Keyword, value: Scalar) -> Any:
    kinds = keyword.kinds
    if isinstance(value, bool):
        if bool not in kinds:
            raise ValueError(f"{keyword.name} is not switched on or off")
        return value
    if isinstance(value, str):
        return value if keyword.is_file else _member(keyword, value).name
    if float in kinds:
        return float(value)
    if int in kinds:
        return round(value)
    raise ValueError(f"{keyword.name} takes no number")


def _member(keyword: Keyword, word: str) -> Enum:
    """The member of an enumeration that a word of the text means: letters count, case and underscores do not."""
    names = keyword.names
    if names is None:
        raise ValueError(f"{keyword.name} takes no word, and {word} is none of the stage's parameters")
    found = next((member for member in names if _plain(member.name) == _plain(word)), None)
    if found is None:
        raise ValueError(f"{keyword.name} knows no {word}; it is one of {', '.join(member.name for member in names)}")
    if getattr(found, "isSupported", None) is False:
        raise ValueError(f"this LibRaw was built without {keyword.name} {word}")
    return found


def _plain(name: str) -> str:
    return name.replace("_", "").casefold()


def parameters(told: Told, **own: Any) -> Any:
    """`rawpy.Params` of what LibRaw is told, and of what the executor itself says."""
    import rawpy

    known = keywords()
    values = {name: _native(known[name], value) for name, value in told.items()}
    params = rawpy.Params(**values, **own)
    for name, value in vars(params).items():
        if isinstance(value, str):  # rawpy 0.28 takes the path of a file as text, and then hands it on only as bytes
            setattr(params, name, os.fsencode(value))
    return params


def _native(keyword: Keyword, value: Any) -> Any:
    """A value from JSON as rawpy takes it."""
    if keyword.row is not None:
        return keyword.row(value)
    names = keyword.names
    return names[value] if names is not None and isinstance(value, str) else value


def unusual(told: Told) -> dict[str, Any]:
    """What of it differs from rawpy's defaults."""
    usual = {name: keywords()[name].default for name in told}
    plain = {name: value.name if isinstance(value, Enum) else value for name, value in usual.items()}
    return {name: value for name, value in told.items() if value != plain[name]}


def written(told: Told) -> str:
    """What LibRaw is told that it would not do by itself, for messages."""
    said = ", ".join(f"{name} = {value}" for name, value in unusual(told).items())
    return f"it was told {said}" if said else "it was told nothing"
