from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from ispdsl.cli.app import app
from ispdsl.store.runs import Run
from ispdsl.training import terminal
from ispdsl.training.loop import Told
from ispdsl.training.options import Outcome
from tests.training.made import write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return write_run(tmp_path_factory.mktemp("train"), count=6)


def called(*words: object):
    return CliRunner().invoke(app, ["train", *map(str, words)])


def test_doubles_are_trained_told_and_resumed(run: Run) -> None:
    common = (run.path, "--stage", "exposure", "--steps", 12, "--batch", 32, "--jobs", 1)
    first = called(*common)
    assert first.exit_code == 0, first.output
    path = run.path / "doubles/default/exposure.safetensors"
    assert str(path) in first.stdout
    assert "pointwise" in first.stdout
    assert "12 steps" in first.stdout
    assert json.loads(path.with_suffix(".json").read_text())["training"]["steps"] == 12
    assert "to be replaced" not in first.stderr
    content = path.read_bytes()
    again = called(*common, "--resume", "--json")
    told = json.loads(again.stdout)
    assert [(each["name"], each["steps"], each["error"]) for each in told["doubles"]] == [("exposure", 12, None)]
    assert path.read_bytes() == content, "there was nothing left to do"
    assert "to be replaced" not in again.stderr
    assert "exposure of variant default: to be replaced; --variant NAME keeps both" in called(*common).stderr
    other = called(*common, "--resume", "--seed", 1)
    assert other.exit_code == 4
    assert "was made with seed 0, and now it is seed 1" in other.stderr


def test_what_is_wrong_is_said_with_a_hint(run: Run, tmp_path: Path) -> None:
    for words, code, message in (
        ((tmp_path,), 3, "is no run"),
        ((run.path, "--minutes", 1, "--steps", 5), 2, "exclude each other"),
        ((run.path, "--minutes", 1, "--fine-tune", 1), 2, "leaves nothing of --minutes"),
        ((run.path, "--rate", 3), 2, "is no learning rate"),
        ((run.path, "--stage", "exposur", "--steps", 1), 1, "did you mean exposure?"),
        ((run.path, "--network", "resnet", "--steps", 1), 1, "there is no network resnet"),
        ((run.path, "--network", "exposur=pointwise", "--steps", 1), 1, "did you mean exposure?"),
        ((run.path, "--hold-out", "dog", "--steps", 1), 1, "has no raw dog"),
        ((run.path, "--device", "cuda"), 4, "there is no CUDA device"),
    ):
        found = called(*words)
        assert found.exit_code == code, found.output
        assert message in found.stderr
        assert "Traceback" not in found.output


def test_a_double_that_cannot_be_trained_is_told_and_fails_the_command(run: Run) -> None:
    found = called(run.path, "--stage", "demosaic", "--network", "pointwise", "--steps", 1)
    assert found.exit_code == 4
    assert "error: demosaic: proxy pointwise of demosaic: it makes no colour of a mosaic" in found.stderr
    assert "hint: choose areawise or unet" in found.stderr


def test_a_line_of_the_terminal() -> None:
    line = terminal.Line("tone", "pointwise")
    assert line.cells()[2] == "waiting"
    for psnr in (30.0, 35.0, 35.0, 40.0):
        line.hear(Told("tone", 20, 100, 0.01234, psnr, 65.0))
    assert line.cells() == ("tone", "pointwise", "20/100", "0.01234", "40.00 dB", "▁▅█", "1:05")
    stream = io.StringIO()
    Console(file=stream, width=100).print(terminal._table([line]))
    assert "20/100" in stream.getvalue()
    line.hear(Outcome("tone", "pointwise", None, 100, 9.0, 41.5))
    assert line.cells()[-3:] == ("41.50 dB", "▁▅█", "done")
    line.hear(Outcome("tone", "pointwise", error="no"))
    assert line.cells()[2] == "failed"


def test_a_run_by_stage_is_not_tuned_in_a_row_and_that_is_said_before_anything_is_trained(
    run: Run, tmp_path: Path
) -> None:
    shutil.copytree(run.path, tmp_path / "run")
    path = tmp_path / "run" / "run.json"
    head = json.loads(path.read_text())
    path.write_text(json.dumps({**head, "design": {**head["design"], "per_stage": True}}))
    found = called(tmp_path / "run", "--variant", "tuned", "--steps", 1, "--fine-tune", 0.1)
    assert found.exit_code == 1, found.output
    assert "was sampled stage by stage" in found.stderr
    assert "leave --fine-tune out" in found.stderr
    assert not (tmp_path / "run" / "doubles" / "tuned").exists()
