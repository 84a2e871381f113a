"""`ispdsl evaluate`: figures, report, pictures and trust figure of a run; what is wrong is told before work begins."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ispdsl.evaluation.trust_file import trust
from ispdsl.store.runs import Run, rows
from tests.cli.conftest import Invoke
from tests.evaluation.stand_ins import small_run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return small_run(Path(tmp_path_factory.mktemp("cli")), count=32)


@pytest.fixture
def folder(made: Run, tmp_path: Path) -> Path:
    """The run, without what another test left in it."""
    shutil.copytree(made.path, tmp_path / "run")
    return tmp_path / "run"


def test_the_held_out_samples_are_evaluated_and_reported(invoke: Invoke, folder: Path) -> None:
    result = invoke("evaluate", folder, "-j", 1)
    assert result.exit_code == 0, result.stderr
    assert "lit    pointwise" in result.stdout
    assert "chain: mean" in result.stdout
    place = folder / "evaluation" / "held-out"
    report = (place / "report.md").read_text()
    for name in ("stages", "sensitivity", "trust", "worst"):
        assert (place / f"default-{name}.png").is_file()
        assert f"(default-{name}.png)" in report
    assert trust(folder).calibration["blind"].rank > 0.5


def test_json_says_everything_and_variants_stand_side_by_side(invoke: Invoke, folder: Path) -> None:
    words = ("evaluate", folder, "-j", 1, "--variant", "default", "--variant", "contrast", "--json")
    result = invoke(*words)
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert told == json.loads((folder / "evaluation" / "held-out" / "report.json").read_text())
    default, contrast = told["variants"]
    assert (default["name"], contrast["name"]) == ("default", "contrast")
    assert contrast["chain"]["mean"] > default["chain"]["mean"] + 3, "one stage of two is a double"
    assert "## Side by side" in (folder / "evaluation" / "held-out" / "report.md").read_text()


def test_the_worst_query_can_be_rendered_again(invoke: Invoke, folder: Path, tmp_path: Path) -> None:
    assert invoke("evaluate", folder, "-j", 1, "-o", tmp_path / "out").exit_code == 0
    lines = (tmp_path / "out" / "report.md").read_text().splitlines()
    words = next(line for line in lines if line.startswith("ispdsl run")).split()[1:]
    words[words.index("-o") + 1] = str(tmp_path / "again.npy")
    result = invoke(*words)
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "again.npy").is_file()


@pytest.mark.slow
def test_a_kept_trust_figure_is_checked_and_not_changed(invoke: Invoke, folder: Path) -> None:
    assert invoke("evaluate", folder, "-j", 1).exit_code == 0
    path = folder / "doubles" / "default" / "trust-figure.json"
    before = path.read_bytes()
    assert invoke("evaluate", folder, "-j", 1, "--keep-trust").exit_code == 0
    assert path.read_bytes() == before
    path.write_bytes(before + b"\n")
    assert "fitted to these queries now" not in invoke("evaluate", folder, "-j", 1, "--keep-trust").stderr
    assert f"{path} is fitted to these queries now" in invoke("evaluate", folder, "-j", 1).stderr
    assert "fitted to these queries now" not in invoke("evaluate", folder, "-j", 1).stderr, "nothing has changed"
    told = json.loads((folder / "evaluation" / "held-out" / "report.json").read_text())
    assert told["variants"][0]["trust"]["before"] == {}, "it was fitted to these very queries"


def test_what_is_missing_is_told(invoke: Invoke, folder: Path, made: Run) -> None:
    none = invoke("evaluate", folder / "nowhere")
    assert none.exit_code == 3
    assert "is no run" in none.stderr
    near = invoke("evaluate", folder, "--variant", "contrst")
    assert near.exit_code == 3
    assert "did you mean contrast?" in near.stderr
    for option in (("-n", 3), ("--size", 64), ("--ranges", "hard"), ("--seed", 0), ("--whole-frames",)):
        useless = invoke("evaluate", folder, *option)
        assert useless.exit_code == 2
        assert "is about raws, and none is named" in useless.stderr
    trained = invoke("evaluate", folder, made.head.raws[0].path)
    assert trained.exit_code == 1
    assert "was trained on" in trained.stderr
    shutil.rmtree(folder / "doubles")
    assert "ispdsl train" in invoke("evaluate", folder).stderr


def test_a_changed_text_is_refused(invoke: Invoke, made: Run) -> None:
    path = Path(made.head.pipeline.file)
    text = path.read_text()
    try:
        path.write_text(text.replace("0.5ev", "0.6ev"))
        result = invoke("evaluate", made.path)
    finally:
        path.write_text(text)
    assert result.exit_code == 3
    assert "is not the text that was sampled" in result.stderr


@pytest.mark.slow
def test_new_raws_are_asked_of_the_real_thing_once(invoke: Invoke, folder: Path, made: Run) -> None:
    words = ("evaluate", folder, made.head.raws[1].path, "-n", 14, "--size", 24, "-j", 1)
    result = invoke(*words)
    assert result.exit_code == 0, result.stderr
    assert "the real thing: 14 queries" in result.stderr
    place = next(each for each in (folder / "evaluation").iterdir() if each.name.startswith("sampled-14-0-"))
    assert len(rows(Run(place, made.head))) == 14
    assert (place / "report.md").is_file()
    again = invoke(*words)
    assert "the real thing: 0 queries" in again.stderr
    assert "14 were there already" in again.stderr
