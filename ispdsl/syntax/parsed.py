"""What parsing gives."""

from __future__ import annotations

from dataclasses import dataclass

from ispdsl.diagnostics import Diagnostic
from ispdsl.syntax import tree


@dataclass(frozen=True)
class Parsed:
    """What was understood of a text, in the order of the text, and what was wrong with the rest.

    Where `diagnostics` holds errors the tree lacks the statements that they are about: good enough to show, not to
    compile.
    """

    tree: tree.File
    diagnostics: tuple[Diagnostic, ...] = ()
