"""The standard library keeps its contracts on many more calls than the items that every run of pytest tries."""

from __future__ import annotations

from pathlib import Path

import pytest

from ispdsl.contracts import subjects, verify

FOLDER = Path(__file__).parent.parent / "stdlib"


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.isp")), ids=lambda path: path.stem)
def test_two_thousand_calls_break_no_property(path: Path) -> None:
    verdicts = list(verify(subjects(path), examples=2000, seed=1))
    assert verdicts
    assert [f"{v.subject.name}: {v.line}: {v.violation}" for v in verdicts if v.outcome != "holds"] == []
