"""What the parser understands: places, docs, comments, words that are keywords in some places only."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from ispdsl.diagnostics import Diagnostic
from ispdsl.render.tree import outline
from ispdsl.source import Source, Span
from ispdsl.syntax import tree
from ispdsl.syntax.parser import load_source, parse
from tests.syntax.corpus import FOLDER, TEXTS


def good(text: str) -> tree.File:
    parsed = parse(Source("x", text))
    assert parsed.diagnostics == ()
    return parsed.tree


def item(text: str, kind: str = "stage"):
    return good(f"{kind} f(a: b) -> b {{\n{text}\n}}").declarations[0].items[-1]


@pytest.mark.parametrize("stem", sorted(TEXTS))
def test_tree(stem: str) -> None:
    source = Source(f"{stem}.isp", TEXTS[stem])
    assert outline(good(source.text), source) == (FOLDER / f"{stem}.tree").read_text(encoding="utf-8")


@pytest.mark.parametrize("stem", sorted(TEXTS))
def test_a_span_is_the_text_of_its_node(stem: str) -> None:
    text = TEXTS[stem]

    def walk(node: object, outer: Span) -> None:
        if isinstance(node, tuple):
            for each in node:
                walk(each, outer)
        elif is_dataclass(node) and not isinstance(node, Span):
            span: Span = node.span  # type: ignore[attr-defined]
            words = text[span.start : span.end]
            assert words == words.strip()
            assert words
            if isinstance(node, tree.Name | tree.Number | tree.Comment):
                assert words == node.text
            if not isinstance(node, tree.Doc):
                assert outer.start <= span.start < span.end <= outer.end
            for field in fields(node):
                walk(getattr(node, field.name), outer if isinstance(node, tree.Doc) else span)

    file = good(text)
    assert file.span == Span(0, len(text))
    for node in (*file.imports, *file.declarations, *file.comments):
        walk(node, file.span)


def test_docs_belong_to_what_follows_and_are_not_in_its_span() -> None:
    text = "## One.\n##  two\n##\nstage f(a: b) -> b {\n  ## Three.\n  toggle x = 0\n}\n"
    (stage,) = good(text).declarations
    assert stage.doc == tree.Doc(("One.", " two", ""), Span(0, 18))
    assert text[stage.span.start : stage.span.end].startswith("stage f")
    (toggle,) = stage.items
    assert isinstance(toggle, tree.Toggle)
    assert toggle.doc is not None
    assert toggle.doc.lines == ("Three.",)
    assert text[toggle.span.start : toggle.span.end] == "toggle x = 0"


def test_comments_know_whether_they_stand_alone() -> None:
    file = good("# a\nstage f(a: b) -> b {  # b\n  # c\n}")
    assert [(c.text, c.own_line) for c in file.comments] == [("# a", True), ("# b", False), ("# c", True)]


@pytest.mark.parametrize(
    ("text", "comment"),
    [
        ("stage f(a: b) -> b {\n  toggle x = 0  ## behind\n  toggle y = 0\n}", "# behind"),
        ("stage f(a: b) -> b {\n  ## contract\n  property linear\n}", "# contract"),
        ("stage f(a: b) -> b {\n}\n## the end", "# the end"),
        ("stage f(\n  ## an image\n  a: b) -> b {\n}", "# an image"),
        ("pipeline p(a: b) -> b {\n  x = f(\n  ## argument\n  curve = 3)\n}", "# argument"),
    ],
)
def test_a_doc_that_documents_nothing_is_a_comment_and_told_of(text: str, comment: str) -> None:
    parsed = parse(Source("x", text))
    assert [d.code for d in parsed.diagnostics] == ["W101"]
    assert [c.text for c in parsed.tree.comments] == [comment]
    docs = [getattr(each, "doc", None) for each in parsed.tree.declarations[0].items]
    assert docs == [None] * len(docs)


def test_keywords_are_names_where_a_name_is_asked_for() -> None:
    choice = item("choice choice in {in, soft, slider} = soft")
    assert isinstance(choice, tree.Choice)
    assert [choice.name.text, *(option.text for option in choice.options)] == ["choice", "in", "soft", "slider"]
    flow = item("of = a -> as(property = 1, stage = 2) as stat -> tap tap", "pipeline")
    assert isinstance(flow, tree.Flow)
    assert [step.name.text for step in flow.steps] == ["as", "tap"]


def test_a_property_may_stand_before_dataflow() -> None:
    file = good(
        "pipeline p(a: b) -> b {\n property linear\n x = a\n property range 0..1\n property q r\n y, z = f(a)\n}"
    )
    kinds = [type(each).__name__ for each in file.declarations[0].items]
    assert kinds == ["Property", "Flow", "Property", "Property", "Flow"]


def test_white_space_is_free_but_not_needed() -> None:
    text = "stage f(a:rgb<S,f32>)->rgb<S,f32>{meta x:real<ev>=0ev slider y in-1..1=-.0}"
    assert [d.code for d in parse(Source("x", text)).diagnostics] == ["E109"]
    (stage,) = good(text.replace("-.0", "-0.0")).declarations
    assert len(stage.items) == 2


def test_single_bits_and_ranges_of_bits() -> None:
    single, several = item("register r @ 0x1[3] : u1 = 0"), item("register r @ 0x1[7:4] : u4 = 0")
    assert isinstance(single, tree.Register)
    assert isinstance(several, tree.Register)
    assert (single.place.high.value, single.place.low.value) == (3, 3)
    assert (several.place.high.value, several.place.low.value) == (7, 4)


def test_crlf_and_empty_texts() -> None:
    text = TEXTS["everything"].replace("\n", "\r\n")
    assert len(good(text).declarations) == 3
    assert [c.text for c in good(text).comments] == [c.text for c in good(TEXTS["everything"]).comments]
    assert good("") == tree.File((), (), (), Span(0, 0))
    assert good("\n \t\n").span == Span(0, 4)


def test_files_are_read_with_or_without_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.isp"
    path.write_bytes(b"\xef\xbb\xbf# \xc3\xb6\n")
    source = load_source(path)
    assert source == Source(str(path), "# ö\n", path)
    path.write_bytes(b"\xef\xbb\xbf# ok\n# \xff\n")
    wrong = load_source(path, "name")
    assert isinstance(wrong, Diagnostic)
    assert (wrong.code, wrong.primary.source.name, wrong.primary.span) == ("E101", "name", Span(7, 7))
    assert "byte 0xff at offset 10" in wrong.message
    path.write_bytes(b"#" * (1 << 20))
    assert isinstance(load_source(path), Source)
    path.write_bytes(b"#" * ((1 << 20) + 1))
    large = load_source(path)
    assert isinstance(large, Diagnostic)
    assert large.code == "E102"
    with pytest.raises(FileNotFoundError):
        load_source(tmp_path / "none.isp")


def test_parsing_imports_nothing_heavy() -> None:
    code = (
        "import sys; from ispdsl.syntax.printer import format_source; loaded = {m.split('.')[0] for m in sys.modules}; "
        "print(*sorted(loaded & {'numpy', 'torch', 'rich', 'pydantic', 'networkx', 'typer'}))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "\n"
