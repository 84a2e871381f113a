"""`ispdsl predict`: trained on the command line, used, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import ispdsl
from ispdsl.cli.app import app
from ispdsl.runtime.pictures import read_picture, write_picture
from ispdsl.runtime.sidecar import load
from ispdsl.synthetic.samples import write_demo_raw
from tests.cli.conftest import Invoke

MACHINE = Path(__file__).parents[2] / "benchmarks" / "reproduce" / "tasks" / "machine_vision.isp"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a pipeline, two raws (one on its side) and brighter pictures of them."""
    folder = Path(tmp_path_factory.mktemp("predict"))
    (folder / "wanted").mkdir()
    shutil.copy(MACHINE, folder / "machine_vision.isp")
    graph = ispdsl.build(ispdsl.load(folder / "machine_vision.isp"))
    for name, turned in (("coffee", 6), ("cat", 1)):
        write_demo_raw(folder / f"{name}.dng", name, size=48, orientation=turned)
        frame = ispdsl.read(folder / f"{name}.dng")
        made = ispdsl.develop(graph, frame, ispdsl.Settings.of(graph).update({"brightness": 1.0}))
        picture = made.outputs["display"].image
        write_picture(folder / "wanted" / f"{name}.png", picture, space="srgb", orientation=turned, bits=16)
    return folder


@pytest.fixture(scope="module")
def trained(place: Path) -> Path:
    """A predictor of the brightness, trained on the first raw."""
    path = place / "p.safetensors"
    words = (
        "predict", "train", place / "machine_vision.isp", place / "coffee.dng", "--held-out", place / "cat.dng",
        "--references", place / "wanted", "--only", "brightness", "--levels", "2", "--width", "2", "--steps", "8",
        "--rate", "0.01", "-o", path, "--json",
    )  # fmt: skip
    result = CliRunner().invoke(app, list(map(str, words)))
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["predicted"] == ["brightness"]
    assert told["scores"]["trained on, predicted"] < 0.9 * told["scores"]["trained on, as begun"]
    assert told["scores"]["held out, predicted"] < told["scores"]["held out, as begun"]
    assert not path.with_suffix(".training").exists()
    return path


def test_it_is_trained_and_gives_each_raw_its_settings(
    invoke: Invoke, place: Path, trained: Path, tmp_path: Path
) -> None:
    result = invoke(
        "predict", "run", place / "machine_vision.isp", place / "coffee.dng", place / "cat.dng", "--predictor", trained,
        "-o", tmp_path, "--sidecars", tmp_path, "--format", "png", "--attention", tmp_path / "seen.png", "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    coffee, cat = json.loads(result.stdout)
    names = {"coffee.png", "cat.png", "coffee.dng.isp.json", "cat.dng.isp.json", "seen.png", "seen.2.png"}
    assert {each.name for each in tmp_path.iterdir()} == names
    assert load(tmp_path / "cat.dng.isp.json").settings["brightness"] == cat["settings"]["brightness"]
    again = invoke(
        "run", place / "machine_vision.isp", place / "coffee.dng", "--no-sidecar", "-o", tmp_path / "again.png",
        "--set", f"brightness={coffee['settings']['brightness']}",
    )  # fmt: skip
    assert again.exit_code == 0, again.stderr
    np.testing.assert_array_equal(read_picture(tmp_path / "again.png")[0], read_picture(tmp_path / "coffee.png")[0])
    line = '  predictor "p.safetensors"\n  meta black_level:'
    content = (place / "machine_vision.isp").read_text().replace("  meta black_level:", line, 1)
    (place / "with_line.isp").write_text(content)
    named = invoke("run", place / "with_line.isp", place / "coffee.dng", "--no-sidecar", "-o", tmp_path / "named.png")
    assert named.exit_code == 0, named.stderr
    np.testing.assert_array_equal(read_picture(tmp_path / "named.png")[0], read_picture(tmp_path / "coffee.png")[0])
    assert "by p.safetensors: brightness" in named.stderr


def test_settings_made_by_hand_are_never_replaced(invoke: Invoke, place: Path, trained: Path, tmp_path: Path) -> None:
    raw = tmp_path / "coffee.dng"
    shutil.copy(place / "coffee.dng", raw)
    words = ("predict", "run", place / "machine_vision.isp", raw, "--predictor", trained)
    by_hand = tmp_path / "coffee.dng.isp.json"
    first = invoke("run", place / "machine_vision.isp", raw, "--set", "brightness=1ev", "-o", tmp_path / "by_hand.png",
                   "--save-settings", by_hand)  # fmt: skip
    assert first.exit_code == 0, first.stderr
    content = by_hand.read_bytes()
    refused = invoke(*words, "--sidecars", tmp_path)
    assert refused.exit_code == 2, refused.stderr
    assert "coffee.dng.isp.json holds settings that no predictor gave, and that would be lost" in refused.stderr
    assert by_hand.read_bytes() == content
    elsewhere = tmp_path / "elsewhere"
    for _ in range(2):  # a predictor's own are replaced
        again = invoke(*words, "--sidecars", elsewhere)
        assert again.exit_code == 0, again.stderr
        assert "coffee.dng.isp.json are not read: all are predicted" in again.stderr
    assert load(elsewhere / "coffee.dng.isp.json").frame["predictor"] == trained.name


def test_what_is_held_out_is_not_learnt_from(invoke: Invoke, place: Path, tmp_path: Path) -> None:
    """Under another name it is the same raw; nothing but it leaves nothing to learn from."""
    shutil.copy(place / "cat.dng", place / "other_cat.dng")
    words = ("predict", "train", place / "machine_vision.isp", "--references", place / "wanted", "--only", "brightness",
             "--levels", "2", "--width", "2", "--steps", "1", "-o", tmp_path / "p.safetensors")  # fmt: skip
    result = invoke(*words, place / "coffee.dng", place / "other_cat.dng", "--held-out", place / "cat.dng", "--resume")
    assert result.exit_code == 0, result.stderr
    assert "held out, and not learnt from: other_cat.dng" in result.stderr
    assert "p.training is not there: the training begins anew" in result.stderr
    assert "1 settings of 1 raws learnt" in result.stderr
    assert (tmp_path / "p.safetensors").stat().st_mode & 0o044 == 0o044, "others may read it as they may pictures"
    assert "to be replaced" not in result.stderr
    (tmp_path / "p.training").write_bytes(b"half done")
    again = invoke(*words, place / "coffee.dng")
    assert again.exit_code == 0, again.stderr
    assert "p.training is an unfinished training, to be replaced by this one; --resume goes on with it" in again.stderr
    assert "p.safetensors is there: to be replaced when the training is done; another name keeps both" in again.stderr
    nothing = invoke(*words, place / "cat.dng", "--held-out", place / "cat.dng")
    assert (nothing.exit_code, "every raw is held out" in nothing.stderr) == (2, True), nothing.stderr


def test_folders_of_answers_are_made(invoke: Invoke, place: Path, trained: Path, tmp_path: Path) -> None:
    words = ("predict", "run", place / "machine_vision.isp", place / "cat.dng", "--predictor", trained, "-o")
    result = invoke(*words, tmp_path / "new" / "folder")
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "new" / "folder" / "cat.jpg").is_file()
    twice = invoke(*words, tmp_path, place / "cat.dng")
    assert (twice.exit_code, "cat.dng is given twice" in twice.stderr) == (2, True), twice.stderr
    (tmp_path / "file").touch()
    refused = invoke(*words, tmp_path / "file")
    assert (refused.exit_code, "is no folder" in refused.stderr) == (5, True), refused.stderr


def test_least_squares_and_means(invoke: Invoke, place: Path, trained: Path) -> None:
    words = (
        "predict",
        "run",
        place / "machine_vision.isp",
        place / "coffee.dng",
        place / "cat.dng",
        "--predictor",
        trained,
    )
    refined = invoke(*words, "--refine", "--references", place / "wanted", "--json")
    assert refined.exit_code == 0, refined.stderr
    for each in json.loads(refined.stdout):
        assert float(each["settings"]["brightness"].removesuffix("ev")) == pytest.approx(1, abs=0.02)
        assert each["psnr"]["refined"] > each["psnr"]["predicted"]
    mean = invoke(*words, "--mean", "--json")
    first, second = json.loads(mean.stdout)
    assert first["settings"] == second["settings"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-o", "p.safetensors"), "what is it trained for"),
        (("-o", "p.pt", "--references", "."), "cannot be a predictor"),
        (("-o", "p.safetensors", "--task", "os:getcwd"), "not trusted"),
        (("-o", "p.safetensors", "--task", "os:getcwd", "--side", "7"), "part the sites"),
        (("-o", "p.safetensors", "--task", "os:getcwd", "--only", "brightnes"), "brightness"),
        (("-o", "p.safetensors", "--references", ".", "--rate", "2"), "no learning rate"),
    ],
)
def test_what_cannot_be_is_refused(
    invoke: Invoke, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke("predict", "train", place / "machine_vision.isp", place / "cat.dng", *words)
    assert result.exit_code == 2, result.stderr
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.iterdir())
