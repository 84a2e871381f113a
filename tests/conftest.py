"""Shared fixtures."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Repeatable and without deadlines on busy machines by default; HYPOTHESIS_PROFILE=explore draws new examples.
settings.register_profile("explore", deadline=None)
settings.register_profile("ci", settings.get_profile("explore"), derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real raws and images, where ISPDSL_DATA points; tests that use it are marked `realdata`."""
    folder = os.environ.get("ISPDSL_DATA")
    if not folder:
        pytest.skip("ISPDSL_DATA does not point at a folder of real raw files")
    return Path(folder)
