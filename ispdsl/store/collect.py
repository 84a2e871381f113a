"""Tidying up a run: what was written and never acknowledged, and what was acknowledged and is damaged."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ispdsl.store.blobs import DIGEST, DRAFTS, FOLDER, SUFFIX
from ispdsl.store.disk import writing
from ispdsl.store.errors import StoreError
from ispdsl.store.ledger import Row, changing
from ispdsl.store.runs import Run, get, rows

AGE = 60.0
"""Seconds that a file may lie unacknowledged: another process may be between writing and acknowledging it."""

BATCH = 256
"""Files that are looked at while no one else may change the ledger."""


@dataclass(frozen=True)
class Collected:
    """What `gc` took away: how many files, and how many bytes they had."""

    files: int
    bytes: int


def gc(run: Run, age: float = AGE) -> Collected:
    """Take away drafts and blobs that no row names. Others may be sampling into the run meanwhile.

    Args:
        run: where.
        age: in seconds; younger files are left alone.

    Raises:
        DiskError: the folder cannot be changed.
        StoreError: the ledger is damaged.
    """
    oldest = time.time() - age
    old = [path for path in (*_drafts(run.path), *_blobs(run.path)) if _modified(path) < oldest]
    files = size = 0
    for start in range(0, len(old), BATCH):
        with changing(run.path) as base, writing(run.path):
            for path in old[start : start + BATCH]:
                named = base.execute("SELECT 1 FROM samples WHERE blob = ?", (path.stem,)).fetchone()
                if not named and _modified(path) < oldest:  # it may have been written again
                    with contextlib.suppress(FileNotFoundError):  # or renamed, by one who slept for a minute
                        found = path.lstat().st_size
                        path.unlink()
                        files, size = files + 1, size + found
    return Collected(files, size)


def damaged(run: Run) -> Iterator[tuple[Row, str]]:
    """The samples that were acknowledged and cannot be read back, and why. Reads every blob.

    Raises:
        StoreError: the ledger is damaged.
    """
    for row in rows(run):
        try:
            get(run, row.blob)
        except StoreError as error:
            yield row, error.message


def runs_below(folder: Path) -> list[Path]:
    """The run directories in a folder and below, in order; hidden folders and links are left out."""
    found: list[Path] = []
    for place, inner, names in os.walk(folder):
        if "run.json" in names:
            found.append(Path(place))
            inner.clear()
        inner[:] = sorted(name for name in inner if not name.startswith("."))
    return sorted(found)


def _drafts(folder: Path) -> Iterator[Path]:
    """What was being written when somebody was killed."""
    for place in (folder / DRAFTS, folder):
        yield from (path for path in _files(place) if path.name.startswith(".") and path.suffix == ".tmp")


def _blobs(folder: Path) -> Iterator[Path]:
    with os.scandir(folder / FOLDER) as inner:
        places = [Path(entry.path) for entry in inner if entry.is_dir(follow_symlinks=False)]
    for place in places:
        yield from (path for path in _files(place) if path.suffix == SUFFIX and DIGEST.fullmatch(path.stem))


def _files(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as inner:
            return [Path(entry.path) for entry in inner if entry.is_file(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def _modified(path: Path) -> float:
    """When a file was last written; never, where another process has taken it away."""
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:
        return float("inf")
