"""From text to tree by lark, with every syntax error of the text in one go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from functools import cache
from pathlib import Path

from lark import Lark
from lark.exceptions import UnexpectedInput

from ispdsl.diagnostics import Diagnostic, Label, Report
from ispdsl.source import Source, Span
from ispdsl.syntax import tree
from ispdsl.syntax.build import build
from ispdsl.syntax.limits import MAX_ERRORS, MAX_NODES
from ispdsl.syntax.parsed import Parsed
from ispdsl.syntax.recover import recover
from ispdsl.syntax.scan import scan, too_many_nodes


@cache
def _grammar(*start: str) -> Lark:
    """The parser that lark makes of `isp.lark`; it takes a tenth of a second, once."""
    text = Path(__file__).with_name("isp.lark").read_text(encoding="utf-8")
    return Lark(
        text, start=list(start), parser="lalr", lexer="contextual", propagate_positions=True, maybe_placeholders=True
    )


def understood(source: Source) -> Parsed:
    """What is to be understood of a text; see `ispdsl.syntax.parser.parse`."""
    whole = Span(0, len(source.text))
    scanned = scan(source)
    if scanned.fatal:
        return Parsed(tree.File((), (), (), whole), scanned.diagnostics)
    text = _blank(source.text, [d.primary.span for d in scanned.diagnostics if d.code == "W101"])
    found = list(scanned.diagnostics)
    wrong = [d.primary.span for d in found if d.code != "W101"]
    file = None if wrong else _parse_good(text)
    if file is None:
        grammar = _grammar("import_", "signature", "stage_item", "pipeline_item")
        file, complaints = recover(source, text, scanned.tokens, wrong, grammar)
        found.extend(complaints)
    elif len(scanned.tokens) + len(scanned.comments) > MAX_NODES and _count(file) + len(scanned.comments) > MAX_NODES:
        return Parsed(tree.File((), (), (), whole), (too_many_nodes(source),))
    return Parsed(replace(file, comments=scanned.comments, span=whole), _at_most(source, found))


def _parse_good(text: str) -> tree.File | None:
    try:
        return build(_grammar("start").parse(text))
    except UnexpectedInput:
        return None


def _blank(text: str, spans: Sequence[Span]) -> str:
    """The text with spaces for what the grammar must not see, so that all else keeps its place."""
    parts: list[str] = []
    end = 0
    for span in spans:
        parts += [text[end : span.start], " " * (span.end - span.start)]
        end = span.end
    return "".join([*parts, text[end:]])


def _at_most(source: Source, found: Sequence[Diagnostic]) -> tuple[Diagnostic, ...]:
    report = Report.of(found)
    if len(report.errors) <= MAX_ERRORS:
        return report.diagnostics
    last = report.errors[MAX_ERRORS - 1]
    told = [d for d in report.diagnostics if d.primary.span <= last.primary.span][: MAX_ERRORS + len(report.warnings)]
    place = Label(source, last.primary.span, "the last one told")
    message = f"more than {MAX_ERRORS} errors: the rest is not told"
    return (*told, Diagnostic("E151", message, place, hint="mend the first ones and check again"))


def _count(value: object) -> int:
    """The nodes of a tree."""
    nodes = 0
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, tuple):
            waiting.extend(node)
        elif is_dataclass(node) and not isinstance(node, Span):
            nodes += 1
            waiting.extend(getattr(node, field.name) for field in fields(node))
    return nodes
