"""A double is held to its stage's contract, within what it was trained on and as exactly as its held-out error says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from ispdsl.contracts import subjects, verify
from ispdsl.contracts.engine import Verdict
from ispdsl.proxies.double import make, save
from tests import doubled

TEXT = """stage brighten(image: rgb<S, f32>) -> rgb<S, f32> {
  slider ev in -4ev..4ev = 0ev
  program "ispdsl.programs.tone:exposure"
  proxy   pointwise(width = 8)
  property identity when ev == 0ev
  property pointwise
  property monotone in ev when image >= 0
  property differentiable
  property linear
}

pipeline main(image: rgb<camera, f32>) -> (out: rgb<camera, f32>) {
  out = image -> brighten(ev = 0.5ev)
}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "brighten.isp"
    path.write_text(TEXT)
    return path


def kept(file: Path, *, rough: bool = False, **more: Any) -> Path:
    """A run with an untrained double, the identity; `rough` is one with random weights."""
    from ispdsl.graph import build
    from ispdsl.lower.loader import load

    double = make(doubled.card_of(build(load(file)), "brighten", **more))
    if rough:
        for each in double.parameters():
            torch.nn.init.normal_(each, std=0.5, generator=torch.Generator().manual_seed(1))
    save(double, file.parent / "run/doubles/default/brighten.safetensors")
    return file.parent / "run"


def verdicts(file: Path, run: Path | None, *names: str) -> dict[str, Verdict]:
    found = verify(
        subjects(file, "brighten"),
        examples=15,
        kind="proxy",
        doubles=run,
        lines=lambda line: not names or line.name in names,
    )
    return {verdict.line.name: verdict for verdict in found}


def test_a_double_is_held_to_every_line(file: Path):
    names = ("identity", "pointwise", "monotone", "differentiable", "linear", "types")
    found = verdicts(file, kept(file), *names)
    assert {name: each.outcome for name, each in found.items()} == dict.fromkeys(names, "holds")
    assert {each.implementation for each in found.values()} == {"proxy pointwise of brighten"}
    rough = verdicts(file, kept(file, rough=True), "identity", "pointwise")
    assert rough["identity"].outcome == "fails"
    assert rough["pointwise"].outcome == "holds", "by its very form"


def test_calls_stay_inside_the_sampled_range(file: Path):
    run = kept(file, ranges={"brighten.ev": (0.25, 0.75)})
    found = verdicts(file, run, "identity", "agreement")
    assert found["identity"].outcome == "untested", "no sample was at 0ev"
    violation = found["agreement"].violation
    assert violation is not None
    assert 0.25 <= float(violation.case.arguments["ev"]) <= 0.75
    assert violation.case.types["S"] == "camera"


def test_a_line_about_a_constant_is_untested_and_says_why(file: Path):
    run = kept(file, ranges={}, constants={"ev": 0.0})
    found = verdicts(file, run, "monotone", "identity", "agreement")
    assert (found["monotone"].outcome, found["monotone"].reason) == (
        "untested",
        "ev was the same in all samples of the double",
    )
    assert found["identity"].outcome == found["agreement"].outcome == "holds"


@pytest.mark.parametrize(("psnr", "outcome"), [(35.0, "holds"), (70.0, "fails")])
def test_how_exact_a_double_must_be_follows_from_its_held_out_error(file: Path, psnr: float, outcome: str):
    run = kept(file, ranges={"brighten.ev": (0.02, 0.03)}, error={"psnr": psnr})
    assert verdicts(file, run, "agreement")["agreement"].outcome == outcome


def test_doubles_of_an_older_declaration_or_another_stage_are_not_tested(file: Path):
    assert not verdicts(file, kept(file, signature="0" * 64))
    assert not verdicts(file, kept(file, stage="other"))
    assert not verdicts(file, None)


def test_the_command_tests_doubles_and_says_what_it_lacks(file: Path):
    from typer.testing import CliRunner

    from ispdsl.cli.app import app

    def invoke(*words: str | Path):
        save_to = file.parent / "counterexamples"
        given = ["verify", str(file), "--impl", "proxy", "--examples", "5", "--save", str(save_to)]
        return CliRunner().invoke(app, [*given, *map(str, words)])

    missing = invoke()
    assert missing.exit_code == 2
    assert "trained weights: --doubles RUN" in missing.stderr
    run = kept(file, ranges={}, constants={"ev": 0.0})
    found = invoke("--doubles", run, "--property", "monotone")
    assert "untested for proxy pointwise of brighten: ev was the same in all samples" in found.stdout
    assert invoke("--doubles", run, "--property", "pointwise").exit_code == 0
