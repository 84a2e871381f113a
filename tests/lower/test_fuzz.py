"""Valid and wrong files with words changed at random: nothing is raised, and everything that is said is well formed."""

from __future__ import annotations

import random
import re
import time
from pathlib import Path

import pytest

from ispdsl.diagnostics import Report
from ispdsl.ir.model import Module
from ispdsl.lower.imports import Library
from ispdsl.lower.loader import empty_library, load_text
from ispdsl.render.human import render
from ispdsl.source import Source
from tests.lower.test_hostile import check

ROOT = Path(__file__).parent.parent.parent
FILES = [
    *sorted((ROOT / "stdlib").glob("*.isp")),
    *sorted((ROOT / "pipelines").glob("*.isp")),
    *sorted((ROOT / "tests" / "errors").glob("*.isp")),
    *sorted((ROOT / "tests" / "errors" / "syntax").glob("*.isp")),
]
WORD = re.compile(r"[A-Za-z_][\w.]*|-?[\d.]+[A-Za-z%]*|->|\.\.|\"[^\"\n]*\"|[^\w\s]")


def piece_of(text: str, dice: random.Random) -> str:
    """A declaration or two of a file, so that each try is short; the imports always."""
    parts = re.split(r"(?m)^(?=(?:##.*\n)*(?:stage|pipeline) )", text)
    if len(parts) < 4:
        return text
    start = dice.randrange(1, len(parts) - 1)
    return parts[0] + "".join(parts[start : start + 2])


def mutated(text: str, words: list[str], dice: random.Random) -> str:
    """The text with one to four words replaced, doubled, dropped, exchanged or inserted."""
    for _ in range(dice.randint(1, 4)):
        found = list(WORD.finditer(text))
        if not found:
            break
        one, other = dice.choice(found), dice.choice(found)
        new = dice.choice(words)
        match dice.randrange(5):
            case 0:
                text = text[: one.start()] + new + text[one.end() :]
            case 1:
                text = f"{text[: one.end()]} {one[0]}{text[one.end() :]}"
            case 2:
                text = text[: one.start()] + text[one.end() :]
            case 3:
                text = text[: one.start()] + other[0] + text[one.end() :]
            case _:
                text = f"{text[: one.start()]}{new} {text[one.start() :]}"
    return text


def loaded(source: Source, library: Library) -> tuple[Module | None, Report, float]:
    """What comes of a text, and the seconds of a core that it took."""
    start = time.process_time()
    module, report = load_text(source, library)
    return module, report, time.process_time() - start


def fuzz(count: int, seed: int) -> int:
    """How many of `count` texts were accepted; asserts that all were handled well."""
    dice = random.Random(seed)
    texts = [(path, path.read_text(encoding="utf-8")) for path in FILES]
    words = sorted({word for _, text in texts for word in WORD.findall(text)})
    accepted = 0
    library = empty_library()
    for number in range(count):
        path, text = dice.choice(texts)
        source = Source("fuzz.isp", mutated(piece_of(text, dice), words, dice), path.with_name("fuzz.isp"))
        module, report, spent = loaded(source, library)
        for _ in range(2):  # a machine that stops for a while is no slow text: that one is slow each time
            spent = spent if spent < 1 else min(spent, loaded(source, library)[2])
        assert spent < 1, f"text {number} of seed {seed}: {source.text}"
        assert (module is None) == bool(report.errors)
        check(report)
        assert render(report) or not report.diagnostics
        if module and number % 10 == 0:
            printed = module.model_dump_json()
            assert Module.model_validate_json(printed).model_dump_json() == printed
        accepted += module is not None
    return accepted


@pytest.mark.parametrize("count", [800, pytest.param(2000, marks=pytest.mark.slow)])
def test_changed_words_never_raise(count: int) -> None:
    accepted = fuzz(count, seed=2)
    assert count // 50 < accepted < count // 2  # texts of both kinds were tried


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 20))
def test_changed_words_never_raise_at_length(seed: int) -> None:
    assert fuzz(3000, seed) > 0
