"""What tests of several programs share."""

from __future__ import annotations

import pytest


@pytest.fixture(params=[False, pytest.param(True, marks=pytest.mark.slow)], ids=["plain", "exported"])
def export(request: pytest.FixtureRequest) -> bool:
    """Whether `check_program` exports as well: of programs of hundreds of operations, whose export takes most of the
    time of their check, the slow tests do. Programs of fewer operations are exported in every run.
    """
    return bool(request.param)
