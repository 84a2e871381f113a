"""`ispdsl verify`: what it says, its exit codes, and the errors of whoever calls it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Invoke

HOLDS = """
stage brighter(image: rgb<S, f32>) -> rgb<S, f32> {
  slider ev in -4ev..4ev = 0ev

  program "tests.contracts.own_programs:gain"

  property identity when ev == 0ev
  property pointwise
}
"""
FAILS = HOLDS.replace("brighter", "clipped").replace("own_programs:gain", "own_programs:clamped_gain")
PAIR = ("--property", "identity", "--property", "pointwise")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a stage that holds, entered."""
    (tmp_path / "brighter.isp").write_text(HOLDS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def quick(invoke: Invoke) -> Invoke:
    """`verify` in this process, with few examples."""
    return lambda *words: invoke("verify", *words, "--trust", "tests", "--examples", "20", "-j", "1")


def test_what_holds_is_one_line(quick: Invoke, folder: Path) -> None:
    result = quick("brighter.isp", *PAIR)
    assert (result.exit_code, result.stdout) == (0, "1 contract, all 2 properties hold, 20 examples each, seed 0\n")
    assert not (folder / "counterexamples").exists()


def test_what_fails_is_shown_and_saved(quick: Invoke, folder: Path) -> None:
    (folder / "clipped.isp").write_text(FAILS, encoding="utf-8")
    result = quick("clipped.isp", *PAIR, "--save", "kept")
    assert result.exit_code == 1
    assert "clipped.isp:7:3: clipped: property identity when ev == 0ev" in result.stdout
    assert "fails for program tests.contracts.own_programs:clamped_gain: it changes its image" in result.stdout
    assert "image -> clipped(ev = 0ev)" in result.stdout
    assert result.stdout.endswith("1 contract, 1 of 2 properties does not hold, 20 examples each, seed 0\n")
    (kept,) = (folder / "kept").iterdir()
    assert (kept / "call.isp").is_file()


def test_json_has_everything(quick: Invoke, folder: Path) -> None:
    (folder / "clipped.isp").write_text(FAILS, encoding="utf-8")
    result = quick(folder, *PAIR, "--json", "--seed", "3")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert {"ispdsl", "torch", "seed", "examples", "counts", "not_tested", "verdicts"} <= set(document)
    assert (document["seed"], document["examples"]) == (3, 20)
    assert document["counts"] == {"holds": 3, "fails": 1, "untested": 0}
    rows = {(row["stage"], row["property"]): row for row in document["verdicts"]}
    good = rows["brighter", "property pointwise"]
    assert {"stage", "property", "file", "line", "implementation", "outcome", "examples", "seconds"} <= set(good)
    assert (good["line"], good["outcome"], good["examples"]) == (8, "holds", 20)
    assert "counterexample" not in good
    bad = rows["clipped", "property identity when ev == 0ev"]
    found = bad["counterexample"]
    assert {"message", "call", "images", "settings", "numbers", "folder"} <= set(found)
    assert found["settings"] == {"ev": 0}
    assert Path(found["folder"]).is_dir()


def test_without_files_the_folder_here_is_tested(quick: Invoke, folder: Path) -> None:
    assert folder.is_dir()
    result = quick(*PAIR)
    assert (result.exit_code, result.stdout.partition(",")[0]) == (0, "1 contract")


def test_what_is_untested_is_no_success(quick: Invoke, folder: Path) -> None:
    never = HOLDS.replace("pointwise", "range 0..1 when ev > 1ev and ev < 1ev")
    (folder / "brighter.isp").write_text(never, encoding="utf-8")
    result = quick("brighter.isp", "--property", "range", "--property", "identity")
    assert result.exit_code == 1
    assert "no legal call meets its conditions" in result.stdout
    assert "1 contract, none of 2 properties fails, 1 is untested" in result.stdout


def test_saved_counterexamples_are_not_tested(quick: Invoke, folder: Path) -> None:
    (folder / "clipped.isp").write_text(FAILS, encoding="utf-8")
    for kept in ("counterexamples", "kept"):
        assert quick("clipped.isp", "--property", "identity", "--save", kept).exit_code == 1
        (found,) = (folder / kept).iterdir()
        assert found.name == "clipped-clipped-7-identity-program_tests.contracts.own_programs_clamped_gain"
        (found / "call.isp").write_text("broken", encoding="utf-8")
    assert quick(".", "--property", "pointwise", "--save", "kept").stdout.startswith(
        "2 contracts, all 2 properties hold"
    )
    result = quick("counterexamples", "kept", "--property", "pointwise")
    assert result.exit_code == 1, "folders that are named themselves are searched"


def test_a_finding_that_cannot_be_saved_is_still_told(quick: Invoke, folder: Path) -> None:
    (folder / "clipped.isp").write_text(FAILS, encoding="utf-8")
    (folder / "kept").write_text("no folder", encoding="utf-8")
    result = quick("clipped.isp", *PAIR, "--save", "kept")
    assert result.exit_code == 1
    assert "it changes its image" in result.stdout
    assert "not saved: cannot write kept/clipped-" in result.stdout
    assert result.stdout.endswith("1 contract, 1 of 2 properties does not hold, 20 examples each, seed 0\n")
    result = quick("clipped.isp", *PAIR, "--save", "kept", "--json")
    (row,) = (row for row in json.loads(result.stdout)["verdicts"] if row["outcome"] == "fails")
    assert row["counterexample"]["folder"] is None
    assert "is not saved: cannot write kept/clipped-" in result.stderr


OWN = """
import os, time
print("imported")

def loud(image, *, ev):
    print("called")
    return image * 2**ev

def deadly(image, *, ev):
    os._exit(7)

def slow(image, *, ev):
    open("started", "w").close()
    time.sleep(60)
    return image * 2**ev
"""


def run(folder: Path, name: str, *words: str) -> subprocess.Popen[str]:
    """`verify` in a process of its own, on a program that misbehaves."""
    (folder / f"{name}_isp.py").write_text(OWN, encoding="utf-8")
    (folder / "brighter.isp").write_text(HOLDS.replace("tests.contracts.own_programs:gain", f"{name}_isp:{name}"))
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(folder), root])}
    command = [sys.executable, "-m", "ispdsl", "verify", "brighter.isp", *PAIR, "--trust", f"{name}_isp", *words]
    return subprocess.Popen(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_what_programs_print_is_no_result(folder: Path, jobs: str) -> None:
    process = run(folder, "loud", "--json", "--examples", "2", "-j", jobs)
    stdout, stderr = process.communicate(timeout=120)
    assert json.loads(stdout)["counts"]["holds"] == 2
    assert "imported" in stderr
    assert "called" in stderr
    assert "Exception" not in stderr


def test_a_program_that_ends_its_process_is_named(folder: Path) -> None:
    process = run(folder, "deadly", "-j", "2")
    stderr = process.communicate(timeout=120)[1]
    assert process.returncode == 4, stderr
    assert "a program ended its process while it was tested: brighter: property identity" in stderr
    assert "fault of ispdsl" not in stderr


@pytest.mark.slow
def test_ctrl_c_ends_the_processes_at_once(folder: Path) -> None:
    process = run(folder, "slow", "-j", "2")
    while not (folder / "started").exists():
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=20)
    assert stdout == ""
    assert set(stderr.splitlines()) == {"imported", "interrupted"}
    assert process.returncode == 130


@pytest.mark.parametrize(
    ("words", "message", "hint", "code"),
    [
        (("--stage", "brigter"), "there is no stage brigter in these files", "did you mean brighter?", 2),
        (("--property", "identiy"), "there is no property identiy", "did you mean identity?", 2),
        (("--impl", "proxi"), "there is no implementation proxi", "it is one of program, proxy, executor", 2),
        (("--impl", "proxy"), "there is nothing to test here", "", 2),
        (("--trust", "tets"), "trusted tets, which no program uses", "did you mean tests?", 1),
    ],
)
def test_words_that_lead_nowhere(
    quick: Invoke, folder: Path, words: tuple[str, ...], message: str, hint: str, code: int
) -> None:
    result = quick(folder / "brighter.isp", *words)
    assert result.exit_code == code
    assert message in result.stderr
    assert hint in result.stderr
    assert result.stdout == ""


def test_an_untrusted_program_is_not_run(invoke: Invoke, folder: Path) -> None:
    result = invoke("verify", folder / "brighter.isp", "-j", "1")
    assert result.exit_code == 1
    assert "the package tests is not trusted" in result.stderr
    assert "--trust tests" in result.stderr


def test_a_folder_without_stages(invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("verify", tmp_path)
    assert result.exit_code != 0
    assert "no .isp file" in result.stderr


def test_a_wrong_file_is_reported_as_the_compiler_does(quick: Invoke, folder: Path) -> None:
    (folder / "brighter.isp").write_text(HOLDS.replace("pointwise", "pointwize"), encoding="utf-8")
    result = quick("brighter.isp")
    assert result.exit_code == 1
    assert "unknown property pointwize" in result.stdout + result.stderr


def test_a_missing_file(quick: Invoke, folder: Path) -> None:
    result = quick(folder / "brightr.isp")
    assert result.exit_code == 3
    assert "brightr.isp" in result.stderr
