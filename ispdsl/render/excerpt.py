"""Lines of a source with markers under what the labels point at."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

from ispdsl.diagnostics import Label
from ispdsl.render.characters import clean, shown, width
from ispdsl.source import Source

CUT = "…"


@dataclass(frozen=True)
class Mark:
    """What to draw under one line: columns counted from 0, half open; the text of the label on its last line only."""

    line: int
    start: int
    end: int
    text: str
    primary: bool


@dataclass(frozen=True)
class Row:
    """A row of an excerpt: a numbered line, a row of markers (`number` is None), or a gap between lines."""

    number: int | None
    text: str
    style: str = "plain"


def marks(label: Label, primary: bool) -> list[Mark]:
    """The marks of a label: one on its line, or one on the first and one on the last of several lines."""
    source, size = label.source, len(label.source.text)
    start, end = min(label.span.start, size), min(max(label.span.end, label.span.start), size)
    first, column = source.position(start)
    last, end_column = source.position(end)
    if last > first and end_column == 1:  # the span holds a line's end and nothing of the next line
        last, end_column = last - 1, len(source.line(last - 1)) + 1
    if first == last:
        return [Mark(first, column - 1, max(end_column - 1, column), label.text, primary)]
    tail = source.line(last)
    indent = min(len(tail) - len(tail.lstrip()), end_column - 1)
    return [
        Mark(first, column - 1, max(len(source.line(first)), column), "", primary),
        Mark(last, indent, max(end_column - 1, indent + 1), label.text, primary),
    ]


def excerpt(source: Source, found: list[Mark], columns: int) -> list[Row]:
    """The marked lines in order, each at most `columns` wide; a gap of one line is filled, a longer one dotted."""
    rows: list[Row] = []
    numbers = sorted({mark.line for mark in found})
    for position, number in enumerate(numbers):
        if position and number - numbers[position - 1] == 2:
            rows.append(Row(number - 1, _View.of(source.line(number - 1), 0, columns).text))
        elif position and number - numbers[position - 1] > 2:
            rows.append(Row(None, "", "gap"))
        here = sorted((m for m in found if m.line == number), key=lambda m: (not m.primary, m.start, m.end))
        view = _View.of(source.line(number), here[0].start, columns, here[0].end - here[0].start)
        rows.append(Row(number, view.text))
        rows.extend(Row(None, view.under(mark), "primary" if mark.primary else "related") for mark in here)
    return rows


@dataclass(frozen=True)
class _View:
    """The part of a line that is shown: its text, and the column at which each character from `first` on begins."""

    text: str
    first: int
    starts: tuple[int, ...]

    @staticmethod
    def of(line: str, focus: int, columns: int, length: int = 1) -> _View:
        """Cut a line that is wider than `columns` to the part around `focus`, with an ellipsis where it was cut."""
        first = 0
        if len(line) > columns or width("".join(map(shown, line))) > columns:
            ahead = width(
                "".join(map(shown, line[focus : focus + min(max(length, columns // 2), columns - columns // 4)]))
            )
            first, room = min(focus, len(line)), columns - 2 - min(ahead, columns - columns // 4)
            while first and (room := room - width(shown(line[first - 1]))) >= 0:
                first -= 1
        lead = CUT if first else ""
        cells: list[str] = []
        used = len(lead)
        for character in line[first : first + columns]:
            cell = shown(character)
            if used + width(cell) > columns - 1 and first + len(cells) + 1 < len(line):
                break
            cells.append(cell)
            used += width(cell)
        cut = first + len(cells) < len(line)
        starts = tuple(accumulate((width(cell) for cell in cells), initial=len(lead)))
        return _View(lead + "".join(cells) + (CUT if cut else ""), first, starts)

    def under(self, mark: Mark) -> str:
        """The row of markers for a mark; what lies outside of the view is drawn at its edge."""
        start, end = self._column(mark.start), self._column(mark.end)
        stroke = ("^" if mark.primary else "-") * max(end - start, 1)
        return " " * start + stroke + (f" {clean(mark.text)}" if mark.text else "")

    def _column(self, index: int) -> int:
        return self.starts[max(0, min(index - self.first, len(self.starts) - 1))]
