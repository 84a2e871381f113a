"""One linear pass over a text before lark sees it: its words and comments, what is not of the language, and the limits.

A hostile text costs no more than `MAX_TOKENS` steps here and never reaches the parser.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ispdsl.diagnostics import Diagnostic, Label
from ispdsl.source import Source, Span
from ispdsl.syntax import tree
from ispdsl.syntax.limits import MAX_BYTES, MAX_NESTING, MAX_NODES, MAX_STRING, MAX_TOKENS, MAX_WORD, too_large

DOCUMENTED = frozenset(
    ("stage", "pipeline", "slider", "register", "choice", "toggle", "curve", "lut", "matrix", "meta", "needs", "stat")
)
"""The keywords that `##` lines may stand before."""

OPENING = {"(": ")", "[": "]", "{": "}"}

_TOKEN = re.compile(
    r"""
      (?P<doc>\#\#[^\n]*)
    | (?P<comment>\#[^\n]*)
    | (?P<string>"[^"\n]*"?)
    | (?P<number>[-+]?\.?[0-9](?:[\w%]|\.(?!\.)|(?<=[eE])[+-](?=[0-9]))*)
    | (?P<word>[^\W0-9]\w*(?:\.\w+)*)
    | (?P<symbol>->|\.\.|[=!<>]=|[{}()\[\],:@=<>])
    | (?P<bad>[^\x00-\x7f]+|[\x00-\x08\x0b\x0e-\x1f\x7f]+|[^\s])
    """,
    re.VERBOSE,
)
_NUMBER = re.compile(
    r"-?(?:0x[0-9A-Fa-f]+|(?!0x)(?P<digits>[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)[A-Za-z%]*)", re.ASCII
)
# Control characters, line ends that only some programs take for one, and what turns the direction of writing.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0e-\x1f\x7f\x85\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]|\r(?!\n)"
)


class Token(NamedTuple):
    """A word of the text: doc, comment, string, number, word, symbol or bad; `leads` if it is the first of its line."""

    kind: str
    text: str
    start: int
    end: int
    leads: bool

    @property
    def span(self) -> Span:
        return Span(self.start, self.end)


@dataclass(frozen=True)
class Scan:
    """What the pass found. `fatal` diagnostics are of limits: the text must not be parsed."""

    tokens: tuple[Token, ...]
    comments: tuple[tree.Comment, ...]
    diagnostics: tuple[Diagnostic, ...]
    fatal: bool = False


def scan(source: Source) -> Scan:
    """Split a text into tokens and comments; find what no parser needs to look at."""
    text = source.text
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        return Scan((), (), (too_large(source),), fatal=True)
    tokens: list[Token] = []
    comments: list[tree.Comment] = []
    depth = end = 0
    for match in _TOKEN.finditer(text):
        kind, start = match.lastgroup or "", match.start()
        leads = not end or "\n" in text[end:start]
        end = start + len(match[0].rstrip()) if kind in ("doc", "comment") else match.end()
        token = Token(kind, text[start:end], start, end, leads)
        if kind == "comment":
            comments.append(_comment(token))
        else:
            tokens.append(token)
        depth += (token.text in OPENING) - (kind == "symbol" and token.text in ")]}")
        if depth > MAX_NESTING:
            hint = "no file needs so many; is a closing bracket missing?"
            return _stopped(source, token, "E103", f"brackets are nested more than {MAX_NESTING} deep", hint)
        if len(tokens) + len(comments) > MAX_TOKENS:
            return _stopped(source, token, "E104", *_TOO_MANY)
    tokens, strays = _set_strays_apart(tokens)
    comments = sorted([*comments, *(_comment(token) for token in strays)], key=lambda comment: comment.span)
    found = [*_lexical(source, tokens), *_invisible(source), *(_stray(source, token) for token in strays)]
    return Scan(tuple(tokens), tuple(comments), tuple(found))


_TOO_MANY = (
    f"the file holds more than {MAX_NODES:,} nodes",
    "split it into files that import each other, and keep tables in files of their own",
)


def too_many_nodes(source: Source) -> Diagnostic:
    """The diagnostic of a tree beyond `MAX_NODES`."""
    message, hint = _TOO_MANY
    return Diagnostic("E104", message, Label(source, Span(0, 0)), hint=hint)


def _stopped(source: Source, token: Token, code: str, message: str, hint: str) -> Scan:
    place = Label(source, Span(token.start, min(token.end, token.start + 1)), "here")
    return Scan((), (), (Diagnostic(code, message, place, hint=hint),), fatal=True)


def _comment(token: Token) -> tree.Comment:
    """A `##` line that documents nothing is a comment like any other, with a single marker."""
    content = "#" + token.text.lstrip("#") if token.kind == "doc" else token.text
    return tree.Comment(content, token.leads, token.span)


# ---- docs that document nothing --------------------------------------------------------------------------


def _set_strays_apart(tokens: list[Token]) -> tuple[list[Token], list[Token]]:
    """A doc stands on its own line, and a keyword with a name follows: so only things that can be documented begin."""
    kept: list[Token] = []
    strays: list[Token] = []
    waiting: list[Token] = []
    for index, token in enumerate(tokens):
        if token.kind == "doc":
            (waiting if token.leads else strays).append(token)
            continue
        follows = tokens[index + 1].kind if index + 1 < len(tokens) else ""
        documents = token.text in DOCUMENTED and follows in ("word", "bad")
        (kept if documents else strays).extend(waiting)
        waiting.clear()
        kept.append(token)
    return kept, sorted([*strays, *waiting], key=lambda token: token.start)


def _stray(source: Source, token: Token) -> Diagnostic:
    where = "" if token.leads else ", or put the doc on a line of its own before what it documents"
    hint = f"write # for a comment{where}"
    message = "this ## doc documents nothing: it is read as a comment"
    return Diagnostic("W101", message, Label(source, token.span, "no declaration or parameter follows"), hint=hint)


# ---- single words that are wrong ---------------------------------------------------------------------------


def _lexical(source: Source, tokens: list[Token]) -> Iterator[Diagnostic]:
    for index, token in enumerate(tokens):
        found = None
        if token.kind == "number":
            found = _number(token, tokens[index - 1] if index else None)
        elif token.kind == "string":
            found = _string(token)
        elif token.kind == "word":
            found = _word(token)
        elif token.kind == "bad":
            found = _bad(token, tokens[index - 1] if index else None, tokens[index + 1 : index + 2])
        if found:
            code, message, hint = found
            width = min(len(token.text), MAX_WORD)
            yield Diagnostic(code, message, Label(source, Span(token.start, token.start + width)), hint=hint)


_Found = tuple[str, str, str | None]


def _number(token: Token, before: Token | None) -> _Found | None:
    text = token.text
    if len(text) > MAX_WORD:
        return _too_long("number", MAX_WORD)
    glued = before is not None and before.end == token.start
    if _is_operand(before) and (text[0] == "+" or (text[0] == "-" and glued)):
        return _expression(text[0])
    if text[0] == "+":
        return "E109", f"'{shown(text)}' is not a number: numbers take no plus sign", f"write {shown(text[1:])}"
    match = _NUMBER.fullmatch(text)
    if not match:
        dots = glued and text.startswith(".") and before is not None and before.text == ".."
        return "E109", f"'{shown(text)}' is not a number", _CHARACTER_HINTS["."] if dots else _number_hint(text)
    digits = match["digits"]
    if digits and (math.isinf(float(digits)) or (float(digits) == 0 and digits.lower().split("e")[0].strip("0."))):
        return "E110", f"{shown(text)} is out of range", "numbers are double precision: from about 1e-307 to 1e308"
    return None


def _is_operand(token: Token | None) -> bool:
    """Whether a sign after this makes an expression; ``in-1..1`` is a range."""
    if token is None or token.kind not in ("word", "number"):
        return token is not None and token.text in (")", "]")
    return token.text not in ("in", "soft", "fixed", "within")


def _number_hint(text: str) -> str:
    digits = text.lstrip("-")
    if digits.startswith("."):
        return f"write {'-' * (text[0] == '-')}0{shown(digits)}: a digit stands before the point"
    if digits.endswith(".") and digits.count(".") == 1:
        return f"write {shown(text[:-1])} or {shown(text)}0: digits stand after the point"
    if digits.startswith("0x"):
        return "a hexadecimal number is 0x and digits 0-9, a-f, without a unit"
    if "_" in text:
        return f"write {shown(text.replace('_', ''))}: digits are not grouped"
    return "a number is digits, perhaps with a point or an exponent, and its unit glued on: 0.5ev 1e-3 50% 0x100"


def _string(token: Token) -> _Found | None:
    if len(token.text) < 2 or not token.text.endswith('"'):
        return "E108", "this string is not closed on its line", 'end it with "'
    return _too_long("string", MAX_STRING) if len(token.text) > MAX_STRING + 2 else None


def _word(token: Token) -> _Found | None:
    if len(token.text) > MAX_WORD:
        return _too_long("name", MAX_WORD)
    if not token.text.isascii():
        hint = (
            "names are made of the letters a-z and A-Z, digits and _; other letters may stand in comments and strings"
        )
        return "E106", f"'{shown(token.text)}' holds a letter that names cannot have", hint
    return None


def _bad(token: Token, before: Token | None, after: list[Token]) -> _Found | None:
    text = token.text
    if _INVISIBLE.match(text):
        return None  # told by _invisible, once
    if text == "/" and before and before.text == "/" and before.end == token.start:
        return None  # told at the first stroke
    if text == "/" and after and after[0].text == "/" and after[0].start == token.end:
        return "E106", "'//' is not of the language", "write # for a comment"
    if text == "*" and before and before.text == "import":
        return "E106", "'*': an import names what it takes", "write from MODULE import NAME, NAME"
    if text == "/" and before and after and before.end == token.start and {before.kind, after[0].kind} == {"word"}:
        return "E106", "'/': a path stands in quotes", 'write for example "looks/warm.cube"'
    if text in "+-*/^":
        return _expression(text)
    return "E106", f"'{shown(text)}' is not of the language", _CHARACTER_HINTS.get(text[0])


_CHARACTER_HINTS = {
    ";": "statements need no end mark",
    "'": 'strings stand in double quotes: "..."',
    "\u201c": 'strings stand in straight double quotes: "..."',
    "\u201d": 'strings stand in straight double quotes: "..."',
    "\u2018": 'strings stand in straight double quotes: "..."',
    "\u2192": "write -> for an arrow",
    "\u2212": "write - for a minus sign",
    "\u2026": "write .. for a range",
    "\u00a0": "this is a no-break space: write an ordinary one",
    "%": "glue the percent sign to its number: 50%",
    ".": "a range has two dots: 0..1",
    "!": "write != to compare",
    "|": "write -> to feed a value into a stage",
    "&": "join conditions with 'and'",
}


def _expression(operator: str) -> _Found:
    hint = "write the value that it comes to, or compute it in a stage"
    return "E111", f"'{operator}': the language has no expressions", hint


def _too_long(what: str, limit: int) -> _Found:
    return "E105", f"this {what} is longer than {limit} characters", None


def shown(text: str) -> str:
    """A piece of the user's text as a message may show it: short and printable."""
    short = text if len(text) <= 40 else text[:37] + "..."
    return "".join(character if character.isprintable() else f"\\u{{{ord(character):x}}}" for character in short)


def _invisible(source: Source) -> Iterator[Diagnostic]:
    """Each run of characters that cannot be seen, wherever it stands, comments and strings too."""
    end = -1
    for match in _INVISIBLE.finditer(source.text):
        if match.start() != end:
            message = f"an invisible character, U+{ord(match[0]):04X}, stands here"
            yield Diagnostic("E107", message, Label(source, Span(*match.span())), hint="delete it")
        end = match.end()
