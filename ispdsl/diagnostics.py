"""One type for everything that can be wrong with a `.isp` file. `ispdsl.catalogue` explains the codes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from ispdsl.source import Source, Span

MANY_NAMES = 500


class Severity(Enum):
    """How grave a diagnostic is; the first letter of its code says it."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Label:
    """A place in a source with a few words about it."""

    source: Source
    span: Span
    text: str = ""


@dataclass(frozen=True)
class Diagnostic:
    """What is wrong, where, with what it conflicts, and how to mend it."""

    code: str
    message: str
    primary: Label
    related: tuple[Label, ...] = ()
    hint: str | None = None

    @property
    def severity(self) -> Severity:
        """ERROR for codes that begin with E, WARNING for W."""
        return Severity.ERROR if self.code.startswith("E") else Severity.WARNING


@dataclass(frozen=True)
class Report:
    """All diagnostics of a run, in the order of the text, each once."""

    diagnostics: tuple[Diagnostic, ...] = ()

    @staticmethod
    def of(diagnostics: Iterable[Diagnostic]) -> Report:
        """Sort by file and place; drop repetitions."""
        found = {(d.primary.source.name, d.primary.span, d.code, d.message): d for d in diagnostics}
        return Report(tuple(found[key] for key in sorted(found)))

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """The diagnostics that stop a compilation."""
        return tuple(d for d in self.diagnostics if d.severity is Severity.ERROR)

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """The diagnostics that do not."""
        return tuple(d for d in self.diagnostics if d.severity is Severity.WARNING)


class IspError(Exception):
    """A file cannot be used; `report` says why, for `ispdsl.render` to show."""

    def __init__(self, report: Report) -> None:
        first = report.errors[0]
        line, column = first.primary.source.position(first.primary.span.start)
        more = f" (and {len(report.errors) - 1} more)" if len(report.errors) > 1 else ""
        super().__init__(f"{first.primary.source.name}:{line}:{column}: {first.code}: {first.message}{more}")
        self.report = report


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The known name that a mistyped one most likely meant, if any is near.

    Of very many names only those that begin alike are looked at.
    """
    known = list(names)
    if len(known) > MANY_NAMES:
        known = [candidate for candidate in known if candidate[:1].lower() == name[:1].lower()][:MANY_NAMES]
    found = difflib.get_close_matches(name[:100], known, n=1, cutoff=0.6)
    if found:
        return found[0]
    folded = {candidate.lower(): candidate for candidate in known}
    return folded.get(name.lower())
