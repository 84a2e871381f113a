"""`ispdsl doctor`: what is here, what is missing, and that nothing that is broken breaks it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from types import ModuleType

import pytest

from ispdsl.cli import doctor
from ispdsl.executors import kinds
from ispdsl.executors.kinds import Found
from tests.cli.conftest import Invoke

Families = Callable[..., dict[str, str]]


@pytest.fixture
def families(monkeypatch: pytest.MonkeyPatch) -> Families:
    """Make modules of families with these `findings`, and nothing else, be all that there are."""

    def install(**findings: Callable[[], tuple[Found, ...]]) -> dict[str, str]:
        for name, function in findings.items():
            module = ModuleType(f"made_up.{name}")
            vars(module)["findings"] = function
            monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setattr(kinds, "FAMILIES", {name: f"made_up.{name}" for name in findings})
        return kinds.FAMILIES

    return install


def test_doctor_says_what_is_here(invoke: Invoke, families: Families) -> None:
    families(
        darktable=lambda: (Found("darktable", True, "4.2.1 in /opt"),),
        command=lambda: (Found("RawTherapee", False, "not on PATH", "apt install rawtherapee"),),
    )
    result = invoke("doctor", "--json")
    found = {each["name"]: each for each in json.loads(result.stdout)}
    assert {"python", "torch", "kornia", "rawpy", "LibRaw", "cores", "memory", "accelerator", "stdlib"} <= set(found)
    assert found["darktable"] == {"name": "darktable", "state": "good", "value": "4.2.1 in /opt", "advice": None}
    assert found["RawTherapee"]["state"] == "absent"
    assert found["RawTherapee"]["advice"] == "apt install rawtherapee"
    assert result.exit_code == 0
    lines = invoke("doctor").stdout.splitlines()
    assert "     ok  darktable        4.2.1 in /opt" in lines
    assert lines[lines.index("      -  RawTherapee      not on PATH") + 1].strip() == "apt install rawtherapee"


def test_doctor_fails_where_something_needed_is_missing(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = doctor.Finding("torch", "missing", "not installed", "pip install torch")
    monkeypatch.setattr(doctor, "examine", lambda: [broken])
    result = invoke("doctor")
    assert result.exit_code == 1
    assert "MISSING  torch" in result.stdout
    assert "pip install torch" in result.stdout


def test_a_library_that_does_not_load_is_missing() -> None:
    def fail() -> str:
        raise ImportError("libraw.so: no such file")

    finding = doctor._attempt("LibRaw", fail, "reinstall rawpy")
    assert (finding.state, finding.advice) == ("missing", "reinstall rawpy")
    assert "libraw.so" in finding.value


def test_a_family_that_is_broken_is_a_finding(families: Families) -> None:
    def fail() -> tuple[Found, ...]:
        raise RuntimeError("the probe fell over")

    modules = {**families(good=lambda: (Found("thing", True, "1.0"),), bad=fail), "gone": "made_up.gone"}
    found = doctor.ask_families(modules)()
    assert [(each.name, each.state) for each in found] == [("thing", "good"), ("bad", "absent"), ("gone", "absent")]
    assert found[1].value == "RuntimeError: the probe fell over"
    assert "made_up" in found[2].value


def test_a_family_that_hangs_is_not_waited_for(families: Families) -> None:
    def hang() -> tuple[Found, ...]:
        time.sleep(5)
        return ()

    modules = families(slow=hang, quick=lambda: (Found("thing", True, "1.0"),))
    begun = time.monotonic()
    found = doctor.ask_families(modules, patience=0.3)()
    assert time.monotonic() - begun < 2
    assert [(each.name, each.state) for each in found] == [("slow", "absent"), ("thing", "good")]
    assert found[0].value == "gave no answer within 0.3 s"


def test_families_are_asked_once_and_side_by_side(families: Families) -> None:
    def slow(name: str) -> Callable[[], tuple[Found, ...]]:
        return lambda: (time.sleep(0.4), (Found(name, True, "1.0"),))[1]

    modules = families(a=slow("a"), b=slow("b"), c=slow("c"))
    begun = time.monotonic()
    found = doctor.ask_families({**modules, "another kind": "made_up.a"})()
    assert time.monotonic() - begun < 1
    assert [each.name for each in found] == ["a", "b", "c"]


def test_the_families_of_this_machine_answer_in_time() -> None:
    begun = time.monotonic()
    found = doctor.ask_families()()
    assert time.monotonic() - begun < doctor.PATIENCE
    assert all(each.value for each in found)
    assert all(each.advice for each in found if each.state == "absent")
    assert not [each.name for each in found if "Error" in each.value or "no answer" in each.value]
