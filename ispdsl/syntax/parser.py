"""From text to tree."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from lark import Lark

from ispdsl.diagnostics import Diagnostic
from ispdsl.source import Source, Span
from ispdsl.syntax import tree
from ispdsl.syntax.build import build


@dataclass(frozen=True)
class Parsed:
    """What was understood of a text, and what was wrong with the rest."""

    tree: tree.File
    diagnostics: tuple[Diagnostic, ...] = ()


@cache
def grammar() -> Lark:
    """The parser that lark makes of `isp.lark`."""
    text = Path(__file__).with_name("isp.lark").read_text(encoding="utf-8")
    return Lark(text, parser="lalr", lexer="contextual", propagate_positions=True, maybe_placeholders=True)


def parse(source: Source) -> Parsed:
    """The tree of a text."""
    file = build(grammar().parse(source.text))
    comments = tuple(
        tree.Comment(m[2].rstrip(), not m[1].strip(), Span(m.start(2), m.start(2) + len(m[2].rstrip())))
        for m in re.finditer(r"^((?:[^\"#\n]|\"[^\"\n]*\")*)(#(?!#)[^\n]*)", source.text, re.M)
    )
    return Parsed(replace(file, comments=comments, span=Span(0, len(source.text))))
