"""`ispdsl regress`: from a picture back to its settings, on the command line."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

import ispdsl
from ispdsl.backends import composite
from ispdsl.cli import regress
from ispdsl.optimise import normal, real, views
from ispdsl.runtime.icc import profile
from ispdsl.runtime.pictures import orient, read_picture, write_picture
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
    result = invoke(
        "regress", "photo_finish", raw, target, *only(), "--sample", 0, "-o", picture, "--sheet", sheet, "--json"
    )
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
        (("--only", "demosaic.method"), 2, "demosaic.method: it is not free: a choice of bilinear"),
        (("--only", "texture.radius"), 2, "texture.radius: it is not free: it is fixed in the pipeline"),
        (("--only", "white_balance.neutral"), 2, "the metadata as_shot_neutral of each raw gives it"),
        (("--only", "exposure.bias"), 2, "metadata of the stage that is a constant here"),
        (("--searcher", "gradients"), 2, "follows slopes, and is for `ispdsl tune`"),
        (("--searcher", "cma"), 2, "did you mean cma-es?"),
        (("--searcher", "tpe", "--impl", "contrast=program"), 2, "asks the real thing alone, and --impl is for"),
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


def test_addresses_are_looked_at_before_anything_is_read(
    invoke: Invoke, raw: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("this comes later")

    monkeypatch.setattr(regress, "search", never)
    assert "a border of 60 px leaves nothing" in invoke("regress", "photo_finish", raw, target, "--border", 60).stderr
    monkeypatch.setattr(regress, "read_quietly", never)
    result = invoke("regress", "photo_finish", raw, target, "--only", "contrast.amont")
    assert "did you mean contrast.amount?" in result.stderr


def test_a_picture_is_that_of_one_raw(invoke: Invoke, raw: Path, target: Path) -> None:
    result = invoke("regress", "photo_finish", raw, target, raw.with_name("other.dng"), target)
    assert result.exit_code == 2, result.stderr
    assert f"{target} is given as the picture of {raw} and of {raw.with_name('other.dng')}" in result.stderr


@pytest.mark.parametrize(("searcher", "calls", "least"), [("differences", 9, 60), ("cma-es", 12, 0)])
def test_a_searcher_asks_the_real_thing_alone(
    invoke: Invoke, raw: Path, target: Path, searcher: str, calls: int, least: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first call is the start, and no call is made that is not counted."""
    renders: list[str] = []
    original = real.developer

    @contextmanager
    def counted(*given: Any, **more: Any) -> Generator[Any]:
        with original(*given, **more) as (develop, version):
            yield (lambda *each: renders.append("one") or develop(*each)), version

    monkeypatch.setattr(real, "developer", counted)
    result = invoke("regress", "photo_finish", raw, target, *only(), "--searcher", searcher, "--calls", calls, "--json")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["searcher"] == searcher
    assert told["calls"] == len(told["path"]) <= calls
    assert len(renders) - told["calls"] <= 1, "what was found may be rendered once more to be shown"
    assert told["path"][0] == pytest.approx(told["psnr_before"])
    assert told["path"] == sorted(told["path"])
    assert told["psnr"] == pytest.approx(told["path"][-1], abs=1e-4)
    assert told["psnr"] > max(told["psnr_before"], least)
    assert [each["error"] for each in told["estimates"]] == [None, None]
    assert "to find a start" not in result.stderr


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
    result = invoke("regress", "photo_finish", raw, small, "--no-register")
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
    result = invoke("regress", "photo_finish", raw, target, *only(), *only(), "--only", "contrast.*", "--json")
    assert [each["name"] for each in json.loads(result.stdout)["estimates"]] == list(WANTED)


def test_several_pictures_have_one_answer(invoke: Invoke, raw: Path, target: Path, tmp_path: Path) -> None:
    """The second raw is another photograph that does not lie on its side."""
    other, second, output = tmp_path / "other.dng", tmp_path / "second.png", tmp_path / "found.png"
    write_demo_raw(other, "motorcycle", size=64)
    settings = ispdsl.Settings.of(graph("photo_finish")).update(WANTED)
    made = ispdsl.develop(graph("photo_finish"), ispdsl.read(other), settings)
    write_picture(second, made.outputs["display"].image, space="srgb", bits=16)
    result = invoke(
        "regress", "photo_finish", raw, target, other, second, *only(), "-o", output, "--sheet", tmp_path / "s.png"
    )
    assert result.exit_code == 0, result.stderr
    assert f"{second}, found: PSNR" in result.stdout
    assert "mean of 2 pictures, found: PSNR" in result.stdout
    assert "for each of 2 pictures" in result.stderr
    for path, wanted in ((output, target), (tmp_path / "found.2.png", second)):
        assert np.abs(read_picture(path)[0] - read_picture(wanted)[0]).max() < 0.004
        saved = str(dict(load(Path(f"{path}.isp.json")).settings)["contrast.amount"])
        assert float(saved.removesuffix("%")) == pytest.approx(-25, abs=0.1)
    result = invoke("regress", "photo_finish", raw, target, other)
    assert (result.exit_code, "other.dng has no picture" in result.stderr) == (2, True), result.stderr


def test_each_picture_has_settings_of_its_own(
    invoke: Invoke, raw: Path, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one raw in two exposures; contrast and saturation are shared, and one composite renders both."""
    compiled: list[object] = []
    compile_ = composite.compile

    def counted(*words: Any, **more: Any) -> Any:
        compiled.append(compile_(*words, **more))
        return compiled[-1]

    brighter, output = tmp_path / "brighter.png", tmp_path / "found.png"
    settings = ispdsl.Settings.of(graph("photo_finish")).update({**WANTED, "exposure.ev": 0.5})
    made = ispdsl.develop(graph("photo_finish"), ispdsl.read(raw), settings)
    write_picture(brighter, made.outputs["display"].image, space="srgb", orientation=6, bits=16)
    words = ("regress", "photo_finish", raw, target, raw, brighter, "--only", "contrast.*", "--only", "saturation.*")
    monkeypatch.setattr(composite, "compile", counted)
    result = invoke(*words, "--per-image", "exposure.*", "--starts", 1, "-o", output)
    assert result.exit_code == 0, result.stderr
    names = [line.partition("  ")[0] for line in result.stdout.splitlines()[1:5]]
    assert names[-2:] == [f"exposure.ev ({target.name})", "exposure.ev (brighter.png)"]
    assert len(compiled) == 1
    kept = [dict(load(tmp_path / f"{name}.isp.json").settings) for name in ("found.png", "found.2.png")]
    assert kept[0]["contrast.amount"] == kept[1]["contrast.amount"]
    assert float(str(kept[1]["exposure.ev"]).removesuffix("ev")) == pytest.approx(0.5, abs=0.01)
    assert kept[0]["exposure.ev"] != kept[1]["exposure.ev"]
    twice = invoke("regress", "photo_finish", raw, target, raw, target, "--per-image", "exposure.ev")
    assert (twice.exit_code, "target.png is given twice" in twice.stderr) == (2, True), twice.stderr
    for address, words_ in (("exposure.eu", "did you mean exposure.ev?"), ("demosaic.method", "it is not free")):
        refused = invoke(*words, "--per-image", address)
        assert (refused.exit_code, words_ in refused.stderr) == (2, True), refused.stderr


def test_a_smaller_picture_is_found_on_the_raw(invoke: Invoke, raw: Path, target: Path, tmp_path: Path) -> None:
    """A part of the target, not turned upright, with other edges than the sensor's."""
    part = orient(read_picture(target)[0], 8)[:, 5:59, 9:90]
    small, output = tmp_path / "small.png", tmp_path / "found.png"
    write_picture(small, part, space="srgb", bits=16)
    result = invoke("regress", "photo_finish", raw, small, *only(), "-o", output, "--json")
    assert result.exit_code == 0, result.stderr
    assert "found on the raw (96 x 64), 81 x 54 px at a scale of" in result.stderr
    told = json.loads(result.stdout)
    (picture,) = told["pictures"]
    assert picture["placement"]["left"] == pytest.approx(9, abs=0.6)
    assert picture["psnr"] > picture["psnr_before"] + 10
    found = {each["name"]: each["found"] for each in told["estimates"]}
    assert found["contrast.amount"] == pytest.approx(-25, abs=8)
    assert found["saturation.amount"] == pytest.approx(130, abs=8)
    assert read_picture(output)[0].shape == read_picture(target)[0].shape, "the whole picture is written"
    shuffled = tmp_path / "shuffled.png"
    write_picture(shuffled, np.random.default_rng(0).random((3, 50, 70)).astype(np.float32), space="srgb")
    result = invoke("regress", "photo_finish", raw, shuffled)
    assert (result.exit_code, "found nowhere on the raw" in result.stderr) == (2, True), result.stderr


def test_ctrl_c_ends_with_the_best_so_far(
    invoke: Invoke, raw: Path, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = [0]

    def interrupted(original: Callable[..., Any]) -> Callable[..., Any]:
        def count(*given: Any) -> Any:
            calls[0] += 1
            if calls[0] == 2:
                os.kill(os.getpid(), signal.SIGINT)
            return original(*given)

        return count

    monkeypatch.setattr(views.Scene, "derivatives", interrupted(views.Scene.derivatives))
    monkeypatch.setattr(normal.Normal, "system", interrupted(normal.Normal.system))
    output = tmp_path / "found.png"
    result = invoke("regress", "photo_finish", raw, target, *only(), "-o", output)
    assert result.exit_code == 130
    assert "stopping after this step with the best so far" in result.stderr
    assert "it ended as it was told to stop" in result.stdout
    assert output.is_file()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
