"""`ispdsl style`: on the command line, what it writes, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ispdsl.learned import weights
from ispdsl.learned.style import Encoder, opened
from ispdsl.runtime.pictures import read_picture, write_picture
from ispdsl.runtime.sidecar import load
from ispdsl.synthetic import sample_photo
from ispdsl.synthetic.samples import write_demo_raw
from tests.cli.conftest import Invoke

ONLY = ("--only", "exposure.ev", "--only", "saturation.*")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three raws, one of which lies on its side, and a folder of pictures of a dark, faded style."""
    made = Path(tmp_path_factory.mktemp("style"))
    for name, photo, turn in (("a", "astronaut", 1), ("b", "coffee", 6), ("c", "cat", 1)):
        write_demo_raw(made / f"{name}.dng", photo, size=48, orientation=turn)
    (made / "looks").mkdir()
    for name in ("astronaut", "coffee"):
        picture = sample_photo(name, 40)
        faded = 0.35 * (0.3 * picture + 0.7 * picture.mean(axis=0, keepdims=True))
        write_picture(made / "looks" / f"{name}.png", faded.astype(np.float32))
    (made / "looks" / "notes.txt").write_text("no picture", encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def network(folder: Path) -> Path:
    """A trained network that lifts the exposure of every raw by the same."""
    from ispdsl.learned.card import Card

    path = folder / "net.safetensors"
    encoder = Encoder(2)
    encoder.last.bias.data[:] = 0.2
    card = Card(
        kind="style", arguments={"count": 2}, pipeline="photo_finish", addresses=("exposure.ev", "saturation.amount"),
        training={"side": 48},
    )  # fmt: skip
    weights.write(path, encoder, card)
    return path


def test_settings_are_fitted_to_one_raw(invoke: Invoke, folder: Path, tmp_path: Path) -> None:
    preset, sheet = tmp_path / "found.json", tmp_path / "sheet.png"
    result = invoke(
        "style", "fit", "photo_finish", folder / "a.dng", "--style", folder / "looks", *ONLY, "--steps", 12,
        "--tried", 4, "--side", 48, "-o", preset, "--sheet", sheet, "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["after"] < 0.7 * told["before"]
    assert set(load(preset).settings) == {"exposure.ev", "saturation.amount"} == set(told["settings"])
    assert float(told["settings"]["exposure.ev"].removesuffix("ev")) < 0
    assert read_picture(sheet)[0].shape[2] > 3 * 420


def test_what_is_legal_is_searched_where_it_is_asked_for(invoke: Invoke, folder: Path, tmp_path: Path) -> None:
    found: dict[str, float] = {}
    for name, more in (("soft", ()), ("hard", ("--hard", "saturation.*"))):
        preset = tmp_path / f"{name}.json"
        result = invoke(
            "style", "fit", "photo_finish", folder / "a.dng", "--style", folder / "looks", *ONLY, *more, "--steps", 30,
            "--rate", 0.1, "--pull", 0, "--luma", 0, "--tried", 8, "--side", 48, "-o", preset,
        )  # fmt: skip
        assert result.exit_code == 0, result.stderr
        found[name] = float(str(load(preset).settings["saturation.amount"]).removesuffix("%"))
    assert found["soft"] == pytest.approx(50, abs=0.5)  # the end of the soft range
    assert found["hard"] < 45


def test_a_network_searches_what_it_was_trained_to_search(invoke: Invoke, folder: Path, tmp_path: Path) -> None:
    path, out = tmp_path / "grey.safetensors", tmp_path / "out"
    words = ("--style", folder / "looks", *ONLY, "--hard", "saturation.amount", "--steps", 2, "--side", 48)
    made = invoke("style", "train", "photo_finish", folder / "a.dng", *words, "-o", path)
    assert made.exit_code == 0, made.stderr
    assert weights.read_card(path, "style").training["hard"] == ["saturation.amount"]
    encoder, card = opened(path)
    encoder.last.bias.data[:] = -30.0
    weights.write(path, encoder, card)
    result = invoke(
        "style", "run", "photo_finish", folder / "a.dng", "--style-file", path, "-o", out, "--format", "none"
    )
    assert result.exit_code == 0, result.stderr
    (settings,) = out.iterdir()
    kept = load(settings)
    assert float(str(kept.settings["saturation.amount"]).removesuffix("%")) < 10


def test_a_pattern_that_names_nothing_is_refused(invoke: Invoke, folder: Path, tmp_path: Path) -> None:
    result = invoke(
        "style", "fit", "photo_finish", folder / "a.dng", "--style", folder / "looks", "--hard", "saturation.amuont",
        "-o", tmp_path / "found.json",
    )  # fmt: skip
    assert result.exit_code == 2
    assert "saturation.amuont" in result.stderr


def test_what_is_not_free_has_no_range(invoke: Invoke, folder: Path, tmp_path: Path) -> None:
    result = invoke(
        "style", "fit", "photo_finish", folder / "a.dng", "--style", folder / "looks", "--only", "exposure.ev",
        "--hard", "saturation.amount", "-o", tmp_path / "found.json",
    )  # fmt: skip
    assert result.exit_code == 2
    assert "--hard saturation.amount is not free" in result.stderr


def test_a_network_is_trained_and_goes_on(invoke: Invoke, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "dark.safetensors"
    words = (
        "style", "train", "photo_finish", folder / "a.dng", folder / "b.dng", "--held-out", folder / "c.dng", "--style",
        folder / "looks" / "coffee.png", "--style", folder / "looks", *ONLY, "-o", path, "--steps", 30, "--rate", 0.004,
        "--batch", 2, "--side", 48, "--set", "contrast.amount=5%",
    )  # fmt: skip
    result = invoke(*words, "--json")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["scores"]["after"] < told["scores"]["before"]
    assert told["held"] == {"contrast.amount": "5%"}
    assert [each["file"] for each in told["data"]["style"]] == ["coffee.png", "astronaut.png"]
    assert weights.read_card(path, "style").addresses == ("exposure.ev", "saturation.amount")
    assert not path.with_suffix(".checkpoint").exists()


def test_raws_are_finished_with_pictures_settings_and_a_sheet(
    invoke: Invoke, folder: Path, network: Path, tmp_path: Path
) -> None:
    out, sheet = tmp_path / "out", tmp_path / "sheet.png"
    raws = [folder / f"{name}.dng" for name in "abc"]
    result = invoke(
        "style", "run", "photo_finish", *raws, "--style-file", network, "-o", out, "--format", "png", "--sheet", sheet,
        "--style", folder / "looks", "--key-frames", 2, "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert sorted(each.name for each in out.iterdir()) == sorted(
        f"{name}.png{more}" for name in "abc" for more in ("", ".isp.json")
    )
    assert [Path(each["picture"]).name for each in told["raws"]] == ["a.png", "b.png", "c.png"]
    assert told["flicker"]["luma"] > 0
    assert sheet.is_file()
    height, width = read_picture(out / "b.png")[0].shape[1:]
    assert height > width  # upright
    first, second, third = (
        float(each["settings"]["exposure.ev"].removesuffix("ev")) for each in told["raws"]
    )  # fmt: skip
    assert second == pytest.approx((first + third) / 2, abs=1e-6)
    kept = load(out / "a.png.isp.json")
    assert kept.settings["exposure.ev"] == told["raws"][0]["settings"]["exposure.ev"]


def test_settings_can_go_alone_and_win_over_the_start(
    invoke: Invoke, folder: Path, network: Path, tmp_path: Path
) -> None:
    result = invoke(
        "style", "run", "photo_finish", folder / "a.dng", "--style-file", network, "-o", tmp_path / "out", "--format",
        "none", "--set", "contrast.amount=-20%",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    (written,) = (tmp_path / "out").iterdir()
    assert written.name == "a.isp.json"
    assert load(written).settings["contrast.amount"] == "-20%"
    assert "exposure.ev" in result.stdout


def refused(invoke: Invoke, *words: object) -> str:
    result = invoke(*(str(word) for word in words))
    assert result.exit_code in (1, 2, 3, 4, 5), result.output
    assert "Traceback" not in result.stderr
    return result.stderr


def test_what_cannot_be_done_is_refused_before_the_work(
    invoke: Invoke, folder: Path, network: Path, tmp_path: Path
) -> None:
    raw, looks, preset = folder / "a.dng", folder / "looks", tmp_path / "found.json"
    fit = ("style", "fit", "photo_finish", raw, "-o", preset, "--style")
    train = ("style", "train", "photo_finish", raw, "--style", looks, "-o")
    run = ("style", "run", "photo_finish", raw, "-o", tmp_path / "out", "--style-file")
    assert "there is no such file" in refused(invoke, *fit, tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    assert "no picture in the folder" in refused(invoke, *fit, tmp_path / "empty")
    assert "cannot read" in refused(invoke, *fit, looks / "notes.txt")
    assert "needs the weights of a network" in refused(invoke, *fit, looks, "--features", "vgg")
    assert "--weights is for" in refused(invoke, *fit, looks, "--weights", raw)
    assert "no learning rate" in refused(invoke, *fit, looks, "--rate", 2)
    assert "finite" in refused(invoke, *fit, looks, "--luma", "inf")
    assert "cannot be a network" in refused(invoke, *train, tmp_path / "net.pth")
    assert "--style shows pictures on a sheet" in refused(invoke, *run, network, "--style", looks)
    assert "--key-frames is for sequences" in refused(invoke, *run, network, "--key-frames", 3)
    assert "style train" in refused(invoke, *run, raw)
    assert "given twice" in refused(invoke, *run, network, raw)
    assert not preset.exists()


def test_nothing_is_written_over_what_is_read(invoke: Invoke, folder: Path, tmp_path: Path) -> None:
    look = tmp_path / "look.png"
    look.write_bytes((folder / "looks" / "coffee.png").read_bytes())
    said = refused(
        invoke,
        "style",
        "fit",
        "photo_finish",
        folder / "a.dng",
        "--style",
        look,
        "-o",
        tmp_path / "a.json",
        "--sheet",
        look,
    )
    assert "would overwrite it" in said
