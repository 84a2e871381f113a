"""What lowering a declaration needs to know: where it stands, what it may call, and where to complain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ispdsl.diagnostics import Diagnostic, Label, Severity, nearest
from ispdsl.ir.location import Location
from ispdsl.ir.model import Signature
from ispdsl.source import Source, Span
from ispdsl.syntax.limits import MAX_ERRORS
from ispdsl.syntax.statements import CLAUSES, DECLARATIONS, STATEMENTS
from ispdsl.syntax.tree import Choice, Declaration, Doc, Meta, Name, Needs, Register, Slider, Table, Toggle

ABSENCES = frozenset({"E202", "E211", "E214", "E418", "W602", "W603", "W604", "W605", "W606"})
"""Codes for what a declaration lacks: said of one that lost statements to syntax errors they would be guesses."""

RESERVED = CLAUSES | DECLARATIONS | {"from"}
"""Words that name nothing but options. Those that begin statements may name parameters besides."""

LISTED = 24
"""Names in a sentence, at most."""

Hint = str | Callable[[], str | None] | None
"""How to mend it, or how to find that out: looking for a near name costs time, and is done for what is told only."""


@dataclass
class Sink:
    """Collects the diagnostics of one source, what the parser found first; `MAX_ERRORS` errors at most."""

    source: Source
    found: list[Diagnostic] = field(default_factory=list[Diagnostic])
    gaps: Mapping[str, tuple[Span, ...]] = field(default_factory=dict[str, tuple[Span, ...]])
    """Where a code is not to be told, because statements are missing there that the parser could not read."""
    errors: int = 0
    """How many errors there are, those included that are not told."""

    def __post_init__(self) -> None:
        self.errors = sum(d.severity is Severity.ERROR for d in self.found)

    @property
    def full(self) -> bool:
        """Whether further errors are not told."""
        return self.errors > MAX_ERRORS

    def add(
        self,
        code: str,
        message: str,
        at: Span,
        label: str = "",
        *,
        related: Iterable[Label] = (),
        hint: Hint = None,
    ) -> None:
        """Note a diagnostic at `at`; `label` is the short text under the caret."""
        if any(gap.start <= at.start <= gap.end for gap in self.gaps.get(code, ())):
            return
        if code.startswith("E"):
            self.errors += 1
            if self.full:
                if self.errors == MAX_ERRORS + 1:
                    self._stop(at)
                return
        words = hint() if callable(hint) else hint
        self.found.append(Diagnostic(code, message, Label(self.source, at, label), tuple(related), words))

    def _stop(self, at: Span) -> None:
        place = Label(self.source, at, "the first one not told")
        message = f"more than {MAX_ERRORS} errors: the rest is not told"
        self.found.append(Diagnostic("E151", message, place, hint="mend the first ones and check again"))

    def place(self, span: Span) -> Location:
        """The IR location of a span of this source."""
        line, column = self.source.position(span.start)
        return Location(file=self.source.name, line=line, column=column, start=span.start, end=span.end)

    def label(self, span: Span, text: str) -> Label:
        """A label in this source."""
        return Label(self.source, span, text)


@dataclass(frozen=True)
class Declared:
    """A stage or pipeline that can be called: its tree, and the signature lowered from it."""

    source: Source
    tree: Declaration
    signature: Signature
    incomplete: bool = False
    """Whether statements of it were lost to syntax errors, so that it may have more than is known."""

    @cached_property
    def broken(self) -> frozenset[str]:
        """Images, parameters, metadata and needs whose own declaration is wrong: nothing is said about those twice."""
        items = (
            i for i in self.tree.items if isinstance(i, Slider | Register | Choice | Toggle | Table | Meta | Needs)
        )
        images = (port.name.text for port in self.tree.inputs if port.name)
        whole = self.known.keys() | {port.name for port in self.signature.inputs}
        return frozenset((*(item.name.text for item in items), *images)) - whole

    @cached_property
    def known(self) -> Mapping[str, None]:
        """The names that a call may give values to, in the order of their declaration."""
        signature = self.signature
        return dict.fromkeys(item.name for item in (*signature.parameters, *signature.metas, *signature.needs))

    def label(self, location: Location, text: str) -> Label:
        """A label on one of the signature's own parts."""
        return Label(self.source, Span(location.start, location.end), text)


@dataclass(frozen=True)
class Scope:
    """What the declarations of a file can name: their own file's and the imported stages and pipelines."""

    callables: Mapping[str, Declared]
    missing: frozenset[str]
    """Names whose import failed, which was reported there."""
    elsewhere: Callable[[], Mapping[str, str]]
    """Standard names with the file that has each; asked only when a name is unknown, for a hint."""


def check_name(name: Name, what: str, sink: Sink) -> None:
    """Report a declared name that holds a point or is a keyword.

    Only a parameter may be called as a statement begins, since nothing else is read there: ``choice curve in ...``.
    """
    if "." in name.text:
        hint = "points join names into addresses"
        sink.add("E212", f"the name {name.text} may not hold a point", name.span, hint=hint)
    if name.text in RESERVED or (name.text in STATEMENTS and what != "a parameter"):
        message = f"'{name.text}' is a keyword and cannot name {what}"
        sink.add("E123", message, name.span, hint=f"choose another name, such as {name.text}_1")


def meant(name: str, names: Iterable[str], otherwise: str | None = None) -> Hint:
    """A hint that offers the nearest known name."""

    def look() -> str | None:
        near = nearest(name, names)
        return f"did you mean {near}?" if near else otherwise

    return look


def listed(names: Iterable[str]) -> str:
    """Names in a sentence: ``a, b or c``."""
    words = list(names)
    if len(words) > LISTED:
        return f"{', '.join(words[:LISTED])} and {len(words) - LISTED:,} more"
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}" if words else "nothing"


def counted(number: int, noun: str) -> str:
    """``1 image``, ``2 images``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def text_of(doc: Doc | None) -> str:
    """The text of a doc comment."""
    return "\n".join(doc.lines).strip() if doc else ""
