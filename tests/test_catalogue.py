"""The catalogue against the compiler: every wrong example earns its code, every right one is clean."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ispdsl.catalogue import ENTRIES
from ispdsl.lower.loader import load_report

PACKAGE = Path(__file__).parent.parent / "ispdsl"


EXCEPTIONS = {"E102": ["E416"], "E104": ["E416"], "E151": ["E131"] * 50 + ["E151"]}
"""Pages that say in words that their example only hints at a file too large to show, or needs other errors besides."""


def codes_of(text: str, folder: Path) -> list[str]:
    """What `ispdsl check example.isp` tells of a text as `ispdsl explain` prints it."""
    path = folder / "example.isp"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    return [d.code for d in load_report(path)[1].diagnostics]


@pytest.mark.parametrize("code", list(ENTRIES))
def test_wrong_example_earns_its_code_once_and_no_other(code: str, tmp_path: Path) -> None:
    assert codes_of(ENTRIES[code].wrong, tmp_path) == EXCEPTIONS.get(code, [code])


def test_the_pages_say_what_their_examples_leave_out() -> None:
    assert all(re.search("example (only hints|has 51)", ENTRIES[code].why) for code in EXCEPTIONS)
    assert "called example.isp" in ENTRIES["E209"].why  # it imports itself


@pytest.mark.parametrize("code", list(ENTRIES))
def test_right_example_is_clean(code: str, tmp_path: Path) -> None:
    assert codes_of(ENTRIES[code].right, tmp_path) == []


def test_every_code_that_the_compiler_gives_has_a_page() -> None:
    used = {
        code
        for path in PACKAGE.rglob("*.py")
        if "catalogue" not in path.parts
        for code in re.findall(r'"([EW]\d{3})"', path.read_text())
    }
    assert used == set(ENTRIES)
