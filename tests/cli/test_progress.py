"""The progress bar is for terminals only, and keeps to stderr."""

from __future__ import annotations

import io

import pytest

from ispdsl.cli.progress import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, plain: bool) -> str:
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    with progress(plain) as step:
        step(0, 3, "demosaic")
        step(2, 3, "[bold]tone_map[/bold]")
    return stream.getvalue()


def test_a_terminal_sees_the_step_and_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(monkeypatch, Terminal(), plain=False)
    assert "[bold]tone_map[/bold]" in text
    assert "2/3" in text
    assert "\x1b[32m2/3" in text
    assert capsys.readouterr().out == ""


def test_without_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(monkeypatch, Terminal(), plain=True)
    assert "2/3" in text
    assert "\x1b[32m" not in text


def test_a_log_file_sees_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, io.StringIO(), plain=False) == ""
