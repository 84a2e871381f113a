"""Programs wired by text alone: what they are given, and what is read of them."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ispdsl.errors import CompileError
from ispdsl.executors import command
from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.executors.model import Limits, Request
from ispdsl.ir.params import Array
from ispdsl.runtime.frame import Frame
from ispdsl.runtime.pictures import orient
from tests.executors.command_support import (
    ALL,
    COPY,
    declared,
    fault,
    picture,
    raw_frame,
    run,
    script,
    wired,
)

# ---- images there and back


@pytest.mark.parametrize("form", ["png16", "tiff16", "tiff32", "ppm16", "pfm", "npy"])
def test_a_program_that_copies_gives_back_what_it_got(tmp_path: Path, form: str) -> None:
    image = picture()
    answer = run(wired(tmp_path, COPY + f"image = {form}, result = {form}"), image)
    np.testing.assert_array_equal(answer.outputs["out"], image)
    assert answer.cost.seconds >= answer.cost.own > 0
    assert answer.notes == ("ev is used by no placeholder: it does nothing",)


def test_a_mosaic_goes_through_a_dng(tmp_path: Path) -> None:
    frame = raw_frame()
    executor = wired(tmp_path, COPY + "image = dng, result = dng", "raw<rggb, u14>")
    answer = run(executor, frame.image, frame)
    np.testing.assert_array_equal(answer.outputs["out"], frame.image)


def test_a_dump_lies_beside_its_description(tmp_path: Path) -> None:
    text = "import json, shutil, sys\njson.load(open(sys.argv[1] + '.json'))['cfa'] == 'rggb' or exit(3)\n"
    line = script(tmp_path, text + "shutil.copy(sys.argv[1], sys.argv[2])\n")
    line += ', "{image}", "{result}"'
    frame = raw_frame()
    executor = wired(tmp_path, f"arguments = [{line}], image = raw, result = npy", "raw<rggb, u14>")
    with pytest.raises(ExecutorError) as error:
        run(executor, frame.image, frame)
    assert error.value.fault is Fault.GARBAGE  # the description was there: it got as far as the copy, which is no npy


def test_standard_input_and_output_can_carry_the_images(tmp_path: Path) -> None:
    image = picture()
    executor = wired(tmp_path, 'arguments = ["cat"], stdin = image, stdout = result, image = pfm, result = pfm')
    np.testing.assert_array_equal(run(executor, image).outputs["out"], image)


def test_a_program_that_chooses_the_name_of_its_result(tmp_path: Path) -> None:
    image = picture()
    executor = wired(tmp_path, 'arguments = ["cp", "{image}", "chosen.tiff"], leaves = "chosen.tiff"')
    np.testing.assert_array_equal(run(executor, image).outputs["out"], image)


@pytest.mark.parametrize("leaves", ["out/deep/x.tif", "out/*.tif", "out/deep/x*"])
def test_results_may_lie_in_folders_and_have_names_that_change(tmp_path: Path, leaves: str) -> None:
    image = picture()
    target = "out/deep/x.tif" if "deep" in leaves else "out/x 2026.tif"
    executor = wired(tmp_path, f'arguments = ["cp", "{{image}}", "{target}"], leaves = "{leaves}"')
    np.testing.assert_array_equal(run(executor, image).outputs["out"], image)


def test_several_results_that_fit_are_none(tmp_path: Path) -> None:
    line = 'arguments = ["cp", "{beside/a.tif}", "{beside/b.tif}", ".", "-S{image}"], leaves = "*.tif", image = png16'
    (tmp_path / "a.tif").write_text("a")
    (tmp_path / "b.tif").write_text("b")
    error = fault(tmp_path, line)
    assert (error.fault, error.message) == (Fault.GARBAGE, "result out: several files fit *.tif: a.tif, b.tif")


def test_settings_can_be_read_from_standard_input(tmp_path: Path) -> None:
    text = "import json, sys, numpy as np; ev = json.load(sys.stdin)['ev']\n"
    text += "np.save(sys.argv[2], np.load(sys.argv[1]) * ev)"
    line = f'arguments = [{script(tmp_path, text)}, "{{image}}", "{{result}}"], settings = json, stdin = settings'
    executor = wired(tmp_path, line + ", image = npy, result = npy", "rgb<srgb, f32>")
    np.testing.assert_array_equal(run(executor, picture(), ev=0.25).outputs["out"], picture() / 4)


def test_a_program_finds_its_settings_in_a_home_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "my.ini").write_text("ev={ev}")
    text = "import os, sys, numpy as np; ev = open(os.environ['HOME'] + '/.config/dev/dev.ini').read()[3:]\n"
    line = script(tmp_path, text + "np.save(sys.argv[2], np.load(sys.argv[1]) * float(ev))")
    line = f'arguments = [{line}, "{{image}}", "{{result}}"], settings = ".config/dev/dev.ini=my.ini"'
    executor = wired(tmp_path, line + ', image = npy, result = npy, environment = ["HOME={folder}"]', "rgb<srgb, f32>")
    np.testing.assert_array_equal(run(executor, picture(), ev=0.25).outputs["out"], picture() / 4)


TWO = """
stage two(image: rgb<srgb, unit>, mask: luma<srgb, unit>) -> (a: rgb<srgb, unit>, b: luma<srgb, unit>) {
  executor command(
    arguments = ["cp", "{image.image}", "{image.mask}", "-t", "{folder}/."],
    image = ["png16", "mask=pfm"],
    result = ["png16", "b=pfm"],
    leaves = ["a=a.png", "b=b.pfm"],
  )
}
"""


def test_several_inputs_and_outputs_have_forms_of_their_own(tmp_path: Path) -> None:
    line = script(tmp_path, "import shutil, sys\nfor i in (1, 2): shutil.copy(sys.argv[i], sys.argv[i + 2])\n")
    line += ', "{image}", "{image.mask}", "{result.a}", "{result.b}"'
    text = TWO.replace('"cp", "{image.image}", "{image.mask}", "-t", "{folder}/."', line)
    text = text.replace('    leaves = ["a=a.png", "b=b.pfm"],\n', "")
    executor = command.open_executor(declared(tmp_path, text, "two"), Limits(seconds=30), 0)
    image, mask = picture(), picture(planes=1)
    answer = executor.run(Request({"image": image, "mask": mask}, {}))
    np.testing.assert_array_equal(answer.outputs["a"], image)
    np.testing.assert_array_equal(answer.outputs["b"], mask)


# ---- the raw file itself


def whole(tmp_path: Path, orientation: int = 1) -> tuple[Frame, bytes]:
    """A frame whose file lies beside, and the file's bytes."""
    from ispdsl.executors.formats import write_image
    from ispdsl.runtime.rawfile import read

    path = tmp_path / "camera.dng"
    frame = raw_frame()
    write_image(path, frame.image.astype(np.float32), frame.type, "dng", frame)
    return replace(read(path), orientation=orientation), path.read_bytes()


SEEN = """
import pathlib, sys
import numpy as np
data = pathlib.Path(sys.argv[1]).read_bytes()
np.save(sys.argv[2], np.resize(np.frombuffer(data, np.uint8)[-100:], (1, 48, 64)).astype(np.float32))
"""


def test_the_file_is_given_as_it_is_where_it_is_what_is_asked_about(tmp_path: Path) -> None:
    frame, data = whole(tmp_path)
    line = script(tmp_path, SEEN) + ', "{image}", "{result}"'
    executor = wired(tmp_path, f"arguments = [{line}], image = file, result = npy", "raw<rggb, u14>", "luma<srgb, f32>")
    seen = run(executor, frame.image, frame).outputs["out"].ravel()[:100]
    np.testing.assert_array_equal(seen, np.frombuffer(data, np.uint8)[-100:])
    assert Path(frame.source.path).read_bytes() == data


@pytest.mark.parametrize("why", ["crop", "another image"])
def test_a_dng_is_written_where_the_file_is_something_else(tmp_path: Path, why: str) -> None:
    frame, _ = whole(tmp_path)
    frame = frame.crop(0, 0, 24, 32) if why == "crop" else frame
    image = frame.image if why == "crop" else frame.image[..., ::-1, :]
    executor = wired(tmp_path, COPY + "image = file, result = dng", "raw<rggb, u14>")
    np.testing.assert_array_equal(run(executor, image, frame).outputs["out"], image)


def test_a_file_that_has_changed_since_it_was_read_is_stale(tmp_path: Path) -> None:
    frame, data = whole(tmp_path)
    Path(frame.source.path).write_bytes(data[:-1] + b"\0")
    frame = replace(frame, source=replace(frame.source, sha256="0" * 64))
    executor = wired(tmp_path, COPY + "image = file, result = dng", "raw<rggb, u14>")
    with pytest.raises(ExecutorError) as error:
        run(executor, frame.image, frame)
    assert error.value.fault is Fault.STALE


TURN = """
import pathlib, sys
import numpy as np
image = np.arange(48 * 64, dtype=np.float32).reshape(1, 48, 64)
turned = {1: image, 6: np.rot90(image, -1, (1, 2)), 3: image[:, ::-1, ::-1], 8: np.rot90(image, 1, (1, 2))}
np.save(sys.argv[2], turned[int(sys.argv[3])])
"""


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_what_a_program_turns_upright_is_turned_back(tmp_path: Path, orientation: int) -> None:
    frame, _ = whole(tmp_path, orientation)
    line = script(tmp_path, TURN) + f', "{{image}}", "{{result}}", "{orientation}"'
    line = f"arguments = [{line}], image = file, result = npy, upright = on"
    executor = wired(tmp_path, line, "raw<rggb, u14>", "luma<srgb, f32>")
    found = run(executor, frame.image, frame).outputs["out"]
    np.testing.assert_array_equal(found, np.arange(48 * 64, dtype=np.float32).reshape(1, 48, 64))
    assert orient(found, orientation).shape[1:] == ((64, 48) if orientation >= 5 else (48, 64))


def test_whether_the_program_turns_a_turned_raw_has_to_be_said(tmp_path: Path) -> None:
    frame, _ = whole(tmp_path, 6)
    line = script(tmp_path, TURN) + ', "{image}", "{result}", "6"'
    executor = wired(tmp_path, f"arguments = [{line}], image = file, result = npy", "raw<rggb, u14>", "luma<srgb, f32>")
    with pytest.raises(ExecutorError, match="turned \\(orientation 6\\)") as error:
        run(executor, frame.image, frame)
    assert error.value.fault is Fault.SETTINGS
    assert "upright = on" in str(error.value.hint)


def test_what_is_mirrored_is_given_as_a_dng_that_is_not(tmp_path: Path) -> None:
    frame, _ = whole(tmp_path, 5)
    executor = wired(tmp_path, COPY + "image = file, result = dng, upright = on", "raw<rggb, u14>")
    assert run(executor, frame.image, frame).outputs["out"].shape == (1, 48, 64)


def test_a_program_without_a_raw_file_cannot_have_one(tmp_path: Path) -> None:
    executor = wired(tmp_path, COPY + "image = file, result = dng", "raw<rggb, u14>")
    with pytest.raises(ExecutorError) as error:
        run(executor, raw_frame().image)
    assert error.value.fault is Fault.SETTINGS


# ---- arguments, environment, settings


ECHO = """
import json, os, sys
import numpy as np
told = {"arguments": sys.argv[3:], "environment": dict(os.environ), "files": sorted(os.listdir("."))}
for name in os.listdir("."):
    if name.startswith("settings") or name.endswith(".pp3"):
        told[name] = open(name).read()
data = json.dumps(told).encode()
np.save(sys.argv[2], np.frombuffer(data + b" " * (3 * 6 * 800 - len(data)), np.uint8).reshape(3, 6, 800).astype("f4"))
"""


def told(tmp_path: Path, rest: str, more: str = "", **settings: Any) -> dict[str, Any]:
    """What a program is told, by a program that says so in its result."""
    line = f'arguments = [{script(tmp_path, ECHO)}, "{{image}}", "{{result}}"{rest}], image = npy, result = npy{more}'
    executor = wired(tmp_path, line, "rgb<srgb, f32>")
    out = run(executor, picture(6, 800), **settings).outputs["out"]
    return json.loads(out.astype(np.uint8).tobytes())


def test_each_text_is_one_argument_whatever_stands_in_it(tmp_path: Path) -> None:
    rest = ', "--ev={ev:.2f} EV", "; rm -rf $HOME", "{width}x{height}", "`id`", "*"'
    found = told(tmp_path, rest, ev=-0.25)["arguments"]
    assert found == ["--ev=-0.25 EV", "; rm -rf $HOME", "800x6", "`id`", "*"]


def test_the_environment_is_what_the_text_says(tmp_path: Path) -> None:
    os.environ["ISPDSL_SECRET"] = "x"
    try:
        found = told(tmp_path, "", ', environment = ["EV={ev:+.1f}", "PLAIN=a=b"]', ev=1.0)["environment"]
    finally:
        del os.environ["ISPDSL_SECRET"]
    assert (found["EV"], found["PLAIN"], "ISPDSL_SECRET" in found) == ("+1.0", "a=b", False)


def test_a_template_beside_the_text_is_filled_in(tmp_path: Path) -> None:
    (tmp_path / "my.ini").write_bytes(b"[Exposure]\r\nCompensation={ev:.3f}\r\n# {{ev}} { ev } \xc2\xb5\r\n")
    found = told(tmp_path, ', "{settings}"', ', settings = "my.ini"', ev=1 / 3)
    assert found["settings.ini"] == "[Exposure]\nCompensation=0.333\n# {ev} { ev } µ\n"  # Python's open joins the ends
    assert Path(found["arguments"][0]).name == "settings.ini"


def test_a_settings_file_may_lie_where_the_program_looks_for_it(tmp_path: Path) -> None:
    (tmp_path / "my.pp3").write_text("ev={ev}\n")
    found = told(tmp_path, "", ', settings = "image.npy.pp3=my.pp3"', ev=0.5)
    assert found["image.npy.pp3"] == "ev=0.5\n"


def test_a_template_in_json_or_css_is_written_without_pain(tmp_path: Path) -> None:
    (tmp_path / "my.json").write_text('{"a": {"b": {ev}}, "c": "{ev:.1f}", "d": {}}')
    assert json.loads(told(tmp_path, ', "{settings}"', ', settings = "my.json"')["settings.json"]) == {
        "a": {"b": 0.5},
        "c": "0.5",
        "d": {},
    }
    (tmp_path / "my.css").write_text("a{color:red} b{opacity:<<ev>>}")
    more = ', settings = "my.css", marks = ["<<", ">>"]'
    assert told(tmp_path, ', "{settings}"', more)["settings.css"] == "a{color:red} b{opacity:0.5}"


def test_all_settings_as_json(tmp_path: Path) -> None:
    text = ALL.replace("LINE", script(tmp_path, ECHO) + ', "{image}", "{result}", "{settings}"')
    executor = command.open_executor(declared(tmp_path, text, "all"), Limits(), 0)
    out = run(executor, picture(6, 800)).outputs["out"]
    found = json.loads(json.loads(out.astype(np.uint8).tobytes())["settings.json"])
    expected = {"ev": 0.1, "amount": 50, "method": "fancy", "clip": False, "m": [[1, 2], [3, 4]], "c": [0, 0.5, 1]}
    assert found == expected
    assert executor.notes == ()


def test_an_option_that_comes_out_empty_is_left_out_and_one_with_a_dash_stays_where_it_is(tmp_path: Path) -> None:
    rest = '"{clip:--clip|}", "{method:plain=|fancy=-rf /}", "a{clip:x|}b", "{m[0,1]}"'
    text = ALL.replace("LINE", script(tmp_path, ECHO) + ', "{image}", "{result}", ' + rest).replace(
        ", settings = json", ""
    )
    executor = command.open_executor(declared(tmp_path, text, "all"), Limits(), 0)

    def arguments(**settings: Any) -> list[str]:
        out = run(executor, picture(6, 800), **settings).outputs["out"]
        return json.loads(out.astype(np.uint8).tobytes())["arguments"]

    assert arguments() == ["-rf /", "ab", "2"]
    assert arguments(clip=True, method="plain") == ["--clip", "axb", "2"]
    assert arguments(m=Array(shape=(2, 2), values=(5, 6, 7, 8)))[-1] == "6"


def test_metadata_of_the_raw_can_be_told(tmp_path: Path) -> None:
    frame = raw_frame(6, 800)
    line = script(tmp_path, ECHO) + ', "{image}", "{result}", "{meta.iso:d}", "{meta.as_shot_neutral[0]:.3f}"'
    executor = wired(tmp_path, f"arguments = [{line}], image = dng, result = npy", "raw<rggb, u14>", "rgb<srgb, f32>")
    out = run(executor, frame.image, frame).outputs["out"]
    assert json.loads(out.astype(np.uint8).tobytes())["arguments"] == ["200", "0.487"]


def test_metadata_that_the_raw_does_not_have_is_named(tmp_path: Path) -> None:
    line = 'arguments = ["cp", "{image}", "{result}", "{meta.isso}"], image = dng, result = dng'
    executor = wired(tmp_path, line, "raw<rggb, u14>")
    with pytest.raises(ExecutorError, match="does not say isso") as error:
        run(executor, raw_frame().image, raw_frame())
    assert error.value.fault is Fault.SETTINGS


# ---- taps


TAPPED = """
stage half(image: rgb<srgb, unit>) -> rgb<srgb, unit> {
  slider amount in 0..1 = 0.5
}
pipeline tapped(image: rgb<srgb, unit>) -> (out: rgb<srgb, unit>) {
  executor command(arguments = [LINE], image = npy, result = npy, tap = TAP)
  out = image -> tap start -> half as first -> tap between -> half as second -> tap end
}
"""


def test_taps_are_files_that_the_program_leaves_or_inputs_and_outputs(tmp_path: Path) -> None:
    text = "import sys, numpy as np; a = np.load(sys.argv[1])\n"
    text += "b = a * float(sys.argv[4]); np.save(sys.argv[2], b); np.save(sys.argv[3], b * float(sys.argv[5]))"
    line = script(tmp_path, text) + ', "{image}", "{taps.between}", "{result}", "{first.amount}", "{second.amount}"'
    found = declared(tmp_path, TAPPED.replace("LINE", line).replace("TAP", "npy"))
    executor = command.open_executor(found, Limits(seconds=30), 0)
    image = picture()
    answer = run(executor, image, first__amount=0.5, second__amount=0.25)
    np.testing.assert_allclose(answer.taps["start"], image)
    np.testing.assert_allclose(answer.taps["between"], image / 2)
    np.testing.assert_allclose(answer.taps["end"], image / 8)
    np.testing.assert_array_equal(answer.taps["end"], answer.outputs["out"])


def test_a_tap_that_the_program_does_not_leave_is_refused_at_once(tmp_path: Path) -> None:
    line = '"cp", "{image}", "{result}", "{first.amount}", "{second.amount}"'
    found = declared(tmp_path, TAPPED.replace("LINE", line).replace("TAP", "npy"))
    with pytest.raises(CompileError, match="leaves nothing for tap between"):
        command.open_executor(found, Limits(), 0)


def test_a_tap_that_is_not_there_after_all_is_missing(tmp_path: Path) -> None:
    line = '"cp", "{image}", "{result}", "--suffix={taps.between}{first.amount}{second.amount}"'
    found = declared(tmp_path, TAPPED.replace("LINE", line).replace("TAP", "npy"))
    with pytest.raises(ExecutorError, match="tap between") as error:
        run(command.open_executor(found, Limits(seconds=30), 0), picture())
    assert error.value.fault is Fault.MISSING
