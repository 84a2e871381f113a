"""Reports as people read them: the line, a marker under the cause, what it conflicts with, how to mend it."""

from __future__ import annotations

from collections.abc import Callable

from ispdsl.diagnostics import Diagnostic, Label, Report
from ispdsl.render.characters import clean
from ispdsl.render.excerpt import Row, excerpt, marks
from ispdsl.source import Source

STYLES = {
    "error": "1;31",
    "warning": "1;33",
    "message": "1",
    "gutter": "1;34",
    "related": "1;34",
    "note": "1;36",
}
"""Select Graphic Rendition parameters (ECMA-48, 8.3.117)."""

NARROWEST = 40

Paint = Callable[[str, str], str]


def render(report: Report, colour: bool = False, width: int = 100) -> str:
    """Show every diagnostic with its excerpt, then how many there are.

    Args:
        report: what was found; an empty report gives an empty text.
        colour: whether to colour with ANSI escapes.
        width: columns of the terminal; source lines are cut around the marker to fit.
    """
    if not report.diagnostics:
        return ""
    paint = _paint if colour else _plain
    blocks = [_block(diagnostic, paint, max(width, NARROWEST)) for diagnostic in report.diagnostics]
    return "\n\n".join([*blocks, summary(report)]) + "\n"


def summary(report: Report) -> str:
    """``2 errors, 1 warning``; parts that are zero are left out."""
    counts = [(len(report.errors), "error"), (len(report.warnings), "warning")]
    parts = [f"{count} {word}{'s' if count > 1 else ''}" for count, word in counts if count]
    return ", ".join(parts) or "no errors"


def _plain(text: str, style: str) -> str:
    return text


def _paint(text: str, style: str) -> str:
    return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if text and style in STYLES else text


def _block(diagnostic: Diagnostic, paint: Paint, width: int) -> str:
    """One diagnostic: its heading, its excerpts by file (the primary one first), its notes."""
    severity = diagnostic.severity.value
    by_source: dict[Source, list[Label]] = {diagnostic.primary.source: [diagnostic.primary]}
    for label in diagnostic.related:
        by_source.setdefault(label.source, []).append(label)
    excerpts = [
        (labels[0], [mark for label in labels for mark in marks(label, label is diagnostic.primary)])
        for labels in by_source.values()
    ]
    gutter = len(str(max(mark.line for _, found in excerpts for mark in found)))
    bar = " " * gutter + " |"
    heading = paint(f"{severity}[{diagnostic.code}]", severity) + paint(f": {clean(diagnostic.message)}", "message")
    lines = [heading]
    for position, (label, found) in enumerate(excerpts):
        arrow = ":::" if position else "-->"
        lines.append(f"{' ' * gutter}{paint(arrow, 'gutter')} {_place(label)}")
        lines.append(paint(bar, "gutter"))
        rows = excerpt(label.source, found, width - gutter - 4)  # a marker may stand one past the end
        lines.extend(_row(row, gutter, severity, paint) for row in rows)
        lines.append(paint(bar, "gutter"))
    notes = [("see", f"ispdsl explain {diagnostic.code}")]
    if diagnostic.hint:
        notes.insert(0, ("hint", diagnostic.hint))
    for name, text in notes:
        first, *others = [clean(line) for line in text.splitlines()]
        lines.append(f"{' ' * gutter} {paint('=', 'gutter')} {paint(f'{name}:', 'note')} {first}")
        lines.extend(" " * (gutter + len(name) + 5) + line for line in others)
    return "\n".join(lines)


def _place(label: Label) -> str:
    line, column = label.source.position(min(label.span.start, len(label.source.text)))
    return f"{clean(label.source.name)}:{line}:{column}"


def _row(row: Row, gutter: int, severity: str, paint: Paint) -> str:
    if row.style == "gap":
        return paint("...", "gutter")
    number = "" if row.number is None else str(row.number)
    text = paint(row.text, {"primary": severity, "related": "related"}.get(row.style, "plain"))
    return f"{paint(f'{number:>{gutter}} |', 'gutter')} {text}".rstrip()
