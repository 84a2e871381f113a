"""The seeded faults fit the sources they are planted in, and contracts notice some of them."""

from __future__ import annotations

import ast
from importlib import import_module

import pytest

from benchmarks.faults.catalogue import FAULTS
from benchmarks.faults.fault import KINDS, Fault, FaultError, source_of
from benchmarks.faults.hunt import Finding, Job, hunt
from benchmarks.faults.processes import ChildError, each_apart
from benchmarks.faults.report import Measured, Outcome, document, page
from ispdsl.contracts import subjects


def test_each_fault_fits_its_module_once_and_is_python() -> None:
    for fault in FAULTS:
        changed = fault.planted(source_of(fault.module))
        assert changed != source_of(fault.module), fault.name
        ast.parse(changed)


def test_each_fault_is_in_a_stage_that_exists() -> None:
    for file in {fault.file for fault in FAULTS}:
        stages = {subject.name for subject in subjects(file)}
        assert {fault.stage_name for fault in FAULTS if fault.file == file} <= stages


def test_faults_are_many_of_all_kinds_and_spread() -> None:
    names, stages = [fault.name for fault in FAULTS], [fault.stage for fault in FAULTS]
    assert len(names) == len(set(names)) >= 70
    assert {fault.kind for fault in FAULTS} == set(KINDS)
    assert max(stages.count(stage) for stage in stages) <= 3


def test_a_fault_whose_text_is_not_there_is_refused() -> None:
    with pytest.raises(FaultError, match="occurs 0 times"):
        Fault("lost", KINDS[0], "tone.clip", "ispdsl.programs.tone", "no such text", "").planted("def f(): ...")
    with pytest.raises(FaultError, match="occurs 2 times"):
        Fault("twice", KINDS[0], "tone.clip", "ispdsl.programs.tone", "x", "y").planted("x = x")


SMALL = ("flat-field-clamp", "linearise-65536", "curve-of-n-steps")
"""Faults that an early line of a small contract notices."""


def test_contracts_notice_planted_faults_and_nothing_else() -> None:
    import_module("torch")
    faults = [fault for fault in FAULTS if fault.name in SMALL]
    jobs = [Job(fault.file, fault.stage_name, 10, 0, fault) for fault in faults]
    jobs.append(Job(faults[0].file, faults[0].stage_name, 2, 0))
    found = dict(each_apart(_in_child, jobs, 1, 60))
    for number, fault in enumerate(faults):
        finding = found[number]
        assert isinstance(finding, Finding), (fault.name, finding)
        assert len(finding.broken) == 1, fault.name
    sound = found[len(faults)]
    assert isinstance(sound, Finding)
    assert not sound.broken


def _in_child(job: Job) -> Finding:
    """A hunt in a fork of the tests' process, which may have imported programs: it forgets them first."""
    import sys

    for name in [each for each in sys.modules if each.startswith("ispdsl")]:
        del sys.modules[name]
    return hunt(job)


def _fail(job: str) -> str:
    if job == "hang":
        import time

        time.sleep(30)
    raise ValueError(job)


def test_a_child_that_raises_or_hangs_is_reported() -> None:
    found = dict(each_apart(_fail, ["bad", "hang"], 2, 1.0))
    assert isinstance(found[0], ChildError)
    assert "ValueError: bad" in str(found[0])
    assert "longer than 1 s" in str(found[1])


def test_the_page_lists_what_was_missed() -> None:
    missed = Measured((Outcome(FAULTS[0], None, 1.0),), {}, 10, 0, 2.0)
    made = document(missed)
    assert made["caught"] == 0
    assert made["by_kind"][FAULTS[0].kind] == {"faults": 1, "caught": 0}
    assert f"- {FAULTS[0].name} in `{FAULTS[0].stage}`" in page(made)
