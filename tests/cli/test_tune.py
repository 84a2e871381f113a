"""`ispdsl tune`: on the command line, with its preset, pictures and ledger, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import ispdsl
from ispdsl.runtime.pictures import read_picture, write_picture
from ispdsl.runtime.sidecar import load
from ispdsl.synthetic.samples import write_demo_raw
from tests.cli.conftest import Invoke
from tests.scenes import graph

WANTED = {"contrast.amount": -25.0, "saturation.amount": 130.0}
ONLY = ("--only", "contrast.amount", "--only", "saturation.*")


@pytest.fixture(scope="module")
def raws(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two raws, one of which lies on its side."""
    folder = Path(tmp_path_factory.mktemp("raws"))
    paths = [folder / "coffee.dng", folder / "cat.dng"]
    write_demo_raw(paths[0], "coffee", size=48, orientation=6)
    write_demo_raw(paths[1], "astronaut", size=48)
    return paths


@pytest.fixture(scope="module")
def references(raws: list[Path]) -> Path:
    """Pictures of them with other settings, upright, in 16 bits."""
    folder = raws[0].parent / "wanted"
    folder.mkdir()
    settings = ispdsl.Settings.of(graph("photo_finish")).update(WANTED)
    for raw in raws:
        frame = ispdsl.read(raw)
        made = ispdsl.develop(graph("photo_finish"), frame, settings).outputs["display"].image
        write_picture(folder / f"{raw.stem}.png", made, space="srgb", orientation=frame.orientation, bits=16)
    return folder


def test_references_are_matched_by_settings_of_all_raws(
    invoke: Invoke, raws: list[Path], references: Path, tmp_path: Path
) -> None:
    preset, sheet, plot = (tmp_path / name for name in ("found.json", "sheet.png", "plot.png"))
    result = invoke(
        "tune", "photo_finish", *raws, "--task", "match", "--references", references, *ONLY, "--calls", 25,
        "-o", preset, "--sheet", sheet, "--plot", plot, "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["score"] < -60
    assert told["score"] < told["score_before"] - 20
    assert told["searcher"] == "differences"
    assert told["calls"] == len(told["path"]) <= 25
    found = load(preset)
    assert found.settings == told["settings"]
    assert set(found.settings) == set(WANTED)
    for address, value in WANTED.items():
        assert float(str(found.settings[address]).rstrip("%")) == pytest.approx(value, abs=0.5)
    assert read_picture(sheet)[0].shape[0] == read_picture(plot)[0].shape[0] == 3
    again = invoke("run", "photo_finish", raws[0], "--preset", preset, "-o", tmp_path / "again.tif")
    assert again.exit_code == 0, again.stderr
    apart = read_picture(tmp_path / "again.tif")[0] - read_picture(references / "coffee.png")[0]
    assert np.abs(apart).max() < 0.01, "the preset makes the reference"


def test_a_search_goes_on_with_its_ledger(invoke: Invoke, raws: list[Path], tmp_path: Path) -> None:
    ledger = tmp_path / "calls.jsonl"
    words = ("tune", "photo_finish", raws[0], "--task", "exposure", "--task", "noise=5", "--only", "exposure.ev",
             "--searcher", "coordinates", "--calls", 6, "--ledger", ledger)  # fmt: skip
    first = invoke(*words)
    assert first.exit_code == 0, first.stderr
    lines = first.stdout.splitlines()
    assert lines[0].split() == ["start", "found"]
    assert lines[1].startswith("exposure.ev")
    assert any(line.startswith("found: 1 exposure + 5 noise = ") for line in lines)
    assert "by the pipeline's own programs" in first.stdout
    assert len(ledger.read_text().splitlines()) == 7
    refused = invoke(*words)
    assert (refused.exit_code, "go on with --resume" in refused.stderr) == (2, True), refused.stderr
    again = invoke(*words, "--resume")
    assert again.stdout == first.stdout
    other = invoke(*words, "--resume", "--seed", 1)
    assert other.exit_code == 2
    assert "is of another search" in other.stderr


def test_a_report_has_the_search_and_what_matters(invoke: Invoke, raws: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "report"
    words = ("tune", "photo_finish", raws[0], "--task", "exposure", "--only", "exposure.ev", "--only",
             "colour_balance.tint", "--searcher", "coordinates", "--calls", 5)  # fmt: skip
    result = invoke(*words, "--report", folder, "--sensitivity", 2)
    assert result.exit_code == 0, result.stderr
    page = (folder / "report.html").read_text()
    for name in ("pictures.png", "convergence.png", "paths.png", "parallel.png", "effects.png"):
        assert (folder / name).is_file()
        assert f'src="{name}"' in page
    assert "exposure.ev" in page
    after = result.stdout.partition("over its range each setting changes the pictures")[2].splitlines()
    assert [line.split()[0] for line in after[1:3]] == ["exposure.ev", "colour_balance.tint"], (
        "what matters most comes first"
    )
    told = json.loads(invoke(*words, "--sensitivity", 2, "--json").stdout)["sensitivity"]
    assert told[0]["size"] > 3 * told[1]["size"]
    (tmp_path / "file").write_text("")
    refused = invoke(*words, "--report", tmp_path / "file")
    assert (refused.exit_code, "cannot be the folder of a report" in refused.stderr) == (2, True), refused.stderr


def test_a_users_function_and_raws_that_are_held_out(
    invoke: Invoke, raws: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_tasks.py").write_text("def dark(pictures, names):\n    return float(pictures[0].mean())\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    words = ("tune", "photo_finish", raws[0], "--task", "own_tasks:dark", "--only", "exposure.ev", "--calls", 5,
             "--searcher", "coordinates", "--held-out", raws[1], "--json")  # fmt: skip
    refused = invoke(*words)
    assert refused.exit_code != 0
    assert "--trust own_tasks" in refused.stderr
    result = invoke(*words, "--trust", "own_tasks")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["score"] < told["score_before"]
    assert told["held_out"]["after"] < told["held_out"]["before"]
    assert told["held_out"]["before"] != told["score_before"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--task", "exposre"), "did you mean exposure?"),
        (("--task", "exposure=0"), "a weight is a number above 0"),
        (("--task", "exposure", "--task", "exposure"), "given twice"),
        (("--task", "match"), "--references FOLDER"),
        (("--task", "exposure", "--references", "."), "--references is for --task match"),
        (("--task", "exposure", "--searcher", "differences"), "sums of squares"),
        (("--task", "exposure", "--searcher", "coordinate"), "did you mean coordinates?"),
        (("--task", "exposure", "--mode", "verify"), "give --doubles RUN"),
        (("--task", "exposure", "--resume"), "name it: --ledger FILE"),
        (("--task", "exposure", "-o", "preset.png"), "cannot be a preset"),
        (("--task", "exposure", "--only", "exposure.e"), "did you mean exposure.ev?"),
    ],
)
def test_what_cannot_be_done_is_said(invoke: Invoke, raws: list[Path], more: tuple[str, ...], words: str) -> None:
    result = invoke("tune", "photo_finish", raws[0], *more)
    assert result.exit_code == 2, result.stderr
    assert words in result.stderr


def test_references_that_do_not_fit_are_refused(
    invoke: Invoke, raws: list[Path], references: Path, tmp_path: Path
) -> None:
    words = ("tune", "photo_finish", *raws, "--task", "match", "--references")
    assert "there is no such folder" in invoke(*words, tmp_path / "none").stderr
    image = read_picture(references / "coffee.png")[0]
    write_picture(tmp_path / "coffee.png", image, space="srgb")
    assert "holds no picture of cat.dng" in invoke(*words, tmp_path).stderr
    write_picture(tmp_path / "cat.png", image, space="srgb")
    result = invoke(*words, tmp_path)
    assert (result.exit_code, "px, and what is rendered" in result.stderr) == (2, True), result.stderr
    write_picture(tmp_path / "coffee.png", image, space="rec2020")
    assert "is in rec2020" in invoke(*words, tmp_path).stderr


def test_references_are_never_written_over(invoke: Invoke, raws: list[Path], references: Path) -> None:
    reference = references / "coffee.png"
    before = reference.read_bytes()
    words = ("tune", "photo_finish", raws[0], "--task", "match", "--references", references, *ONLY, "--calls", 2)
    for option in ("--sheet", "--plot"):
        result = invoke(*words, option, reference)
        assert (result.exit_code, "a reference" in result.stderr) == (2, True), result.stderr
    assert reference.read_bytes() == before


def test_what_cannot_be_measured_is_no_answer(
    invoke: Invoke, raws: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "blind_tasks.py").write_text("def blind(pictures, names):\n    return float('nan')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    result = invoke("tune", "photo_finish", raws[0], "--task", "blind_tasks:blind", "--trust", "blind_tasks", "--only",
                    "exposure.ev", "--calls", 3, "-o", tmp_path / "look.json")  # fmt: skip
    assert (result.exit_code, "nothing that was tried could be measured" in result.stderr) == (4, True), result.stderr
    assert not (tmp_path / "look.json").exists()


def test_references_that_are_no_pictures_are_unreadable(invoke: Invoke, raws: list[Path], tmp_path: Path) -> None:
    for content, words in ((b"", "it is empty"), (b"words", "none of the pictures that are read")):
        (tmp_path / "a.png").write_bytes(content)
        result = invoke("tune", "photo_finish", raws[0], "--task", "match", "--references", tmp_path / "a.png")
        assert (result.exit_code, words in result.stderr) == (3, True), result.stderr
        assert "0x" not in result.stderr
