"""What a declaration promises without a ``property`` line."""

from __future__ import annotations

from ispdsl.ir.model import Property, Signature

EVERYWHERE: tuple[str, ...] = ("types",)
PROGRAMS: tuple[str, ...] = ("batches", "precision", "exports")


def implied(signature: Signature, is_pipeline: bool) -> tuple[Property, ...]:
    """The lines that hold of every stage, those that hold of programs, and the agreement of several implementations."""
    names = list(EVERYWHERE)
    kinds = [each.kind for each in signature.implementations]
    if "program" in kinds or is_pipeline:
        names += PROGRAMS
    if len(kinds) > 1:
        names.append("agreement")
    return tuple(Property(name=name, location=signature.location) for name in names)
