"""Reports for people, held to golden files; ISPDSL_UPDATE_GOLDEN=1 writes them anew."""

from __future__ import annotations

import os
import re
import time
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ispdsl.diagnostics import Diagnostic, Label, Report
from ispdsl.render import human, json
from ispdsl.render.characters import HIDDEN, width
from ispdsl.source import Source, Span
from tests.render.reports import REPORTS, TONE, at

GOLDEN = Path(__file__).parent / "golden"


def hold_to(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("ISPDSL_UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", REPORTS)
def test_people_read(name: str) -> None:
    hold_to(f"{name}.txt", human.render(REPORTS[name], colour=False, width=80))


def test_colour_adds_escapes_and_nothing_else() -> None:
    plain = human.render(REPORTS["other_file"], colour=False, width=80)
    coloured = human.render(REPORTS["other_file"], colour=True, width=80)
    hold_to("other_file.ansi", coloured)
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain


def test_json() -> None:
    hold_to("other_file.json", json.render(REPORTS["other_file"]))


def test_an_empty_report_says_nothing() -> None:
    assert human.render(Report()) == ""
    assert json.render(Report()) == "[]\n"


def test_summary_counts() -> None:
    one, two = (Diagnostic(code, "x", at(TONE, "stage")) for code in ("E201", "E202"))
    warning = Diagnostic("W301", "x", at(TONE, "stage"))
    assert human.summary(Report.of([one])) == "1 error"
    assert human.summary(Report.of([one, two, warning])) == "2 errors, 1 warning"
    assert human.summary(Report()) == "no errors"


def test_the_marker_stands_under_the_word() -> None:
    lines = human.render(REPORTS["wide_characters"], width=80).splitlines()
    line, primary, related = lines[3:6]
    assert primary.index("^") - width(line[: line.index("flimic")]) == 0
    assert related.index("-") == width(line[: line.index("曲線")])
    assert related.count("-") == 4


@given(
    text=st.text(st.characters(codec=None), max_size=200),
    message=st.text(max_size=50),
    start=st.integers(0, 220),
    length=st.integers(-3, 220),
    columns=st.integers(1, 120),
)
def test_any_text_is_shown_safely_and_within_the_terminal(
    text: str, message: str, start: int, length: int, columns: int
) -> None:
    label = Label(Source(text[:20], text), Span(start, start + length))
    shown = human.render(Report.of([Diagnostic("E101", message, label)]), width=columns)
    assert not {c for c in shown if c != "\n" and unicodedata.category(c) in HIDDEN}
    excerpt = [line for line in shown.splitlines() if re.match(r" *\d* \|", line)]
    assert excerpt
    assert all(width(line) <= max(columns, human.NARROWEST) for line in excerpt)


def test_a_line_of_a_mebibyte_takes_no_time() -> None:
    source = Source("bomb.isp", "é" * 2**20)
    found = [Diagnostic("E101", f"bad {i}", Label(source, Span(i * 10_000, i * 10_000 + 3))) for i in range(100)]
    begun = time.process_time()
    assert len(human.render(Report.of(found), width=80)) < 100_000
    assert time.process_time() - begun < 1.0
