"""Counterexamples: a call that the language accepts, the numbers that went in and came out, a picture that opens."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ispdsl.contracts.counterexample import counterexample, report, save, written
from ispdsl.contracts.engine import Task, Verdict, check
from ispdsl.contracts.subject import subjects
from ispdsl.lower.loader import load, load_report
from tests.contracts.harness import Function, by_hand, changing, stage, verdict_on

FORMS: dict[str, dict[str, str]] = {
    "slider": {"body": "slider ev in -4ev..4ev = 0ev\n  slider warmth in 2000K..9000K = 5500K"},
    "percent": {"body": "slider amount in 0%..200% = 100%"},
    "register": {"body": "register gain @ 0x100[7:0]: u4.4 in 1..3 = 1"},
    "choice and toggle": {"body": "choice method in {a, b} = b\n  toggle on = off"},
    "curve": {"body": "curve knots[5] in 0..1 = identity"},
    "matrix": {"body": "matrix ccm[3, 3] in -2..4 = identity"},
    "large table": {"body": "lut cube[5, 5, 5, 3] in 0..1 = identity"},
    "size": {"body": "slider bins in 4..64 = 16", "gives": "vector<bins>"},
    "metadata": {
        "body": "meta bias: real<ev>\n  meta neutral: vector<3>\n  meta ccm: matrix<3, 3>\n  meta gains: grid"
    },
    "statistic": {"body": "needs shares: vector<4>\n  needs level: real"},
    "several results": {"gives": "(a: rgb<S, f32>, b: luma<S, f32>)"},
    "several images": {"takes": "image: rgb<S, f32>, guide: luma<S, unit>"},
    "mosaic": {"takes": "mosaic: raw<C, u12>", "gives": "raw<C, f32>"},
}


def broken(form: dict[str, str], folder: Path, function: Function | None = None) -> Verdict:
    """A stage in a file of its own whose every call breaks its line."""
    path = folder / "own.isp"
    path.write_text(stage("deterministic", **form), encoding="utf-8")
    (subject,) = subjects(path)
    this = by_hand(subject, function or changing(len(subject.outputs)))
    return check(Task(subject, subject.lines[0], this, {}), 5)


@pytest.mark.parametrize("form", list(FORMS.values()), ids=list(FORMS))
def test_the_call_is_accepted_by_the_language(form: dict[str, str], tmp_path: Path) -> None:
    verdict = broken(form, tmp_path)
    assert verdict.outcome == "fails"
    place = save(verdict, tmp_path / "counterexamples")
    module, found = load_report(place / "call.isp")
    assert module is not None, found
    assert not found.errors


def test_the_call_says_what_was_drawn(tmp_path: Path) -> None:
    form = {"body": "slider ev in -4ev..4ev = 0ev\n  slider amount in 0%..100% = 30%"}
    path = tmp_path / "own.isp"
    path.write_text(stage("identity", **form), encoding="utf-8")
    (subject,) = subjects(path)
    this = by_hand(subject, lambda x, ev, amount: x + (1 if ev == 4 else 0))
    verdict = check(Task(subject, subject.lines[0], this, {}), 100)
    found = counterexample(verdict)
    assert "image -> f(ev = 4ev, amount = 30%)" in found.call
    assert found.settings == {"ev": 4, "amount": 0.3}
    assert found.images == {"image": "flat of 0, 2 x 2"}
    assert found.numbers["found"] == [[[1, 1], [1, 1]]] * 3
    assert "it changes its image: 1 at plane 0, row 0, column 0, not 0" in found.message
    place = save(verdict, tmp_path)
    (pipeline,) = load(place / "call.isp").pipelines.values()
    assert pipeline.nodes[0].parameters["ev"].value == 4
    assert pipeline.nodes[0].parameters["amount"].value == 30


def test_the_numbers_break_it_again(tmp_path: Path) -> None:
    def wrong(image: torch.Tensor, ev: float) -> torch.Tensor:
        return (image * 2**ev).clamp(max=2)

    path = tmp_path / "own.isp"
    path.write_text(stage("identity when ev == 0ev", body="slider ev in -4ev..4ev = 0ev"), encoding="utf-8")
    (subject,) = subjects(path)
    verdict = check(Task(subject, subject.lines[0], by_hand(subject, wrong), {}), 100)
    place = save(verdict, tmp_path / "kept")
    numbers = np.load(place / "numbers.npz", allow_pickle=False)
    again = wrong(torch.from_numpy(numbers["image"]), float(numbers["ev"]))
    assert np.array_equal(again.numpy(), numbers["found"])
    assert np.array_equal(numbers["image"], numbers["wanted"])
    assert not np.array_equal(numbers["found"], numbers["wanted"])
    assert np.array_equal(np.load(place / "image.npy"), numbers["image"])


@pytest.mark.parametrize("name", ["slider", "several images", "mosaic", "several results"])
def test_the_picture_opens(name: str, tmp_path: Path) -> None:
    place = save(broken(FORMS[name], tmp_path), tmp_path / "kept")
    with Image.open(io.BytesIO((place / "images.png").read_bytes())) as image:
        image.load()
        assert image.mode == "RGB"
        assert image.width > 160


def test_numbers_that_are_not_finite_are_shown_too(tmp_path: Path) -> None:
    path = tmp_path / "own.isp"
    path.write_text(stage("global"), encoding="utf-8")
    (subject,) = subjects(path)
    verdict = check(Task(subject, subject.lines[0], by_hand(subject, lambda x: x / 0), {}), 5)
    assert (save(verdict, tmp_path) / "images.png").is_file()
    assert "not finite" in report(verdict, tmp_path)


def test_the_report_says_where_what_and_why(tmp_path: Path) -> None:
    verdict = broken({}, tmp_path)
    text = report(verdict, tmp_path / "kept")
    first, second, *rest = text.splitlines()
    assert first.endswith("own.isp:5:3: f: property deterministic")
    assert second == "  fails for program by hand: the same call gives something else the second time"
    assert any(line.startswith("  image = ") for line in rest)
    assert f"  saved in {tmp_path / 'kept' / 'own-f-5-deterministic-program_by_hand'}" in rest
    assert any("image -> f()" in line for line in rest)


def test_what_holds_has_no_counterexample() -> None:
    verdict = verdict_on(stage("identity"), "identity", lambda x: x)
    with pytest.raises(ValueError, match="property identity holds"):
        counterexample(verdict)


def test_what_is_untested_is_reported_so() -> None:
    text = stage("identity when a > b and b > a", body="slider a in 0..1 = 0\n  slider b in 0..1 = 0")
    verdict = verdict_on(text, "identity", lambda x, a, b: x)
    assert "untested for program by hand: no legal call meets its conditions" in report(verdict)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.3, "ev", "0.3ev"),
        (1.1, "%", "110%"),
        (5500.0, "K", "5500K"),
        (True, "", "on"),
        ("menon", "", "menon"),
        (torch.tensor([[1.0, 0.5]]), "", "[[1, 0.5]]"),
        (torch.tensor(0.25), "", "0.25"),
    ],
)
def test_values_are_written_as_the_language_reads_them(value: object, unit: str, text: str) -> None:
    assert written(value, unit) == text
