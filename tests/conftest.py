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

from ispdsl.source import Source
from ispdsl.syntax import grammar
from ispdsl.syntax.parsed import Parsed

# Repeatable and without deadlines on busy machines by default; HYPOTHESIS_PROFILE=explore draws new examples.
settings.register_profile("explore", deadline=None)
settings.register_profile("ci", settings.get_profile("explore"), derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

# The runner would put all commands together again at each call of one.
setattr(typer.testing, "_get_command", cache(get_command))  # noqa: B010

# Trees are parsed anew, and nothing is written to the home of whoever runs the tests.
os.environ["ISPDSL_KEEP_TREES"] = "0"

# Nearly every test imports the standard library: its files and the pipelines are parsed once in a process, for half of
# the time of many tests would go there. Trees cannot be changed, and any other text is parsed each time.
ROOT = Path(__file__).parents[1]
SHIPPED = {file.read_text(encoding="utf-8") for name in ("stdlib", "pipelines") for file in (ROOT / name).glob("*.isp")}
understood = grammar.understood
once = cache(lambda text: understood(Source("shipped", text)))


def understood_once(source: Source) -> Parsed:
    """As `understood`; diagnostics name their source, so that what has any is never shared."""
    found = once(source.text) if source.text in SHIPPED else None
    return found if found and not found.diagnostics else understood(source)


grammar.understood = understood_once

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
