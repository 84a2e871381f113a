"""Lines of text: how a statement is broken where it is too long, and how the ends of lines are aligned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WIDTH = 120
"""Columns of a line."""

INDENT = 2
"""Spaces for each level."""

_MAX_CELL = 40
"""A longer cell is not waited for by the cells above and below it."""


@dataclass(frozen=True)
class Group:
    """Bracketed items: on one line if they fit, else one on each line, or as many as fit where `fill` says so."""

    opening: str
    items: tuple[Text, ...]
    closing: str
    trailing_comma: bool = True
    fill: bool = False


@dataclass(frozen=True)
class Words:
    """Words that are separated by spaces, or by line ends where the line is too long."""

    words: tuple[str, ...]


Text = tuple[str | Group | Words, ...]
"""A statement, or a part of one, that may be broken within its groups."""


@dataclass(frozen=True)
class Line:
    """A line as it will be printed, with the comment behind it.

    `blank` asks for an empty line before it; the comment of one that is `alone` is not aligned with others.
    """

    text: str
    comment: str = ""
    blank: bool = False
    alone: bool = False


def flat(text: Text) -> str:
    """A text on one line."""
    return "".join(map(_flat, text))


def _flat(part: str | Group | Words) -> str:
    match part:
        case str():
            return part
        case Words():
            return " ".join(part.words)
        case Group():
            return part.opening + ", ".join(map(flat, part.items)) + part.closing


def broken(text: Text, indent: int, start: str) -> list[str]:
    """A text as lines of at most `WIDTH` where its groups and words allow, the first of them after `start`."""
    line = start
    lines: list[str] = []
    for index, part in enumerate(text):
        if isinstance(part, Words):
            *first, line = _wrapped(part, indent + 2 * INDENT, line)
            lines += first
        elif isinstance(part, str) or not part.items or len(line) + len(flat(text[index:])) <= WIDTH:
            line += _flat(part)
        else:
            lines.append(line + part.opening)
            lines += _items(part, indent + INDENT)
            line = " " * indent + part.closing
    return [*lines, line]


def _wrapped(part: Words, indent: int, start: str) -> list[str]:
    lines = [start]
    for index, word in enumerate(part.words):
        if index and len(lines[-1]) + 1 + len(word) > WIDTH:
            lines.append(" " * indent + word)
        else:
            lines[-1] += " " * (index > 0) + word
    return lines


def _items(group: Group, indent: int) -> list[str]:
    lines: list[str] = []
    for index, item in enumerate(group.items):
        comma = "," if group.trailing_comma or index + 1 < len(group.items) else ""
        if group.fill and lines and len(lines[-1]) + 1 + len(flat(item)) + len(comma) <= WIDTH:
            lines[-1] += f" {flat(item)}{comma}"
            continue
        *first, last = broken(item, indent, " " * indent)
        lines += [*first, last + comma]
    return lines


def column_widths(rows: Iterable[Sequence[str]]) -> list[int]:
    """The width of each column of cells."""
    widths: list[int] = []
    for row in rows:
        widths += [0] * (len(row) - len(widths))
        for column, cell in enumerate(row):
            if len(cell) <= _MAX_CELL:
                widths[column] = max(widths[column], len(cell))
    return widths


def joined(lines: Iterable[Line]) -> str:
    """The lines as a text; comments of lines that stand together begin in the same column if they all fit."""
    block: list[Line] = []
    blocks = [block]
    for line in lines:
        if line.blank or line.alone or (block and block[-1].alone):
            block = []
            blocks.append(block)
        block.append(line)
    return "".join(map(_aligned, blocks))


def _aligned(block: Sequence[Line]) -> str:
    column = max((len(line.text) for line in block if line.comment), default=0) + 2
    fits = all(column + len(line.comment) <= WIDTH for line in block if line.comment)
    parts: list[str] = []
    for line in block:
        text = line.text.ljust(column if fits else len(line.text) + 2) + line.comment if line.comment else line.text
        parts += ["\n" if line.blank else "", text, "\n"]
    return "".join(parts)
