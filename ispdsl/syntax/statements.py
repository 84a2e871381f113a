"""Where the statements of a broken text begin and end, so that each can be judged by itself.

A statement is led by a keyword or by `name =`. Keywords may be names elsewhere (`choice curve in ...`,
`f(curve = hable)`), so the words around one, and where the lines begin, decide. Only texts that lark has rejected, or
that hold wrong words, come here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ispdsl.source import Source, Span
from ispdsl.syntax.scan import OPENING, Token

PARAMETERS = ("slider", "register", "choice", "toggle", "curve", "lut", "matrix", "meta", "needs")
IMPLEMENTATIONS = ("program", "proxy", "executor")
STATEMENTS = frozenset((*PARAMETERS, *IMPLEMENTATIONS, "stat", "predictor", "property"))
DECLARATIONS = frozenset(("stage", "pipeline"))
CLAUSES = frozenset("in soft as of previous when and within fixed tap import".split())
"""Words that go on with a statement."""

_DANGLING = frozenset(("->", "=", ",", "(", "[", "{", "<", "..", ":", "@", "==", "!=", "<=", ">=", *CLAUSES))
"""Words after which a statement is not over."""

# What follows the name of a well-formed statement: with it, a keyword is one and no name.
_SECOND = {"slider": "in", "choice": "in", "register": "@", "toggle": "=", "stat": "=", "meta": ":", "needs": ":"} | {
    **dict.fromkeys(("curve", "lut", "matrix"), "["),
    **dict.fromkeys(("proxy", "executor"), "("),
}


@dataclass(frozen=True)
class Piece:
    """A run of tokens to be judged by one rule of the grammar.

    `rule` is import_, signature, stage_item or pipeline_item; `docs` are the `##` lines before. `stray` says in a few
    words where the piece stands that it must not.
    """

    rule: str
    tokens: tuple[Token, ...]
    docs: tuple[Token, ...] = ()
    stray: str = ""

    @property
    def span(self) -> Span:
        """From the first token to the last, docs not included."""
        return Span(self.tokens[0].start, self.tokens[-1].end)


@dataclass(frozen=True)
class Block:
    """A declaration as it was found. `opening` and `closing` are its braces, None where missing."""

    keyword: Token
    signature: Piece | None
    opening: Token | None
    items: tuple[Piece, ...]
    closing: Token | None
    docs: tuple[Token, ...]


class _Reader:
    """A place in the tokens, and what can be told of the words around it."""

    def __init__(self, source: Source, tokens: Sequence[Token]) -> None:
        self.source = source
        self.tokens = [token for token in tokens if token.kind != "doc"]
        self.docs = _docs_before(tokens)
        self.at = 0

    def token(self, offset: int = 0) -> Token | None:
        index = self.at + offset
        return self.tokens[index] if 0 <= index < len(self.tokens) else None

    def word(self, offset: int = 0) -> str:
        token = self.token(offset)
        return token.text if token else ""

    def kind(self, offset: int = 0) -> str:
        token = self.token(offset)
        return token.kind if token else ""

    def leads_line(self) -> bool:
        token = self.token()
        return token is not None and token.leads

    def column(self, token: Token) -> int:
        return self.source.position(token.start)[1]


def _docs_before(tokens: Sequence[Token]) -> dict[int, tuple[Token, ...]]:
    """The doc lines right before each token, by its start."""
    found: dict[int, tuple[Token, ...]] = {}
    waiting: tuple[Token, ...] = ()
    for token in tokens:
        if token.kind == "doc":
            waiting = (*waiting, token)
        elif waiting:
            found[token.start] = waiting
            waiting = ()
    return found


def cut(source: Source, tokens: Sequence[Token]) -> tuple[Piece | Block, ...]:
    """Cut a text into imports, declarations with their statements, and what stands where nothing may."""
    reader = _Reader(source, tokens)
    parts: list[Piece | Block] = []
    while reader.token():
        if reader.word() == "from":
            late = any(isinstance(part, Block) for part in parts)
            parts.append(_outside(reader, "import_", "after a declaration" if late else ""))
        elif reader.word() in DECLARATIONS or _misspelt_declaration(reader):
            parts.append(_block(reader))
        else:
            parts.append(_outside(reader, "pipeline_item", "outside any stage or pipeline"))
    return tuple(parts)


def _outside(reader: _Reader, rule: str, stray: str) -> Piece:
    """A piece at the top of a file. Stray ones take all that follows up to the next import or declaration."""
    first = reader.at
    reader.at += 1
    depth = 0
    while reader.token() and not _begins_at_top(reader, stray != "" and rule != "import_"):
        if rule == "import_" and reader.leads_line() and reader.word(-1) not in (",", "import", "from"):
            break
        depth += (reader.word() == "{") - (reader.word() == "}")
        reader.at += 1
    tokens = tuple(reader.tokens[first : reader.at])
    return Piece(rule, tokens, reader.docs.get(tokens[0].start, ()), stray)


def _begins_at_top(reader: _Reader, stray: bool = False) -> bool:
    """Whether an import or a declaration begins here."""
    if reader.word(-1) in _DANGLING - {"{"} and not reader.leads_line():
        return False
    if reader.word() == "from":
        return reader.leads_line() or reader.word(2) == "import"
    named = reader.word() in DECLARATIONS and reader.kind(1) == "word"
    return named and (reader.leads_line() or reader.word(2) == "(") or (stray and _misspelt_declaration(reader))


def _misspelt_declaration(reader: _Reader) -> bool:
    """`stge name(` at the top of a file; a bare `name(` there, or any other word, is something else."""
    return (
        reader.kind() == "word"
        and reader.kind(1) == "word"
        and reader.word(2) == "("
        and reader.word() not in STATEMENTS
    )


def _block(reader: _Reader) -> Block:
    keyword = reader.tokens[reader.at]
    reader.at += 1
    first = reader.at
    while (
        reader.token()
        and reader.word() not in ("{", "}")
        and not _begins_at_top(reader)
        and not _sure_statement(reader)
    ):
        reader.at += 1
    head = tuple(reader.tokens[first : reader.at])
    signature = Piece("signature", head) if head else None
    opening = None
    if reader.word() == "{":
        opening = reader.token()
        reader.at += 1
    rule = "stage_item" if keyword.text == "stage" else "pipeline_item"
    items: list[Piece] = []
    while reader.token() and reader.word() != "}" and not _begins_at_top(reader):
        items.append(_statement(reader, rule))
    closing = None
    if reader.word() == "}":
        closing = reader.token()
        reader.at += 1
    return Block(keyword, signature, opening, tuple(items), closing, reader.docs.get(keyword.start, ()))


# ---- statements ------------------------------------------------------------------------------------------


def _sure_statement(reader: _Reader) -> bool:
    """A keyword at the beginning of a line, with what must follow it."""
    keyword = reader.word()
    if keyword not in STATEMENTS or not reader.leads_line():
        return False
    if keyword in ("program", "predictor"):
        return reader.kind(1) == "string"
    return reader.kind(1) == "word" and (keyword == "property" or reader.word(2) == _SECOND.get(keyword))


def _flow_begins(reader: _Reader) -> bool:
    """`name =` or `name, name =`."""
    offset = 0
    while reader.kind(offset) == "word" and reader.word(offset + 1) == ",":
        offset += 2
    return reader.kind(offset) == "word" and reader.word(offset + 1) == "="


def _statement(reader: _Reader, rule: str) -> Piece:
    """One statement: up to the next one, or to the brace that closes the declaration."""
    lead = reader.tokens[reader.at]
    first = reader.at
    stack: list[str] = []
    assigned = False
    targets = lead.text not in STATEMENTS and _flow_begins(reader)
    while reader.token():
        token = reader.tokens[reader.at]
        if reader.at > first and _begins_at_top(reader):
            break
        if (
            reader.at > first
            and not (targets and not assigned)
            and _next_statement(reader, lead, bool(stack), assigned)
        ):
            break
        if token.text == "}" and "{" not in stack:
            break
        if token.kind == "symbol" and token.text in OPENING:
            stack.append(token.text)
        elif stack and token.text in (")", "]", "}") and token.kind == "symbol":
            while stack and OPENING[stack.pop()] != token.text:
                pass
        assigned = assigned or token.text == "="
        reader.at += 1
    tokens = tuple(reader.tokens[first : reader.at])
    return Piece(rule, tokens, reader.docs.get(lead.start, ()))


def _next_statement(reader: _Reader, lead: Token, inside: bool, assigned: bool) -> bool:
    """Whether a statement begins here, after the beginning of another, which `lead` began.

    `inside` says that brackets of it are open, `assigned` that it has its '='.
    """
    if reader.kind() != "word" or reader.word() in CLAUSES:
        return _sure_statement(reader)
    named = reader.tokens[reader.at - 1] == lead and lead.text in STATEMENTS
    if named and not reader.leads_line():
        return False  # the name of the statement itself
    if _sure_statement(reader):
        return True
    token = reader.tokens[reader.at]
    dangling = reader.word(-1) in _DANGLING
    outdented = reader.leads_line() and reader.column(token) <= reader.column(lead)
    waits = lead.text in PARAMETERS and not assigned  # its own '=' is still to come
    if inside:
        unfinished = dangling and reader.word(-1) not in ("=", "->", "..")  # these need a value or a stage, no name =
        return outdented and not unfinished and (_flow_begins(reader) or reader.word() in STATEMENTS)
    if reader.word() in STATEMENTS and reader.kind(1) in ("word", "string") and not dangling:
        return True
    if reader.word(-1) != "," and _flow_begins(reader):
        return outdented or not (waits or dangling)
    return outdented and not dangling
