"""What a declaration promises without a ``property`` line."""

from __future__ import annotations

from ispdsl.ir.model import Property, Signature

PROGRAMS = ("batches", "precision", "exports")
"""What is demanded of programs alone."""


def implied(signature: Signature) -> tuple[Property, ...]:
    """The lines that hold without being written; which apply depends on the implementation that is tested."""
    names = ("types", "responds", *PROGRAMS, "agreement")
    return tuple(Property(name=name, location=signature.location) for name in names)
