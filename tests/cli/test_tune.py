"""`ispdsl tune`: on the command line, with its preset, pictures and ledger, and what it refuses."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import ispdsl
from ispdsl.optimise import gradients
from ispdsl.runtime.pictures import read_picture, write_picture
from ispdsl.runtime.sidecar import load
from ispdsl.synthetic.samples import write_demo_raw
from ispdsl.vision.resnet import ResNet
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


def test_every_raw_has_settings_of_its_own(invoke: Invoke, raws: list[Path], tmp_path: Path) -> None:
    """The mean luma of a dark and of a bright picture: each gets an exposure, and a preset."""
    preset = tmp_path / "found.json"
    words = ("tune", "photo_finish", *raws, "--task", "exposure", "--only", "saturation.amount", "--per-image",
             "exposure.*", "--searcher", "coordinates", "--calls", 20, "-o", preset)  # fmt: skip
    result = invoke(*words, "--held-out", raws[1])
    assert result.exit_code == 0, result.stderr
    names = [line.partition("  ")[0] for line in result.stdout.splitlines()[1:4]]
    assert names == ["saturation.amount", "exposure.ev (coffee.dng)", "exposure.ev (cat.dng)"]
    one, two = (load(path).settings for path in (preset, tmp_path / "found.2.json"))
    assert one["saturation.amount"] == two["saturation.amount"]
    assert one["exposure.ev"] != two["exposure.ev"]
    again = invoke(*words[:-2], "--json", "-o", preset)
    assert json.loads(again.stdout)["settings_of_each"] == [one, two]
    for more, said in ((("--per-image", "demosaic.nothing"), "no parameter"), ((raws[0],), "is given twice")):
        refused = invoke(*words[:-2], *more)
        assert (refused.exit_code, said in refused.stderr) == (2, True), refused.stderr


def test_pictures_are_matched_in_the_features_of_a_network(
    invoke: Invoke, raws: list[Path], references: Path, tmp_path: Path
) -> None:
    weights = tmp_path / "resnet.pt"
    torch.manual_seed(0)
    torch.save(ResNet(20).state_dict(), weights)
    words = ("tune", "photo_finish", raws[1], "--task", "match", "--references", references, "--calls", 6, "--only",
             "contrast.amount", "--searcher", "coordinates", "--metric")  # fmt: skip
    result = invoke(*words, "features", "--weights", weights, "--json")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["task"] == "match, features"
    assert 0 < told["score"] < told["score_before"]
    other = tmp_path / "other.pt"
    torch.save(ResNet(8).state_dict(), other)
    for more, said in (
        (("features",), "needs a network to look at pictures"),
        (("l1", "--weights", weights), "--weights is for --metric features"),
        (("features", "--weights", other), "it is not for this network"),
        (("features", "--weights", tmp_path / "none.pt"), "No such file"),
    ):
        refused = invoke(*words, *more)
        assert refused.exit_code != 0
        assert said in refused.stderr


@pytest.mark.slow
def test_gradients_find_the_name_behind_a_picture(
    invoke: Invoke, raws: list[Path], references: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By SSIM, of a raw that lies on its side. It begins with another demosaicing than the reference has."""
    monkeypatch.setattr(gradients.gradients, "__defaults__", (6, 2, 2))
    words = ("tune", "photo_finish", raws[0], "--searcher", "gradients", "--calls", 5, "--json")
    result = invoke(*words, "--task", "match", "--references", references, "--metric", "ssim", "--only",
                    "demosaic.method", *ONLY[:2], "--set", "demosaic.method=bilinear")  # fmt: skip
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["searcher"] == "gradients"
    assert told["settings"]["demosaic.method"] == "menon"
    assert told["score"] < 0.5 * told["score_before"]


def test_a_search_goes_on_with_its_ledger(invoke: Invoke, raws: list[Path], tmp_path: Path) -> None:
    ledger = tmp_path / "calls.jsonl"
    words = ("tune", "photo_finish", raws[0], "--task", "exposure", "--task", "noise=5", "--only", "exposure.ev",
             "--searcher", "coordinates", "--calls", 6, "--ledger", ledger)  # fmt: skip
    first = invoke(*words, "--resume")
    assert first.exit_code == 0, first.stderr
    assert "calls.jsonl is not there: the search begins anew" in first.stderr
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


def test_a_model_of_pictures_can_search(invoke: Invoke, raws: list[Path], references: Path) -> None:
    result = invoke("tune", "photo_finish", raws[0], "--task", "match", "--references", references, *ONLY, "--json",
                    "--searcher", "composite", "--calls", 9)  # fmt: skip
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["searcher"] == "composite"
    assert told["score"] < told["score_before"]
    assert told["calls"] == 9


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--task", "exposre"), "did you mean exposure?"),
        (("--task", "exposure=0"), "a weight is a number above 0"),
        (("--task", "exposure", "--task", "exposure"), "given twice"),
        (("--task", "match"), "--references FOLDER"),
        (("--task", "exposure", "--references", "."), "--references is for --task match"),
        (("--task", "exposure", "--searcher", "differences"), "sums of squares"),
        (("--task", "exposure", "--searcher", "composite"), "--searcher composite is for sums of squares"),
        (("--task", "exposure", "--searcher", "coordinate"), "did you mean coordinates?"),
        (("--task", "noise", "--searcher", "gradients"), "follows slopes, and noise has none"),
        (("--task", "exposure", "--mode", "verify"), "give --doubles RUN"),
        (("--task", "exposure", "--resume"), "name it: --ledger FILE"),
        (("--task", "exposure", "-o", "preset.png"), "cannot be a preset"),
        (("--task", "exposure", "--only", "exposure.e"), "did you mean exposure.ev?"),
        (("--task", "exposure", "--only", "texture.radius"), "it is not free: it is fixed in the pipeline"),
        (
            ("--task", "exposure", "--only", "white_balance.neutral"),
            "the metadata as_shot_neutral of each raw gives it",
        ),
        (("--task", "exposure", "--pareto"), "name another with --task"),
        (("--task", "exposure", "--task", "noise=2", "--pareto"), "write --task noise"),
        (("--task", "exposure", "--task", "noise", "--pareto", "--searcher", "tpe"), "--searcher is for one answer"),
        (
            ("--task", "exposure", "--task", "noise", "--pareto", "--per-image", "exposure.ev"),
            "--per-image is for one answer",
        ),
        (("--task", "exposure", "--task", "noise", "--pareto", "--sheet", "a.png"), "--sheet is for one answer"),
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


def test_raws_of_one_name_have_references_in_folders_of_theirs(
    invoke: Invoke, raws: list[Path], references: Path, tmp_path: Path
) -> None:
    wanted = tmp_path / "wanted"
    same = [tmp_path / folder / "a.dng" for folder in ("day", "night")]
    for raw, twin in zip(raws, same, strict=True):
        (wanted / twin.parent.name).mkdir(parents=True)
        twin.parent.mkdir()
        twin.write_bytes(raw.read_bytes())
    shutil.copy(references / "coffee.png", wanted / "a.png")
    words = ("tune", "photo_finish", *same, "--task", "match", "--references", wanted, *ONLY, "--calls", 2)
    result = invoke(*words)
    assert result.exit_code == 2, result.stderr
    assert f"put its picture there, as {wanted / 'day' / 'a'}.png" in result.stderr
    for raw, twin in zip(raws, same, strict=True):
        shutil.copy(references / f"{raw.stem}.png", wanted / twin.parent.name / "a.png")
    told = json.loads(invoke(*words, "--json").stdout)
    assert told["raws"] == ["day/a.dng", "night/a.dng"]
    plain = invoke(
        "tune", "photo_finish", *raws, *words[4:6], "--references", references, *ONLY, "--calls", 2, "--json"
    )
    assert told["score_before"] == json.loads(plain.stdout)["score_before"], "each is held to its own picture"


def test_one_picture_is_not_that_of_two_raws(
    invoke: Invoke, raws: list[Path], references: Path, tmp_path: Path
) -> None:
    for name, raw in (("a.dng", raws[0]), ("a.tif.dng", raws[1])):
        (tmp_path / name).write_bytes(raw.read_bytes())
    shutil.copy(tmp_path / "a.tif.dng", tmp_path / "a.raw")
    shutil.copy(references / "coffee.png", tmp_path / "a.png")
    words = ("tune", "photo_finish", "--task", "match", *ONLY, "--references")
    result = invoke(*words, tmp_path, tmp_path / "a.dng", tmp_path / "a.raw")
    assert (result.exit_code, "give each its own: a.dng.png, a.raw.png" in result.stderr) == (2, True), result.stderr
    result = invoke(*words, tmp_path / "a.png", tmp_path / "a.dng", "--held-out", tmp_path / "a.raw")
    assert (result.exit_code, "it is one picture, and there are 2 raws" in result.stderr) == (2, True), result.stderr


def test_several_goals_have_a_front(invoke: Invoke, raws: list[Path], tmp_path: Path) -> None:
    look, plot, folder, ledger = (tmp_path / name for name in ("look.json", "plot.png", "report", "calls.jsonl"))
    words = ("tune", "photo_finish", raws[0], "--task", "noise", "--task", "sharpness", "--pareto", "--only",
             "exposure.ev", "--only", "demosaic.method", "--calls", 14, "--ledger", ledger)  # fmt: skip
    result = invoke(*words, "--json", "-o", look, "--plot", plot, "--report", folder, "--held-out", raws[1])
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["goals"] == ["noise", "sharpness"]
    assert told["calls"] == len(told["tried"]) == 14
    front = [each["scores"] for each in told["front"]]
    assert len(front) > 1
    assert front == sorted(front), "by the first goal"
    for one in front:
        assert not any(
            all(a <= b for a, b in zip(other, one, strict=True)) and other != one for other in told["tried"]
        ), "nothing that was tried beats it"
    assert told["tried"][0] == told["start"]["scores"]
    assert told["front"][0]["shown"][0] == f"noise {front[0][0]:.5f} of white"
    assert told["front"][0]["held_out"] != front[0]
    for number, each in enumerate(told["front"], 1):
        assert load(tmp_path / f"look.{number}.json").settings == each["settings"]
    assert not (tmp_path / f"look.{len(front) + 1}.json").exists()
    assert read_picture(plot)[0].shape[0] == 3
    page = (folder / "report.html").read_text()
    assert 'src="front-1-2.png"' in page
    assert "demosaic.method" in page
    assert len(ledger.read_text().splitlines()) == 15
    made = ledger.read_bytes()
    again = invoke(*words, "--resume")
    assert again.exit_code == 0, again.stderr
    assert ledger.read_bytes() == made, "nothing is asked for again"
    lines = again.stdout.splitlines()
    assert lines[0].split() == ["noise", "sharpness", "exposure.ev", "demosaic.method"]
    assert [line.split()[0] for line in lines[1 : len(front) + 2]] == ["start", *map(str, range(1, len(front) + 1))]
    assert (
        f"nothing that was tried beats these {len(front)} in all goals, as rendered by the pipeline's own"
        in again.stdout
    )
    other = invoke(*words, "--resume", "--seed", 1)
    assert (other.exit_code, "is of another search" in other.stderr) == (2, True), other.stderr


def test_the_point_of_a_front_makes_what_was_measured(invoke: Invoke, raws: list[Path], tmp_path: Path) -> None:
    """Its preset, as the start of another search, has the scores of the table."""
    words = ("tune", "photo_finish", raws[0], "--task", "noise", "--task", "sharpness", "--pareto", "--only",
             "exposure.ev", "--json", "--calls")  # fmt: skip
    front = json.loads(invoke(*words, 8, "-o", tmp_path / "look.json").stdout)["front"]
    again = json.loads(invoke(*words, 2, "--preset", tmp_path / f"look.{len(front)}.json").stdout)
    assert again["start"]["scores"] == pytest.approx(front[-1]["scores"], rel=1e-6)


def test_a_fault_in_a_users_function_says_where_it_is(
    invoke: Invoke, raws: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "faulty_tasks.py").write_text(
        "def inner(picture):\n    return picture.nothing\n\n\n"
        "def loss(pictures, names):\n    return inner(pictures[0])\n"
    )
    (tmp_path / "unread_tasks.py").write_text("import math\n\nmath.sqrt(-1)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    words = ("tune", "photo_finish", raws[0], "--only", "exposure.ev", "--task")
    result = invoke(*words, "faulty_tasks:loss", "--trust", "faulty_tasks")
    assert result.exit_code == 2, result.stderr
    assert "task faulty_tasks:loss: AttributeError: 'numpy.ndarray' object has no attribute 'nothing'" in result.stderr
    assert f"{tmp_path / 'faulty_tasks.py'}, line 2, in inner: return picture.nothing" in result.stderr
    result = invoke(*words, "unread_tasks:loss", "--trust", "unread_tasks")
    assert result.exit_code == 2, result.stderr
    assert "ValueError" in result.stderr
    assert f"{tmp_path / 'unread_tasks.py'}, line 3" in result.stderr


def test_under_noise_both_scores_are_said(
    invoke: Invoke, raws: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "noisy_tasks.py").write_text(
        "import random\n\nDRAWN = random.Random(0)\n\n\n"
        "def loss(pictures, names):\n    return float(pictures[0].mean()) + DRAWN.gauss(0, 1)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    words = ("tune", "photo_finish", raws[0], "--task", "noisy_tasks:loss", "--trust", "noisy_tasks", "--only",
             "exposure.ev", "--searcher", "cma-es", "--calls", 66)  # fmt: skip
    lines = invoke(*words).stdout.splitlines()
    found = next(line for line in lines if line.startswith("found: loss "))
    assert re.search(r", the mean of [5-9] calls at what cma-es recommends$", found)
    lowest = next(line for line in lines if line.startswith("the lowest score of all calls was loss "))
    assert float(lowest.split()[8].rstrip(";")) < float(found.split()[2]) - 0.5, "the luckiest of all"


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


@pytest.mark.parametrize(("stop", "code"), [("KeyboardInterrupt", 130), ("Terminated", 143)])
@pytest.mark.parametrize("more", [(), ("--pareto", "--task", "noise")], ids=["one goal", "front"])
def test_a_search_that_is_stopped_keeps_its_best_and_says_so(
    invoke: Invoke, raws: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: str, code: int,
    more: tuple[str, ...],
) -> None:  # fmt: skip
    (tmp_path / "stopping_tasks.py").write_text(
        "from ispdsl.interrupts import Terminated\nasked = []\ndef loss(pictures, names):\n    asked.append(1)\n"
        f"    if len(asked) == 4:\n        raise {stop}\n    return float(pictures[0].mean())\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    preset = tmp_path / "best.json"
    result = invoke(
        "tune", "photo_finish", raws[0], "--task", "stopping_tasks:loss", "--trust", "stopping_tasks", *more,
        "--only", "exposure.ev", "--calls", 12, "-o", preset, "--json",
    )  # fmt: skip
    sys.modules.pop("stopping_tasks", None)
    assert result.exit_code == code, result.stderr
    assert json.loads(result.stdout)["why"] == ("it was interrupted" if code == 130 else "it was terminated")
    assert list(tmp_path.glob("best*.json")), "what was found is kept"


def test_why_calls_failed_is_said(
    invoke: Invoke, raws: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loss that does not like bright pictures: the note and the JSON say what the last failure was."""
    (tmp_path / "timid_tasks.py").write_text(
        "def loss(pictures, names):\n"
        "    level = float(pictures[0].mean())\n"
        "    if level > 0.7:\n"
        "        raise ValueError('much too bright')\n"
        "    return -level\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    result = invoke(
        "tune", "photo_finish", raws[0], "--only", "exposure.ev", "--task", "timid_tasks:loss", "--trust",
        "timid_tasks", "--calls", 12, "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert 0 < told["failed"] < 12
    assert "much too bright" in told["fault"]
    assert f"{told['failed']} of them failed (the last: " in result.stderr
    assert "much too bright" in result.stderr
