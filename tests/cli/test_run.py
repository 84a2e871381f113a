"""`ispdsl run` and `ispdsl demo`: a raw becomes a picture; what was asked for wrongly is said before the work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ispdsl.cli.raws import cropped, parse_crop
from ispdsl.cli.show import build_graph
from ispdsl.runtime.pictures import read_picture
from ispdsl.runtime.rawfile import read
from ispdsl.synthetic.samples import write_demo_raw
from tests.cli.conftest import Invoke


@pytest.fixture(scope="module")
def camera_raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("raw") / "small.dng"
    write_demo_raw(path, size=64)
    return path


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "small.png"


def test_a_raw_becomes_a_picture_with_its_settings_beside(invoke: Invoke, camera_raw: Path, output: Path) -> None:
    result = invoke("run", "photo_finish", camera_raw, "-o", output, "--set", "exposure.ev=0.5ev")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.split() == [str(output), f"{output}.isp.json"]
    assert "developed by photo_finish in" in result.stderr
    image, space = read_picture(output)
    assert (image.shape[0], max(image.shape), space) == (3, 64, "srgb")
    assert image.std() > 0.05
    kept = json.loads(Path(f"{output}.isp.json").read_text())
    assert kept["pipeline"] == "photo_finish"
    assert kept["frame"]["file"] == "small.dng"
    assert kept["settings"]["exposure.ev"] == "0.5ev"


def test_settings_saved_are_settings_loaded(invoke: Invoke, camera_raw: Path, output: Path) -> None:
    preset = output.with_name("night.json")
    first = invoke(
        "run", "photo_finish", camera_raw, "-o", output, "--set", "exposure.ev=-1", "--save-settings", preset
    )
    assert first.stdout.split() == [str(output), str(preset)]
    again, plain = output.with_name("again.png"), output.with_name("plain.png")
    invoke("run", "photo_finish", camera_raw, "-o", again, "--preset", preset, "--no-sidecar")
    invoke("run", "photo_finish", camera_raw, "-o", plain, "--no-sidecar")
    assert again.read_bytes() == output.read_bytes() != plain.read_bytes()
    assert not Path(f"{again}.isp.json").exists()


def test_the_sidecar_of_a_raw_applies_to_its_pipeline_only(invoke: Invoke, camera_raw: Path, output: Path) -> None:
    raw = output.with_name("own.dng")
    raw.write_bytes(camera_raw.read_bytes())
    plain, dark, other = (output.with_name(f"{name}.png") for name in ("plain", "dark", "other"))
    invoke("run", "photo_finish", raw, "-o", plain, "--no-sidecar")
    side = Path(f"{raw}.isp.json")
    side.write_text(json.dumps({"ispdsl": "1", "pipeline": "photo_finish", "settings": {"exposure.ev": "-2ev"}}))
    assert "apply; --no-sidecar" in invoke("run", "photo_finish", raw, "-o", dark).stderr
    assert read_picture(dark)[0].mean() < read_picture(plain)[0].mean() - 0.05
    side.write_text(json.dumps({"ispdsl": "1", "pipeline": "camera", "settings": {"nothing.here": 1}}))
    result = invoke("run", "photo_finish", raw, "-o", other)
    assert "is of pipeline camera and does not apply" in result.stderr
    assert other.read_bytes() == plain.read_bytes()


def test_taps_further_outputs_crops_and_json(invoke: Invoke, camera_raw: Path, output: Path) -> None:
    taps = output.with_name("taps")
    words = ["--taps", str(taps), "--tap-format", "tif", "--crop", "1,3,20,30", "--bits", "16", "--json"]
    result = invoke("run", "low_light", camera_raw, "-o", output, *words)
    assert result.exit_code == 0, result.stderr
    written = json.loads(result.stdout)
    assert written["outputs"] == [str(output), str(output.with_name("small.preview.png"))]
    assert written["taps"] == [str(taps / "exposed.tif"), str(taps / "denoised.tif")]
    assert written["frame"]["file"] == str(camera_raw)
    assert read_picture(output)[0].shape == (3, 20, 30)
    exposed = read_picture(taps / "exposed.tif")[0]
    assert exposed.shape == (3, 20, 30)
    assert np.isfinite(exposed).all()


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--set", "exposure.evv=1"], 2, "did you mean exposure.ev?"),
        (["--set", "exposure.ev"], 2, "is not of the form ADDRESS=VALUE"),
        (["--set", "exposure.ev=99"], 2, "outside the range"),
        (["--preset", "none.json"], 3, "cannot read none.json"),
        (["--crop", "0,0,9"], 2, "is no Y,X,H,W"),
        (["--crop", "0,0,9999,9999"], 2, "does not lie inside"),
        (["--bits", "32"], 2, "holds no 32 bits"),
        (["--impl", "demosaic=proxy"], 2, "cannot run as proxy"),
        (["--impl", "demosaick=program"], 2, "did you mean demosaic?"),
        (["--trust", "no_such_package"], 2, "there is no such package"),
        (["--set", "tone_map.highlights=-0.3"], 2, "write -30% or -0.3%"),
        (["--describe", "none.json"], 3, "none.json"),
        (["--pipeline", "nothing"], 2, "no pipeline nothing"),
        (["-o", "picture.gif"], 2, "no picture format"),
        (["-o", "nowhere/picture.png"], 5, "there is no folder nowhere"),
    ],
)
def test_what_is_wrong_is_said(
    invoke: Invoke, camera_raw: Path, output: Path, words: list[str], code: int, says: str
) -> None:
    result = invoke("run", "photo_finish", camera_raw, "-o", output, *words)
    assert (result.exit_code, result.stdout) == (code, "")
    assert says in result.stderr
    assert not output.exists()


def test_what_is_no_raw_is_unreadable(invoke: Invoke, good: Path, output: Path) -> None:
    assert invoke("run", "photo_finish", good, "-o", output).exit_code == 3
    assert invoke("run", "photo_finish", "none.dng", "-o", output).exit_code == 3
    assert invoke("run", good, good, "-o", output).exit_code == 3


def test_a_pipeline_that_takes_no_raw_is_an_error(invoke: Invoke, good: Path, camera_raw: Path, output: Path) -> None:
    result = invoke("run", good, camera_raw, "-o", output)
    assert result.exit_code == 1
    assert "a raw file is one mosaic" in result.stderr


def test_the_demo_makes_its_own_raw(invoke: Invoke, tmp_path: Path, camera_raw: Path) -> None:
    folder = tmp_path / "demo"
    result = invoke("demo", "--output", folder, "--raw", camera_raw)
    assert result.exit_code == 0, result.stderr
    assert {path.name for path in folder.iterdir()} == {"taps", "small.png", "small.png.isp.json", "contact_sheet.png"}
    assert str(folder / "contact_sheet.png") in result.stdout
    assert len(list((folder / "taps").iterdir())) > 4


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "-1,0,2,2", "1e3,0,2,2", "²,0,2,2"])
def test_crops_are_four_whole_numbers(text: str) -> None:
    from ispdsl.cli.boundary import CommandError

    assert parse_crop(" 1, 2,3 ,4") == (1, 2, 3, 4)
    with pytest.raises(CommandError):
        parse_crop(text)


def test_a_crop_of_a_turned_frame_is_said_to_count_sensor_pixels(
    camera_raw: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = read(camera_raw)
    assert cropped(replace(frame, orientation=1), (0, 0, 8, 8)).size == (8, 8)
    assert capsys.readouterr().err == ""
    cropped(replace(frame, orientation=6), (0, 0, 8, 8))
    assert "counts sensor pixels" in capsys.readouterr().err


def test_a_pipeline_that_reads_the_frame_before_is_said_to_run_twice(
    invoke: Invoke, camera_raw: Path, output: Path
) -> None:
    said = "low_light reads statistics of the frame before; a still runs twice"
    assert said in invoke("run", "low_light", camera_raw, "-o", output).stderr
    assert "frame before" not in invoke("run", "camera", camera_raw, "-o", output).stderr


@pytest.mark.slow
def test_names_beyond_the_locale_are_written(camera_raw: Path, tmp_path: Path) -> None:
    raw = tmp_path / "für.dng"
    raw.write_bytes(camera_raw.read_bytes())
    words = [sys.executable, "-m", "ispdsl", "run", "camera", str(raw), "-o", str(tmp_path / "für.png")]
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0"}
    done = subprocess.run(words, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    kept = json.loads((tmp_path / "für.png.isp.json").read_text("utf-8"))
    assert kept["frame"]["file"] == "für.dng"


def test_a_sidecar_that_no_longer_fits_says_which_file_and_what_to_do(
    invoke: Invoke, camera_raw: Path, output: Path
) -> None:
    raw = output.with_name("own.dng")
    raw.write_bytes(camera_raw.read_bytes())
    side = Path(f"{raw}.isp.json")
    side.write_text(json.dumps({"ispdsl": "1", "settings": {"contrast.pivot": 0.2}}))
    result = invoke("run", "photo_finish", raw, "-o", output)
    assert result.exit_code == 2
    assert f"{side}, its own settings: contrast.pivot: it is fixed" in result.stderr
    assert "--no-sidecar ignores them" in result.stderr
    side.write_text("{")
    broken = invoke("run", "photo_finish", raw, "-o", output)
    assert (broken.exit_code, "--no-sidecar" in broken.stderr) == (3, True)
    assert invoke("run", "photo_finish", raw, "-o", output, "--no-sidecar", "--preset", side).exit_code == 3


def test_settings_of_another_version_of_the_pipeline_are_noted(
    invoke: Invoke, camera_raw: Path, output: Path, tmp_path: Path
) -> None:
    preset = tmp_path / "old.json"
    content = {"ispdsl": "1", "pipeline": "camera", "pipeline_sha256": "0", "settings": {}}
    preset.write_text(json.dumps(content))
    words = ("run", "camera", camera_raw, "-o", output, "--preset", preset)
    assert f"{preset} was saved with another version of camera" in invoke(*words).stderr
    preset.write_text(json.dumps({**content, "pipeline_sha256": build_graph("camera", None, False).sha256}))
    assert "another version" not in invoke(*words).stderr


def test_libraries_do_not_talk_over_a_run(camera_raw: Path, tmp_path: Path) -> None:
    content = bytearray(camera_raw.read_bytes())
    content[96:98] = b"\xff\xff"  # the data type of a tag that only names the camera
    raw = tmp_path / "damaged.dng"
    raw.write_bytes(content)
    words = [sys.executable, "-m", "ispdsl", "run", "camera", str(raw), "-o", str(tmp_path / "a.png")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Tiff" not in done.stderr


@pytest.mark.parametrize(
    ("others", "said"),
    [(("--backend", "libraw"), "libraw runs none"), (("--tile", "64"), "strips"), (("--taps", "."), "tap")],
)
def test_what_goes_not_together_with_halide(
    invoke: Invoke, camera_raw: Path, output: Path, others: tuple[str, str], said: str
) -> None:
    result = invoke("run", "photo_finish", camera_raw, "-o", output, "--engine", "halide", *others)
    assert result.exit_code == 2
    assert said in result.stderr
    assert not output.exists()
