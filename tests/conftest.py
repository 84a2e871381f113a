"""Shared fixtures."""

from __future__ import annotations

import gc
import os
from functools import cache
from pathlib import Path

import pytest
import torch.fx.config
import typer.testing
from hypothesis import settings
from typer.main import get_command

from tests import shipped

# Repeatable and without deadlines on busy machines by default; HYPOTHESIS_PROFILE=explore draws new examples.
settings.register_profile("explore", deadline=None)
settings.register_profile("ci", settings.get_profile("explore"), derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

# The runner would put all commands together again at each call of one.
setattr(typer.testing, "_get_command", cache(get_command))  # noqa: B010

# Trees are parsed anew, and nothing is written to the home of whoever runs the tests.
os.environ["ISPDSL_KEEP_TREES"] = "0"

shipped.share()

# Exported programs would note for every node where it came from, which takes a third of the time of exporting.
torch.fx.config.do_not_emit_stack_traces = True


def pytest_collection_finish() -> None:
    """Thousands of tests and the libraries stay: the collector need not look through them again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real raws and images, where ISPDSL_DATA points; tests that use it are marked `realdata`."""
    folder = os.environ.get("ISPDSL_DATA")
    if not folder:
        pytest.skip("ISPDSL_DATA does not point at a folder of real raw files")
    return Path(folder)
