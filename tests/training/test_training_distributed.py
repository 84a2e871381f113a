from __future__ import annotations

import multiprocessing
import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from ispdsl.training import loop
from ispdsl.training.checkpoint import CHECKPOINT
from ispdsl.training.distributed import joined
from tests.training.stand_ins import work

STEPS = 40


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def together(rank: int, port: int, folder: Path) -> None:
    """One of two processes, as torchrun would start it."""
    os.environ.update(
        RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port)
    )
    torch.set_num_threads(1)
    with joined() as group:
        job = work(folder / str(rank), steps=STEPS, batch=16)
        loop.train(replace(job, group=group))
        assert group.agreed(float(rank + 5)) == 5.0
        save_file(job.model.state_dict(), folder / f"{rank}.safetensors")


def test_two_processes_train_what_one_does_with_twice_the_batch(tmp_path: Path) -> None:
    alone = work(tmp_path / "alone", steps=STEPS, batch=32)
    loop.train(alone)
    context, port = multiprocessing.get_context("fork"), free_port()
    processes = [context.Process(target=together, args=(rank, port, tmp_path)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    first, second = (load_file(tmp_path / f"{rank}.safetensors") for rank in range(2))
    for name, wanted in alone.model.state_dict().items():
        assert torch.equal(first[name], second[name]), "they hold the same weights"
        torch.testing.assert_close(first[name], wanted, rtol=1e-3, atol=1e-4)
    assert (tmp_path / "0" / CHECKPOINT).exists()
    assert not (tmp_path / "1").exists(), "rank 0 writes alone"


def test_without_torchrun_one_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined() as group:
        assert (group.rank, group.world, group.writes) == (0, 1, True)
        assert group.agreed(3.0) == 3.0
