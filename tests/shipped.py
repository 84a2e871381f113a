"""The shipped files are parsed and lowered once in a process: nearly every test imports the standard library.

Most of the time of many tests would go there. Trees and lowered files cannot be changed, so that tests share them; any
other text is parsed and lowered each time, and so is a shipped one with diagnostics, which name their source.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from ispdsl.lower import loader
from ispdsl.lower.imports import Library, Loaded
from ispdsl.source import Source
from ispdsl.syntax import grammar
from ispdsl.syntax.parsed import Parsed

ROOT = Path(__file__).resolve().parents[1]
STDLIB = ROOT / "stdlib"
TEXTS = {file.read_text(encoding="utf-8") for name in ("stdlib", "pipelines") for file in (ROOT / name).rglob("*.isp")}

understood = grammar.understood
lowered = loader._lower_file


@cache
def tree_of(text: str) -> Parsed:
    return understood(Source("shipped", text))


def understood_once(source: Source) -> Parsed:
    """As `understood`."""
    found = tree_of(source.text) if source.text in TEXTS else None
    return found if found and not found.diagnostics else understood(source)


LOWERED: dict[Source, Loaded] = {}
"""Files of the standard library, by name, text and path."""


def lowered_once(source: Source, library: Library) -> Loaded:
    """As `_lower_file`."""
    if source.text not in TEXTS or source.path is None or STDLIB not in source.path.parents:
        return lowered(source, library)
    found = LOWERED.get(source)
    if found is None:
        found = lowered(source, library)
        if not found.diagnostics:
            LOWERED[source] = found
    return found


def share() -> None:
    """From now on, for this process."""
    grammar.understood = understood_once
    loader._lower_file = lowered_once
