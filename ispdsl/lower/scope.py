"""What lowering a declaration needs to know: where it stands, what it may call, and where to complain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from ispdsl.diagnostics import Diagnostic, Label, nearest
from ispdsl.ir.location import Location
from ispdsl.ir.model import Signature
from ispdsl.source import Source, Span
from ispdsl.syntax.tree import Declaration, Doc, Part, Stat


@dataclass
class Sink:
    """Collects the diagnostics of one source."""

    source: Source
    found: list[Diagnostic] = field(default_factory=list[Diagnostic])

    def add(
        self,
        code: str,
        message: str,
        at: Span,
        label: str = "",
        *,
        related: Iterable[Label] = (),
        hint: str | None = None,
    ) -> None:
        """Note a diagnostic at `at`; `label` is the short text under the caret."""
        self.found.append(Diagnostic(code, message, Label(self.source, at, label), tuple(related), hint))

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

    @property
    def written(self) -> frozenset[str]:
        """Names of everything that the text declares, those whose declaration is wrong included."""
        return frozenset(item.name.text for item in self.tree.items if isinstance(item, Part | Stat))

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


def meant(name: str, names: Iterable[str], otherwise: str | None = None) -> str | None:
    """A hint that offers the nearest known name."""
    near = nearest(name, names)
    return f"did you mean {near}?" if near else otherwise


def listed(names: Iterable[str]) -> str:
    """Names in a sentence: ``a, b or c``."""
    words = list(names)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}" if words else "nothing"


def text_of(doc: Doc | None) -> str:
    """The text of a doc comment."""
    return "\n".join(doc.lines).strip() if doc else ""
