"""The engine: the same seed tries the same calls, what breaks shrinks to the plainest case, nothing crashes it."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ispdsl.contracts import implementations, subjects, verify
from ispdsl.contracts.checks import CHECKERS
from ispdsl.contracts.engine import tasks
from ispdsl.contracts.parallel import Order, verdicts
from ispdsl.contracts.trial import ViolationError
from ispdsl.errors import CompileError
from ispdsl.ir.model import Condition
from ispdsl.lower.contract import VOCABULARY
from tests.contracts.harness import stage, subject_of, verdict_on

OWN = """
## One stage that keeps its promises and one that does not.
stage good(image: rgb<S, f32>) -> rgb<S, f32> {
  slider ev in -4ev..4ev = 0ev

  program "tests.contracts.own_programs:gain"

  property identity when ev == 0ev
  property pointwise
}

stage bad(image: rgb<S, f32>) -> rgb<S, f32> {
  slider ev in -4ev..4ev = 0ev

  program "tests.contracts.own_programs:clamped_gain"

  property identity when ev == 0ev
  property pointwise
  property linear
}

pipeline both(image: rgb<S, f32>) -> (out: rgb<S, f32>) {
  slider ev in -1ev..1ev = 0ev

  property linear
  property range 0..1

  out = image -> good(ev = ev) -> good as again
}
"""
TRUST = ("tests",)
QUICK = ("identity", "pointwise", "linear", "range", "types")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("own") / "own.isp"
    path.write_text(OWN, encoding="utf-8")
    return path


def test_every_property_of_the_vocabulary_has_a_checker() -> None:
    assert set(VOCABULARY) <= set(CHECKERS)
    assert set(CHECKERS) - set(VOCABULARY) == {"types", "batches", "precision", "exports", "agreement"}


# ---- shrinking -------------------------------------------------------------------------------------------------


def too_bright(image: Tensor, ev: float) -> Tensor:
    return image + (0.1 if ev > 1 else 0)


def test_what_breaks_shrinks_to_the_plainest_call() -> None:
    verdict = verdict_on(stage("identity", body="slider ev in -4ev..4ev = 0ev"), "identity", too_bright)
    assert verdict.violation is not None
    case = verdict.violation.case
    assert case.first.shape[-2:] == (2, 2)
    assert str(case.pictures["image"]).startswith("flat of 0, 2 x 2")
    assert case.arguments["ev"] in (4.0, pytest.approx(1.0, abs=0.02))


def test_what_is_not_to_blame_stays_at_rest() -> None:
    body = "slider ev in -4ev..4ev = 0ev\n  choice m in {a, b} = b\n  toggle on = on\n  slider x in 0..1 = 0.5"
    verdict = verdict_on(stage("identity", body=body), "identity", lambda i, ev, m, on, x: too_bright(i, ev))
    assert verdict.violation is not None
    arguments = verdict.violation.case.arguments
    assert (arguments["m"], arguments["on"], arguments["x"]) == ("b", True, 0.5)


def test_the_image_shrinks_to_what_matters() -> None:
    verdict = verdict_on(stage("identity"), "identity", lambda x: x.clamp(max=1))
    assert verdict.violation is not None
    assert str(verdict.violation.case.pictures["image"]) == "flat of 4, 2 x 2"
    assert "it changes its image" in verdict.violation.message


# ---- seeds -----------------------------------------------------------------------------------------------------


def test_the_same_seed_tries_the_same_calls() -> None:
    def tried(seed: int) -> list[float]:
        seen: list[float] = []

        def spy(image: Tensor) -> Tensor:
            seen.append(float(image.sum()))
            return image

        verdict_on(stage("identity"), "identity", spy, seed=seed, examples=20)
        return seen

    assert tried(3) == tried(3)
    assert tried(3) != tried(4)
    assert len(tried(3)) == 20


def test_the_same_seed_finds_the_same_counterexample() -> None:
    text = stage("identity", body="slider ev in -4ev..4ev = 0ev")
    one, two = (verdict_on(text, "identity", too_bright, seed=5).violation for _ in range(2))
    assert one is not None
    assert two is not None
    assert (one.message, one.case.arguments, str(one.case.pictures)) == (
        two.message,
        two.case.arguments,
        str(two.case.pictures),
    )


# ---- what is neither good nor bad ---------------------------------------------------------------------------------


def test_what_nothing_meets_is_untested() -> None:
    text = stage("identity when a > b and b > a", body="slider a in 0..1 = 0\n  slider b in 0..1 = 0")
    verdict = verdict_on(text, "identity", lambda x, a, b: x + 1)
    assert (verdict.outcome, verdict.examples) == ("untested", 0)


def test_rare_conditions_are_met_often_enough() -> None:
    text = stage("identity when a >= b", body="slider a in 0..1 = 0\n  slider b in 0..1 = 1")
    verdict = verdict_on(text, "identity", lambda x, a, b: x, examples=30)
    assert (verdict.outcome, verdict.examples) == ("holds", 30)


def test_state_is_a_failure_and_no_crash() -> None:
    calls = 0

    def flaky(image: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return image + (calls == 7)

    verdict = verdict_on(stage("identity"), "identity", flaky)
    assert verdict.outcome == "fails"
    assert verdict.violation is not None


def test_a_program_that_raises_is_a_failure_with_its_words() -> None:
    def broken(image: Tensor) -> Tensor:
        if image.shape[-1] > 3:
            raise ValueError("too wide\nand more")
        return image

    verdict = verdict_on(stage("identity"), "identity", broken)
    assert verdict.violation is not None
    assert verdict.violation.message == "program by hand raised ValueError: too wide"
    assert verdict.violation.case.first.shape[-2:] == (2, 4)


def test_a_result_that_is_no_tensor_of_the_right_shape_is_a_failure() -> None:
    verdict = verdict_on(stage("linear"), "linear", lambda x: x[..., :1])
    assert verdict.outcome == "holds"  # linear it is; the type is another line
    verdict = verdict_on(stage("identity"), "identity", lambda x: x[..., :1])
    assert "the shape is" in str(verdict.violation)


def test_nan_is_not_equal_to_anything() -> None:
    verdict = verdict_on(stage("identity"), "identity", lambda x: x * float("nan"))
    assert verdict.outcome == "fails"


def test_violations_travel_between_processes() -> None:
    violation = verdict_on(stage("identity"), "identity", lambda x: x + 1).violation
    assert violation is not None
    back = pickle.loads(pickle.dumps(violation))
    assert isinstance(back, ViolationError)
    assert (str(back), back.message) == (str(violation), violation.message)
    assert torch.equal(back.case.first, violation.case.first)
    assert torch.equal(back.shown["found"], violation.shown["found"])


# ---- files -----------------------------------------------------------------------------------------------------


def outcomes(own: Path) -> dict[tuple[str, str], str]:
    found = verify(subjects(own), examples=20, trust=TRUST, lines=lambda line: line.name in QUICK)
    return {(verdict.subject.name, verdict.line.name): verdict.outcome for verdict in found}


def test_stages_and_pipelines_of_a_file(own: Path) -> None:
    assert outcomes(own) == {
        ("good", "identity"): "holds",
        ("good", "pointwise"): "holds",
        ("good", "types"): "holds",
        ("bad", "identity"): "fails",
        ("bad", "pointwise"): "holds",
        ("bad", "linear"): "fails",
        ("bad", "types"): "holds",
        ("both", "linear"): "holds",
        ("both", "range"): "fails",
        ("both", "types"): "holds",
    }


def test_what_is_implied_of_a_pipeline_holds(own: Path) -> None:
    (both,) = subjects(own, "both")
    found = list(verify([both], examples=10, trust=TRUST, lines=lambda line: line.implied and line.name != "exports"))
    assert {verdict.line.name for verdict in found} == {"types", "batches", "precision"}
    assert {verdict.outcome for verdict in found} == {"holds"}


@pytest.mark.slow  # each process imports torch
def test_several_processes_give_the_same_verdicts(own: Path) -> None:
    order = Order((own,), "bad", ("identity", "linear"), None, TRUST, 10, 0)
    todo = order.tasks()
    one, two = (dict(verdicts(order, todo, jobs)) for jobs in (1, 2))
    assert [one[n].outcome for n in sorted(one)] == [two[n].outcome for n in sorted(two)] == ["fails", "fails"]
    assert [str(one[n].violation) for n in sorted(one)] == [str(two[n].violation) for n in sorted(two)]
    assert two[0].subject.name == "bad"


def test_trust_must_be_given_and_used(own: Path) -> None:
    with pytest.raises(CompileError, match="the package tests is not trusted"):
        tasks(subjects(own))
    with pytest.raises(CompileError, match="trusted tset, which no program uses"):
        Order((own,), trust=("tests", "tset")).tasks()


def test_only_the_kind_that_is_asked_for(own: Path) -> None:
    found = subjects(own)
    assert tasks(found, "proxy", TRUST) == []
    assert {str(task.implementation) for task in tasks(found, "program", TRUST)} == {
        "program tests.contracts.own_programs:gain",
        "program tests.contracts.own_programs:clamped_gain",
        "program pipeline both",
    }


def test_an_implementation_runs(own: Path) -> None:
    (good,) = subjects(own, "good")
    (program,) = implementations(good, trust=TRUST)
    assert str(program) == "program tests.contracts.own_programs:gain"


def test_conditions_are_part_of_the_line() -> None:
    line = subject_of(stage("identity when ev == 0ev", body="slider ev in -4ev..4ev = 0ev")).lines[0]
    assert line.stated.when == (Condition(left="ev", operator="==", right=0.0),)
    assert str(line) == "property identity when ev == 0ev"
