"""`ispdsl joint`: labelled images in, a preset and a network out; what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ispdsl.learned.classifiers import classifier
from ispdsl.learned.fit import Fitted
from ispdsl.learned.weights import read_card
from ispdsl.runtime.sidecar import load
from tests.cli.conftest import Invoke

PIPELINE = Path(__file__).parents[2] / "pipelines" / "learned_isp.isp"
WORDS = ("joint", PIPELINE, "-p", "learned", "--batch", "8")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dark pictures of two classes: bright and dark."""
    path = Path(tmp_path_factory.mktemp("images")) / "dark.npz"
    rng = np.random.default_rng(0)
    labels = np.arange(30) % 2
    images = (20 + 40 * labels[:, None, None, None] + rng.integers(0, 10, (30, 8, 8, 3))).astype(np.uint8)
    np.savez(path, images=images, labels=labels)
    return path


def test_it_writes_settings_and_a_network(archive: Path, tmp_path: Path, invoke: Invoke) -> None:
    preset, network = tmp_path / "isp.json", tmp_path / "net.safetensors"
    sheet = tmp_path / "sheet.png"
    words = ("--phases", "network=3,settings=2,both=2", "--json", "-o", preset, "--save-network", network)
    words += ("--sheet", sheet)
    result = invoke(*WORDS, "--images", archive, *words)
    assert result.exit_code == 0, result.stderr
    said = json.loads(result.stdout)
    assert [score["after"] for score in said["scores"]] == ["start", "network", "settings", "both"]
    assert (said["images"], said["held_out"]) == (30, 6)
    assert said["settings"]["gamma.gamma"]["before"] == 1.0 != said["settings"]["gamma.gamma"]["after"]
    assert float(load(preset).settings["gamma.gamma"]) == pytest.approx(
        said["settings"]["gamma.gamma"]["after"], abs=1e-5
    )
    assert read_card(network, "classifier").arguments["network"] == "small-cnn"
    classifier("small-cnn", 2, network)
    with Image.open(sheet) as drawn:
        shown = np.asarray(drawn)
    left, right = (shown[100:400, first : first + 300].astype(float) for first in (100, 544))
    assert abs(left - right).mean() > 0.1, "the same picture at the start and as found, which differ"
    assert abs(left.mean() - right.mean()) < 60
    again = invoke(*WORDS, "--images", archive, "--weights", network, "--phases", "settings=1", "--only", "gamma.gamma")
    assert again.exit_code == 0, again.stderr
    assert "after settings" in again.stdout
    assert "tone_curve" not in again.stdout


def test_a_phase_that_leads_astray_ends_at_its_start(archive: Path, tmp_path: Path, invoke: Invoke) -> None:
    network = tmp_path / "net.safetensors"
    taught = invoke(*WORDS, "--images", archive, "--phases", "network=40", "--json", "--save-network", network)
    assert json.loads(taught.stdout)["scores"][-1]["value"] == 1, taught.stderr
    words = ("--weights", network, "--phases", "settings=2", "--rate-settings", "0.9", "--json")
    found = invoke(*WORDS, "--images", archive, *words)
    assert found.exit_code == 0, found.stderr
    assert "no step of the phase settings is better than its start" in found.stderr
    assert all(each["before"] == each["after"] for each in json.loads(found.stdout)["settings"].values())


def test_where_nobody_judged_nothing_is_said_of_the_best(
    archive: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    def old(*_: object, **__: object) -> Fitted:
        return Fitted((), (), None, 0.0)

    monkeypatch.setattr("ispdsl.learned.joint.train_phase", old)
    found = invoke(*WORDS, "--images", archive, "--phases", "both=1", "--json")
    assert found.exit_code == 0, found.stderr
    assert "no step of the phase" not in found.stderr


def test_a_folder_for_each_class_at_one_size(tmp_path: Path, invoke: Invoke) -> None:
    for name, level in (("day", 200), ("night", 20)):
        (tmp_path / name).mkdir()
        for index in range(3):
            Image.new("RGB", (20 + index, 12), (level,) * 3).save(tmp_path / name / f"{index}.png")
    words = (*WORDS, "--images", tmp_path, "--phases", "settings=1", "--json")
    refused = invoke(*words)
    assert refused.exit_code != 0
    assert "--side N" in refused.stderr
    picture = tmp_path / "day" / "0.png"
    before = picture.read_bytes()
    refused = invoke(*words, "--side", "8", "--sheet", picture)
    assert (refused.exit_code, picture.read_bytes()) == (2, before), refused.stderr
    result = invoke(*words, "--side", "8")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["classes"] == ["day", "night"]


def test_a_stopped_training_goes_on(archive: Path, tmp_path: Path, invoke: Invoke) -> None:
    words = (*WORDS, "--images", archive, "--json", "--phases", "settings=3", "--checkpoints", tmp_path / "kept")
    first = invoke(*words)
    assert first.exit_code == 0, first.stderr
    assert "holds checkpoints already" in invoke(*words).stderr
    again = invoke(*words, "--resume")
    assert again.exit_code == 0, again.stderr
    assert json.loads(again.stdout)["settings"] == json.loads(first.stdout)["settings"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--phases", "all=3"), "all=3 is no phase"),
        (("--phases", "both=0"), "both=0 is no phase"),
        (("--rate-network", "2"), "no learning rate"),
        (("--network", "vgg"), "there is no network"),
        (("--network", "secret:net"), "not trusted"),
        (("--weights", "nowhere.safetensors"), "nowhere.safetensors"),
        (("-o", "isp.txt"), "cannot be a preset"),
        (("--resume",), "--checkpoints FOLDER"),
        (("--held-out", "1.5"), "less than or equal to 0.999"),
    ],
)
def test_what_is_wrong_is_said(archive: Path, invoke: Invoke, words: tuple[str, ...], said: str) -> None:
    result = invoke(*WORDS, "--images", archive, *words)
    assert result.exit_code not in (0, 70)
    assert said in result.stderr


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ({"pictures": np.zeros(3)}, "holds no images"),
        ({"images": np.zeros((4, 8, 8))}, "(N, H, W, 3) pictures"),
        ({"images": np.zeros((4, 8, 8, 3)), "labels": np.zeros(3, int)}, "labels are"),
        ({"images": np.full((4, 8, 8, 3), np.nan), "labels": np.zeros(4, int)}, "no finite numbers"),
        ({"images": np.zeros((4, 8, 8, 3))}, "no labels"),
        ({"images": np.array([{}], dtype=object)}, "cannot be read"),
    ],
)
def test_archives_that_are_none(tmp_path: Path, invoke: Invoke, held: dict[str, object], said: str) -> None:
    np.savez(tmp_path / "a.npz", **held)  # type: ignore[arg-type]
    result = invoke(*WORDS, "--images", tmp_path / "a.npz")
    assert result.exit_code not in (0, 70)
    assert said in result.stderr
