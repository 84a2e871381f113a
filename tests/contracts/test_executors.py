"""Contracts hold real things as well, within what the line allows, where they are asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from ispdsl.contracts import subjects, verify
from ispdsl.contracts.implementations import absent
from ispdsl.executors import kinds
from tests import stand_in_executor

STAGE = """stage lift(image: rgb<camera, f32>) -> rgb<camera, f32> {
  slider gain in 0..8 soft 0.5..2 = 2
  program "ispdsl.programs.colour:lifted"
  executor stand_in(NAMED)
  property LINE
  property pointwise
}
"""


@pytest.fixture(autouse=True)
def family(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(kinds.FAMILIES, "stand_in", "tests.stand_in_executor")
    monkeypatch.setattr(stand_in_executor, "ASKED", [])
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def lift(folder: Path, line: str, named: str = "", program: str = "") -> Path:
    file = folder / "lift.isp"
    text = STAGE.replace("LINE", line).replace("NAMED", named)
    own = f'program "{program}"' if program else ""
    file.write_text(text.replace('program "ispdsl.programs.colour:lifted"', own))
    return file


def outcomes(file: Path, kind: str | None = "executor", allow_exec: bool = False) -> dict[str, tuple[str, str]]:
    found = verify(subjects(file), examples=8, kind=kind, trust=("tests",), allow_exec=allow_exec)
    return {str(each.line): (each.implementation, each.outcome) for each in found}


def test_an_executor_is_held_to_its_contract(tmp_path: Path):
    found = outcomes(lift(tmp_path, "identity when gain == 1"))
    assert found["property identity when gain == 1"] == ("executor stand_in", "holds")
    assert stand_in_executor.ASKED


def test_an_executor_that_breaks_its_contract_is_found(tmp_path: Path):
    found = outcomes(lift(tmp_path, "identity when gain <= 1"))
    assert found["property identity when gain <= 1"] == ("executor stand_in", "fails")


def test_without_being_asked_for_no_real_thing_is_started(tmp_path: Path):
    file = lift(tmp_path, "identity when gain == 1")
    assert outcomes(file, None) == {}
    assert stand_in_executor.ASKED == []
    (subject,) = subjects(file)
    assert absent(subject) == (("executor stand_in", "every call starts a real thing; --impl executor tests it"),)


def test_program_and_executor_are_compared_with_each_other(tmp_path: Path):
    same = outcomes(lift(tmp_path, "monotone in gain", program="tests.stand_ins:lifted"))
    assert same["implied agreement"] == ("executor stand_in", "holds")
    other = outcomes(lift(tmp_path, "monotone in gain", program="tests.stand_ins:lifted_twice"))
    assert other["implied agreement"] == ("executor stand_in", "fails")


def test_what_the_text_names_is_tested_only_when_allowed(tmp_path: Path):
    file = lift(tmp_path, "identity when gain == 1", '"rm"')
    assert outcomes(file) == {}
    (subject,) = subjects(file)
    ((name, why),) = absent(subject, "executor")
    assert name == "executor stand_in"
    assert "would use" in why
    assert outcomes(file, allow_exec=True)["property identity when gain == 1"][1] == "holds"
