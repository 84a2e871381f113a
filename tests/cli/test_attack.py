"""`ispdsl attack`: changed raws, what is told of them before and after, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import ispdsl
from ispdsl.runtime.pictures import read_picture
from ispdsl.runtime.sidecar import Sidecar, save
from ispdsl.synthetic.samples import write_demo_raw
from tests.cli.conftest import Invoke
from tests.scenes import graph

CLASSIFIER = ("--classifier", "tests.learned.test_attack:reddish", "--trust", "tests")


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A raw that lies on its side, and two presets under which it is reddish."""
    folder = Path(tmp_path_factory.mktemp("attack"))
    write_demo_raw(folder / "cat.dng", "astronaut", size=24, orientation=6)
    settings = ispdsl.Settings.of(graph("photo_finish"))
    for name, tint in (("warm", 10.0), ("green", -12.0)):
        save(Sidecar.of(settings.update({"colour_balance.tint": tint})), folder / f"{name}.json")
    return folder


def test_a_changed_raw_is_written_and_looked_at_for_real(invoke: Invoke, given: Path, tmp_path: Path) -> None:
    labels = given / "labels.json"
    labels.write_text('{"cat.dng": 0}')
    result = invoke(
        "attack", "photo_finish", given / "cat.dng", "--against", given / "warm.json", *CLASSIFIER,
        "--labels", labels, "--bound", 2, "--steps", 6, "-o", tmp_path / "out", "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    (told,) = json.loads(result.stdout)["raws"]
    changed = ispdsl.read(Path(told["file"]))
    original = ispdsl.read(given / "cat.dng")
    assert changed.orientation == 6
    change = (changed.image.astype(float) - original.image) / (16383 - 512)
    assert np.linalg.norm(change) == pytest.approx(told["size"], rel=1e-4)
    assert told["size"] <= told["bound"] == 2
    assert told["before"]["warm"]["number"] == 0
    assert told["after"]["warm"]["number"] == 1
    assert told["succeeded"]
    assert read_picture(tmp_path / "out" / "sheet.png")[0].shape[0] == 3


def test_people_read_a_table(invoke: Invoke, given: Path, tmp_path: Path) -> None:
    result = invoke(
        "attack", "photo_finish", given / "cat.dng", "--against", given / "warm.json",
        "--sparing", given / "green.json", *CLASSIFIER, "--steps", 1, "--norm", "linf", "--bound", 0.001,
        "-o", tmp_path,
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert "cat.dng  warm" in result.stdout
    assert "cat.dng  green" in result.stdout
    assert "(linf, black to white)" in result.stdout
    said = "0 of 1 made wrong under warm and right under green, as rendered by the pipeline's own programs"
    assert f"{said}\n" in result.stdout


def test_what_was_wrong_before_is_no_success(invoke: Invoke, given: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.json"
    labels.write_text('{"cat.dng": 1}')
    words = ("attack", "photo_finish", given / "cat.dng", "--against", given / "warm.json", *CLASSIFIER, "--labels",
             labels, "--bound", 0.001, "--steps", 1, "-o", tmp_path)  # fmt: skip
    result = invoke(*words)
    assert result.exit_code == 0, result.stderr
    assert "0 of 1 made wrong under warm, as" in result.stdout
    assert "programs; 1 wrong before anything was changed" in result.stdout
    assert json.loads(invoke(*words, "--json").stdout)["raws"][0]["wrong_already"] is True


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((*CLASSIFIER, "--enough", "0"), "--enough 0 is no loss"),
        ((), "one classifier is attacked"),
        (("--classifier", "tests.learned.test_attack:reddish"), "the package tests is not trusted"),
        ((*CLASSIFIER, "--norm", "linf"), "--norm linf has no bound of its own"),
        ((*CLASSIFIER, "--bound", "-1"), "--bound: a bound is above 0"),
        ((*CLASSIFIER, "--labels", "LABELS"), "the class of cat.dng is null"),
    ],
)
def test_what_is_wrong_is_said(
    invoke: Invoke, given: Path, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    (tmp_path / "labels.json").write_text('{"dog.dng": 1}')
    options = [str(tmp_path / "labels.json") if word == "LABELS" else word for word in words]
    result = invoke(
        "attack", "photo_finish", given / "cat.dng", "--against", given / "warm.json", "-o", tmp_path / "out", *options
    )
    assert result.exit_code in (1, 2, 3)
    assert message in " ".join(result.stderr.split())


def test_a_pipeline_without_programs_wants_doubles(invoke: Invoke, given: Path, tmp_path: Path) -> None:
    preset = tmp_path / "plain.json"
    save(Sidecar.of(ispdsl.Settings.of(graph("libraw"))), preset)
    result = invoke("attack", "libraw", given / "cat.dng", "--against", preset, *CLASSIFIER, "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert "nothing says where to go" in result.stderr
