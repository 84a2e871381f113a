"""A run as a few large safetensors files with an index, for those who do not have ispdsl.

::

    FOLDER/index.json                    the head of the run; each shard with its hash and samples
    FOLDER/shard-00000.safetensors       tensors KEY/images/NAME and KEY/metadata/NAME; the rest by key as
                                         JSON under ``samples`` in the header
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import safetensors.numpy
from numpy.typing import NDArray

from ispdsl.store.blobs import LARGEST, arrays_of, note_of, parse, sample_of, tensors
from ispdsl.store.disk import read_regular, write_durably, writing
from ispdsl.store.errors import StoreError
from ispdsl.store.ledger import Row
from ispdsl.store.runs import Run, get, rows
from ispdsl.store.sample import Sample

INDEX = "index.json"
NOTES = "samples"
FORMAT = 1
LARGEST_SHARD = 1 << 30
"""Bytes after which a shard is closed, however few samples are in it: it is held in memory while it is written."""


def export_shards(run: Run, folder: Path, per_shard: int = 64) -> list[Path]:
    """Write the samples of a run into files of at most `per_shard` each, in the order of their numbers.

    Args:
        run: what to export.
        folder: is made; must not hold an export already.
        per_shard: samples; fewer where they are large (a shard is closed after 1 GiB).

    Returns:
        The shards. The index is written last: where it is, all is there.

    Raises:
        StoreError: `folder` holds an export, or a sample is damaged.
        DiskError: the disk is full, protected or fails.
    """
    if per_shard < 1:
        raise StoreError(f"{per_shard} samples a shard are too few", "take 1 at least")
    if (folder / INDEX).exists():
        raise StoreError(f"{folder} holds an export already", "name another folder")
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    shards: list[Path] = []
    entries: list[dict[str, Any]] = []
    for number, chosen in enumerate(_groups(rows(run), per_shard)):
        path = folder / f"shard-{number:05d}.safetensors"
        data = _shard(run, chosen)
        write_durably(path, data)
        listed = [{"key": row.key, "number": row.number, "seconds": row.seconds} for row in chosen]
        digest = hashlib.sha256(data).hexdigest()
        entries.append({"file": path.name, "sha256": digest, "bytes": len(data), "samples": listed})
        shards.append(path)
    index = {"format": FORMAT, "run": run.head.model_dump(mode="json"), "shards": entries}
    write_durably(folder / INDEX, (json.dumps(index, indent=2) + "\n").encode())
    return shards


def read_shard(path: Path) -> Iterator[tuple[str, Sample]]:
    """The samples of a shard by key, in the order of their numbers.

    Raises:
        StoreError: the file is damaged.
    """
    try:
        arrays, texts = tensors(read_regular(path, LARGEST))
        notes = parse(texts.get(NOTES))
        if not isinstance(notes, dict):
            raise StoreError("it is no shard: its header does not say what it holds")
        kept: dict[str, dict[str, NDArray[Any]]] = {key: {} for key in notes}
        for name, array in arrays.items():
            key, _, rest = name.partition("/")
            if key not in kept:
                raise StoreError(f"nothing is said of {name!r}")
            kept[key][rest] = array
        for key, own in kept.items():
            yield key, sample_of(own, notes[key])
    except StoreError as error:
        raise StoreError(f"{path}: {error.message}", error.hint) from error


def _groups(every: Sequence[Row], per_shard: int) -> Iterator[list[Row]]:
    group: list[Row] = []
    size = 0
    for row in every:
        if group and (len(group) == per_shard or size + row.bytes > LARGEST_SHARD):
            yield group
            group, size = [], 0
        group.append(row)
        size += row.bytes
    if group:
        yield group


def _shard(run: Run, chosen: Sequence[Row]) -> bytes:
    arrays: dict[str, NDArray[Any]] = {}
    notes: dict[str, Any] = {}
    for row in chosen:
        sample = get(run, row.blob)
        arrays.update({f"{row.key}/{name}": array for name, array in arrays_of(sample).items()})
        notes[row.key] = note_of(sample)
    return safetensors.numpy.save(arrays, {NOTES: json.dumps(notes)})
