"""A run as a PyTorch dataset: in order, in workers, and damaged blobs are named."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from ispdsl.store.blobs import path_of
from ispdsl.store.dataset import SampleDataset
from ispdsl.store.errors import StoreError
from ispdsl.store.runs import Run, Sample, held, put, rows
from tests.store.made import key_of, made, sample_of


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run of six samples, put in another order than that of their numbers."""
    run = made(tmp_path / "run")
    for number in (3, 5, 1, 0, 4, 2):
        put(run, sample_of(number), key_of(number), number)
    return run


def first_value(sample: Sample) -> float:
    return float(sample.images["image"][0, 0, 0])


def test_items_are_mappings_of_tensors(run: Run) -> None:
    dataset = SampleDataset(run.path)
    assert len(dataset) == 6
    item = dataset[4]
    assert torch.equal(item["images"]["image"], torch.full((1, 8, 8), 4.0))
    assert item["images"]["out"].shape == (3, 8, 8)
    item["images"]["out"].add_(1)  # they are the caller's own
    assert item["metadata"]["black_level"].dtype == torch.float64
    assert item["metadata"]["iso"].shape == ()
    assert item["part"].tolist() == [8, 0, 8, 8]
    assert (item["settings"]["exposure.ev"], item["raw"], item["type"]) == ("4ev", "a.dng", "raw<rggb, u16>")


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_collates_them(run: Run, workers: int) -> None:
    with held(run.path):  # reading samples needs no ledger
        loader = DataLoader(SampleDataset(run), batch_size=3, num_workers=workers)
        batches = list(loader)
    assert [batch["images"]["image"][:, 0, 0, 0].tolist() for batch in batches] == [[0, 1, 2], [3, 4, 5]]
    assert batches[0]["settings"]["exposure.ev"] == ["0ev", "1ev", "2ev"]
    assert batches[1]["metadata"]["gain_map"].shape == (3, 4, 2, 3)


def test_a_transform_makes_of_a_sample_what_it_likes(run: Run) -> None:
    chosen = [row for row in rows(run) if row.number % 2]
    assert list(DataLoader(SampleDataset(run, first_value, chosen), batch_size=None)) == [1.0, 3.0, 5.0]


def test_it_is_what_the_run_was(run: Run) -> None:
    dataset = SampleDataset(run)
    put(run, sample_of(9), key_of(9), 9)
    assert len(dataset) == 6
    assert len(pickle.loads(pickle.dumps(SampleDataset(run)))) == 7
    with pytest.raises(IndexError):
        dataset[6]


def test_a_damaged_item_is_named(run: Run) -> None:
    path = path_of(run.path, rows(run)[2].blob)
    path.write_bytes(b"")
    with pytest.raises(StoreError, match=f"{path.name} is damaged"):
        SampleDataset(run)[2]


def test_the_rest_of_the_store_needs_no_torch() -> None:
    text = (
        "import sys; import ispdsl.store.collect, ispdsl.store.export, ispdsl.store.runs; print('torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout == "False\n"
