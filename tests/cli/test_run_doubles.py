"""`ispdsl run --doubles` says how far to believe its picture, or how to find out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from ispdsl.cli.believed import line
from ispdsl.evaluation.features import Outside
from ispdsl.evaluation.trust import Belief, Trust
from ispdsl.evaluation.trust_file import trust
from ispdsl.proxies.double import load, save
from ispdsl.store.runs import Run
from tests.cli.conftest import Invoke
from tests.evaluation.stand_ins import small_run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return small_run(Path(tmp_path_factory.mktemp("run")), count=32)


@pytest.fixture
def evaluated(invoke: Invoke, made: Run, tmp_path: Path) -> Path:
    """A copy of the run with a trust figure."""
    shutil.copytree(made.path, tmp_path / "run")
    assert invoke("evaluate", tmp_path / "run", "-j", 1).exit_code == 0
    return tmp_path / "run"


def words(run: Path, made: Run, folder: Path, *more: str | Path) -> tuple[str | Path, ...]:
    output = ("-o", folder / "out.png", "--no-sidecar")
    return ("run", made.head.pipeline.file, made.head.raws[1].path, *output, "--doubles", run, *more)


def test_the_expected_error_is_said_in_one_line(invoke: Invoke, made: Run, evaluated: Path, tmp_path: Path) -> None:
    result = invoke(*words(evaluated, made, tmp_path))
    assert result.exit_code == 0, result.stderr
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("trust: ")]
    assert line.startswith("trust: expected PSNR ")
    assert "for nine queries of ten" in line
    assert "a guess" not in line
    assert not (tmp_path / "taps").exists(), "taps are kept for the figure, and not written"


def test_what_lies_outside_is_said_once_with_how_far(
    invoke: Invoke, made: Run, evaluated: Path, tmp_path: Path
) -> None:
    beyond = words(evaluated, made, tmp_path, "--set", "exposure.ev=6ev")
    result = invoke(*beyond)
    assert "note: the double of exposure was not trained for exposure.ev 6ev" in result.stderr
    assert "it lies outside of what was sampled: exposure.ev by " in result.stderr
    told = json.loads(invoke(*beyond, "--json").stdout)
    (outside,) = told["trust"]["outside"]
    assert outside["address"] == "exposure.ev"
    assert 0 < outside["by"] < 1
    assert told["trust"]["low"] < told["trust"]["psnr"] < told["trust"]["high"]


def test_a_figure_that_knows_nothing_says_so() -> None:
    wide = line(Belief(40.0, 20.0, 60.0))
    assert wide.startswith("no error can be foretold, between 20 and 60 dB all is likely; evaluate with more queries")
    assert line(Belief(40.0, 30.0, 50.0)) == "expected PSNR 40.0 dB, for nine queries of ten 30.0 to 50.0 dB"
    far = (Outside("exposure.ev", "6ev, and it saw -1ev..1ev", 0.25),)
    assert line(Belief(40.0, 20.0, 60.0, far)).endswith("outside of what was sampled: exposure.ev by 25% of its range")
    weak = line(Belief(40.0, 30.0, 50.0, rank=0.21))
    assert weak.endswith("it did not tell good pictures from bad ones (rank correlation 0.21)")
    assert "hardly" not in line(Belief(40.0, 30.0, 50.0, rank=0.8))


def test_where_there_is_no_figure_it_says_how_to_get_one(invoke: Invoke, made: Run, tmp_path: Path) -> None:
    result = invoke(*words(made.path, made, tmp_path))
    assert result.exit_code == 0, result.stderr
    assert "have no trust figure: `ispdsl evaluate RUN RAW...` fits one" in result.stderr
    assert json.loads(invoke(*words(made.path, made, tmp_path, "--json")).stdout)["trust"] is None


def test_a_figure_of_other_doubles_is_not_used(invoke: Invoke, made: Run, evaluated: Path, tmp_path: Path) -> None:
    fewer = invoke(*words(evaluated, made, tmp_path, "--impl", "contrast=program"))
    assert "no error is foretold: the trust figure is of all doubles in a row, and contrast did not run" in fewer.stderr
    (evaluated / "doubles" / "default" / "contrast.safetensors").unlink()
    assert "is of other doubles: contrast changed" in invoke(*words(evaluated, made, tmp_path)).stderr


@pytest.mark.slow
def test_members_of_an_ensemble_are_asked_as_well(
    invoke: Invoke, made: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    shutil.copytree(made.path, run)
    shutil.copytree(run / "doubles" / "default", run / "doubles" / "default.1")
    (run / "doubles" / "default.1" / "trust-figure.json").unlink(missing_ok=True)
    other = load(run / "doubles" / "default.1" / "exposure.safetensors")
    with torch.no_grad():
        for weight in other.parameters():
            weight += 0.05
    save(other, run / "doubles" / "default.1" / "exposure.safetensors")
    assert invoke("evaluate", run, "-j", 1).exit_code == 0
    asked: list[int] = []
    whole = Trust.of

    def of(self: Trust, *args: Any, **keywords: Any) -> Belief:
        asked.extend(len(each) for each in keywords["members"])
        return whole(self, *args, **keywords)

    monkeypatch.setattr(Trust, "of", of)
    told = json.loads(invoke(*words(run, made, tmp_path, "--json")).stdout)["trust"]
    figure = trust(run)
    assert asked == [len([name for name in figure.domain.types if name])], (
        "one further member, with all that is watched"
    )
    assert told["rank"] == round(figure.calibration["ensemble"].rank, 3)
    shutil.rmtree(run / "doubles" / "default.1")
    without = json.loads(invoke(*words(run, made, tmp_path, "--json")).stdout)["trust"]
    assert without["rank"] == round(figure.calibration["seen"].rank, 3)


def test_without_doubles_nothing_is_said(invoke: Invoke, made: Run, tmp_path: Path) -> None:
    plain = words(made.path, made, tmp_path)[:-2]
    assert "trust" not in invoke(*plain).stderr
    assert "trust" not in json.loads(invoke(*plain, "--json").stdout)
