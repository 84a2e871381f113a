from __future__ import annotations

import shutil
from collections.abc import Generator
from pathlib import Path

import pytest
import torch

from ispdsl.store.runs import Run, open_run
from tests.training.made import write_run


@pytest.fixture(autouse=True)
def _one_thread() -> Generator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that nobody writes into."""
    return write_run(tmp_path_factory.mktemp("sampled"), charts=2)


@pytest.fixture
def run(sampled: Run, tmp_path: Path) -> Run:
    """A run to train."""
    shutil.copytree(sampled.path.parent, tmp_path / "copy")
    return open_run(tmp_path / "copy" / "run")
