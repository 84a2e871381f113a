"""The formatter: canonical, idempotent, and nothing is lost."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ispdsl.diagnostics import IspError
from ispdsl.source import Source
from ispdsl.syntax.layout import WIDTH
from ispdsl.syntax.parser import parse
from ispdsl.syntax.printer import format_source, format_tree
from tests.syntax.corpus import FOLDER, TEXTS
from tests.syntax.strategies import bare, comments_of, files, spellings

GENERATED = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    max_examples=int(os.environ.get("EXAMPLES", 60)),
)


def formatted(text: str) -> str:
    return format_source(Source("x", text))


@GENERATED
@given(files)
def test_a_printed_tree_parses_to_the_same_tree(file) -> None:
    text = format_tree(file)
    parsed = parse(Source("x", text))
    assert parsed.diagnostics == ()
    assert bare(parsed.tree) == bare(file)
    assert formatted(text) == formatted(formatted(text))


@GENERATED
@given(st.sampled_from(sorted(TEXTS)).flatmap(lambda stem: st.tuples(st.just(stem), spellings(TEXTS[stem]))))
def test_any_spelling_keeps_its_tree_and_its_comments(drawn) -> None:
    stem, (text, comments) = drawn
    parsed = parse(Source("x", text))
    assert not [d for d in parsed.diagnostics if d.code != "W101"]
    assert len(parsed.tree.comments) == comments
    once = formatted(text)
    again = parse(Source("x", once))
    assert bare(again.tree) == bare(parsed.tree) == bare(parse(Source("x", TEXTS[stem])).tree)
    assert comments_of(again.tree) == comments_of(parsed.tree)
    assert formatted(once) == once


@pytest.mark.parametrize("stem", sorted(TEXTS))
def test_layout(stem: str) -> None:
    golden = FOLDER / f"{stem}.formatted"
    assert formatted(TEXTS[stem]) == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("stem", sorted(TEXTS))
def test_a_tree_alone_keeps_its_comments(stem: str) -> None:
    tree = parse(Source("x", TEXTS[stem])).tree
    printed = parse(Source("x", format_tree(tree))).tree
    assert bare(printed) == bare(tree)
    assert comments_of(printed) == comments_of(tree)


def test_empty_lines_are_the_authors_but_at_most_one() -> None:
    text = "stage f(a: b) -> b {\n\n\n  toggle x = 0\n\n\n\n  toggle y = 0\n  toggle z = 0\n\n}\nstage g() -> b {}\n"
    assert formatted(text) == (
        "stage f(a: b) -> b {\n  toggle x = 0\n\n  toggle y = 0\n  toggle z = 0\n}\n\nstage g() -> b {\n}\n"
    )


def test_comments_stay_where_they_were() -> None:
    text = (
        "# first\n\n# second\nstage f(a: b) -> b { # behind the brace\n  # before\n  toggle x = 0 # behind\n"
        "  # last\n} # end\n# after\n"
    )
    assert formatted(text) == text.replace(" #", "  #").replace("    #", "  #").replace("\n   #", "\n  #")


def test_comments_inside_a_statement_go_before_it() -> None:
    text = "stage f(a: b) -> b {\n  toggle x # why\n    = 0\n}\n"
    assert formatted(text) == "stage f(a: b) -> b {\n  # why\n  toggle x = 0\n}\n"


def test_a_broken_chain_stays_broken_and_a_whole_one_whole() -> None:
    text = "pipeline p(a: b) -> (c: b) {\n  c = a\n    -> f  # one\n    # before\n    -> g -> tap t\n    -> h\n}\n"
    assert formatted(text) == text
    whole = "pipeline p(a: b) -> (c: b) {\n  c = a -> f -> g -> tap t -> h -> i\n}\n"
    assert formatted(whole) == whole


def test_long_lines_are_broken_at_brackets() -> None:
    matrix = ", ".join(f"[{', '.join(['0.123456789'] * 6)}]" for _ in range(3))
    names = ", ".join(f"subject_{i}" for i in range(20))
    arguments = ", ".join(f"argument_{i} = {i}" for i in range(12))
    text = (
        f"pipeline p({names.replace(',', ': rgb,')}: rgb) -> (out: rgb) {{\n  matrix m[3, 6] = [{matrix}]\n"
        f"  property monotone {names} in {names}\n  out = f({arguments}) -> g({arguments})\n}}\n"
    )
    once = formatted(text)
    assert max(map(len, once.splitlines())) <= WIDTH
    assert formatted(once) == once
    assert bare(parse(Source("x", once)).tree) == bare(parse(Source("x", text)).tree)


def test_line_ends_become_line_feeds() -> None:
    text = TEXTS["everything"]
    assert formatted(text.replace("\n", "\r\n")) == formatted(text)


def test_a_broken_text_is_refused_with_all_its_errors() -> None:
    with pytest.raises(IspError) as caught:
        formatted("stage f(a: b) -> b {\n  toggle\n  slider x = 1\n}\n")
    assert len(caught.value.report.errors) == 2
