"""What the text says to LibRaw: stages of one's own, other spaces and storages, and everything that cannot be said."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rawpy
from rawpy import ColorSpace, DemosaicAlgorithm

from ispdsl.backends.blackbox import declared, declared_stage
from ispdsl.errors import CompileError
from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.executors.kinds import open_executor, reaches
from ispdsl.executors.libraw import findings
from ispdsl.executors.libraw_keywords import find, keywords, told
from ispdsl.graph import Graph, build
from ispdsl.lower.loader import load
from ispdsl.runtime.frame import Frame
from ispdsl.runtime.rawfile import read
from ispdsl.synthetic import sample_photo, synthesise, write_dng
from tests.executors.test_libraw import bare, opened, run

IMPORTS = """from libraw.mosaic import subtract_black, scale_colours, expose
from libraw.picture import interpolate, median, highlights, to_srgb, to_prophoto, to_rec2020, to_xyz
from libraw.picture import brighten, encode_srgb, encode_rec709, encode_prophoto, encode_rec2020
"""

LINEAR: Mapping[str, Any] = {"gamma": (1, 1), "no_auto_bright": True}


@pytest.fixture(scope="module")
def frame(tmp_path_factory: pytest.TempPathFactory) -> Frame:
    path = tmp_path_factory.mktemp("libraw") / "photo.dng"
    write_dng(path, synthesise(sample_photo("coffee", 96), seed=2, gains=(0.6, 1.5)))
    return read(path)


def pipeline(
    folder: Path,
    body: str,
    result: str = "rgb<srgb, unit>",
    line: str = "executor libraw(process = same)",
    stage: str = "",
) -> Graph:
    """A pipeline whose result is `out`."""
    path = folder / "own.isp"
    path.write_text(
        f"{IMPORTS}\n{stage}\npipeline own(mosaic: raw<C, u16>) -> (out: {result}) {{\n{line}\n{body}\n}}\n"
    )
    return build(load(path))


def complaint(made: Graph) -> str:
    with pytest.raises(CompileError) as caught:
        open_executor(declared(made, {"C": "rggb"}))
    assert "executor libraw" in str(caught.value)
    assert ".isp:" in str(caught.value)
    return str(caught.value)


SPACES = {
    "scale_colours -> interpolate": ("rgb<camera, unit>", {**LINEAR, "output_color": ColorSpace.raw}),
    "scale_colours -> interpolate -> brighten(auto = off, bright = 2)": (
        "rgb<camera, unit>",
        {**LINEAR, "output_color": ColorSpace.raw, "bright": 2.0},
    ),
    "scale_colours -> interpolate -> to_srgb": ("rgb<linear_srgb, unit>", LINEAR),
    "scale_colours -> interpolate -> to_prophoto": (
        "rgb<linear_prophoto, unit>",
        {**LINEAR, "output_color": ColorSpace.ProPhoto},
    ),
    "scale_colours -> interpolate -> to_rec2020": (
        "rgb<linear_rec2020, unit>",
        {**LINEAR, "output_color": ColorSpace.Rec2020},
    ),
    "scale_colours -> interpolate -> to_xyz": ("rgb<xyz, unit>", {**LINEAR, "output_color": ColorSpace.XYZ}),
    "scale_colours -> interpolate -> to_srgb -> brighten -> encode_srgb": ("rgb<srgb, unit>", {"gamma": (2.4, 12.92)}),
    "scale_colours -> interpolate -> to_srgb -> brighten -> encode_rec709": ("rgb<rec709, unit>", {}),
    "scale_colours -> interpolate -> to_prophoto -> encode_prophoto": (
        "rgb<prophoto, unit>",
        {"output_color": ColorSpace.ProPhoto, "gamma": (1.8, 16), "no_auto_bright": True},
    ),
    "scale_colours -> interpolate -> to_rec2020 -> brighten -> encode_rec2020": (
        "rgb<rec2020, unit>",
        {"output_color": ColorSpace.Rec2020},
    ),
}


@pytest.mark.parametrize("body", SPACES)
def test_the_space_of_the_output_is_the_one_that_libraw_is_told(tmp_path: Path, frame: Frame, body: str) -> None:
    result, asked = SPACES[body]
    made = pipeline(tmp_path, f"out = mosaic -> {body}", result)
    with opened(frame, made=made) as executor:
        picture = run(executor, frame, made=made).outputs["out"]
    assert np.array_equal(picture, bare(Path(frame.source.path), **asked))


OWN = """## Red and the method together, as nobody ships them.
stage develop(mosaic: raw<C, u16>) -> rgb<srgb, {storage}> {{
  slider red in 1%..800% = 100%
  choice how in {{ahd, fast}} = ahd
  executor libraw(
    ["user_wb = red, 1, 1.5, 0", "demosaic_algorithm = linear when how is fast", "demosaic_algorithm = how"],
    step = 1, seen = whole,
  )
}}
"""


@pytest.mark.parametrize(
    ("storage", "bits", "white"), [("unit", 16, 1), ("f32", 16, 1), ("u16", 16, 65535), ("u8", 8, 255)]
)
def test_a_stage_of_ones_own_and_the_storage_decides_the_bits(
    tmp_path: Path, frame: Frame, storage: str, bits: int, white: int
) -> None:
    made = pipeline(tmp_path, "out = mosaic -> develop", f"rgb<srgb, {storage}>", stage=OWN.format(storage=storage))
    with opened(frame, made=made) as executor:
        picture = run(executor, frame, made=made, develop__red=180, develop__how="fast").outputs["out"]
    asked = {"user_wb": [1.8, 1.0, 1.5, 0.0], "demosaic_algorithm": DemosaicAlgorithm.LINEAR, "output_bps": bits}
    expected = bare(Path(frame.source.path), **asked) * np.float32(white)
    assert np.abs(picture - expected).max() <= 1e-6 * white


def test_two_outputs_that_part_within(tmp_path: Path, frame: Frame) -> None:
    text = f"""{IMPORTS}
pipeline two(mosaic: raw<C, u16>) -> (wide: rgb<linear_prophoto, unit>, display: rgb<srgb, unit>) {{
  executor libraw(process = same)
  camera  = mosaic -> scale_colours(balance = camera) -> interpolate -> tap seen
  wide    = camera -> to_prophoto
  display = camera -> to_srgb -> brighten -> encode_srgb
}}
"""
    (tmp_path / "two.isp").write_text(text)
    made = build(load(tmp_path / "two.isp"))
    with opened(frame, made=made) as executor:
        answer = run(executor, frame, ("seen",), made=made)
    file, camera = Path(frame.source.path), {"use_camera_wb": True}
    assert np.array_equal(answer.outputs["wide"], bare(file, **camera, **LINEAR, output_color=ColorSpace.ProPhoto))
    assert np.array_equal(answer.outputs["display"], bare(file, **camera, gamma=(2.4, 12.92)))
    assert np.array_equal(answer.taps["seen"], bare(file, **camera, **LINEAR, output_color=ColorSpace.raw))
    assert answer.cost.starts == 3


DEVELOP = "out = mosaic -> scale_colours -> interpolate -> to_srgb -> brighten -> encode_srgb"


def test_a_table_of_bad_pixels_is_a_file_beside_the_text(tmp_path: Path, frame: Frame) -> None:
    (tmp_path / "pixels.txt").write_text("".join(f"{column} {row} 0\n" for row in range(20, 30) for column in (40, 43)))
    made = pipeline(tmp_path, DEVELOP, line='executor libraw(process = same, bad_pixels_path = "pixels.txt")')
    found = declared(made, {"C": frame.cfa})
    assert reaches(found) == (str(tmp_path.resolve() / "pixels.txt"),)
    with opened(frame, made=made) as executor:
        picture = run(executor, frame, made=made).outputs["out"]
    file, curve = Path(frame.source.path), dict[str, Any](gamma=(2.4, 12.92))
    params: Any = rawpy.Params(output_bps=16, user_flip=0, **curve)
    params.bad_pixels = bytes(tmp_path / "pixels.txt")  # what rawpy 0.28 makes of bad_pixels_path is a TypeError
    with rawpy.imread(str(file)) as raw:
        expected = np.moveaxis(raw.postprocess(params), -1, 0) / np.float32(65535)
    assert np.array_equal(picture, expected)
    assert not np.array_equal(picture, bare(file, **curve))


def test_what_no_stage_says_the_pipeline_may(tmp_path: Path, frame: Frame) -> None:
    line = "executor libraw(process = same, median_filter_passes = 2, user_cblack = [9, 8, 7, 6], four_color_rgb = on)"
    made = pipeline(tmp_path, DEVELOP.replace("interpolate", "plain"), line=line, stage=PLAIN)
    with opened(frame, made=made) as executor:
        picture = run(executor, frame, made=made).outputs["out"]
    asked = {"median_filter_passes": 2, "user_cblack": [9, 8, 7, 6], "four_color_rgb": True, "gamma": (2.4, 12.92)}
    assert np.array_equal(picture, bare(Path(frame.source.path), **asked))


PLAIN = """stage plain(mosaic: raw<C, unit>) -> rgb<camera, unit> {
  slider passes in 0..9 = 0
  executor libraw([], step = 7)
}
""".replace("[]", '"demosaic_algorithm = ahd"')


def test_nothing_else_is_reached(tmp_path: Path) -> None:
    assert reaches(declared(pipeline(tmp_path, DEVELOP), {"C": "rggb"})) == ()


def test_whole_numbers_are_rounded_as_registers_are(tmp_path: Path, frame: Frame) -> None:
    made = pipeline(tmp_path, "out = mosaic -> scale_colours -> interpolate -> median -> to_srgb -> encode_srgb")
    with opened(frame, made=made) as executor:
        near, far, whole = (run(executor, frame, made=made, median__passes=n).outputs["out"] for n in (1.8, 2.2, 2))
    assert np.array_equal(near, whole)
    assert np.array_equal(far, whole)


WRONG_PIPELINES = {
    "process is one of": (DEVELOP, "executor libraw(process = elsewhere)"),
    "the stages say": (DEVELOP, 'executor libraw("bright = 2")'),
    "did you mean bright": (DEVELOP, "executor libraw(brigth = 2)"),
    "output_bps is not the text's to say": (DEVELOP, "executor libraw(output_bps = 8)"),
    "the orientation is applied when it is written": (DEVELOP, "executor libraw(user_flip = 3)"),
    "a stage says bright too": (DEVELOP, "executor libraw(bright = 2)"),
    "lies outside of the folder": (DEVELOP, 'executor libraw(bad_pixels_path = "../pixels.txt")'),
    "there is no file": (DEVELOP, 'executor libraw(bad_pixels_path = "pixels.txt")'),
    "use_auto_wb takes no number": (
        "out = mosaic -> raw_ahd -> to_srgb -> encode_srgb",
        "executor libraw(use_auto_wb = 1)",
    ),
    "cannot be seen after raw_ahd": ("out = mosaic -> raw_ahd -> tap t -> to_srgb -> brighten -> encode_srgb", None),
    "LibRaw gives no raw": ("out = mosaic -> shown -> tap t -> interpolate -> to_srgb -> encode_srgb", None),
    "LibRaw runs scale_colours before rescaled": (
        "out = mosaic -> unscaled -> expose -> rescaled -> scale_colours -> interpolate -> to_srgb -> encode_srgb",
        None,
    ),
    "both say demosaic_algorithm": (
        "out = mosaic -> raw_ahd(how = ahd) -> again -> interpolate -> to_srgb -> encode_srgb",
        None,
    ),
    "stage by_program is none of LibRaw's": (
        "out = mosaic -> by_program -> interpolate -> to_srgb -> encode_srgb",
        None,
    ),
    "joins images": ("out = joined(mosaic, mosaic) -> to_srgb -> encode_srgb", None),
}

HELPERS = """stage raw_ahd(mosaic: raw<C, u16>) -> rgb<camera, unit> {
  choice how in {ahd, vng} = ahd
  executor libraw("demosaic_algorithm = how", step = 1)
}
stage again(image: rgb<camera, unit>) -> raw<rggb, unit> { executor libraw("median_filter_passes = 1", step = 2) }
stage unscaled(mosaic: raw<C, u16>) -> raw<C, unit> { executor libraw("user_sat = 9999", step = 0) }
stage rescaled(mosaic: raw<C, unit>) -> raw<C, u16> { executor libraw("half_size = off", step = 5.5) }
stage shown(mosaic: raw<C, u16>) -> raw<C, unit> { executor libraw("user_sat = 9999", step = 0, seen = whole) }
stage by_program(mosaic: raw<C, u16>) -> raw<C, unit> { program "ispdsl.programs.raw:black_white" }
stage joined(a: raw<C, u16>, b: raw<C, u16>) -> rgb<camera, unit> { executor libraw("half_size = on", step = 1) }
"""


@pytest.mark.parametrize("message", WRONG_PIPELINES)
def test_what_a_pipeline_cannot_ask(tmp_path: Path, message: str) -> None:
    body, line = WRONG_PIPELINES[message]
    made = pipeline(tmp_path, body, line=line or "executor libraw()", stage=HELPERS)
    assert message in complaint(made)


WRONG_STAGES = {
    "is no line": '"bright", step = 1',
    "LibRaw has no parameter brigth; did you mean bright?": '"brigth = amount", step = 1',
    "output_bps is not the text's to say": '"output_bps = amount", step = 1',
    "bright takes no word, and amuont is none": '"bright = amuont", step = 1',
    "bright takes one value, not 2": '"bright = amount, amount", step = 1',
    "half_size takes no number": '"half_size = amount", step = 1',
    "bright is not switched on or off": '"bright = quick", step = 1',
    "demosaic_algorithm knows no slow": '"demosaic_algorithm = how", step = 1',
    "built without demosaic_algorithm amaze": '"demosaic_algorithm = amaze when how is slow", step = 1',
    "the stage has no such parameter": '"bright = amount when quickly", step = 1',
    "it is no toggle": '"bright = amount when how", step = 1',
    "how has no such option": '"bright = amount when how is dcb", step = 1',
    "quick has no such option": '"bright = amount when quick is on", step = 1',
    "where in LibRaw's order": '"bright = amount"',
    "fragile is the time": '"bright = amount", step = 1, fragile = on',
    "it takes no setp": '"bright = amount", setp = 1',
    "lines are texts": "7, step = 1",
    "gives no rgb<srgb, u12>": '"bright = amount", step = 1, seen = whole',
}


@pytest.mark.parametrize("message", WRONG_STAGES)
def test_what_a_stage_cannot_say(tmp_path: Path, message: str) -> None:
    storage = "u12" if "u12" in message else "unit"
    stage = f"""stage own_stage(mosaic: raw<C, u16>) -> rgb<srgb, {storage}> {{
  slider amount in 0..2 = 1
  toggle quick = off
  choice how in {{ahd, slow}} = ahd
  executor libraw({WRONG_STAGES[message]})
}}
"""
    made = pipeline(tmp_path, "out = mosaic -> own_stage", f"rgb<srgb, {storage}>", "executor libraw()", stage)
    assert message in complaint(made)


def test_an_option_that_another_line_speaks_for_may_mean_nothing_to_libraw(tmp_path: Path) -> None:
    made = pipeline(tmp_path, "out = mosaic -> develop", stage=OWN.format(storage="unit"))
    with closing(open_executor(declared(made, {"C": "rggb"}))) as executor:
        assert executor.declared.name == made.name


def test_stages_run_in_pipelines(tmp_path: Path) -> None:
    module = load(Path(__file__).parents[2] / "pipelines" / "libraw.isp")
    stage = next(stage for stage in module.stages.values() if stage.signature.name == "interpolate")
    with pytest.raises(CompileError, match="no stage alone"):
        open_executor(declared_stage(stage.signature, "", {"C": "rggb"}))


def test_without_rawpy_it_is_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "rawpy", None)
    keywords.cache_clear()
    with pytest.raises(ExecutorError) as caught:
        open_executor(declared(pipeline(tmp_path, DEVELOP), {"C": "rggb"}))
    assert caught.value.fault is Fault.ABSENT
    assert "pip install rawpy" in str(caught.value)
    (found,) = findings()
    assert (found.name, found.here) == ("libraw", False)
    assert "pip install rawpy" in (found.advice or "")


def test_findings_say_the_version() -> None:
    (found,) = findings()
    assert found.here
    assert found.value.startswith("LibRaw 0.")


def test_values_as_rawpy_takes_them() -> None:
    assert told(find("user_black"), [64.4]) == 64
    assert told(find("user_wb"), [2, 1, 1.5, 1]) == [2.0, 1.0, 1.5, 1.0]
    assert told(find("highlight_mode"), ["reconstruct_default"]) == "ReconstructDefault"
    assert told(find("highlight_mode"), [7.0]) == 7
    assert told(find("half_size"), [True]) is True
    with pytest.raises(ValueError, match="takes no number"):
        told(find("output_color"), [1.0])
