"""Texts that mean harm, and texts that mean nothing: a diagnostic or a tree, soon, and never an exception."""

from __future__ import annotations

import gc
import random
import re
import time

import pytest

from ispdsl.catalogue import ENTRIES
from ispdsl.source import Source
from ispdsl.syntax.limits import MAX_ERRORS, MAX_NODES
from ispdsl.syntax.parser import Parsed, parse
from ispdsl.syntax.printer import format_source
from tests.syntax.corpus import TEXTS

MIB = 1 << 20
STAGE = "stage f(a: b) -> b {{\n{}\n}}\n"
PIPELINE = "pipeline f(a: b) -> b {{\n{}\n}}\n"
NUMBERS = ", ".join(["1"] * 4900)

BOMBS = {
    "brackets": "[" * MIB,
    "closing brackets": "]" * MIB,
    "braces": "{" * MIB,
    "parentheses in a stage": STAGE.format("x = " + "(" * 60 + ")" * 60),
    "nested lists": STAGE.format("curve c[1] = " + "[" * 70 + "]" * 70),
    "deep but legal lists": STAGE.format("curve c[1] = " + "[" * 62 + "]" * 62),
    "digits": "1" * MIB,
    "a long number": STAGE.format("toggle a = " + "9" * 5000),
    "a huge exponent": STAGE.format("toggle a = 1e99999"),
    "a tiny exponent": STAGE.format("toggle a = 1e-99999"),
    "a long exponent": STAGE.format("toggle a = 1e" + "9" * 100),
    "a long hexadecimal number": STAGE.format("toggle a = 0x" + "F" * 250),
    "a longer hexadecimal number": STAGE.format("toggle a = 0x" + "F" * 5000),
    "one name": "a" * MIB,
    "a dotted name": "a." * (MIB // 2),
    "names": "a " * (MIB // 2),
    "names and commas": "a, " * (MIB // 3),
    "names and commas within limits": PIPELINE.format("a, " * 9000),
    "targets": PIPELINE.format("a, " * 4900 + "b = c"),
    "targets without an end": PIPELINE.format("property p " + "a, " * 9000),
    "commas": "," * MIB,
    "equals signs": "=" * MIB,
    "assignments": PIPELINE.format("a = " * 9000),
    "arrows": "->" * (MIB // 2),
    "a long chain": PIPELINE.format("x = a" + " -> f" * 4500),
    "a broken long chain": PIPELINE.format("x = a" + " -> f" * 4500 + " -> ->"),
    "a long list": STAGE.format(f"curve c[4900] = [{NUMBERS}]"),
    "a broken long list": STAGE.format(f"curve c[4900] = [{NUMBERS} 1]"),
    "NULs": "\0" * MIB,
    "NULs and names": "\0a" * (MIB // 2),
    "lone surrogates": "\ud800" * 300_000,
    "lone surrogates in strings": STAGE.format('program "\ud800"') * 100,
    "byte order marks": "\ufeff" * 300_000,
    "quotes": '"' * 1_000_000,
    "open strings": '"\n' * 9000,
    "a long string": '"' + "a" * (MIB - 10) + '"',
    "comments": "#\n" * (MIB // 2),
    "a long comment": "#" + " #" * (MIB // 2 - 10),
    "comments before an equals sign": PIPELINE.format("a" + "\n# # #" * 9000 + "\n, b c"),
    "docs": "##\n" * (MIB // 3),
    "docs within limits": "##\n" * 9000 + "stage",
    "spaces": " " * MIB,
    "line ends": "\n" * MIB,
    "carriage returns": "\r" * MIB,
    "a long line": STAGE.format("toggle a = 0 " * 2400),
    "a long line in error": STAGE.format("toggle a = 0 " + " " * 900_000 + "toggle = = "),
    "broken statements": STAGE.format("toggle a\n" * 6000),
    "broken statements on one line": STAGE.format("toggle a " * 6000),
    "broken chains": PIPELINE.format("a = b -> f(c, d = ->\n" * 1600),
    "broken stages": "stage f(\n" * 4000,
    "closing braces": "}" * 15_000,
    "accents": "é" * (MIB // 2),
    "dots": "." * MIB,
    "ranges": STAGE.format("slider a in " + "0.." * 5000),
    "minus signs": "-" * MIB,
    "beyond the limit": " " * (MIB + 1),
}


def judged(text: str) -> Parsed:
    """Parse, and hold the answer to what every answer must be."""
    source = Source("x", text)
    parsed = parse(source)
    assert len(parsed.diagnostics) <= MAX_ERRORS + 1 + sum(d.code[0] == "W" for d in parsed.diagnostics)
    for found in parsed.diagnostics:
        assert found.code in ENTRIES
        for label in (found.primary, *found.related):
            assert 0 <= label.span.start <= label.span.end <= len(text)
        assert f"{found.message}{found.hint}".isprintable()
        assert len(found.message) < 300
    return parsed


@pytest.mark.parametrize("name", BOMBS)
def test_bomb(name: str) -> None:
    parse(Source("x", "stage f(a: b) -> b { } broken"))  # both of lark's parsers are there
    gc.collect()  # what other tests have left is no cost of this text
    gc.freeze()
    start = time.process_time()
    judged(BOMBS[name])
    assert time.process_time() - start < 1.0


def test_bombs_are_many() -> None:
    assert len(BOMBS) >= 50


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("brackets", "E103"),
        ("commas", "E104"),
        ("quotes", "E104"),
        ("names", "E104"),
        ("digits", "E105"),
        ("one name", "E105"),
        ("a long string", "E105"),
        ("a long number", "E105"),
        ("NULs", "E107"),
        ("lone surrogates", "E107"),
        ("a huge exponent", "E110"),
        ("a tiny exponent", "E110"),
        ("beyond the limit", "E102"),
    ],
)
def test_the_limit_is_named(name: str, code: str) -> None:
    assert judged(BOMBS[name]).diagnostics[0].code == code


def test_nodes_are_counted_in_the_tree() -> None:
    count = (MAX_NODES - 8) // 3
    assert not judged(STAGE.format("toggle a = b\n" * (count - 1))).diagnostics
    assert [d.code for d in judged(STAGE.format("toggle a = b\n" * (count + 2))).diagnostics] == ["E104"]


# ---- random texts ------------------------------------------------------------------------------------------

_WORDS = re.compile(r"\s+|[\w.%]+|[^\w\s]")
_SIGNS = '" # ## { } ( ) [ ] -> .. = == < > , : @ - + . 1e999 0x slider in stage pipeline stat property from'
_NOISE = [*_SIGNS.split(), "\0", "é", "\ud800", "\u2028", "\n", "\r", "\t"]


def mutated(dice: random.Random) -> str:
    """A valid file with a few words deleted, doubled, swapped, replaced or cut off, and perhaps noise."""
    text = dice.choice(list(TEXTS.values()))
    if dice.random() < 0.1:
        return "".join(dice.choices(_WORDS.findall(text) + _NOISE, k=dice.randrange(1, 120)))
    words = _WORDS.findall(text)
    if dice.random() < 0.5:
        start = dice.randrange(len(words))
        words = words[start : start + dice.randrange(20, 200)]
    for _ in range(dice.randrange(1, 5)):
        at = dice.randrange(len(words))
        match dice.randrange(6):
            case 0:
                del words[at]
                words = words or [""]
            case 1:
                words.insert(at, words[at])
            case 2:
                other = dice.randrange(len(words))
                words[at], words[other] = words[other], words[at]
            case 3:
                words[at] = dice.choice(_NOISE)
            case 4:
                words.insert(at, dice.choice(_NOISE))
            case _:
                words = words[: at + 1]
    return "".join(words)


@pytest.mark.parametrize("count", [300, *(pytest.param(count, marks=pytest.mark.slow) for count in (1_000, 10_000))])
def test_random_texts(count: int) -> None:
    dice = random.Random(1)
    good = 0
    for _ in range(count):
        text = mutated(dice)
        parsed = judged(text)
        if not any(d.code[0] == "E" for d in parsed.diagnostics):
            good += 1
            once = format_source(Source("x", text))
            assert format_source(Source("x", once)) == once
    assert count / 20 < good < count / 2  # most texts are broken, and some are not
