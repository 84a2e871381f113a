"""The README says what is true: its language page compiles as formatted, its sessions and examples print what it shows.

The examples of docs/contracts.md are held in the same way.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ispdsl.lower.loader import load_text
from ispdsl.render.human import render
from ispdsl.source import Source
from ispdsl.syntax.printer import format_source

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
CONTRACTS = (ROOT / "docs" / "contracts.md").read_text()
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL)


def block(start: str) -> str:
    return next(text for _, text in BLOCKS if text.startswith(start))


def shape(text: str) -> str:
    """A report without its numbers, which hang on the version of Hypothesis."""
    return re.sub(r"\d+(\.\d+)?", "0", text)


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


@pytest.mark.slow
def test_the_session_of_contracts_prints_what_it_shows(tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    command = tmp_path / "bin" / "ispdsl"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nPYTHONPATH="$PYTHONPATH:{ROOT}" exec "{sys.executable}" -m ispdsl "$@"\n')
    command.chmod(0o755)
    session = block("$ cp -r")
    steps = [(line.removeprefix("$ ") if line.startswith("$ ") else "") for line in session.splitlines()]
    script = "\n".join(f"echo '$ '{number}; {step}" for number, step in enumerate(filter(None, steps)))
    environment = {**os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}", "COLUMNS": "80"}
    run = subprocess.run(["sh", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    wanted = re.split(r"^\$ .*\n", session, flags=re.MULTILINE)
    found = re.split(r"^\$ .*\n", run.stdout, flags=re.MULTILINE)
    assert wanted[2].startswith("1 contract, all ")
    assert [shape(text) for text in found] == [shape(text) for text in wanted], run.stderr
    blocks = [text for _, text in re.findall(r"```(\w*)\n(.*?)```", CONTRACTS, re.DOTALL)]
    report = next(text for text in blocks if text.startswith("fade.isp:"))
    assert shape(report) == shape(wanted[4]), "docs/contracts.md shows the same report"


def test_a_camera_of_four_bits_fails_where_the_page_says_and_one_of_eight_holds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    (text,) = re.findall(r"```python\n(.*?)```", CONTRACTS, re.DOTALL)
    exec(compile(text, "contracts.md", "exec"), {})
    failed = [line.split()[2] for line in capsys.readouterr().out.splitlines() if line.startswith("fails")]
    assert failed == ["identity", "affine"]
    exec(compile(text.replace("* 15) / 15", "* 255) / 255"), "contracts.md", "exec"), {})
    outcomes = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert set(outcomes) == {"holds"}


def test_the_number_of_stages_is_that_of_the_standard_library() -> None:
    from ispdsl.cli.stages import standard

    assert f"`stdlib/` holds {len(list(standard()))} stages" in README
