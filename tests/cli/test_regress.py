"""`ispdsl regress`: from a picture back to its settings, on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

import ispdsl
from ispdsl.runtime.icc import profile
from ispdsl.runtime.pictures import read_picture, write_picture
from ispdsl.runtime.sidecar import load
from ispdsl.synthetic.samples import write_demo_raw
from tests.cli.conftest import Invoke
from tests.scenes import graph

WANTED = {"contrast.amount": -25.0, "saturation.amount": 130.0}


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A raw that lies on its side."""
    path = Path(tmp_path_factory.mktemp("raw")) / "coffee.dng"
    write_demo_raw(path, "coffee", size=96, orientation=6)
    return path


@pytest.fixture(scope="module")
def target(raw: Path) -> Path:
    """A picture of it with other settings, upright, in 16 bits."""
    settings = ispdsl.Settings.of(graph("photo_finish")).update(WANTED)
    made = ispdsl.develop(graph("photo_finish"), ispdsl.read(raw), settings)
    path = raw.with_name("target.png")
    write_picture(path, made.outputs["display"].image, space="srgb", orientation=6, bits=16)
    return path


def only() -> list[str]:
    return [word for address in WANTED for word in ("--only", address)]


def test_the_settings_are_found_written_and_drawn(invoke: Invoke, raw: Path, target: Path, tmp_path: Path) -> None:
    picture, sheet = tmp_path / "found.tif", tmp_path / "sheet.png"
    result = invoke("regress", "photo_finish", raw, target, *only(), "-o", picture, "--sheet", sheet, "--json")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["psnr"] > 70
    assert told["psnr"] > told["psnr_before"] + 20
    for each in told["estimates"]:
        assert each["found"] == pytest.approx(WANTED[each["name"]], abs=0.05)
    found = read_picture(picture)[0]
    assert np.abs(found - read_picture(target)[0]).max() < 0.002, "it is upright as the target is"
    assert (
        dict(load(tmp_path / "found.tif.isp.json").settings)["contrast.amount"] == told["settings"]["contrast.amount"]
    )
    assert read_picture(sheet)[0].shape[0] == 3
    assert f"{told['calls']} calls of the real thing" in result.stderr


def test_a_table_is_for_people(invoke: Invoke, raw: Path, target: Path) -> None:
    result = invoke("regress", "photo_finish", raw, target, *only(), "--calls", 20)
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["start", "found", "+-"]
    assert lines[1].startswith("contrast.amount")
    assert any(line.startswith("start: PSNR") for line in lines)
    assert any(
        line.startswith("found: PSNR") and "as rendered by the pipeline's own programs" in line for line in lines
    )


def test_a_part_of_a_whole_target_is_looked_at(invoke: Invoke, raw: Path, target: Path) -> None:
    result = invoke("regress", "photo_finish", raw, target, *only(), "--crop", "8,10,48,72", "--border", 6, "--json")
    assert result.exit_code == 0, result.stderr
    for each in json.loads(result.stdout)["estimates"]:
        assert each["found"] == pytest.approx(WANTED[each["name"]], abs=3), "statistics are those of the part"


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        (("--only", "contrast.amont"), 2, "did you mean contrast.amount?"),
        (("--only", "demosaic.method"), 2, "demosaic.method: it is not free"),
        (("--calls", "1"), 2, "--calls"),
        (("--sheet", "sheet.npy"), 2, "no picture to look at"),
        (("--border", "60"), 2, "a border of 60 px leaves nothing"),
        (("--backend", "darktable"), 2, "no executor"),
        (("-o", "no/such/folder/found.png"), 5, "there is no folder"),
    ],
)
def test_what_cannot_be_done_is_said(
    invoke: Invoke, raw: Path, target: Path, more: tuple[str, ...], code: int, words: str
) -> None:
    result = invoke("regress", "photo_finish", raw, target, *more)
    assert result.exit_code == code, result.stderr
    assert words in result.stderr


def test_a_target_that_does_not_fit_is_refused(invoke: Invoke, raw: Path, target: Path, tmp_path: Path) -> None:
    image = read_picture(target)[0]
    small, other, wrong, grey = (tmp_path / name for name in ("small.png", "other.png", "wrong.tif", "grey.png"))
    write_picture(grey, image[:1], space="srgb")
    assert "is grey, and display is in colour" in invoke("regress", "photo_finish", raw, grey).stderr
    holed = image.copy()
    holed[0, 3, 4] = np.nan
    tifffile.imwrite(wrong, holed.transpose(1, 2, 0), photometric="rgb", iccprofile=profile("srgb", 3))
    result = invoke("regress", "photo_finish", raw, wrong)
    assert (result.exit_code, "numbers that are not finite" in result.stderr) == (2, True), result.stderr
    write_picture(small, image[:, 1:], space="srgb")
    write_picture(other, image, space="rec2020")
    result = invoke("regress", "photo_finish", raw, small)
    assert (result.exit_code, "px, and the raw 96 x 64" in result.stderr) == (2, True), result.stderr
    result = invoke("regress", "photo_finish", raw, other)
    assert result.exit_code == 2
    assert "is in rec2020, and display is in srgb" in result.stderr
    result = invoke("regress", "photo_finish", raw, target, "-o", target)
    assert result.exit_code == 2
    assert "the target" in result.stderr


def test_a_real_thing_without_doubles_says_what_is_missing(invoke: Invoke, raw: Path, target: Path) -> None:
    result = invoke("regress", "libraw", raw, target, "--backend", "libraw")
    assert result.exit_code == 2
    assert "nothing says where to go from libraw's answers" in result.stderr
    assert "--doubles RUN" in result.stderr


def test_an_address_given_twice_is_free_once(invoke: Invoke, raw: Path, target: Path) -> None:
    result = invoke("regress", "photo_finish", raw, target, *only(), *only(), "--json")
    assert [each["name"] for each in json.loads(result.stdout)["estimates"]] == list(WANTED)
