"""The catalogue against the compiler: every wrong example earns its code, every right one is clean."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ispdsl.catalogue import ENTRIES
from ispdsl.lower.loader import load_text
from ispdsl.source import Source

PACKAGE = Path(__file__).parent.parent / "ispdsl"


def codes_of(text: str, folder: Path) -> list[str]:
    path = folder / "example.isp"
    path.write_text(text)
    return [d.code for d in load_text(Source("example.isp", text, path))[1].diagnostics]


@pytest.mark.parametrize("code", [code for code in ENTRIES if code[1] != "1"])
def test_wrong_example_earns_exactly_its_code(code: str, tmp_path: Path) -> None:
    assert set(codes_of(ENTRIES[code].wrong, tmp_path)) == {code}


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
