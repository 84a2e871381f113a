"""`ispdsl check`: exit codes, formats, folders, and that nothing slow is imported."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import GOOD, Invoke


def test_a_good_file_passes(invoke: Invoke, good: Path) -> None:
    result = invoke("check", good)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "1 file checked, no errors\n"


def test_a_bad_file_is_reported_on_stdout(invoke: Invoke, good: Path, bad: Path) -> None:
    result = invoke("check", good, bad)
    assert result.exit_code == 1
    assert "bad.isp:3:" in result.stdout
    assert "slider ev in -1ev..1ev = 9K" in result.stdout
    assert result.stdout.endswith("1 error\n")
    assert result.stderr == ""


def test_the_machine_formats(invoke: Invoke, bad: Path) -> None:
    (found,) = json.loads(invoke("check", bad, "--json").stdout)
    assert found["severity"] == "error"
    assert found["start"]["line"] == 3
    assert json.loads(invoke("check", bad, "--format", "json").stdout) == [found]
    log = json.loads(invoke("check", bad, "--format", "sarif").stdout)
    assert log["runs"][0]["results"][0]["ruleId"] == found["code"]
    assert invoke("check", bad, "--format", "sarif").exit_code == 1


def test_warnings_fail_only_when_strict(invoke: Invoke, tmp_path: Path) -> None:
    path = tmp_path / "unused.isp"
    path.write_text("from tone import contrast\n" + GOOD)
    relaxed, strict = invoke("check", path), invoke("check", path, "--strict")
    assert (relaxed.exit_code, strict.exit_code) == (0, 1)
    assert "contrast is imported and never used" in relaxed.stdout
    assert relaxed.stdout == strict.stdout


def test_folders_are_walked_and_hidden_ones_are_not(invoke: Invoke, tmp_path: Path) -> None:
    for name, text in (("a/b/deep.isp", GOOD), ("a/x.txt", "no"), (".git/hidden.isp", "broken {")):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert invoke("check", tmp_path).stderr == "1 file checked, no errors\n"


def test_a_missing_file_is_unreadable_and_a_near_name_is_offered(invoke: Invoke, good: Path) -> None:
    result = invoke("check", good.with_name("god.isp"))
    assert result.exit_code == 3
    assert "there is no such file" in result.stderr
    assert f"did you mean {good}?" in result.stderr


@pytest.mark.parametrize("text", [b"\xff\xfe", b"\x00" * 2**21], ids=["not UTF-8", "too large"])
def test_what_is_no_text_is_reported(invoke: Invoke, tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "noise.isp"
    path.write_bytes(text)
    result = invoke("check", path)
    assert result.exit_code == 1
    assert "error[E1" in result.stdout


def test_colour_is_asked_for_or_not_there(invoke: Invoke, bad: Path) -> None:
    assert "\x1b[" not in invoke("check", bad).stdout
    assert "\x1b[1;31merror[" in invoke("check", bad, "--colour", "always").stdout
    assert "\x1b[" in invoke("check", bad, "--color", "always").stdout
    assert "\x1b[" not in invoke("check", bad, "--colour", "never").stdout


def test_wrong_words_are_a_usage_error(invoke: Invoke, good: Path) -> None:
    result = invoke("check", good, "--format", "xml")
    assert result.exit_code == 2
    assert "human" in result.stderr
    assert invoke("chekc").exit_code == 2


@pytest.mark.parametrize("words", [["check", "stdlib"], ["--help"], ["explain"], ["tree", "stdlib/tone.isp"]])
def test_nothing_slow_is_imported(words: list[str]) -> None:
    root = Path(__file__).parents[2]
    words = [str(root / word) if word.startswith("stdlib") else word for word in words]
    script = (
        "import sys\n"
        "from ispdsl.cli.app import app\n"
        f"app({words!r}, standalone_mode=False)\n"
        "slow = {'torch', 'numpy', 'networkx', 'rich', 'scipy', 'PIL', 'kornia'} & set(sys.modules)\n"
        "sys.exit(f'imported {slow}' if slow else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_folder_without_files_is_a_usage_error(invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("check", tmp_path)
    assert result.exit_code == 2
    assert f"there are no .isp files in {tmp_path}" in result.stderr


def test_pipes_are_not_read(invoke: Invoke, good: Path) -> None:
    pipe = good.with_name("pipe.isp")
    os.mkfifo(pipe)
    assert invoke("check", good.parent).stderr == "1 file checked, no errors\n"
    result = invoke("check", pipe)
    assert (result.exit_code, "it is no regular file" in result.stderr) == (3, True)
    assert invoke("tree", pipe).exit_code == 3


def test_a_link_in_a_circle_is_not_offered_as_the_near_name(invoke: Invoke, tmp_path: Path) -> None:
    loop = tmp_path / "loop.isp"
    loop.symlink_to(loop)
    for command in ("check", "ir"):
        result = invoke(command, loop)
        assert result.exit_code == 3
        assert "a link that leads nowhere" in result.stderr
        assert "did you mean" not in result.stderr


def test_an_unreadable_file_does_not_hide_the_others(invoke: Invoke, bad: Path) -> None:
    result = invoke("check", bad.with_name("none.isp"), bad)
    assert result.exit_code == 3
    assert "none.isp: there is no such file" in result.stderr
    assert "bad.isp:3:" in result.stdout


def test_stdin_and_pipelines_by_name(invoke: Invoke) -> None:
    assert invoke("check", "photo_finish", "-", text=GOOD).stderr == "2 files checked, no errors\n"
    assert "<stdin>:1:" in invoke("check", "-", text="stage ( {").stdout


def test_help_shows_names_and_no_python_types(invoke: Invoke) -> None:
    for command in ("check", "fmt", "run", "plan", "stages", "explain", "demo"):
        text = invoke(command, "--help").stdout
        assert "Usage:" in text
        assert not re.search(r"list\[|<str>|<path>|<Path>|range>", text), text
    assert "70 a fault of ispdsl" in " ".join(invoke("--help").stdout.split())


@pytest.mark.parametrize("command", [("check",), ("plan",), ("run", "a.dng", "-o", "a.png")])
def test_a_file_of_another_kind_is_told_by_what_it_is(invoke: Invoke, tmp_path: Path, command: tuple[str, ...]) -> None:
    cube = tmp_path / "look.cube"
    cube.write_text("LUT_3D_SIZE 2\n", encoding="utf-8")
    name, *rest = command
    result = invoke(name, cube, *rest)
    assert result.exit_code == 3
    assert "look.cube is no pipeline: .cube is a table of colours" in result.stderr
