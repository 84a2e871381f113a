"""One page of the catalogue."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """A diagnostic code explained.

    `wrong` is a whole file that earns this code, `right` the same file mended; tests hold both to it. `why` is a short
    paragraph or two of plain text.
    """

    code: str
    title: str
    why: str
    wrong: str
    right: str
