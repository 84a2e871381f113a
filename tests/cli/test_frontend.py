"""`ispdsl frontend train`: a file that `ispdsl run --doubles` takes, going on where it stopped, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from ispdsl.runtime.pictures import read_picture, write_picture
from ispdsl.synthetic import sample_photo, write_demo_raw
from tests.cli.conftest import Invoke

SMALL = ("--steps", 2, "--together", 1, "--side", 16, "--width", 4, "--depth", 1)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(tmp_path_factory.mktemp("pictures"))
    for name in ("coffee", "cat"):
        write_picture(folder / f"{name}.png", sample_photo(name, 48), space="srgb")
    return folder


def test_a_front_end_is_trained_and_used(invoke: Invoke, pictures: Path, tmp_path: Path) -> None:
    file = tmp_path / "front.safetensors"
    sheet = tmp_path / "sheet.png"
    result = invoke("frontend", "train", "photo_finish", pictures, "-o", file, *SMALL, "--json", "--sheet", sheet)
    assert result.exit_code == 0, result.stderr
    assert read_picture(sheet)[0].shape[2] > 3 * 420, "three thumbnails in a row"
    told = json.loads(result.stdout)
    assert (told["stage"], told["train"], told["held_out"]) == ("demosaic", 1, 1)
    assert set(told["scores"]["long"]) == {"demosaic", "front end"}
    assert not file.with_suffix(".training").exists()
    write_demo_raw(tmp_path / "raw.dng", size=48)
    plan = invoke("plan", "photo_finish", "--doubles", file)
    assert "proxy residual" in plan.stdout
    run = invoke("run", "photo_finish", tmp_path / "raw.dng", "-o", tmp_path / "out.png", "--doubles", file)
    assert run.exit_code == 0, run.stderr
    other = ("--set", "demosaic.method=ahd", "-o", tmp_path / "other.png")
    noted = invoke("run", "photo_finish", tmp_path / "raw.dng", "--doubles", file, *other)
    assert "was not trained for demosaic.method ahd" in noted.stderr


def test_a_burst_is_a_folder_of_raws(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "burst").mkdir()
    for seed in range(2):
        write_demo_raw(tmp_path / "burst" / f"{seed}.dng", size=48, seed=seed)
    file = tmp_path / "front.safetensors"
    result = invoke("frontend", "train", "photo_finish", tmp_path / "burst", "-o", file, *SMALL)
    assert result.exit_code == 0, result.stderr
    assert "nothing held out" in result.stdout
    again = invoke("frontend", "train", "photo_finish", tmp_path / "burst", "-o", file, *SMALL, "--sheet",
                   tmp_path / "sheet.png")  # fmt: skip
    assert (again.exit_code, "give more than one scene" in again.stderr) == (2, True), again.stderr
    assert "1 scenes, judged by 0 others" in result.stdout


def test_what_is_wrong_is_said(invoke: Invoke, pictures: Path, tmp_path: Path) -> None:
    def refused(*words: str | Path | int) -> str:
        result = invoke("frontend", "train", "photo_finish", *map(str, words))
        assert result.exit_code in (1, 2, 3), result.stdout
        return " ".join(result.stderr.split())

    good = ("-o", tmp_path / "front.safetensors", *SMALL)
    assert "cannot be a front end" in refused(pictures, "-o", tmp_path / "front.pt")
    assert "is no learning rate" in refused(pictures, *good, "--rate", 3)
    assert "is not there" in refused(tmp_path / "nothing", *good)
    (tmp_path / "empty").mkdir()
    assert "holds no images" in refused(tmp_path / "empty", *good)
    write_demo_raw(tmp_path / "raw.dng", size=48)
    assert "is no picture" in refused(tmp_path / "raw.dng", *good)
    assert "has no srgb that makes colour" in refused(pictures, *good, "--stage", "srgb")
    assert "has fewer than 64 px" in refused(pictures, *good, "--side", 64)


def test_what_lies_beside_images_is_no_image(invoke: Invoke, tmp_path: Path) -> None:
    """A sidecar and remarks are left out; photographs beside raws would be one thing or the other."""
    folder = tmp_path / "burst"
    folder.mkdir()
    for seed in range(2):
        write_demo_raw(folder / f"{seed}.dng", size=48, seed=seed)
    (folder / "0.dng.isp.json").write_text("{}")
    (folder / "LICENCE.txt").write_text("free")
    file = tmp_path / "front.safetensors"
    result = invoke("frontend", "train", "photo_finish", folder, "-o", file, *SMALL)
    assert result.exit_code == 0, result.stderr
    Image.new("RGB", (64, 64)).save(folder / "0.jpg")
    mixed = invoke("frontend", "train", "photo_finish", folder, "-o", file, *SMALL)
    assert mixed.exit_code == 2
    assert "burst holds 1 photographs, and 2 other files such as 0.dng" in " ".join(mixed.stderr.split())
