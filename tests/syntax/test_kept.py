"""Trees of texts that were parsed before: the same, and only from where nobody else can write."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ispdsl import caches
from ispdsl.source import Source
from ispdsl.syntax import kept
from ispdsl.syntax.grammar import understood
from ispdsl.syntax.parser import parse

ROOT = Path(__file__).parents[2]
TEXT = """# a comment
## What it does.
stage brighten(image: rgb<S, unit>) -> rgb<S, unit> {
  slider ev in -2ev..2ev = 0.5ev  # behind
  program "ispdsl.programs.tone:exposure"
  property pointwise
}
"""


@pytest.fixture
def trees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of trees, which is not there yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("ISPDSL_KEEP_TREES")
    return caches.folder() / "trees"


def only(trees: Path) -> Path:
    (file,) = trees.iterdir()
    return file


@pytest.mark.parametrize("path", sorted([*ROOT.glob("stdlib/*.isp"), *ROOT.glob("pipelines/*.isp")]), ids=str)
def test_a_tree_comes_back_as_it_was(path: Path, trees: Path) -> None:
    source = Source("x", path.read_text(encoding="utf-8"))
    assert kept.tree_of(source.text) is None
    fresh = parse(source)
    again = kept.tree_of(source.text)
    assert again == fresh.tree == understood(source).tree
    assert repr(again) == repr(fresh.tree)
    assert not fresh.diagnostics


def test_the_second_time_no_parser_is_imported(trees: Path) -> None:
    code = (
        "import sys; from ispdsl.lower.loader import load; load('pipelines/photo_finish.isp'); "
        "print('lark' in sys.modules)"
    )
    found = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
        for _ in range(2)
    ]
    assert found == ["True\n", "False\n"]


def test_another_text_and_another_version_are_parsed_anew(trees: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parse(Source("x", TEXT))
    assert kept.tree_of(TEXT) is not None
    assert kept.tree_of(TEXT + "\n") is None
    monkeypatch.setattr(kept, "_code", lambda: b"another")
    assert kept.tree_of(TEXT) is None


def test_what_is_wrong_is_told_each_time(trees: Path) -> None:
    source = Source("x", TEXT.replace("slider", "slidder"))
    assert parse(source).diagnostics == parse(source).diagnostics != ()
    assert not trees.exists()


@pytest.mark.parametrize("damage", ["cut", "changed", "noise", "empty", "a folder", "of another text"])
def test_a_damaged_file_is_made_again(damage: str, trees: Path) -> None:
    fresh = parse(Source("x", TEXT))
    file = only(trees)
    good = file.read_bytes()
    if damage == "a folder":
        file.unlink()
        file.mkdir()
    elif damage == "of another text":
        parse(Source("x", f"# another\n{TEXT}"))
        file.write_bytes(next(each for each in trees.iterdir() if each != file).read_bytes())
    else:
        bad = {
            "cut": good[:-20],
            "changed": good.replace(b"brighten", b"darkened"),
            "noise": b"\xff\x00\n[",
            "empty": b"",
        }
        file.write_bytes(bad[damage])
    assert kept.tree_of(TEXT) is None
    assert parse(Source("x", TEXT)) == fresh
    if damage != "a folder":
        assert file.read_bytes() == good


def test_a_folder_that_others_can_write_to_is_left_alone(trees: Path) -> None:
    parse(Source("x", TEXT))
    assert trees.stat().st_mode & 0o777 == 0o700
    trees.chmod(0o777)
    assert kept.tree_of(TEXT) is None
    parse(Source("x", f"# another\n{TEXT}"))
    assert only(trees)
    trees.chmod(0o755)
    assert kept.tree_of(TEXT) is not None


def test_a_folder_of_somebody_else_or_behind_a_link_is_left_alone(trees: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parse(Source("x", TEXT))
    with monkeypatch.context() as patch:
        patch.setattr(os, "getuid", lambda: 12345)
        assert kept.tree_of(TEXT) is None
    trees.rename(trees.with_name("elsewhere"))
    trees.symlink_to("elsewhere")
    assert kept.tree_of(TEXT) is None


def test_where_nothing_can_be_written_the_text_is_parsed(trees: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trees.parent.parent.mkdir()
    trees.parent.write_text("a file in the place of the folder")
    assert parse(Source("x", TEXT)).tree == understood(Source("x", TEXT)).tree
    trees.parent.unlink()
    trees.mkdir(parents=True, mode=0o700)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert parse(Source("x", TEXT)).tree == understood(Source("x", TEXT)).tree
    assert not list(trees.iterdir())


def test_nothing_is_kept_where_the_user_says_so(trees: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISPDSL_KEEP_TREES", "0")
    parse(Source("x", TEXT))
    assert not trees.exists()


def test_the_oldest_go_first(trees: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST", 2)
    for age, text in ((30, "# 1\n"), (20, "# 2\n"), (10, "# 3\n")):
        before = set(trees.iterdir()) if trees.exists() else set[Path]()
        parse(Source("x", text))
        for file in set(trees.iterdir()) - before:
            os.utime(file, (1e9 - age, 1e9 - age))
    assert [kept.tree_of(text) is not None for text in ("# 1\n", "# 2\n", "# 3\n")] == [False, True, True]
