"""The calls of a search, written down as they are made: a line of JSON each, so that a stopped search goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ispdsl.errors import UserError
from ispdsl.optimise.space import Numbers

FORMAT = 1

Scores = tuple[float, ...]
"""What a call gave: a score, or one for each of several goals."""


class LedgerError(UserError):
    """The file is no ledger, is that of another search, or cannot be written."""


class Ledger:
    """An open ledger. What it holds is answered first; what comes after is appended and on disk before it counts.

    The first line says what was searched; a ledger that says something else is refused.
    """

    def __init__(self, path: Path, about: Mapping[str, Any]) -> None:
        """Open or begin a ledger.

        Args:
            path: the file.
            about: what is searched, by whom and with which seed: what must be equal for answers to be of use.

        Raises:
            LedgerError: it cannot be read or written, or is of another search.
        """
        self.path = path
        head = {"format": FORMAT, **json.loads(json.dumps(about))}
        try:
            text = path.read_text(encoding="utf-8") if path.exists() else ""
            whole = text[: text.rfind("\n") + 1]  # what was cut off while it was written does not count
            self._known = _known(path, whole.splitlines(), head)
            self._file = path.open("r+" if path.exists() else "x", encoding="utf-8")
            self._file.truncate(len(whole.encode()))
            self._file.seek(0, os.SEEK_END)
        except (OSError, UnicodeDecodeError) as error:
            raise LedgerError(f"{path}: {error}", "name a file that can be written") from error
        if not whole:
            self._write(head)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        """How many calls it holds."""
        return len(self._known)

    def answer(self, number: int, point: Numbers) -> tuple[Scores, float] | None:
        """Scores and seconds of a call that it holds; None of one that is still to be made.

        Raises:
            LedgerError: that call was made elsewhere.
        """
        if number >= len(self._known):
            return None
        there, scores, seconds = self._known[number]
        if not np.array_equal(there, point):
            message = f"{self.path}: call {number + 1} was made at another point than this search makes it"
            raise LedgerError(message, "it was written by another version; begin a new file")
        return scores, seconds

    def add(self, point: Numbers, scores: Scores, seconds: float) -> None:
        """Write a call down, and see to it that it is on disk.

        Raises:
            LedgerError: it cannot be written.
        """
        told = [repr(each) for each in scores]  # JSON has no infinity
        self._write({"point": point.tolist(), "scores": told, "seconds": round(seconds, 6)})
        self._known.append((point, scores, seconds))

    def _write(self, line: Mapping[str, Any]) -> None:
        try:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise LedgerError(f"{self.path} cannot be written: {error.strerror}") from error


def _known(path: Path, lines: list[str], head: Mapping[str, Any]) -> list[tuple[Numbers, Scores, float]]:
    if not lines:
        return []
    try:
        first = json.loads(lines[0])
        if not isinstance(first, dict):
            raise TypeError("a ledger begins with an object")
    except (ValueError, TypeError) as error:
        raise LedgerError(f"{path} is no ledger of a search", "name another file, or delete this one") from error
    found: list[tuple[Numbers, Scores, float]] = []
    for number, line in enumerate(lines[1:], 2):
        try:
            row = json.loads(line)
            scores = tuple(map(float, row["scores"]))
            found.append((np.array(row["point"], np.float64), scores, float(row["seconds"])))
        except (ValueError, LookupError, TypeError) as error:
            hint = f"delete it and what follows, and the search goes on from call {number - 2}"
            raise LedgerError(f"{path}, line {number}: this is no call of a search", hint) from error
    if first != head:
        differs = [key for key in first.keys() | head.keys() if first.get(key) != head.get(key)]
        was = ", ".join(f"{key} {first.get(key)}" for key in sorted(differs))
        message = f"{path} is of another search ({was})"
        raise LedgerError(message, "go on with the same options, or name another file")
    return found
