"""The README says what is true: its language page compiles as formatted, its diagnostic is what `check` prints."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ispdsl.lower.loader import load_text
from ispdsl.render.human import render
from ispdsl.source import Source
from ispdsl.syntax.printer import format_source

README = (Path(__file__).parent.parent / "README.md").read_text()
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL)


def block(start: str) -> str:
    return next(text for _, text in BLOCKS if text.startswith(start))


def test_the_language_page_compiles_and_is_formatted(tmp_path: Path) -> None:
    source = Source("gain.isp", block("from tone "), tmp_path / "gain.isp")
    assert load_text(source)[1].diagnostics == ()
    assert format_source(source) == source.text


def test_the_diagnostic_is_what_check_prints(tmp_path: Path) -> None:
    text = (
        "from colour import srgb\n\n"
        "pipeline double(image: rgb<linear_srgb, f32>) -> (display: rgb<srgb, unit>) {\n"
        "  display = image -> srgb -> srgb as again\n}\n"
    )
    report = load_text(Source("double.isp", text, tmp_path / "double.isp"))[1]
    shown = render(report, colour=False, width=100)
    assert block("error[E307]").strip() == shown.split("\n\n1 error")[0].strip()


def test_the_python_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from ispdsl.synthetic import write_demo_raw

    root = Path(__file__).parent.parent
    (tmp_path / "out" / "demo").mkdir(parents=True)
    write_demo_raw(tmp_path / "out" / "demo" / "demo.dng")
    for folder in ("pipelines", "stdlib"):
        (tmp_path / folder).symlink_to(root / folder)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(block("import torch, ispdsl"), "README.md", "exec"), names)
    assert re.match(r"tensor\(0\.\d+\) torch.Size\(\[3, 200, 300\]\)", capsys.readouterr().out)
    exec(compile(block("target = isp"), "README.md", "exec"), names)
    assert abs(names["found"]["exposure.ev"] - 0.5) < abs(names["start"]["exposure.ev"] - 0.5)
