"""All errors of a text in one go, each once, in the words of the language."""

from __future__ import annotations

import re

import pytest

from ispdsl.catalogue.syntax import SYNTAX
from ispdsl.source import Source
from ispdsl.syntax import tree
from ispdsl.syntax.limits import MAX_ERRORS
from ispdsl.syntax.parser import Parsed, parse
from tests.syntax.corpus import TEXTS

STAGE = "stage f(image: rgb<S, f32>) -> rgb<S, f32> {{\n{}\n}}\n"
PIPELINE = "pipeline p(image: rgb<S, f32>) -> (out: rgb<S, f32>) {{\n{}\n}}\n"


def told(text: str) -> tuple[Parsed, list[tuple[str, int]]]:
    source = Source("x", text)
    parsed = parse(source)
    return parsed, [(d.code, source.position(d.primary.span.start)[0]) for d in parsed.diagnostics]


def test_every_broken_statement_is_told_and_every_good_one_kept() -> None:
    body = [
        "  slider a in 0..1 = 0",  # 2
        "  slidr b in 0..1 = 0",
        "  slider c in = 0",  # 4
        "  slider d in 0..1",
        "  ## Its doc.",  # 6
        "  toggle e = true",
        "  choice g in {one, two = one",  # 8
        "  property linear",
        "  register r @ 0x100 : u8 = 1",  # 10
        "  program my.function",
        "  property monotone in a",  # 12
    ]
    parsed, codes = told(STAGE.format("\n".join(body)))
    assert codes == [("E122", 3), ("E133", 4), ("E132", 5), ("E120", 8), ("E138", 10), ("E141", 11)]
    (stage,) = parsed.tree.declarations
    kept = [type(each).__name__ for each in stage.items]
    assert kept == ["Slider", "Toggle", "Property", "Property"]
    toggle = stage.items[1]
    assert isinstance(toggle, tree.Toggle)
    assert toggle.doc is not None
    assert toggle.doc.lines == ("Its doc.",)


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("stage f(a: b) -> c {\n toggle x = 0\nstage g(a: b) -> c {\n}\n", [("E120", 1)]),
        ("stage f(a: b) -> c {\n toggle x = 0\nstage g(a: b) -> c {\n}\n}\n", [("E120", 1)]),
        ("stage f(a: b) -> c {\n}\n toggle x = 0\n toggle y = 0\n}\nstage g(a: b) -> c {\n}\n", [("E124", 3)]),
        ("stage f(a: b) -> c\n toggle x = 0\n}\nstage g(a: b) -> c {\n}\n", [("E135", 1)]),
        ("stage f(a: b -> c {\n toggle x = 0\n}\nstage g(a: b) -> c {\n toggle\n}\n", [("E120", 1), ("E130", 5)]),
        ("stge f(a: b) -> c {\n x = a\n}\nstage g(a: b) -> c {\n}\n", [("E122", 1)]),
        ("from a import b c\nfrom b import\nfrom c import d\n", [("E143", 1), ("E143", 2)]),
        ("stage f(a: b) -> c {\n}\nfrom a import b\nstage g(a: b) -> c {\n}\n", [("E124", 3)]),
    ],
)
def test_broken_frames_cost_one_error(text: str, codes: list[tuple[str, int]]) -> None:
    assert told(text)[1] == codes


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("slider a in = 0", "expected a range such as 0..1 after 'in', found '='"),
        ("slider a in 0.. = 0", "expected the upper end of the range, found '='"),
        ("slider a in 0..1..2 = 0", "a range has two ends and two dots, no more"),
        ("slidr a in 0..1 = 0", "'slidr' is not a keyword"),
        ("slider a in 0..1", "slider 'a' has no default: expected '=' and a value, found the end of the statement"),
        ("slider a in 0..1 =", "expected a default value after '=', found the end of the statement"),
        ("slider a = 0", "slider 'a' has no range: expected 'in' and a range such as 0..1, found '='"),
        ("slider a in 0..5 K = 0K", "the unit 'K' stands apart from its number"),
        ("meta x = 0", "meta 'x' has no type: expected ':' and a type, found '='"),
        ("meta x: real<ev = 0", "expected ',' or '>' or a type's argument, found '='"),
        ("slider a in 0..1 = 1_000", "'1_000' is not a number"),
        ("slider a in 0..1 = 1.", "'1.' is not a number"),
        ("slider a in 0..1 = 0xFG", "'0xFG' is not a number"),
        ("slider größe in 0..1 = 0", "'größe' holds a letter that names cannot have"),
        ("slider a in 0..1 = 1e-999", "1e-999 is out of range"),
        ("slider a in 0..1 = 2 - 1", "'-': the language has no expressions"),
        ("slider a in 0..1 = 2-1", "'-': the language has no expressions"),
        ("property monotone in", "expected a name after 'in', found the end of the statement"),
        ("toggle a = maybe not", "'not' does not belong to the statement before it"),
    ],
)
def test_words_of_the_language(body: str, message: str) -> None:
    parsed = parse(Source("x", STAGE.format(body)))
    assert [d.message for d in parsed.diagnostics] == [message]


@pytest.mark.parametrize(
    "statement", ["x = a ->", "x = a -> f(b = ", "x = ", "x == a", "x = a -> f) ", "x = a b", "a -> f"]
)
def test_a_broken_flow_costs_one_error_and_not_its_neighbours(statement: str) -> None:
    parsed, codes = told(PIPELINE.format(f"  before = image\n  {statement}\n  after = image -> f(a = 1,\n    b = 2)"))
    assert [line for _, line in codes] == [3]
    flows = [each.targets[0].text for each in parsed.tree.declarations[0].items if isinstance(each, tree.Flow)]
    assert flows == ["before", "after"]


def test_hints_name_the_nearest_keyword() -> None:
    (found,) = parse(Source("x", STAGE.format("  regsiter a @ 0x1[0] : u1 = 0"))).diagnostics
    assert found.hint == "did you mean 'register'?"


@pytest.mark.parametrize("step", [29, pytest.param(7, marks=pytest.mark.slow)])
def test_no_message_speaks_of_the_parser(step: int) -> None:
    texts = [entry.wrong for entry in SYNTAX]
    texts += [text[:cut] for text in TEXTS.values() for cut in range(0, len(text), step)]
    for text in texts:
        for found in parse(Source("x", text)).diagnostics:
            words = f"{found.message} {found.hint}"
            assert not re.search(r"__|\$|ANON|[A-Z]{4,}|Token|lark", words), words


def test_a_truncated_file_is_one_error() -> None:
    text = TEXTS["photo_finish"]
    for cut in range(0, len(text), 3):
        errors = [d for d in parse(Source("x", text[:cut])).diagnostics if d.code[0] == "E"]
        assert len(errors) <= 2, text[:cut]


def test_not_more_than_so_many_errors() -> None:
    found = parse(Source("x", STAGE.format("  toggle x\n" * 200))).diagnostics
    assert [d.code for d in found] == ["E132"] * MAX_ERRORS + ["E151"]
