"""The canonical layout of a `.isp` file. Comments and the author's blank lines and broken chains survive.

Two spaces indent; names, addresses and types of parameters that stand together are aligned; a chain stands on one line
if it fits and was not broken, else each step has its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from ispdsl.diagnostics import IspError, Report
from ispdsl.source import Source, Span
from ispdsl.syntax import tree
from ispdsl.syntax.layout import INDENT, Line, broken, column_widths, flat, joined
from ispdsl.syntax.parser import parse
from ispdsl.syntax.phrases import Row, import_, row, signature, step, targets
from ispdsl.syntax.placing import Placed, place

_ONE_LINE = 100
_ONE_LINE_STEPS = 3
"""A chain that nobody broke is broken beyond these."""

_BESIDE = 60
"""A step that is longer has no tap beside it."""


def format_source(source: Source) -> str:
    """The text in canonical layout, with line feeds at the ends of lines.

    Raises:
        IspError: the text has syntax errors; the report holds them all.
    """
    parsed = parse(source)
    report = Report.of(parsed.diagnostics)
    if report.errors:
        raise IspError(report)
    return _format(parsed.tree, source.text)


def format_tree(file: tree.File) -> str:
    """A tree as text. Comments are placed by their spans; kinds of statements stand apart, as no text says what does.

    Names and strings must be ones that the language can write: nothing is escaped.
    """
    return _format(file, None)


@dataclass(frozen=True)
class _Statement:
    """An import, a signature, a statement, or a closing brace (no node), with its comments.

    `blank` asks for an empty line before it, comments and all; `apart` says that an empty line stands somewhere
    between it and the statement before it.
    """

    node: tree.Import | tree.Declaration | tree.Item | None
    span: Span
    level: int
    comments: Placed = field(default_factory=Placed)
    blank: bool = False
    apart: bool = False


def _format(file: tree.File, text: str | None) -> str:
    outline = list(_outline(file))
    placed, rest = place(file.comments, [statement.span for statement in outline])
    statements: list[_Statement] = []
    for statement, comments in zip(outline, placed, strict=True):
        before = statements[-1] if statements else None
        statements.append(_spaced(replace(statement, comments=comments), before, text))
    lines = [line for run in _runs(statements) for line in _run(run, text)]
    for comment in rest:
        lines.append(Line(comment.text, blank=bool(lines) and _blank_before(text, comment.span.start)))
    return joined(lines)


def _outline(file: tree.File) -> Iterator[_Statement]:
    """All statements in their order, without their comments."""
    for each in file.imports:
        yield _Statement(each, each.span, 0)
    for declaration in file.declarations:
        ends = [declaration.name.span, *(port.span for port in (*declaration.inputs, *declaration.outputs))]
        yield _Statement(declaration, Span(_start(declaration), max(span.end for span in ends)), 0)
        for item in declaration.items:
            yield _Statement(item, Span(_start(item), item.span.end), 1)
        yield _Statement(None, Span(declaration.span.end - 1, declaration.span.end), 0)


def _start(node: tree.Declaration | tree.Item) -> int:
    """Where a node begins, its doc included."""
    doc = _doc(node)
    return doc.span.start if doc else node.span.start


def _doc(node: object) -> tree.Doc | None:
    return getattr(node, "doc", None)


# ---- empty lines -----------------------------------------------------------------------------------------


def _blank_before(text: str | None, start: int) -> bool:
    """Whether the text has an empty line right before an offset."""
    lines = 0
    while text and start and text[start - 1].isspace():
        start -= 1
        lines += text[start] == "\n"
    return lines > 1


def _spaced(statement: _Statement, before: _Statement | None, text: str | None) -> _Statement:
    """The statement with its empty lines: the author's, one before each declaration, none inside of braces' edges."""
    starts = [*(comment.span.start for comment in statement.comments.before), statement.span.start]
    inner = any(_blank_before(text, start) for start in starts[1:])
    match before, statement.node:
        case None, _:
            blank = False
        case _, tree.Declaration():
            blank = True
        case _Statement(node=tree.Declaration()), _:
            blank = False
        case _, None if not statement.comments.before:
            blank = False
        case _ if text is None:
            blank = _group(before.node) != _group(statement.node)
        case _:
            blank = _blank_before(text, starts[0])
    return replace(statement, blank=blank, apart=blank or inner)


def _group(node: object) -> str:
    """Statements of one group stand together where no text says what does."""
    match node:
        case tree.Flow() | tree.Property() | tree.Stat() | tree.Import() | None:
            return type(node).__name__
        case tree.Program() | tree.Proxy() | tree.Executor() | tree.Predictor():
            return "implementation"
        case _:
            return "parameter"


def _runs(statements: Sequence[_Statement]) -> Iterator[list[_Statement]]:
    """Imports and items that stand together; signatures and braces alone."""
    run: list[_Statement] = []
    for statement in statements:
        alone = isinstance(statement.node, tree.Declaration | None)
        if run and (alone or statement.apart or isinstance(run[-1].node, tree.Declaration | None)):
            yield run
            run = []
        run.append(statement)
    if run:
        yield run


# ---- lines -----------------------------------------------------------------------------------------------


def _run(run: Sequence[_Statement], text: str | None) -> Iterator[Line]:
    """The lines of statements that stand together, their cells aligned."""
    rows = [_row(statement, text) for statement in run]
    keyword = max((len(each.keyword) for each in rows if each), default=0)
    kinds = {each.keyword for each in rows if each}
    widths = {kind: column_widths(each.cells for each in rows if each and each.keyword == kind) for kind in kinds}
    for statement, each in zip(run, rows, strict=True):
        start = " " * (INDENT * statement.level)
        if each:
            cells = [cell.ljust(width) for cell, width in zip(each.cells, widths[each.keyword], strict=False)]
            start += " ".join([*([each.keyword.ljust(keyword)] if each.keyword else []), *cells, ""])
        yield from _lines(statement, each, start, text)


def _row(statement: _Statement, text: str | None) -> Row | None:
    match statement.node:
        case None | tree.Declaration():
            return None
        case tree.Import() as node:
            return import_(node)
        case tree.Flow() as node if _is_broken(node, statement.comments.inside, text):
            return Row("", (targets(node),), ("= ", *step(node.head)))
        case node:
            return row(node)


def _lines(statement: _Statement, row: Row | None, start: str, text: str | None) -> list[Line]:
    """The lines of a statement with its comments and its doc."""
    node, comments = statement.node, statement.comments
    indent = INDENT * statement.level
    chain = _Chain(comments.inside, None, [])
    if isinstance(node, tree.Flow) and _is_broken(node, comments.inside, text):
        chain = _chain(node, comments.inside, text, indent + INDENT)
    margin = " " * (INDENT if node is None else indent)
    lines = [Line(margin + each.text, blank=_blank_before(text, each.span.start)) for each in comments.before]
    body = row.rest if row else signature(node) if isinstance(node, tree.Declaration) else ("}",)
    own = [Line(margin + each.text) for each in chain.above]
    own += [Line(f"{margin}## {line}".rstrip()) for line in _doc_lines(node)]
    own += [Line(line, alone=isinstance(node, tree.Declaration | None)) for line in broken(body, indent, start)]
    own[0] = replace(own[0], blank=node is not None and _blank_before(text, statement.span.start))
    own[-1] = _behind(own[-1], chain.behind_head)
    lines += [*own, *chain.lines]
    lines[0] = replace(lines[0], blank=statement.blank)
    lines[-1] = _behind(lines[-1], comments.behind)
    return lines


def _doc_lines(node: object) -> tuple[str, ...]:
    doc = _doc(node)
    return doc.lines if doc else ()


def _behind(line: Line, comment: tree.Comment | None) -> Line:
    return replace(line, comment=comment.text) if comment else line


# ---- chains ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Chain:
    """The steps of a broken chain: comments that go above the statement, the one behind its head, the steps' lines."""

    above: Sequence[tree.Comment]
    behind_head: tree.Comment | None
    lines: list[Line]


def _is_broken(node: tree.Flow, inside: Sequence[tree.Comment], text: str | None) -> bool:
    """Whether the steps of a chain stand on lines of their own: where the author broke it, or where it is long."""
    if not node.steps:
        return False
    whole = row(node)
    if len(" ".join(whole.cells)) + len(flat(whole.rest)) > _ONE_LINE:
        return True
    if text is None:
        return bool(inside) or len(node.steps) > _ONE_LINE_STEPS
    spans = [node.head.span, *(each.span for each in node.steps)]
    return any("\n" in text[left.end : right.start] for left, right in pairwise(spans))


def _chain(node: tree.Flow, inside: Sequence[tree.Comment], text: str | None, indent: int) -> _Chain:
    """The lines of the steps; a tap stays beside the step that it watches if the author put it there."""
    spans = [Span(node.span.start, node.head.span.end), *(each.span for each in node.steps)]
    (head, *placed), _ = place(inside, spans)
    margin = " " * indent
    lines: list[Line] = []
    beside: dict[int, str] = {}
    for each, comments, (left, right) in zip(node.steps, placed, pairwise(spans), strict=True):
        lines += [Line(margin + comment.text) for comment in (*comments.before, *comments.inside)]
        watched = text is not None and "\n" not in text[left.end : right.start] and not comments.inside
        if isinstance(each, tree.Tap) and watched and _takes_tap(lines, beside):
            beside[len(lines) - 1] = f" -> {flat(step(each))}"
        else:
            lines += [Line(line) for line in broken(("-> ", *step(each)), indent, margin)]
        lines[-1] = _behind(lines[-1], comments.behind)
    column = max((len(lines[index].text) for index in beside), default=0)
    for index, tap in beside.items():
        lines[index] = replace(lines[index], text=lines[index].text.ljust(column) + tap)
    return _Chain([*head.before, *head.inside], head.behind, lines)


def _takes_tap(lines: Sequence[Line], beside: dict[int, str]) -> bool:
    """Whether a tap may stand beside the last line: a short one that has none yet."""
    return bool(lines) and len(lines) - 1 not in beside and len(lines[-1].text) <= _BESIDE
