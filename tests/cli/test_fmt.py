"""`ispdsl fmt`: what is rewritten, what is only said, what is left alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import GOOD, Invoke

MESSY = GOOD.replace("  slider", "     slider   ").replace("= 0ev\n", "=   0ev # kept\n", 1)


@pytest.fixture
def messy(tmp_path: Path) -> Path:
    path = tmp_path / "messy.isp"
    path.write_text(MESSY)
    path.chmod(0o640)
    return path


def test_a_file_is_rewritten_once(invoke: Invoke, messy: Path) -> None:
    assert invoke("fmt", messy).exit_code == 0
    text = messy.read_text()
    assert text != MESSY
    assert "# kept" in text
    assert messy.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in messy.parent.iterdir()] == ["messy.isp"]
    again = invoke("fmt", messy)
    assert again.stderr == "0 of 1 file formatted\n"
    assert messy.read_text() == text


def test_check_and_diff_change_nothing(invoke: Invoke, messy: Path) -> None:
    checked = invoke("fmt", "--check", messy)
    assert (checked.exit_code, checked.stdout) == (1, "")
    assert f"would change: {messy}" in checked.stderr
    shown = invoke("fmt", "--diff", messy)
    assert shown.exit_code == 1
    assert f"--- {messy}\n+++ {messy}\n" in shown.stdout
    assert "-     slider    ev" in shown.stdout
    assert messy.read_text() == MESSY


def test_what_is_in_order_passes_the_check(invoke: Invoke, messy: Path) -> None:
    invoke("fmt", messy)
    assert invoke("fmt", "--check", "--diff", messy).exit_code == 0


def test_stdin_goes_to_stdout(invoke: Invoke, messy: Path) -> None:
    result = invoke("fmt", "-", text=MESSY)
    assert result.exit_code == 0
    invoke("fmt", messy)
    assert result.stdout == messy.read_text()


def test_a_broken_file_is_left_alone_and_the_others_are_not(invoke: Invoke, messy: Path) -> None:
    broken = messy.with_name("a.isp")
    broken.write_text("stage ( {")
    result = invoke("fmt", messy.parent)
    assert result.exit_code == 1
    assert "error[E1" in result.stderr
    assert broken.read_text() == "stage ( {"
    assert messy.read_text() != MESSY


def test_a_link_stays_a_link(invoke: Invoke, messy: Path) -> None:
    link = messy.with_name("link.isp")
    link.symlink_to(messy)
    assert invoke("fmt", link).exit_code == 0
    assert link.is_symlink()
    assert messy.read_text() != MESSY


def test_carriage_returns_are_a_change(invoke: Invoke, messy: Path) -> None:
    invoke("fmt", messy)
    unix = messy.read_bytes()
    messy.write_bytes(unix.replace(b"\n", b"\r\n"))
    assert invoke("fmt", "--check", messy).exit_code == 1
    assert invoke("fmt", messy).exit_code == 0
    assert messy.read_bytes() == unix


def test_json(invoke: Invoke, messy: Path) -> None:
    result = invoke("fmt", "--check", "--json", messy)
    assert json.loads(result.stdout) == [{"file": str(messy), "changed": True}]
    assert result.exit_code == 1
