"""What the engine adds to a register device, against a bare client in turns."""

from __future__ import annotations

import pytest

from benchmarks.overhead_registers import LIMIT, overhead


@pytest.mark.bench
def test_a_call_takes_little_longer_than_a_bare_clients() -> None:
    found = overhead(60)
    assert found["overhead_ms"] < LIMIT, found
