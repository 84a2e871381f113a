"""Real programs wired by text alone: the examples, against the programs' own interfaces."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

import ispdsl
from ispdsl.backends import blackbox
from ispdsl.executors import command
from ispdsl.executors.command import Command
from ispdsl.executors.formats import write_image
from ispdsl.executors.model import Answer, Limits, Request
from ispdsl.graph import build
from ispdsl.runtime.frame import Frame
from tests.executors.command_support import RGB, declared, need, raw_frame, run

EXAMPLES = Path(__file__).parents[2] / "examples"


def scene(height: int = 96, width: int = 128) -> Frame:
    """A raw of soft colours with an edge, so that every control has something to do."""
    frame = raw_frame(height, width)
    rows, columns = np.mgrid[0:height, 0:width]
    light = 0.15 + 0.5 * columns / width + 0.2 * np.sin(rows / 9) + 0.15 * (columns > width // 2)
    light *= np.where(rows % 2 == columns % 2, 1.0, 0.45 + 0.3 * rows / height)
    codes = np.rint(256 + np.clip(light, 0, 1) * 15000).astype(np.uint16)[None]
    metadata = {**frame.metadata, "gain_map": np.ones((4, 2, 2)), "black_level": np.full(4, 256.0)}
    return Frame(codes, frame.type, metadata, 1, frame.source)


def example(name: str, pipeline: str | None = None) -> Command:
    graph = build(ispdsl.load(EXAMPLES / f"{name}.isp"), pipeline)
    found = blackbox.declared(graph, {"C": "rggb"} if any(port.type.name == "raw" for port in graph.inputs) else {})
    return command.open_executor(found, Limits(seconds=60), 0)


def stage(name: str, wanted: str) -> Command:
    module = ispdsl.load(EXAMPLES / f"{name}.isp")
    signature = next(each.signature for each in module.stages.values() if each.signature.name == wanted)
    types = {"C": "rggb"}
    return command.open_executor(blackbox.declared_stage(signature, "0" * 64, types), Limits(seconds=60), 0)


@pytest.mark.parametrize("name", ["imagemagick", "gegl", "rawtherapee"])
def test_the_examples_are_right(name: str) -> None:
    module = ispdsl.load(EXAMPLES / f"{name}.isp")
    assert str(module.main).endswith(f"{name}.isp:{name}")


# ---- RawTherapee

LARGE = 264, 304
"""RawTherapee 5.9 opens no DNG of 192 x 256 pixels or less."""

BY_HAND = """
[Exposure]
{exposure}
ClampOOG=false
[White Balance]
Enabled=true
{balance}
[Shadows & Highlights]
Enabled=true
[Local Contrast]
Enabled=true
Amount=0
[Vibrance]
Enabled=true
PastSatTog=false
{vibrance}
[Luminance Curve]
Enabled=true
[RAW Bayer]
Border=0
{bayer}
[Color Management]
ToneCurve=false
OutputProfile=RT_sRGB
"""


def rawtherapee_by_hand(tmp_path: Path, frame: Frame, **own: str) -> np.ndarray:
    """What RawTherapee makes of a raw with a `.pp3` of our own hand."""
    program = need("rawtherapee-cli", "rawtherapee")
    write_image(tmp_path / "by_hand.dng", frame.image.astype(np.float32), frame.type, "dng", frame)
    lines = dict.fromkeys(("exposure", "balance", "vibrance", "bayer"), "") | {"balance": "Setting=Camera"} | own
    (tmp_path / "by_hand.pp3").write_text(BY_HAND.format(**lines))
    subprocess.run(
        [program, "-q", "-t", "-b32", "-Y", "-p", "by_hand.pp3", "-o", "by_hand.tif", "-c", "by_hand.dng"],
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "OMP_NUM_THREADS": "1"},
        check=True,
        capture_output=True,
    )
    return np.moveaxis(tifffile.imread(tmp_path / "by_hand.tif"), -1, 0)


@pytest.mark.parametrize(
    ("settings", "by_hand"),
    [
        ({}, {}),
        pytest.param({"exposure__compensation": 0.85}, {"exposure": "Compensation=0.85"}, marks=pytest.mark.slow),
        pytest.param(
            {"exposure__contrast": 35.0, "exposure__saturation": -20.0},
            {"exposure": "Contrast=35\nSaturation=-20"},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"vibrance__pastels": 60.0, "vibrance__saturated": -30.0},
            {"vibrance": "Pastels=60\nSaturated=-30"},
            marks=pytest.mark.slow,
        ),
        (
            {"white_balance__source": "custom", "white_balance__temperature": 4300.0, "white_balance__green": 1.1},
            {"balance": "Setting=Custom\nTemperature=4300\nGreen=1.1"},
        ),
        ({"demosaic__method": "vng4"}, {"bayer": "Method=vng4"}),
    ],
    ids=["start", "compensation", "contrast", "vibrance", "white balance", "demosaic"],
)
def test_rawtherapee_by_the_file_and_by_hand_give_the_same_picture(
    tmp_path: Path, settings: dict[str, Any], by_hand: dict[str, str]
) -> None:
    need("rawtherapee-cli", "rawtherapee")
    frame = scene(*LARGE)
    answer = run(example("rawtherapee"), frame.image, frame, **settings)
    wanted = rawtherapee_by_hand(tmp_path, frame, **by_hand)
    np.testing.assert_array_equal(answer.outputs["display"], wanted)
    np.testing.assert_array_equal(answer.taps["developed"], wanted)
    assert answer.outputs["display"].shape == (3, *LARGE)
    if by_hand:
        assert np.abs(wanted - rawtherapee_by_hand(tmp_path, frame)).max() > 0.004


@pytest.mark.parametrize("orientation", [5, *(pytest.param(each, marks=pytest.mark.slow) for each in (3, 6, 8))])
def test_what_rawtherapee_turns_upright_comes_back_as_the_sensor_saw_it(tmp_path: Path, orientation: int) -> None:
    from ispdsl.runtime.rawfile import read

    need("rawtherapee-cli", "rawtherapee")
    frame = scene(*LARGE)
    for name in ("level.dng", "x.dng"):
        write_image(tmp_path / name, frame.image.astype(np.float32), frame.type, "dng", frame)
    level = read(tmp_path / "level.dng")
    with tifffile.TiffFile(tmp_path / "x.dng", mode="r+") as file:
        file.pages.first.tags["Orientation"].overwrite(orientation)
    turned = read(tmp_path / "x.dng")
    assert turned.orientation == orientation
    found, wanted = (run(example("rawtherapee"), frame.image, each).outputs["display"] for each in (turned, level))
    np.testing.assert_array_equal(found, wanted)


def test_every_parameter_of_rawtherapee_is_used_and_a_sweep_rises(tmp_path: Path) -> None:
    need("rawtherapee-cli", "rawtherapee")
    executor = example("rawtherapee")
    assert executor.notes == ()
    assert len(executor.declared.slots) >= 12
    frame = scene(*LARGE)
    means = [
        run(executor, frame.image, frame, exposure__compensation=ev).outputs["display"].mean() for ev in (-1, 0, 1)
    ]
    assert means[0] < means[1] < means[2]
    assert executor.version.startswith("rawtherapee-cli 5.")


MOVED: dict[str, Any] = {
    "sensor.line_denoise": 300.0,
    "white_balance.temperature": 4000.0,
    "white_balance.green": 1.2,
    "white_balance.blue_red": 1.1,
    "exposure.compensation": 1.0,
    "exposure.black": 500.0,
    "exposure.highlight_compression": 80.0,
    "exposure.lightness": 30.0,
    "exposure.contrast": 30.0,
    "exposure.saturation": 30.0,
    "tones.highlights": 60.0,
    "tones.shadows": 60.0,
    "local_contrast.amount": 0.8,
    "vibrance.pastels": 60.0,
    "vibrance.saturated": 60.0,
    "lab.contrast": 40.0,
    "lab.chromaticity": 40.0,
    "demosaic.method": "vng4",
    "sharpening.enabled": True,
    "denoise.enabled": True,
}


START: dict[str, Any] = {"white_balance__source": "custom", "exposure__compensation": 0.5, "denoise__luma": 40.0}


@pytest.fixture(scope="module")
def started() -> np.ndarray:
    """What RawTherapee makes of the scene before anything is moved."""
    need("rawtherapee-cli", "rawtherapee")
    return run(example("rawtherapee"), scene(*LARGE).image, scene(*LARGE), **START).outputs["display"]


QUICK = ("sensor.line_denoise", "exposure.compensation", "demosaic.method", "sharpening.enabled")
"""What every run of the tests moves: a slider before and one behind the demosaic, a choice and a toggle."""


@pytest.mark.parametrize(
    "address", [pytest.param(each, marks=() if each in QUICK else pytest.mark.slow) for each in MOVED]
)
def test_every_control_of_rawtherapee_does_something(started: np.ndarray, address: str) -> None:
    frame = scene(*LARGE)
    settings = {**START, address.replace(".", "__"): MOVED[address]}
    after = run(example("rawtherapee"), frame.image, frame, **settings).outputs["display"]
    assert np.abs(after - started).max() > 1e-4


# ---- GEGL


def test_gegl_doubles_light_exactly() -> None:
    need("gegl", "gegl")
    image = np.random.default_rng(1).random((3, 12, 16)).astype(np.float32)
    np.testing.assert_array_equal(run(stage("gegl", "exposure"), image, ev=1.0).outputs["out"], 2 * image)


@pytest.mark.parametrize(
    ("settings", "by_hand"),
    [
        pytest.param({"exposure__ev": 0.7}, {"exposure": "0.7"}, marks=pytest.mark.slow),
        pytest.param({"saturation__scale": 40.0}, {"scale": "0.4"}, marks=pytest.mark.slow),
        ({"sharpen__amount": 1.5, "sharpen__radius": 2.0}, {"std-dev": "2", "sharpen": "1.5"}),
        pytest.param({"tones__shadows": 60.0}, {"shadows": "60"}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_gegl_by_the_file_and_by_hand_give_the_same_picture(
    tmp_path: Path, settings: dict[str, Any], by_hand: dict[str, str]
) -> None:
    program, frame = need("gegl", "gegl"), scene()
    write_image(tmp_path / "by_hand.dng", frame.image.astype(np.float32), frame.type, "dng", frame)
    told = {"exposure": "0", "shadows": "0", "scale": "1", "std-dev": "1", "sharpen": "0"} | by_hand
    operations = ["gegl:raw-load", "path=by_hand.dng", "quality=3", "gegl:exposure", f"exposure={told['exposure']}"]
    operations += ["gegl:shadows-highlights", f"shadows={told['shadows']}", "radius=30"]
    operations += [
        "gegl:saturation",
        f"scale={told['scale']}",
        "colorspace=CIE-Lab",
        "gegl:unsharp-mask",
        f"std-dev={told['std-dev']}",
    ]
    operations += [f"scale={told['sharpen']}"]
    subprocess.run([program, "-o", "by_hand.tif", "--", *operations], cwd=tmp_path, check=True, capture_output=True)
    wanted = np.moveaxis(tifffile.imread(tmp_path / "by_hand.tif")[..., :3], -1, 0)
    found = run(example("gegl"), frame.image, frame, **settings).outputs["display"]
    np.testing.assert_allclose(found, np.clip(wanted, 0, 1), atol=2 / 65535)


@pytest.mark.slow
def test_the_stages_of_gegl_one_after_the_other_are_all_of_it() -> None:
    need("gegl", "gegl")
    frame = scene()
    settings: dict[str, dict[str, Any]] = {
        "exposure": {"ev": 0.4},
        "tones": {"shadows": 30.0},
        "saturation": {"scale": 130.0},
        "sharpen": {"amount": 1.0},
    }
    flat = {f"{name}__{key}": value for name, each in settings.items() for key, value in each.items()}
    image = run(stage("gegl", "develop"), frame.image, frame).outputs["out"]
    for name in ("exposure", "tones", "saturation", "sharpen", "encode"):
        image = run(stage("gegl", name), image, **settings.get(name, {})).outputs["out"]
    whole = run(example("gegl"), frame.image, frame, **flat).outputs["display"]
    np.testing.assert_allclose(image, whole, atol=3 / 65535)


def test_gegl_that_goes_on_without_an_operation_is_not_believed(tmp_path: Path) -> None:
    need("gegl", "gegl")
    text = (EXAMPLES / "gegl.isp").read_text().replace('"gegl:saturation"', '"gegl:saturatoin"')
    (tmp_path / "gegl.isp").write_text(text)
    graph = build(ispdsl.load(tmp_path / "gegl.isp"))
    executor = command.open_executor(blackbox.declared(graph, {"C": "rggb"}), Limits(seconds=60), 0)
    with pytest.raises(command.ExecutorError, match="No such op 'gegl:saturatoin'") as error:
        run(executor, scene().image, scene())
    assert error.value.fault is command.Fault.SETTINGS


# ---- ImageMagick

MAGICK = "convert-im6.q16"


@pytest.mark.parametrize(
    ("name", "settings", "options"),
    [
        ("brightness_contrast", {"brightness": 10.0, "contrast": -20.0}, ["-brightness-contrast", "10x-20"]),
        ("sigmoid", {"contrast": 4.0, "midpoint": 40.0}, ["-sigmoidal-contrast", "4,40%"]),
        ("modulate", {"saturation": 150.0, "hue": 90.0}, ["-modulate", "100,150,90"]),
        ("gamma", {"exponent": 1.4}, ["-gamma", "1.4"]),
        ("unsharp", {"sigma": 1.5, "gain": 1.0}, ["-unsharp", "0x1.5+1+0"]),
    ],
)
def test_imagemagick_by_the_file_and_by_hand_give_the_same_picture(
    tmp_path: Path, name: str, settings: dict[str, Any], options: list[str]
) -> None:
    program = need(MAGICK, "imagemagick")
    image = colours()
    write_image(tmp_path / "by_hand.tif", image, RGB, "tiff16", None)
    command_line = [program, "by_hand.tif", *options, "-depth", "16", "out.tif"]
    subprocess.run(command_line, cwd=tmp_path, check=True, capture_output=True)
    wanted = np.moveaxis(tifffile.imread(tmp_path / "out.tif"), -1, 0) / np.float32(65535)
    found = run(stage("imagemagick", name), image, **settings).outputs["out"]
    np.testing.assert_array_equal(found, wanted)
    assert np.abs(found - image).max() > 0.01


def colours(height: int = 24, width: int = 32) -> np.ndarray:
    rows, columns = np.mgrid[0:height, 0:width]
    planes = [0.2 + 0.5 * columns / width, 0.3 + 0.4 * rows / height, 0.5 + 0.2 * np.sin(columns / 3)]
    return (np.rint(np.stack(planes) * 65535) / 65535).astype(np.float32)


def test_the_taps_of_imagemagick_are_what_the_stages_give_one_after_the_other() -> None:
    need(MAGICK, "imagemagick")
    settings: dict[str, dict[str, Any]] = {
        "brightness_contrast": {"brightness": 10.0, "contrast": 15.0},
        "sigmoid": {"contrast": 3.0},
        "gamma": {"exponent": 0.8},
        "modulate": {"saturation": 140.0},
        "unsharp": {"gain": 0.7},
    }
    flat = {f"{name}__{key}": value for name, each in settings.items() for key, value in each.items()}
    answer = run(example("imagemagick", "retouch"), colours(), **flat)
    image, seen = colours(), dict[str, np.ndarray]()
    for name, each in settings.items():
        image = run(stage("imagemagick", name), image, **each).outputs["out"]
        seen[name] = image
    np.testing.assert_array_equal(answer.taps["brightened"], seen["brightness_contrast"])
    np.testing.assert_allclose(answer.taps["toned"], seen["gamma"], atol=2 / 65535)
    np.testing.assert_allclose(answer.outputs["picture"], seen["unsharp"], atol=4 / 65535)


# ---- a raw developer that nobody has thought of

DEVELOPER = '''
"""A raw developer of nobody's: INI settings, TIFF in and out, its intermediate pictures beside."""
import configparser, sys
import numpy as np, tifffile

if sys.argv[1:] == ["--version"]:
    print("Obscura 3.1.4, raw developer\\nCopyright 2011")
    raise SystemExit
options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
ini = configparser.ConfigParser()
ini.read(options["--recipe"])
basic = ini["Basic"]
raw = tifffile.imread(options["--in"]).astype(np.float64)[..., None]
light = (raw - basic.getfloat("Black")) / (basic.getfloat("White") - basic.getfloat("Black"))
tifffile.imwrite(options["--keep-linear"], light[..., 0].astype(np.float32))
picture = np.repeat(light, 3, axis=2) * 2.0 ** basic.getfloat("ExposureEV")
picture *= np.array([float(gain) for gain in basic["Gains"].split(";")])
curve = np.array([float(point) for point in basic["Curve"].split(";")])
picture = np.interp(picture, np.linspace(0, 1, len(curve)), curve)
if basic.getboolean("Invert"):
    picture = 1 - picture
if basic["Look"] == "Warm & Soft":
    picture = picture * [1.0, 0.95, 0.8]
tifffile.imwrite(options["--out"], picture.astype(np.float32), photometric="rgb", compression="zlib")
'''

RECIPE = """\
[Basic]
Black={levels.black}
White={meta.white_level}
ExposureEV={light.ev:+.4f}
Gains={light.gains:.5f|;}
Curve={look.curve:.6f|;}
Invert={look.invert:yes|no}
Look={look.style:plain=Neutral|warm=Warm & Soft}
"""

OBSCURA = """
stage levels(raw: raw<C, u16>) -> luma<camera, f32> {
  slider black in 0lsb..4096lsb = 256lsb
}
stage light(image: luma<camera, f32>) -> rgb<camera, f32> {
  slider ev in -5ev..5ev soft -2ev..2ev = 0ev
  curve gains[3] in 0..8 = 1
}
stage look(image: rgb<camera, f32>) -> rgb<srgb, f32> {
  curve curve[5] in 0..1 = identity
  toggle invert = off
  choice style in {plain, warm} = plain
}
pipeline obscura(file: raw<C, u16>) -> (display: rgb<srgb, f32>) {
  executor command(
    arguments = [
      "PYTHON", "{beside/obscura.py}", "--in", "{image}", "--recipe", "{settings}", "--keep-linear", "{taps.linear}",
      "--out", "{result}",
    ],
    image = tiff16,
    tap = tiff32,
    result = tiff32,
    settings = "obscura.ini",
    version = ["PYTHON", "{beside/obscura.py}", "--version"],
    wants = "3.1",
  )
  display = file -> levels -> tap linear -> light -> look -> tap developed
}
"""


def obscura(tmp_path: Path) -> Command:
    (tmp_path / "obscura.py").write_text(DEVELOPER)
    (tmp_path / "obscura.ini").write_text(RECIPE)
    found = declared(tmp_path, OBSCURA.replace("PYTHON", sys.executable))
    return command.open_executor(found, Limits(seconds=30), 0)


def test_a_developer_that_nobody_has_thought_of_is_wired_tapped_and_swept(tmp_path: Path) -> None:
    executor, frame = obscura(tmp_path), scene(16, 20)
    assert executor.version.endswith(" 3.1.4")
    assert executor.notes == ()
    light = (frame.image.astype(np.float64) - 256) / (16000 - 256)
    for ev in (-1.0, 0.0, 0.5):
        answer: Answer = run(executor, frame.image, frame, light__ev=ev)
        np.testing.assert_allclose(answer.taps["linear"], light, atol=1e-6)
        wanted = np.clip(np.repeat(light, 3, axis=0) * 2**ev, 0, 1)
        np.testing.assert_allclose(answer.outputs["display"], wanted, atol=1e-5)
        np.testing.assert_array_equal(answer.taps["developed"], answer.outputs["display"])


def test_its_texts_and_tables_arrive(tmp_path: Path) -> None:
    from ispdsl.ir.params import Array

    executor, frame = obscura(tmp_path), scene(16, 20)
    light = (frame.image.astype(np.float64) - 256) / (16000 - 256)
    gains = Array(shape=(3,), values=(0.5, 1.0, 0.25))
    answer = run(executor, frame.image, frame, look__invert=True, look__style="warm", light__gains=gains)
    wanted = 1 - np.clip(light * np.array([0.5, 1.0, 0.25])[:, None, None], 0, 1)
    np.testing.assert_allclose(answer.outputs["display"], wanted * np.array([1, 0.95, 0.8])[:, None, None], atol=1e-5)


def test_its_taps_are_read_only_where_they_are_wanted(tmp_path: Path) -> None:
    executor, frame = obscura(tmp_path), scene(16, 20)
    values: dict[str, Any] = {slot.address: slot.start for slot in executor.declared.slots}
    request = Request({"file": frame.image.astype(np.float32)}, values, frame, ("developed",))
    assert list(executor.run(request).taps) == ["developed"]
