"""Shared fixtures."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real raws and images, where ISPDSL_DATA points; tests that use it are marked `realdata`."""
    folder = os.environ.get("ISPDSL_DATA")
    if not folder:
        pytest.skip("ISPDSL_DATA does not point at a folder of real raw files")
    return Path(folder)
