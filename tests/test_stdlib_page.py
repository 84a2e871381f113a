"""docs/stdlib.md says what the standard library holds."""

from __future__ import annotations

from ispdsl.cli.stages import standard
from ispdsl.render.signature import source_of
from tools.make_stdlib_page import PAGE, page


def test_the_page_is_what_the_declarations_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python tools/make_stdlib_page.py"


def test_every_stage_has_a_row_with_its_source() -> None:
    rows = [line.split(" | ") for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert [cells[0] for cells in rows] == [f"| `{signature.name}`" for _, signature in standard()]
    assert all(source_of(signature.doc) for _, signature in standard())
    assert all(len(cells) == 5 and len(cells[4]) > 8 for cells in rows)
