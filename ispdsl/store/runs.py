"""Run directories: create, open, keep samples, read them back.

::

    RUN/run.json              the head: what is sampled, never changed
    RUN/ledger.sqlite         what was acknowledged, and what failed
    RUN/blobs/ab/abcd...      the samples, named by their content
    RUN/drafts/               what is being written
    RUN/doubles/VARIANT/      networks that were trained on them
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from ispdsl.store import blobs
from ispdsl.store.blobs import Stored, path_of, put_blob, read_blob, read_some
from ispdsl.store.disk import make_folder, read_regular, write_durably, writing
from ispdsl.store.errors import DiskError, StoreError
from ispdsl.store.head import FORMAT, PipelineHead, RawHead, RunHead, plain_name
from ispdsl.store.ledger import (
    KEY,
    NAME,
    Failure,
    Row,
    changing,
    check_ledger,
    create_ledger,
    finite,
    held,
    reading,
    rows_of,
)
from ispdsl.store.sample import Sample

__all__ = [
    "DiskError",
    "Entry",
    "Failure",
    "PipelineHead",
    "RawHead",
    "Row",
    "Run",
    "RunHead",
    "Sample",
    "StoreError",
    "Stored",
    "acknowledge",
    "acknowledge_all",
    "create",
    "done_keys",
    "fail",
    "failures",
    "forget",
    "get",
    "held",
    "open_run",
    "place",
    "put",
    "put_blob",
    "rows",
    "samples",
]

HEAD = "run.json"
LARGEST_HEAD = 1 << 26


@dataclass(frozen=True)
class Run:
    """A run directory. It can be handed to other processes.

    Attributes:
        path: the folder.
        head: what it is of.
    """

    path: Path
    head: RunHead


def create(path: Path, head: RunHead) -> Run:
    """Make a run directory with an empty ledger. To be called once, before any process that writes to it is started.

    Args:
        path: a folder that is not there, or holds no run.
        head: what the run is of.

    Raises:
        StoreError: there is a run already.
        DiskError: it cannot be written.
    """
    if (path / HEAD).exists() or (path / NAME).exists() and (not _is_ledger_empty(path)):
        raise StoreError(f"{path} holds a run already", "`ispdsl runs resume` goes on with it; or name another folder")
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
    for name in (blobs.FOLDER, blobs.DRAFTS):
        make_folder(path / name)
    create_ledger(path)
    text = head.model_dump_json(indent=2) + "\n"
    write_durably(path / HEAD, text.encode())  # last: where there is a head, everything else is there
    return Run(path, head)


def open_run(path: Path) -> Run:
    """The run in a folder. The head and the ledger are looked at, the samples are not: `get` does that.

    Raises:
        StoreError: there is none, it is damaged, or of a newer ispdsl.
    """
    if not (path / HEAD).is_file():
        hint = "`ispdsl sample` makes one, `ispdsl runs ls FOLDER` lists those in a folder"
        raise StoreError(f"{path} is no run: there is no {HEAD} in it", hint)
    head = _read_head(path / HEAD)
    for name in (blobs.FOLDER, blobs.DRAFTS, "doubles", "training"):
        if (path / name).is_symlink():
            raise StoreError(f"{path / name} is a link", "a run keeps everything in its own folder: copy it there")
    if not (path / blobs.FOLDER).is_dir():
        raise StoreError(f"{path / blobs.FOLDER} is missing", "the samples of the run lie there; copy them as well")
    check_ledger(path)
    return Run(path, head)


def place(run: Run, *names: str) -> Path:
    """A place inside of a run, such as ``doubles/default/tone``; no name leads outside.

    Raises:
        StoreError: a name is not the plain name of a file or folder.
    """
    try:
        return run.path.joinpath(*map(plain_name, names))
    except ValueError as error:
        raise StoreError(f"{run.path}: {error}", "a name in a run has no `/` and is not `..`") from error


def put(run: Run, sample: Sample, key: str, number: int) -> bool:
    """Keep a sample: on the disk, then in the ledger. Once this returns, it is there, whatever happens.

    Args:
        run: where.
        sample: what the real thing gave.
        key: hash of all that decides what it is.
        number: its place in the design.

    Returns:
        False where the key was there already: then nothing changed.

    Raises:
        DiskError: the disk is full, protected or fails. Nothing was acknowledged.
        StoreError: the ledger is damaged, or the key is none.
    """
    with reading(run.path) as base:
        if base.execute("SELECT 1 FROM samples WHERE key = ?", (key,)).fetchone():
            return False
    return acknowledge(run, key, number, put_blob(run.path, sample), sample.seconds)


@dataclass(frozen=True)
class Entry:
    """What a row of the ledger is made of: the key and number of a sample, its blob, and the seconds that it took."""

    key: str
    number: int
    stored: Stored
    seconds: float


def acknowledge(run: Run, key: str, number: int, stored: Stored, seconds: float) -> bool:
    """Enter a blob into the ledger: the second half of keeping a sample. Of several with one key the first wins.

    Returns:
        False where the key was there already: then nothing changed, and the blob is collected by `gc`.

    Raises:
        StoreError: the blob is not there (more than a minute may not pass between the halves when `gc` is run).
        DiskError: the ledger cannot be written.
    """
    return acknowledge_all(run, [Entry(key, number, stored, seconds)])[0]


def acknowledge_all(run: Run, entries: Sequence[Entry]) -> list[bool]:
    """Enter several blobs into the ledger in one transaction, with one sync: all of them are acknowledged, or none.

    Returns:
        For each what `acknowledge` would return.

    Raises:
        StoreError, DiskError: as `acknowledge`; none was acknowledged.
    """
    for entry in entries:
        if not KEY.fullmatch(entry.key):
            raise StoreError(f"{entry.key!r} is not a key", "take a hash in hexadecimal")
    with changing(run.path) as base:
        return [_entered(base, run, entry) for entry in entries]


def _entered(base: sqlite3.Connection, run: Run, entry: Entry) -> bool:
    if base.execute("SELECT 1 FROM samples WHERE key = ?", (entry.key,)).fetchone():
        return False
    stored = entry.stored
    blob = path_of(run.path, stored.digest)
    if not blob.is_file() or blob.stat().st_size != stored.bytes:
        raise StoreError(f"{blob} is not there any more", "it was collected by `ispdsl runs gc`; sample it again")
    row = (entry.key, entry.number, stored.digest, stored.bytes, finite(entry.seconds), time.time())
    base.execute("INSERT INTO samples VALUES (?, ?, ?, ?, ?, ?)", row)
    base.execute("DELETE FROM failures WHERE key = ?", (entry.key,))
    return True


def fail(run: Run, key: str, number: int, fault: str, message: str) -> None:
    """Keep that the real thing did not give a sample. It is forgotten when a later try does.

    Raises:
        DiskError: the ledger cannot be written.
    """
    with changing(run.path) as base:
        row = (key, number, str(fault), message, time.time())
        if not base.execute("SELECT 1 FROM samples WHERE key = ?", (key,)).fetchone():
            base.execute("INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?)", row)


def forget(run: Run, keys: Iterable[str]) -> int:
    """Take samples out of the ledger, so that they are made again; `gc` collects their blobs. Returns how many.

    Raises:
        DiskError: the ledger cannot be written.
    """
    with changing(run.path) as base:
        return sum(base.execute("DELETE FROM samples WHERE key = ?", (key,)).rowcount for key in set(keys))


def done_keys(run: Run) -> set[str]:
    """Keys of the samples that there are."""
    return {row.key for row in rows(run)}


def rows(run: Run) -> list[Row]:
    """The samples that there are, in the order of their numbers.

    Raises:
        StoreError: the ledger is damaged.
    """
    with reading(run.path) as base:
        found = base.execute("SELECT key, number, blob, bytes, seconds, at FROM samples ORDER BY number, key")
        return rows_of(found, run.path / NAME)


def failures(run: Run) -> list[Failure]:
    """The samples that the real thing did not give, in the order of their numbers.

    Raises:
        StoreError: the ledger is damaged.
    """
    with reading(run.path) as base:
        found = base.execute("SELECT key, number, fault, message, at FROM failures ORDER BY number, key")
        return [
            Failure(str(key), int(number), str(fault), str(message), float(at))
            for key, number, fault, message, at in found
        ]


def get(run: Run, blob: str, names: Collection[str] | None = None) -> Sample:
    """The sample of a blob.

    Args:
        run: where.
        blob: of a `Row`.
        names: of the images to read, where others are not needed; the content of the file is not checked then.

    Raises:
        StoreError: it is missing, or its content is not what its name says.
    """
    return read_blob(run.path, blob) if names is None else read_some(run.path, blob, names)


def samples(run: Run) -> Iterator[Sample]:
    """The samples that there are, in the order of their numbers.

    Raises:
        StoreError: one is missing or damaged.
    """
    for row in rows(run):
        yield get(run, row.blob)


def _read_head(path: Path) -> RunHead:
    try:
        found = json.loads(read_regular(path, LARGEST_HEAD))
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{path} is damaged: {error}") from error
    version = found.get("format") if isinstance(found, dict) else None
    if isinstance(version, int) and version > FORMAT:
        hint = "take a newer ispdsl"
        raise StoreError(f"{path} is of format {version}; this ispdsl reads up to {FORMAT}", hint)
    try:
        return RunHead.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise StoreError(f"{path} is damaged: {where}: {first['msg']}") from error


def _is_ledger_empty(path: Path) -> bool:
    """Whether nothing was ever acknowledged: a run that was killed while it was created."""
    with reading(path) as base:
        made = base.execute("SELECT 1 FROM sqlite_master WHERE name = 'samples'").fetchone()
        return not made or not base.execute("SELECT 1 FROM samples").fetchone()
