"""The E1xx pages: each wrong text earns its code and no other, each right one is of the language."""

from __future__ import annotations

from pathlib import Path

import pytest

from ispdsl.catalogue.syntax import SYNTAX
from ispdsl.diagnostics import Diagnostic
from ispdsl.source import Source
from ispdsl.syntax.parser import load_source, parse

HINTED = {"E102", "E104"}
"""Pages whose wrong example only hints at a text that would be too big to show."""


def codes_of(text: str, folder: Path) -> set[str]:
    path = folder / "example.isp"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    source = load_source(path, "example.isp")
    return {source.code} if isinstance(source, Diagnostic) else {d.code for d in parse(source).diagnostics}


@pytest.mark.parametrize("entry", [e for e in SYNTAX if e.code not in HINTED], ids=lambda e: e.code)
def test_wrong_example_earns_its_code_and_no_other(entry, tmp_path: Path) -> None:
    allowed = {"E131", "E151"} if entry.code == "E151" else {entry.code}
    assert codes_of(entry.wrong, tmp_path) == allowed


@pytest.mark.parametrize("entry", SYNTAX, ids=lambda e: e.code)
def test_right_example_parses(entry) -> None:
    assert parse(Source("example.isp", entry.right)).diagnostics == ()
