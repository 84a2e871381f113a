"""Nothing that a text names is started before somebody has allowed just that."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import ispdsl
from ispdsl.backends.blackbox import declared_in
from ispdsl.cli.app import app
from ispdsl.executors import trust
from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.executors.model import Declared
from ispdsl.executors.trust import check_allowed, fingerprint, granted, inside

TEXT = """
stage wired(image: rgb<srgb, unit>) -> rgb<srgb, unit> {
  slider ev in -5ev..5ev = 0.5ev
  executor command(arguments = ["./tool", "--mode", "fast", "{image}", "{result}"], settings = "my.ini")
}
"""

HARMLESS = """
stage plain(image: rgb<srgb, unit>) -> rgb<srgb, unit> {
  program "ispdsl.programs.tone:exposure"
}
"""


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "text/wired.isp"
    path.parent.mkdir()
    path.write_text(TEXT)
    (path.parent / "tool").write_text("#!/bin/sh\n")
    (path.parent / "my.ini").write_text("ev={ev}\n")
    return path


def only(file: Path) -> Declared:
    (found,) = declared_in(ispdsl.load(file))
    return found


def denied(file: Path) -> ExecutorError:
    with pytest.raises(ExecutorError) as caught:
        check_allowed(only(file))
    assert caught.value.fault is Fault.DENIED
    return caught.value


def test_nothing_runs_unasked(file: Path) -> None:
    error = denied(file)
    for word in ("./tool", "my.ini", "wired.isp:4", "--mode", "fast"):
        assert word in error.message
    assert error.hint is not None
    assert "ispdsl trust FILE" in error.hint
    assert "--allow-exec" in error.hint


def test_it_runs_where_it_is_allowed(file: Path) -> None:
    check_allowed(only(file), allow=True)
    denied(file)
    trust.grant(file, [only(file)])
    check_allowed(only(file))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("wired.isp", TEXT.replace("fast", "slow")),
        ("wired.isp", TEXT + "## another comment\n" + HARMLESS),
        ("tool", "#!/bin/sh\nrm -rf /\n"),
        ("my.ini", "other={ev}\n"),
    ],
    ids=["an argument", "the text", "the program", "the template"],
)
def test_what_has_changed_is_asked_again(file: Path, name: str, text: str) -> None:
    trust.grant(file, [only(file)])
    before = fingerprint(only(file))
    (file.parent / name).write_text(text)
    changed = next(each for each in declared_in(ispdsl.load(file)) if each.name == "wired")
    assert fingerprint(changed) != before
    with pytest.raises(ExecutorError):
        check_allowed(changed)


def test_what_has_not_changed_is_not_asked_again(file: Path) -> None:
    before = fingerprint(only(file))
    (file.parent / "unrelated").write_text("x")
    moved = file.parent.rename(file.parent.with_name("moved")) / file.name
    assert fingerprint(only(moved)) == before


def test_a_file_that_has_gone_changes_it(file: Path) -> None:
    before = fingerprint(only(file))
    (file.parent / "tool").unlink()
    assert fingerprint(only(file)) != before


def test_the_store_is_the_users_alone(file: Path) -> None:
    trust.grant(file, [only(file)])
    path = trust.store()
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["trusted.json"]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[1]", '{"a": 1}', "null", '[{"fingerprint": "*"}]', "\xff", "[" * 100_000],
    ids=["empty", "torn", "numbers", "another", "null", "not whole", "bytes", "deep"],
)
def test_a_damaged_store_says_so_and_grants_nothing(file: Path, text: str) -> None:
    trust.grant(file, [only(file)])
    trust.store().write_bytes(text.encode("latin-1"))
    error = denied(file)
    assert "damaged" in error.message
    assert str(trust.store()) in str(error.hint)
    check_allowed(only(file), allow=True)


def test_a_fingerprint_of_another_form_is_damage(file: Path) -> None:
    trust.grant(file, [only(file)])
    entries = json.loads(trust.store().read_text())
    entries[0]["fingerprint"] = "0" * 63
    trust.store().write_text(json.dumps(entries))
    assert "damaged" in denied(file).message


def test_trusting_anew_forgets_the_old(file: Path) -> None:
    trust.grant(file, [only(file)])
    (file.parent / "tool").write_text("#!/bin/sh\nexit 1\n")
    trust.grant(file, [only(file)])
    assert len(granted()) == 1
    check_allowed(only(file))
    assert [each.name for each in trust.revoke(file)] == ["wired"]
    assert granted() == {}
    denied(file)


def test_state_without_the_variable_is_in_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for value in ("", "relative/place"):
        monkeypatch.setenv("XDG_STATE_HOME", value)
        assert trust.store() == tmp_path / ".local/state/ispdsl/trusted.json"


def test_names_stay_inside(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    (tmp_path / "secret").write_text("x")
    (folder / "out").symlink_to(tmp_path)
    (folder / "to secret").symlink_to("../secret")
    (folder / "loop").symlink_to("loop")
    (folder / "fine").symlink_to("inner")
    assert inside(folder, "inner/file") == folder.resolve() / "inner/file"
    assert inside(folder, "inner/../file") == folder.resolve() / "file"
    assert inside(folder, "fine/file") == folder.resolve() / "inner/file"
    for name in (
        "",
        ".",
        "/etc/passwd",
        "../secret",
        "out/secret",
        "to secret",
        "inner/../../secret",
        "a\0b",
        "loop/a",
    ):
        with pytest.raises(ExecutorError) as caught:
            inside(folder, name)
        assert caught.value.fault is Fault.FOREIGN, name


# ispdsl trust


def cli(*words: str) -> tuple[int, str, str]:
    found = CliRunner().invoke(app, ["trust", *words])
    return found.exit_code, found.stdout, found.stderr


def test_trusting_says_what_it_allows(file: Path) -> None:
    code, said, noted = cli(str(file))
    assert code == 0
    assert said.splitlines()[0] == f"{file} may use"
    for word in ("./tool", "my.ini", "--mode", "wired"):
        assert word in said
    assert "--remove" in noted
    check_allowed(only(file))
    assert cli("--list") == (0, said, "")
    (entry,) = json.loads(cli("--list", "--json")[1])
    assert (entry["file"], entry["name"], entry["reaches"]) == (str(file), "wired", ["./tool", "my.ini"])


def test_trust_is_taken_back(file: Path) -> None:
    cli(str(file))
    assert cli(str(file), "--remove")[0] == 0
    denied(file)
    code, _, said = cli(str(file), "--remove")
    assert code == 2
    assert "is not trusted" in said
    assert "no file is trusted" in cli("--list")[2]


def test_a_file_that_names_nothing(tmp_path: Path) -> None:
    path = tmp_path / "plain.isp"
    path.write_text(HARMLESS)
    code, _, said = cli(str(path))
    assert code == 2
    assert "names no program" in said


def test_words_that_make_no_sense(file: Path) -> None:
    assert cli()[0] == 2
    assert cli("--list", str(file))[0] == 2
    assert cli("--list", "--remove")[0] == 2
    assert cli(str(file.with_name("nowhere.isp")))[0] == 3


def test_what_a_text_names_cannot_move_the_cursor(file: Path) -> None:
    file.write_text(TEXT.replace("./tool", "tool\x1b[2J"))
    found = cli(str(file))
    assert "\x1b" not in found[1] + found[2]
