"""From text to tree: as it was kept when the text was parsed before, else by lark, which takes longer to import."""

from __future__ import annotations

from ispdsl.source import Source
from ispdsl.syntax import kept
from ispdsl.syntax.limits import load_source
from ispdsl.syntax.parsed import Parsed

__all__ = ["Parsed", "load_source", "parse"]


def parse(source: Source) -> Parsed:
    """Parse a text.

    Never raises: whatever is wrong comes as diagnostics in the order of the text, `MAX_ERRORS` errors at most.
    """
    known = kept.tree_of(source.text)
    if known is not None:
        return Parsed(known)
    from ispdsl.syntax.grammar import understood

    found = understood(source)
    if not found.diagnostics:
        kept.keep(source.text, found.tree)
    return found
