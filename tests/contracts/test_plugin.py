"""The pytest plugin: what is collected, how it is named and chosen, what failures say."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

GOOD = """
## Brighter.
stage good(image: rgb<S, f32>) -> rgb<S, f32> {
  slider ev in -4ev..4ev = 0ev

  program "own_isp:gain"

  property identity when ev == 0ev
  property pointwise
}
"""
BAD = GOOD.replace("stage good", "stage bad").replace("own_isp:gain", "own_isp:clamped")
PROGRAMS = """
def gain(image, *, ev):
    return image * 2**ev

def clamped(image, *, ev):
    return gain(image, ev=ev).clamp(max=1)
"""
SETTINGS = """
[pytest]
pythonpath = .
ispdsl_trust = own_isp
ispdsl_examples = 30
addopts = --strict-markers -m "not isp_export"
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A folder with one good stage, its programs and settings."""
    pytester.makefile(".isp", good=GOOD)
    pytester.makepyfile(own_isp=PROGRAMS)
    pytester.makefile(".ini", pytest=SETTINGS)
    return pytester


def test_every_line_is_an_item(project: pytest.Pytester) -> None:
    found = project.runpytest_inprocess("--collect-only", "-q", "-m", "isp")
    assert found.ret == 0
    assert [line for line in found.outlines if line.startswith("good.isp")] == [
        "good.isp::good::property identity when ev == 0ev",
        "good.isp::good::property pointwise",
        "good.isp::good::implied types",
        "good.isp::good::implied responds",
        "good.isp::good::implied batches",
        "good.isp::good::implied precision",
        "good.isp::good::implied exports",
    ]


def test_what_holds_passes(project: pytest.Pytester) -> None:
    project.runpytest_inprocess("-k", "identity or pointwise").assert_outcomes(passed=2, deselected=5)


def test_a_failure_names_the_line_the_property_and_the_call(project: pytest.Pytester) -> None:
    project.makefile(".isp", bad=BAD)
    found = project.runpytest_inprocess(
        "bad.isp", "-k", "identity", "--junitxml=report.xml", "-o", "junit_family=xunit1"
    )
    found.assert_outcomes(failed=1, deselected=6)
    text = found.stdout.str()
    assert "bad.isp:7:3: bad: property identity when ev == 0ev" in text
    assert "fails for program own_isp:clamped: it changes its image" in text
    assert "image -> bad(ev = 0ev)" in text
    assert (project.path / "counterexamples" / "bad-bad-7-identity-program_own_isp_clamped" / "call.isp").is_file()
    (case,) = ElementTree.parse(project.path / "report.xml").iter("testcase")
    assert case.get("name") == "property identity when ev == 0ev"
    assert (case.get("file"), case.get("line")) == ("bad.isp", "6")  # counted from 0
    (failure,) = case.iter("failure")
    assert "it changes its image" in str(failure.text)


def test_counterexamples_are_not_collected(project: pytest.Pytester) -> None:
    project.makefile(".isp", bad=BAD)
    project.runpytest_inprocess("bad.isp", "-k", "identity")
    assert list((project.path / "counterexamples").rglob("call.isp"))
    found = project.runpytest_inprocess("--collect-only", "-q")
    assert "counterexamples" not in found.stdout.str()


def test_a_stage_and_a_line_can_be_named(project: pytest.Pytester) -> None:
    project.makefile(".isp", good=GOOD + GOOD.replace("stage good", "stage goods"))
    project.runpytest_inprocess("good.isp::good::property pointwise").assert_outcomes(passed=1)
    found = project.runpytest_inprocess("good.isp::goods", "-m", "isp", "--collect-only", "-q")
    assert len([line for line in found.outlines if line.startswith("good.isp::goods::")]) == 7
    assert "good.isp::good::" not in found.stdout.str()


@pytest.mark.parametrize("number", ["0", "-3", "many"])
def test_a_number_of_examples_that_tests_nothing_is_refused(project: pytest.Pytester, number: str) -> None:
    for option in (f"--isp-examples={number}", f"--override-ini=ispdsl_examples={number}"):
        found = project.runpytest_inprocess(option)
        assert found.ret == pytest.ExitCode.USAGE_ERROR
        assert f"{number} is not a whole number of 1 or more" in found.stderr.str()


def test_a_failure_is_told_where_nothing_can_be_saved(project: pytest.Pytester) -> None:
    project.makefile(".isp", bad=BAD)
    (project.path / "counterexamples").write_text("no folder", encoding="utf-8")
    found = project.runpytest_inprocess("bad.isp::bad::property identity when ev == 0ev")
    found.assert_outcomes(failed=1)
    assert "it changes its image" in found.stdout.str()
    assert "not saved: cannot write" in found.stdout.str()


def test_the_number_of_examples_can_be_set(project: pytest.Pytester) -> None:
    rare = GOOD.replace("pointwise", "range 0..1 when image >= 0.9 and image <= 0.95 and ev == 0ev")
    project.makefile(".isp", good=rare)
    for options in (("--isp-examples", "3"), ("--isp-seed", "7"), ("--isp-impl", "program")):
        project.runpytest_inprocess("-k", "range", *options).assert_outcomes(passed=1, deselected=6)
    assert project.runpytest_inprocess("--isp-impl", "proxy").ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_a_broken_file_gives_its_diagnostics(project: pytest.Pytester) -> None:
    project.makefile(".isp", good=GOOD.replace("pointwise", "pointwize"))
    found = project.runpytest_inprocess()
    found.assert_outcomes(errors=1)
    text = found.stdout.str()
    assert "good.isp:8:12" in text
    assert "unknown property pointwize" in text
    assert "Traceback" not in text


def test_an_untrusted_program_is_a_clear_error(project: pytest.Pytester) -> None:
    project.makefile(".ini", pytest="[pytest]\npythonpath = .\n")
    found = project.runpytest_inprocess()
    found.assert_outcomes(errors=1)
    text = found.stdout.str()
    assert "the package own_isp is not trusted" in text
    assert "in pytest's settings: ispdsl_trust" in text
    assert "Traceback" not in text


def test_a_proxy_without_weights_is_skipped_with_the_reason(project: pytest.Pytester) -> None:
    project.makefile(".isp", good=GOOD.replace('  program "', '  proxy network()\n  program "'))
    found = project.runpytest_inprocess("-rs", "-k", "proxy or identity")
    found.assert_outcomes(passed=1, skipped=1, deselected=6)
    assert "a proxy needs trained weights" in found.stdout.str()


def test_what_is_not_named_is_not_collected(project: pytest.Pytester) -> None:
    (project.path / "stages").mkdir()
    (project.path / "stages" / "deep.isp").write_text(BAD, encoding="utf-8")
    project.makefile(".ini", pytest=SETTINGS + "ispdsl_files = stages\n")
    found = project.runpytest_inprocess("--collect-only", "-q")
    files = {line.partition("::")[0] for line in found.outlines if "::" in line}
    assert files == {"stages/deep.isp"}


def test_nothing_legal_is_a_failure(project: pytest.Pytester) -> None:
    project.makefile(".isp", good=GOOD.replace("identity when ev == 0ev", "range 0..1 when ev > 1ev and ev < 1ev"))
    found = project.runpytest_inprocess("-k", "range")
    found.assert_outcomes(failed=1, deselected=6)
    assert "untested for program own_isp:gain" in found.stdout.str()


def test_python_tests_beside_are_collected_as_ever(project: pytest.Pytester) -> None:
    project.makepyfile(test_plain="def test_plain(): assert True")
    project.runpytest_inprocess("-k", "plain or pointwise").assert_outcomes(passed=2, deselected=6)


@pytest.mark.slow  # three processes import torch
def test_items_run_side_by_side(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    found = project.runpytest_subprocess("-n", "2", "-k", "identity or pointwise")
    found.assert_outcomes(passed=2)


def test_locations_are_those_of_the_lines(project: pytest.Pytester) -> None:
    project.makefile(".isp", bad=BAD)
    items, _ = project.inline_genitems("bad.isp")
    lines = {item.name: item.reportinfo()[1] for item in items}
    assert lines["property identity when ev == 0ev"] == 6  # counted from 0
    assert lines["property pointwise"] == 7
    assert all(Path(item.reportinfo()[0]).name == "bad.isp" for item in items)
