"""What the shell offers after a tab, and options that take pairs."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from ispdsl.cli.app import app
from ispdsl.cli.boundary import CommandError
from ispdsl.cli.explain import complete_word
from ispdsl.cli.options import complete_file, pairs
from ispdsl.cli.stages import complete_stage
from tests.cli.conftest import Invoke


def complete(words: str, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What bash is offered for an unfinished command line."""
    monkeypatch.setenv("_ISPDSL_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1))
    return invoke().stdout.split()


def test_commands_and_options(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    assert complete("ispdsl ch", invoke, monkeypatch) == ["check", "chart"]
    assert "--format" in complete("ispdsl graph --for", invoke, monkeypatch)


def test_pipelines_of_the_file_on_the_line(invoke: Invoke, good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert complete(f"ispdsl graph {good} --pipeline ", invoke, monkeypatch) == ["main"]
    assert complete("ispdsl graph nowhere.isp --pipeline ", invoke, monkeypatch) == []


def test_files_folders_and_pipelines_that_come_along(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (good.parent / "sub").mkdir()
    (good.parent / "x.png").touch()
    monkeypatch.chdir(good.parent)
    assert complete_file("photo") == ["photo_finish"]
    assert complete_file("g") == ["good.isp"]
    assert complete_file("su") == ["sub/"]
    assert complete_file(f"{good.parent}/g") == [str(good)]
    assert complete_file("nowhere/") == []


def test_codes_and_stages() -> None:
    assert complete_word("prop") == ["property"]
    assert complete_word("e1") == [code for code in complete_word("") if code.startswith("E1")]
    assert "malvar" in complete_stage("mal")


def test_completion_can_be_installed() -> None:
    names = {name for parameter in typer.main.get_command(app).params for name in parameter.opts}
    assert {"--install-completion", "--show-completion"} <= names


def test_pairs() -> None:
    assert pairs(["a.b=1", "c = x=y"], "--set", "a.b=v") == [("a.b", "1"), ("c", "x=y")]
    assert pairs(None, "--set", "a.b=v") == []
    for wrong in ("a", "=1"):
        with pytest.raises(CommandError, match="is not of the form"):
            pairs([wrong], "--set", "a.b=v")
