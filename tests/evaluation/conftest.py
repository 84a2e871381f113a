"""One small run for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from ispdsl.store.runs import Run
from tests.evaluation.stand_ins import small_run


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return small_run(Path(tmp_path_factory.mktemp("evaluated")))
