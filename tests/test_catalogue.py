"""The catalogue against the compiler: every wrong example earns its code, every right one is clean."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ispdsl.catalogue import ENTRIES
from ispdsl.catalogue.page import Page
from ispdsl.catalogue.properties import PAGES, WIDTH, markdown, plain
from ispdsl.catalogue.properties_values import IMPLIED
from ispdsl.lower.contract import VOCABULARY
from ispdsl.lower.loader import load_report
from ispdsl.source import Source
from ispdsl.syntax.printer import format_source

ROOT = Path(__file__).parent.parent

PACKAGE = ROOT / "ispdsl"


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


# ---- properties -----------------------------------------------------------------------------------------------


def test_every_property_has_a_page_and_its_meaning_is_that_of_the_vocabulary() -> None:
    assert {name: page.title for name, page in PAGES.items()} == {
        **{name: term.meaning for name, term in VOCABULARY.items()},
        "implied": IMPLIED.title,
    }


@pytest.mark.parametrize("name", list(VOCABULARY))
def test_a_page_shows_every_part_that_its_line_may_have(name: str) -> None:
    term, page = VOCABULARY[name], PAGES[name]
    heads = " ".join(head for head, _ in page.parts)
    assert ("in NAMES" in page.usage, "[in NAMES]" in page.usage) == (term.inside != "no", term.inside == "may")
    assert ("LOW..HIGH" in page.usage, "[N]" in page.usage) == (term.range, term.degree)
    assert not term.within or re.search(r" within (Npx|L)\b", page.usage)
    for part in re.findall(r"(in|when|within) [A-Z]|(LOW..HIGH)|\[(N)\]", page.usage):
        assert next(filter(None, part)) in heads.split()


@pytest.mark.parametrize(("name", "word"), [(name, word) for name, term in VOCABULARY.items() for word in term.names])
def test_a_page_names_just_the_words_that_the_language_takes(name: str, word: str, tmp_path: Path) -> None:
    page = PAGES[name]
    taken = codes_of(page.right.replace(page.line, f"property {name} {word}"), tmp_path) == []
    named = word in " ".join(head for head, _ in page.parts).replace(",", "").split()
    assert taken == named


@pytest.mark.parametrize("page", PAGES.values(), ids=list(PAGES))
def test_right_use_of_a_property_is_clean_and_formatted(page: Page, tmp_path: Path) -> None:
    assert page.right.count(f"  {page.line}\n") == 1
    assert codes_of(page.right, tmp_path) == []
    assert format_source(Source("example.isp", page.right)) == page.right
    assert page.name == "implied" or page.line.split()[1] == page.name


@pytest.mark.parametrize("page", PAGES.values(), ids=list(PAGES))
def test_wrong_use_of_a_property_earns_its_code(page: Page, tmp_path: Path) -> None:
    assert codes_of(page.right.replace(page.line, page.wrong), tmp_path) == [page.code]


@pytest.mark.parametrize("page", PAGES.values(), ids=list(PAGES))
def test_a_page_fits_a_terminal(page: Page) -> None:
    lines = plain(page).splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert len(lines) <= 60
    assert not [line for line in lines if line != line.rstrip()]


@pytest.mark.parametrize("page", PAGES.values(), ids=list(PAGES))
def test_the_lines_that_a_page_quotes_stand_in_the_standard_library(page: Page) -> None:
    assert page.seen or page is IMPLIED
    for stage, line in page.seen:
        file, _, name = stage.partition(".")
        text = (ROOT / "stdlib" / f"{file}.isp").read_text(encoding="utf-8")
        declared = re.search(rf"^stage {name}\(.*?^}}", text, re.DOTALL | re.MULTILINE)
        assert declared
        assert line in [each.partition("#")[0].strip() for each in declared[0].splitlines()]


def test_the_document_says_what_the_pages_say() -> None:
    text = (ROOT / "docs" / "contracts.md").read_text(encoding="utf-8")
    section = re.search(r"^## The vocabulary\n.*?(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    assert section
    wanted = markdown(PAGES.values())
    assert section[0].rstrip() == wanted.rstrip(), "replace the section by ispdsl.catalogue.properties.markdown"
