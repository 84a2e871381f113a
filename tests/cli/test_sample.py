"""`ispdsl sample`: a run directory of samples; it goes on where it stopped, and refuses what is of another run."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from ispdsl.store.runs import failures, get, open_run, rows
from tests.cli.conftest import Invoke
from tests.cli.test_run_backend import file
from tests.sampling.made import command, rows_in, write_pipeline, write_raws

__all__ = ["file"]


@pytest.fixture(scope="module")
def raws(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_raws(tmp_path_factory.mktemp("raws"))


def test_a_program_is_sampled_into_a_run(invoke: Invoke, file: Path, raws: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ("sample", file, *raws, "-o", out, "--backend", "command", "--count", 4, "--size", 16)
    result = invoke(*words, "--vary", "lift.gain=0.5..1", "--hold-out", "cat", "--allow-exec", "--json")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert (told["samples"], told["made"], told["failed"]) == (4, 4, 0)
    run = open_run(out)
    assert [(raw.name, raw.role) for raw in run.head.raws] == [("coffee.dng", "training"), ("cat.dng", "validation")]
    assert run.head.watched == ("mosaic", "seen", "out")
    assert run.head.design["varied"] == {"lift.gain": {"low": 0.5, "high": 1.0, "unit": ""}}
    assert run.head.pipeline.name == "own"
    first = get(run, rows(run)[0].blob)
    assert set(first.images) == {"mosaic", "seen", "out"}
    assert first.images["out"].shape == (3, 16, 16)


@pytest.mark.slow
def test_parts_that_are_all_border_are_told(invoke: Invoke, raws: list[Path], tmp_path: Path) -> None:
    words = ("sample", write_pipeline(tmp_path), "-p", "tiny", raws[0], "--count", 1, "-j", 1)
    small = invoke(*words, "-o", tmp_path / "small", "--size", 16)
    assert small.exit_code == 0, small.stderr
    border = open_run(tmp_path / "small").head.design["border"]
    assert isinstance(border, int)
    assert f"note: --size 16: the pipeline looks {border} px around each pixel" in small.stderr
    assert "note: --size" not in invoke(*words, "-o", tmp_path / "large", "--size", 2 * border + 2).stderr


def test_faults_are_kept_and_tried_again(invoke: Invoke, file: Path, raws: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ("sample", file, raws[0], "-o", out, "--backend", "command", "--size", 16, "--design", "grid")
    result = invoke(*words, "--vary", "lift.gain=1, 3", "--count", 2, "--allow-exec")
    assert result.exit_code == 4
    assert "the lens cap is on" in result.stderr
    assert "1 of 2 samples" in result.stderr
    assert [(each.number, each.fault) for each in failures(open_run(out))] == [(1, "crash")]
    again = invoke(*words, "--vary", "lift.gain=1, 3", "--count", 2, "--allow-exec", "--resume")
    assert again.exit_code == 4
    assert "0 of 2 samples" in again.stderr
    assert "1 were there already" in again.stderr


def test_what_does_not_fit_is_refused(invoke: Invoke, file: Path, raws: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ("sample", file, raws[0], "-o", out, "--backend", "command", "--size", 16, "--count", 2, "--allow-exec")
    assert invoke(*words, "--resume").exit_code == 3
    assert invoke(*words).exit_code == 0
    assert invoke(*words).exit_code == 2
    assert "--resume" in invoke(*words).stderr
    changed = {
        "--seed": "another design (seed 0, and this is 1)",
        "--parts-per-raw": "another design (parts_per_raw",
        "--count": "another design (count 2, and this is 1)",
    }
    for other, told in changed.items():
        result = invoke(*words, "--resume", other, 1)
        assert (result.exit_code, told in result.stderr) == (2, True), result.stderr
    result = invoke(*words[:2], raws[1], *words[3:], "--resume")
    assert (result.exit_code, "set of raws" in result.stderr) == (2, True)
    assert f"{raws[0].name} is missing" in result.stderr
    content = raws[0].read_bytes()
    raws[0].write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    result = invoke(*words, "--resume")
    raws[0].write_bytes(content)
    assert result.exit_code == 2
    assert f"the bytes of {raws[0].name} have changed" in result.stderr
    assert len(rows(open_run(out))) == 2


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--hold-out", "dog"), "there is no raw of this name"),
        (("--hold-out", "coffee", "--hold-out", "cat"), "all raws are held out"),
        (("--vary", "lift.gian=1..2"), "did you mean lift.gain"),
        (("--taps", "sene"), "has no tap sene"),
        (("--design", "grid", "--count", "1"), "a grid of"),
        (("--charts", "2"), "is not shown charts"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_made(
    invoke: Invoke, file: Path, raws: list[Path], tmp_path: Path, more: tuple[str, ...], words: str
) -> None:
    out = tmp_path / "run"
    result = invoke("sample", file, *raws, "-o", out, "--backend", "command", "--allow-exec", *more)
    assert result.exit_code in (1, 2), result.stderr
    assert words in result.stderr
    assert not out.exists()


def test_raws_of_one_name_are_told_apart(invoke: Invoke, file: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    paths = [write_raws(tmp_path / name, names=("cat",))[0] for name in ("a", "b")]
    words = ("sample", file, "-o", tmp_path / "run", "--backend", "command", "--size", 16, "--count", 2)
    assert invoke(*words, *paths, "--allow-exec").exit_code == 0
    assert [raw.name for raw in open_run(tmp_path / "run").head.raws] == ["a-cat.dng", "b-cat.dng"]
    assert "given twice" in invoke(*words, paths[0], paths[0], "--allow-exec", "--resume").stderr


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)]
)
def test_an_interrupted_run_keeps_what_was_acknowledged(
    raws: list[Path], tmp_path: Path, number: signal.Signals, code: int
) -> None:
    out = tmp_path / "run"
    process = command(
        "sample", write_pipeline(tmp_path), *raws, "-o", out, "--count", 4000, "--size", 32, "--jobs", 1, "-p", "tiny"
    )
    until = time.monotonic() + 120
    while len(rows_in(out)) < 3 and process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(number)
    _, told = process.communicate(timeout=300)
    assert process.returncode == code, told
    assert "Traceback" not in told
    found = rows_in(out)
    assert len(found) >= 3
    assert len({row.key for row in found}) == len(found)
    for row in found[:3]:
        get(open_run(out), row.blob)
    assert ("--resume goes on with the rest" in told) == (number == signal.SIGINT)
    assert not any(out.glob("drafts/.*.tmp"))
