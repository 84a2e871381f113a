"""How text of unknown origin is shown in a terminal: nothing in it may move the cursor, hide or reorder the rest."""

from __future__ import annotations

import unicodedata

TAB = "    "
HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""General categories (Unicode standard, 4.5) that a terminal obeys, cannot draw, or draws as nothing."""


def shown(character: str) -> str:
    r"""What stands for a character: itself, spaces for a tab, an escape as ``\x1b`` for what must not reach a terminal.

    Format characters are escaped as well: bidirectional overrides make a line read otherwise than it is parsed
    (Boucher and Anderson, Trojan Source, 2021).
    """
    if " " <= character <= "~":
        return character
    if character == "\t":
        return TAB
    if unicodedata.category(character) in HIDDEN:
        return character.encode("unicode_escape").decode("ascii")
    return character


def width(text: str) -> int:
    """Columns that a shown text takes: two for wide characters (Unicode annex 11), none for combining marks."""
    if text.isascii():
        return len(text)
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def clean(text: str, limit: int = 1000) -> str:
    """A text on one line, made safe to show, and cut when it is absurdly long."""
    kept = text if len(text) <= limit else text[: limit - 1] + "…"
    return kept if kept.isascii() and kept.isprintable() else "".join(map(shown, kept))


def with_bytes_shown(text: str) -> str:
    r"""A text in which surrogates stand for bytes that are no UTF-8 (PEP 383), with ``\xf6`` in the place of each."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
