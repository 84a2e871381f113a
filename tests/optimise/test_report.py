"""The report of a search: whole, self-contained, and what people wrote is text."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from ispdsl.optimise.engine import Evaluation, Found
from ispdsl.optimise.morris import Effect
from ispdsl.optimise.report import write_report
from ispdsl.optimise.space import Space

SPACE = Space.continuous(["exposure.ev", "contrast.amount"])
FOUND = Found(tuple(Evaluation(np.array([0.1 * n, 0.5]), 1.0 / (n + 1), 0.1) for n in range(5)), "no calls are left")


class Tags(HTMLParser):
    """All tags of a page, and what is between them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data


def test_every_picture_of_the_page_is_beside_it_and_nothing_is_loaded_from_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "sheet.png").write_bytes(b"")
    page = write_report(
        tmp_path, "Tuned", {"cma-es": [FOUND]}, SPACE, told={"calls": "5"},
        settings=[("exposure.ev", "0ev", "1.5ev")], effects=[Effect("exposure.ev", 1.0, 1.0, 0.1)],
        pictures=[("Before and after", tmp_path / "sheet.png")],
    )  # fmt: skip
    text = page.read_text(encoding="utf-8")
    images = [attributes["src"] for tag, attributes in Tags(text).tags if tag == "img"]
    assert images == ["sheet.png", "convergence.png", "paths.png", "parallel.png", "effects.png"]
    assert all((tmp_path / str(name)).is_file() for name in images)
    assert not re.search(r"https?://|<script|<link", text)
    assert "1.5ev" in Tags(text).words


def test_without_effects_there_is_no_bar(tmp_path: Path) -> None:
    text = write_report(tmp_path / "new", "Tuned", {"a": [FOUND]}, SPACE, told={}).read_text(encoding="utf-8")
    assert "effects.png" not in text
    assert not (tmp_path / "new" / "effects.png").exists()


def test_names_are_text_and_no_markup(tmp_path: Path) -> None:
    nasty = "<img src=x onerror=alert(1)>"
    page = write_report(tmp_path, nasty, {"a": [FOUND]}, SPACE, told={nasty: nasty}, settings=[(nasty, "0", "1")])
    found = Tags(page.read_text(encoding="utf-8"))
    assert all("onerror" not in attributes for _, attributes in found.tags)
    assert found.words.count(nasty) == 5, "title twice, a fact twice, a setting"


def test_without_a_search_there_is_no_report(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no search"):
        write_report(tmp_path, "Tuned", {"a": [Found((), "")]}, SPACE, told={})
