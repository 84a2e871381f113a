"""What is known of a statement that lark rejected: its words, the one that does not fit, and what would."""

from __future__ import annotations

from dataclasses import dataclass

from ispdsl.source import Source, Span
from ispdsl.syntax.scan import Token, shown
from ispdsl.syntax.statements import PARAMETERS, Piece

TABLES = ("curve", "lut", "matrix")

FORMS = {
    "slider": "slider name in low..high soft low..high = default",
    "register": "register name @ 0x100[11:0] : u4.8 in low..high soft low..high = default",
    "choice": "choice name in {one, other} = one",
    "toggle": "toggle name = default",
    "curve": "curve name[16] in low..high = default",
    "lut": "lut name[3, 17, 17, 17] in low..high = default",
    "matrix": "matrix name[3, 3] in low..high = default",
    "meta": "meta name: type = default",
    "needs": "needs name: type",
    "stat": "stat name = statistic(...) of value",
    "program": 'program "package.module:function"',
    "proxy": "proxy network(...)",
    "executor": "executor kind(...)",
    "predictor": 'predictor "file.safetensors"',
    "property": "property name subjects in parameters when condition within bound",
}
"""How each statement is written."""

ORDER: dict[str, tuple[str, ...]] = {
    "slider": ("in", "soft", "="),
    "register": ("@", ":", "in", "soft", "="),
    "choice": ("in", "="),
    **dict.fromkeys(TABLES, ("in", "=")),
    "meta": (":", "="),
    "property": ("in", "when", "within"),
    "stat": ("=", "of"),
}
"""The parts of statements that have an order."""

_TERMINALS = {
    "NAME": "a name",
    "TARGET": "a name",
    "NUMBER": "a number",
    "STRING": "a string in quotes",
    "COMPARE": "a comparison such as ==",
    "LPAR": "'('",
    "RPAR": "')'",
    "LSQB": "'['",
    "RSQB": "']'",
    "LBRACE": "'{'",
    "RBRACE": "'}'",
    "LESSTHAN": "'<'",
    "MORETHAN": "'>'",
    "COMMA": "','",
    "COLON": "':'",
    "EQUAL": "'='",
    "AT": "'@'",
    "ARROW": "'->'",
    "DOTS": "'..'",
    "$END": "the next statement",
}


@dataclass(frozen=True)
class Failure:
    """A statement with a word, or an end, that does not fit; `accepted` are the grammar's terminals that would."""

    source: Source
    piece: Piece
    index: int
    accepted: frozenset[str]

    @property
    def found(self) -> Token | None:
        """The word that does not fit; None at the end of the statement."""
        return self.piece.tokens[self.index] if self.index < len(self.piece.tokens) else None

    @property
    def word(self) -> str:
        return self.found.text if self.found else ""

    @property
    def before(self) -> str:
        return self.piece.tokens[self.index - 1].text if self.index else ""

    @property
    def lead(self) -> str:
        """The first word of a statement; nothing for an import or a signature."""
        return self.piece.tokens[0].text if self.piece.rule.endswith("_item") else ""

    @property
    def title(self) -> str:
        """The statement as a message calls it: ``slider 'ev'``."""
        name = self.piece.tokens[1] if len(self.piece.tokens) > 1 else None
        named = self.lead in (*PARAMETERS, "stat") and name and name.kind == "word" and self.index > 1
        return f"{self.lead} '{shown(name.text)}'" if named and name else self.lead

    @property
    def assigned(self) -> bool:
        return any(token.text == "=" for token in self.piece.tokens[: self.index])

    @property
    def described(self) -> str:
        """The word that does not fit, as a message calls it."""
        return f"'{shown(self.word)}'" if self.found else "the end of the statement"

    @property
    def wants_value(self) -> bool:
        return {"NUMBER", "NAME", "STRING", "LSQB"} <= self.accepted

    @property
    def place(self) -> Span:
        """Where to point: at the word, or behind the last one."""
        if self.found:
            return self.found.span
        return Span(self.piece.span.end, self.piece.span.end)


def form(failure: Failure) -> str | None:
    """How the statement is written, as a hint."""
    return f"it is written: {FORMS[failure.lead]}" if failure.lead in FORMS else None


def expected(accepted: frozenset[str]) -> str:
    """What the grammar would accept, as a message says it."""
    words = sorted(
        {_TERMINALS.get(name, f"'{name.lower()}'") for name in accepted - {"DOC", "$END"}} or {_TERMINALS["$END"]}
    )
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
