"""All syntax errors of a broken text in one go, and a tree of what is good in it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lark import Lark, TextSlice
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from ispdsl.diagnostics import Diagnostic, Label, nearest
from ispdsl.source import Source, Span
from ispdsl.syntax import tree
from ispdsl.syntax.build import build
from ispdsl.syntax.complaints import Failure, complain, misplaced, unclosed
from ispdsl.syntax.limits import MAX_ERRORS
from ispdsl.syntax.scan import OPENING, Token, shown
from ispdsl.syntax.statements import DECLARATIONS, Block, Piece, cut


@dataclass(frozen=True)
class _Judged:
    """A piece after lark: the node that it makes, or why it makes none."""

    node: Any = None
    diagnostics: tuple[Diagnostic, ...] = ()


def recover(
    source: Source, text: str, tokens: Sequence[Token], wrong: Sequence[Span], grammar: Lark
) -> tuple[tree.File, list[Diagnostic]]:
    """Judge a text piece by piece.

    `text` is the source's with stray docs blanked out; `wrong` are the places of words already complained about: a
    piece that holds one is left out of the tree without another word.
    """
    imports: list[tree.Import] = []
    declarations: list[tree.Declaration] = []
    found: list[Diagnostic] = []
    judge = _judge(source, text, sorted(wrong), grammar)
    open_blocks = 0
    for part in cut(source, tokens):
        if isinstance(part, Block):
            open_blocks += part.opening is not None and part.closing is None
            declaration, complaints = _declaration(source, part, judge)
            declarations.extend(declaration)
            found.extend(complaints)
        elif open_blocks and part.tokens[0].text == "}":
            open_blocks -= 1  # it closes the declaration that the missing brace was told of
        else:
            judged = judge(part)
            found.extend(judged.diagnostics)
            imports.extend([judged.node] if isinstance(judged.node, tree.Import) else [])
    return tree.File(tuple(imports), tuple(declarations), (), Span(0, len(source.text))), found


def _judge(source: Source, text: str, wrong: Sequence[Span], grammar: Lark) -> Callable[[Piece], _Judged]:
    ends = [place.end for place in wrong]
    failures = 0

    def judge(piece: Piece) -> _Judged:
        nonlocal failures
        near = bisect_right(ends, piece.span.start)
        if failures > MAX_ERRORS or (near < len(wrong) and wrong[near].start < piece.span.end):
            return _Judged()
        if piece.stray:
            failures += 1
            return _Judged(diagnostics=(misplaced(source, piece),))
        try:
            node = build(grammar.parse(TextSlice(text, piece.span.start, piece.span.end), start=piece.rule))
        except UnexpectedInput as error:
            failures += 1
            return _Judged(diagnostics=(_complaint(source, piece, error),))
        return _Judged(replace(node, doc=_doc(piece.docs)) if piece.docs and hasattr(node, "doc") else node)

    return judge


def _doc(docs: Sequence[Token]) -> tree.Doc | None:
    lines = tuple(token.text[2:].rstrip().removeprefix(" ") for token in docs)
    return tree.Doc(lines, docs[0].span.to(docs[-1].span)) if docs else None


def _complaint(source: Source, piece: Piece, error: UnexpectedInput) -> Diagnostic:
    index = next(
        (i for i, token in enumerate(piece.tokens) if token.end > (error.pos_in_stream or 0)), len(piece.tokens)
    )
    if isinstance(error, UnexpectedToken):
        if error.token.type == "$END":
            index = len(piece.tokens)
        accepted = frozenset(error.accepts or error.expected)
    else:
        accepted = frozenset(error.allowed) if isinstance(error, UnexpectedCharacters) else frozenset[str]()
    bracket = _unbalanced(piece)
    if bracket is not None and bracket < index:
        return unclosed(source, piece.tokens[bracket], piece.tokens[-1])
    return complain(Failure(source, piece, index, accepted))


def _unbalanced(piece: Piece) -> int | None:
    """The first bracket of a piece that is never closed."""
    stack: list[int] = []
    for index, token in enumerate(piece.tokens):
        if token.kind == "symbol" and token.text in OPENING:
            stack.append(index)
        elif stack and token.text == OPENING[piece.tokens[stack[-1]].text]:
            stack.pop()
    return stack[0] if stack else None


def _declaration(
    source: Source, block: Block, judge: Callable[[Piece], _Judged]
) -> tuple[list[tree.Declaration], list[Diagnostic]]:
    """A declaration with its good statements. One with a broken signature keeps its name, if any, and no ports."""
    keyword = block.keyword
    found = list(_frame(source, block))
    name, inputs, outputs = None, (), ()
    if block.signature:
        judged = judge(block.signature)
        found.extend(judged.diagnostics)
        first = block.signature.tokens[0]
        salvaged = (tree.Name(first.text, first.span) if first.kind == "word" else None, (), ())
        name, inputs, outputs = judged.node or salvaged
    items: list[tree.Item] = []
    for piece in block.items:
        judged = judge(piece)
        found.extend(judged.diagnostics)
        if judged.node is not None:
            items.append(judged.node)
    if name is None:
        return [], found
    kind = keyword.text if keyword.text in DECLARATIONS else "pipeline"
    last = block.closing or (block.items[-1].tokens[-1] if block.items else block.opening) or keyword
    span = keyword.span.to(name.span).to(last.span)
    return [tree.Declaration(kind, name, inputs, outputs, tuple(items), _doc(block.docs), span)], found


def _frame(source: Source, block: Block) -> Iterator[Diagnostic]:
    """Complaints about the keyword and the braces."""
    keyword = block.keyword
    if keyword.text not in DECLARATIONS:
        meant = nearest(keyword.text, DECLARATIONS)
        hint = f"did you mean '{meant}'?" if meant else "a declaration begins with 'stage' or 'pipeline'"
        yield Diagnostic("E122", f"'{shown(keyword.text)}' is not a keyword", Label(source, keyword.span), hint=hint)
    if not block.signature:
        yield Diagnostic(
            "E130",
            f"this {keyword.text} has no name",
            Label(source, keyword.span),
            hint="a signature is name(image: type) -> type",
        )
    elif not block.opening:
        place = Span(block.signature.span.end, block.signature.span.end)
        yield Diagnostic(
            "E135", "expected '{' after the signature", Label(source, place), hint="statements stand between braces"
        )
    elif not block.closing:
        related = (Label(source, block.items[-1].span, "its last statement"),) if block.items else ()
        yield Diagnostic(
            "E120",
            "this '{' is never closed",
            Label(source, block.opening.span, "opened here"),
            related,
            hint="write '}' after the last statement",
        )
