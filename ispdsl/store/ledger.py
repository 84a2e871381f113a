"""The ledger of a run: which samples there are. SQLite with a write-ahead log, for several processes at once.

What is in it has been acknowledged: it was synced to the disk (``synchronous=FULL``) before the call returned. A
connection lives for one call, so that processes may fork between two of them.
"""

from __future__ import annotations

import math
import os
import re
import sqlite3
from collections.abc import Generator, Iterable
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ispdsl.store.blobs import DIGEST
from ispdsl.store.disk import MAKE_ROOM
from ispdsl.store.errors import DiskError, StoreError

NAME = "ledger.sqlite"
FORMAT = 1
APPLICATION = 0x49535052  # "ISPR"
PATIENCE = 60.0
"""Seconds that a process waits while others write."""

KEY = re.compile(r"[0-9A-Za-z_.-]{1,200}")
"""What a key may be: it becomes part of names."""

TABLES = """
CREATE TABLE IF NOT EXISTS samples (
  key TEXT PRIMARY KEY, number INTEGER NOT NULL, blob TEXT NOT NULL, bytes INTEGER NOT NULL, seconds REAL NOT NULL,
  at REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS samples_by_number ON samples (number);
CREATE INDEX IF NOT EXISTS samples_by_blob ON samples (blob);
CREATE TABLE IF NOT EXISTS failures (
  key TEXT PRIMARY KEY, number INTEGER NOT NULL, fault TEXT NOT NULL, message TEXT NOT NULL, at REAL NOT NULL
) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Row:
    """A sample that was acknowledged.

    Attributes:
        key: hash of all that decides what it is.
        number: its place in the design.
        blob: SHA-256 of its file.
        bytes: of its file.
        seconds: that the real thing took.
        at: when it was acknowledged, in seconds since 1970.
    """

    key: str
    number: int
    blob: str
    bytes: int
    seconds: float
    at: float


@dataclass(frozen=True)
class Failure:
    """A sample that the real thing did not give, the last time that it was asked.

    Attributes:
        key, number: as of a `Row`.
        fault: the kind of fault, a word.
        message: what went wrong.
        at: when, in seconds since 1970.
    """

    key: str
    number: int
    fault: str
    message: str
    at: float


def create_ledger(folder: Path) -> None:
    """Make the ledger of a new run; nothing changes where it is there.

    Raises:
        DiskError: it cannot be written.
    """
    path = folder / NAME
    with _told(path), closing(sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)) as base:
        base.execute("PRAGMA journal_mode = WAL")
        base.execute("PRAGMA synchronous = FULL")
        base.execute(f"PRAGMA application_id = {APPLICATION}")
        base.execute(f"PRAGMA user_version = {FORMAT}")
        base.executescript(TABLES)


@contextmanager
def reading(folder: Path) -> Generator[sqlite3.Connection]:
    """Within, the ledger as it is at one moment.

    Raises:
        StoreError: it is missing or damaged.
    """
    path = _present(folder)
    # where nobody may write, nobody does, and SQLite could not make the file by which readers and writers agree
    alone = not os.access(folder, os.W_OK) and not path.with_name(f"{NAME}-wal").exists()
    with _told(path), closing(_connect(path, "immutable=1&mode=ro" if alone else "mode=rw")) as base:
        base.execute("BEGIN")
        yield base


@contextmanager
def changing(folder: Path) -> Generator[sqlite3.Connection]:
    """Within, the ledger as only this process may change it; all of it is kept on the disk at the end, or nothing.

    Raises:
        DiskError: it cannot be written.
        StoreError: it is missing or damaged.
    """
    path = _present(folder)
    with _told(path), closing(_connect(path, "mode=rw")) as base:
        base.execute("PRAGMA synchronous = FULL")
        base.execute("BEGIN IMMEDIATE")
        yield base
        base.execute("COMMIT")


@contextmanager
def held(folder: Path) -> Generator[None]:
    """Within, the ledger stays open, and each acknowledgement is three times as fast.

    Otherwise SQLite tidies up whenever the last one that uses the ledger closes it. Processes that are forked within
    may write blobs and must leave the ledger alone: SQLite's locks do not survive a fork. They are refused.

    Raises:
        StoreError: the ledger is missing or damaged.
    """
    path = _present(folder)
    place = path.resolve()
    with _told(path), closing(_connect(path, "mode=rw")) as base:
        base.execute("SELECT count(*) FROM sqlite_master").fetchone()  # it is opened by being read
        before = HOLDERS.get(place)
        HOLDERS[place] = os.getpid()
        try:
            yield
        finally:
            if before is None:
                del HOLDERS[place]


HOLDERS: dict[Path, int] = {}
"""Ledgers that are held open, and by which process: a forked one inherits the entry and knows that it is not meant."""


def check_ledger(folder: Path) -> None:
    """Look whether the ledger is one, and whole.

    Raises:
        StoreError: it is missing, damaged, or of another format.
    """
    path = folder / NAME
    with reading(folder) as base:
        application = base.execute("PRAGMA application_id").fetchone()[0]
        version = base.execute("PRAGMA user_version").fetchone()[0]
        if application != APPLICATION:
            raise StoreError(f"{path} is not the ledger of a run")
        if version != FORMAT:
            raise StoreError(f"{path} is of format {version}; this ispdsl reads format {FORMAT}")
        found = base.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise StoreError(f"{path} is damaged: {found}", RECOVER)


def rows_of(found: Iterable[tuple[object, ...]], path: Path) -> list[Row]:
    """Rows of the table of samples, each looked at: the file may come from a stranger.

    Raises:
        StoreError: a row is none.
    """
    rows: list[Row] = []
    for key, number, blob, size, seconds, at in found:
        if not (
            isinstance(key, str)
            and KEY.fullmatch(key)
            and isinstance(blob, str)
            and DIGEST.fullmatch(blob)
            and isinstance(number, int)
            and isinstance(size, int)
            and isinstance(seconds, float)
            and isinstance(at, float)
        ):
            raise StoreError(f"{path} is damaged: the row of the key {key!r} is no sample")
        rows.append(Row(key, number, blob, size, seconds, at))
    return rows


def finite(seconds: float) -> float:
    """Seconds as the ledger keeps them: SQLite takes what is no number for nothing."""
    return seconds if math.isfinite(seconds) else 0.0


RECOVER = "`sqlite3 ledger.sqlite .recover` may save the rest; the blobs are not concerned"


def _present(folder: Path) -> Path:
    path = folder / NAME
    if path.is_symlink() or not path.is_file():
        raise StoreError(f"{path} is missing", "it is made with the run; without it nobody knows what was sampled")
    return path


def _connect(path: Path, how: str) -> sqlite3.Connection:
    if HOLDERS.get(path.resolve(), os.getpid()) != os.getpid():
        hint = "start it before, or by `spawn`; or let it write blobs, and acknowledge them in its parent"
        raise StoreError(f"{path} is held open by the process that this one was forked from", hint)
    return sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, timeout=PATIENCE, isolation_level=None)


@contextmanager
def _told(path: Path) -> Generator[None]:
    """Within, what SQLite says is a `StoreError`."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "")
        if name == "SQLITE_FULL":
            raise DiskError(f"cannot write {path}: the disk is full", MAKE_ROOM) from error
        if name.startswith(("SQLITE_READONLY", "SQLITE_IOERR", "SQLITE_CANTOPEN")):
            raise DiskError(
                f"cannot write {path}: the disk is full, protected or fails ({error})", MAKE_ROOM
            ) from error
        if name.startswith("SQLITE_BUSY"):
            raise StoreError(f"{path}: another process kept it for more than {PATIENCE:.0f} seconds") from error
        raise StoreError(f"{path} is damaged: {error}", RECOVER) from error
