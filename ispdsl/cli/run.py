"""`ispdsl run` and `ispdsl demo`: from a raw file to a picture."""

from __future__ import annotations

from ispdsl.cli.boundary import guarded


@guarded
def run() -> None:
    """Develop."""


@guarded
def demo() -> None:
    """Demonstrate."""
