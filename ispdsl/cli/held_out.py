"""Raws that judge a training are no raws that it learns from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from ispdsl.cli.boundary import CommandError
from ispdsl.cli.console import note
from ispdsl.render.characters import clean


def learnt_from(raws: Sequence[Path], held_out: Sequence[Path]) -> tuple[Path, ...]:
    """The raws but those whose content is held out, under whatever name: `*.dng --held-out a.dng` means the others.

    Raises:
        CommandError: all of them are.
    """
    kept = {_digest(path) for path in held_out if path.is_file()}
    found = tuple(path for path in raws if not path.is_file() or _digest(path) not in kept)
    if not found:
        raise CommandError("every raw is held out, and nothing is left to learn from", "give more raws")
    if len(found) < len(raws):
        note(f"held out, and not learnt from: {', '.join(clean(path.name) for path in raws if path not in found)}")
    return found


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
