"""A runner for the command line, and small files to run it on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ispdsl.cli.app import app

GOOD = """## Twice the light.
stage twice(image: rgb<S, f32>) -> rgb<S, f32> {
  slider ev in -1ev..1ev = 0ev

  program "ispdsl.programs.tone:exposure"

  property identity when ev == 0ev
  property pointwise
  property monotone in ev
}

pipeline main(image: rgb<camera, f32>) -> (out: rgb<camera, f32>) {
  out = image -> twice(ev = 0.5ev)
}
"""

Invoke = Callable[..., Result]


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Run a command in this process; the result holds stdout, stderr and the exit code."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("ISPDSL_DEBUG", raising=False)

    def call(*words: str | Path, text: str | None = None) -> Result:
        return CliRunner().invoke(app, [str(word) for word in words], input=text)

    return call


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A file without a fault."""
    path = tmp_path / "good.isp"
    path.write_text(GOOD)
    return path


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    """A file with an error in its fourth line: a range in the wrong unit."""
    path = tmp_path / "bad.isp"
    path.write_text(GOOD.replace("slider ev in -1ev..1ev = 0ev", "slider ev in -1ev..1ev = 9K"))
    return path
