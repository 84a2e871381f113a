"""Shards: the samples of a run in a few files that safetensors alone can read, with an index."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import safetensors

from ispdsl.store import export
from ispdsl.store.errors import StoreError
from ispdsl.store.export import export_shards, read_shard
from ispdsl.store.runs import Run, RunHead, put
from tests.store.made import HEAD, files_below, key_of, made, sample_of


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run of five samples."""
    run = made(tmp_path / "run")
    for number in range(5):
        put(run, sample_of(number), key_of(number), number)
    return run


def test_every_sample_is_in_one_shard_in_order(run: Run, tmp_path: Path) -> None:
    shards = export_shards(run, tmp_path / "out", 2)
    assert [path.name for path in shards] == [f"shard-0000{number}.safetensors" for number in range(3)]
    assert files_below(tmp_path / "out") == {"index.json", *(path.name for path in shards)}
    found = [pair for path in shards for pair in read_shard(path)]
    assert [key for key, _ in found] == [key_of(number) for number in range(5)]
    for number, (_, sample) in enumerate(found):
        wanted = sample_of(number)
        for name in wanted.images:
            np.testing.assert_array_equal(sample.images[name], wanted.images[name])
        assert sample.metadata["iso"] == 100.0
        np.testing.assert_array_equal(sample.metadata["gain_map"], np.ones((4, 2, 3)))
        assert (sample.settings, sample.part, sample.extra) == (wanted.settings, wanted.part, wanted.extra)


def test_the_index_says_what_is_where(run: Run, tmp_path: Path) -> None:
    shards = export_shards(run, tmp_path / "out", 3)
    index = json.loads((tmp_path / "out" / "index.json").read_text())
    assert RunHead.model_validate(index["run"]) == HEAD
    assert [entry["file"] for entry in index["shards"]] == [path.name for path in shards]
    for entry, path in zip(index["shards"], shards, strict=True):
        assert entry["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert entry["bytes"] == path.stat().st_size
    listed = [sample["key"] for entry in index["shards"] for sample in entry["samples"]]
    assert listed == [key_of(number) for number in range(5)]


def test_safetensors_alone_reads_a_shard(run: Run, tmp_path: Path) -> None:
    path = export_shards(run, tmp_path / "out")[0]
    with safetensors.safe_open(path, "numpy") as shard:
        notes = json.loads(shard.metadata()["samples"])
        key = key_of(3)
        np.testing.assert_array_equal(shard.get_tensor(f"{key}/images/image"), np.full((1, 8, 8), 3.0))
        assert notes[key]["settings"]["exposure.ev"] == "3ev"


def test_two_exports_are_equal(run: Run, tmp_path: Path) -> None:
    first, second = (export_shards(run, tmp_path / name, 3) for name in ("one", "two"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_large_samples_get_smaller_shards(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "LARGEST_SHARD", 3000)
    assert len(export_shards(run, tmp_path / "out", 100)) == 5


def test_an_export_is_not_made_over_another(run: Run, tmp_path: Path) -> None:
    export_shards(run, tmp_path / "out")
    with pytest.raises(StoreError, match="holds an export already"):
        export_shards(run, tmp_path / "out")
    with pytest.raises(StoreError, match="too few"):
        export_shards(run, tmp_path / "other", 0)


def test_a_shard_that_is_none_is_refused(run: Run, tmp_path: Path) -> None:
    path = export_shards(run, tmp_path / "out")[0]
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(StoreError, match="it is no safetensors file"):
        list(read_shard(path))
    blob = next((run.path / "blobs").rglob("*.safetensors"))
    with pytest.raises(StoreError, match="its header does not say"):
        list(read_shard(blob))
