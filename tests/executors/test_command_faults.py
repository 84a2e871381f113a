"""What is not believed of a program, and what is said of a line that is wrong."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from ispdsl.backends import blackbox
from ispdsl.errors import CompileError
from ispdsl.executors import command
from ispdsl.executors.command import accepts
from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.executors.kinds import open_executor
from ispdsl.executors.model import MIB, Limits
from ispdsl.graph import build
from ispdsl.lower.loader import load
from tests.executors.command_support import (
    ALL,
    COPY,
    PYTHON,
    declared,
    fault,
    picture,
    refused,
    run,
    script,
    wired,
)

# ---- what is not believed


@pytest.mark.parametrize(
    ("size", "shape", "hint"),
    [
        ("same", (4, 6), 'size = "border 1" accepts it'),
        ("same", (3, 4), "size = half accepts it"),
        ("same", (8, 6), "the program turned it"),
        ("same", (5, 8), "size = any accepts every size"),
        ("half", (6, 8), "let the program keep the size"),
        ('"border 1"', (6, 8), "let the program keep the size"),
        ('"8 x 5"', (6, 8), "let the program keep the size"),
    ],
)
def test_a_result_of_another_size_says_which_argument_would_accept_it(
    tmp_path: Path, size: str, shape: tuple[int, int], hint: str
) -> None:
    np.save(tmp_path / "other.npy", np.zeros((3, *shape), np.float32))
    line = f'arguments = ["cp", "{{beside/other.npy}}", "{{result}}", "-i{{image}}"], result = npy, size = {size}'
    line = line.replace('"-i{image}"', '"--suffix={image}"')
    error = fault(tmp_path, line, picture(6, 8), given="rgb<srgb, f32>")
    assert error.fault is Fault.SHAPE
    assert f"result out is {shape[1]} x {shape[0]} pixels, of an image of 8 x 6" in error.message
    assert hint in str(error.hint)
    assert error.command[0].endswith("cp")


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        ("any", (1, 2)),
        ("half", (3, 4)),
        ("half", (4, 4)),
        ('"border 1"', (5, 6)),
        ('"half border 1"', (1, 2)),
        ('"2 x 9"', (9, 2)),
    ],
)
def test_a_size_that_is_declared_is_believed(tmp_path: Path, size: str, shape: tuple[int, int]) -> None:
    np.save(tmp_path / "other.npy", np.ones((3, *shape), np.float32))
    line = (
        f'arguments = ["cp", "{{beside/other.npy}}", "{{result}}", "--suffix={{image}}"], result = npy, size = {size}'
    )
    answer = run(wired(tmp_path, line, "rgb<srgb, f32>"), picture(7, 8))
    assert answer.outputs["out"].shape == (3, *shape)
    assert any("border" in note for note in answer.notes) == ("border" in size)


NOT_A_NUMBER = r"""
import sys
data = open(sys.argv[1], "rb").read()
open(sys.argv[2], "wb").write(data[:-4] + b"\0\0\xc0\x7f")
"""


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("raise SystemExit(3)", Fault.CRASH),
        ("import os; os.kill(os.getpid(), 11)", Fault.CRASH),
        ("pass", Fault.MISSING),
        ("import os, sys; os.symlink(sys.argv[1], sys.argv[2])", Fault.FOREIGN),
        ("import sys; open(sys.argv[2], 'w').write('done')", Fault.GARBAGE),
        ("import shutil, sys, os; shutil.copy(*sys.argv[1:3]); os.utime(sys.argv[2], (1e9, 1e9))", Fault.STALE),
        ("import sys; d = open(sys.argv[1], 'rb').read(); open(sys.argv[2], 'wb').write(d[:-9])", Fault.GARBAGE),
        (NOT_A_NUMBER, Fault.VALUES),
    ],
)
def test_a_program_that_misbehaves_is_a_typed_error(tmp_path: Path, text: str, kind: Fault) -> None:
    line = script(tmp_path, text)
    error = fault(tmp_path, f'arguments = [{line}, "{{image}}", "{{result}}"], image = pfm, result = pfm, seconds = 20')
    assert error.fault is kind
    assert error.command[-1].endswith("result.pfm")


def test_a_program_that_hangs_is_stopped_in_the_time_that_the_line_gives(tmp_path: Path) -> None:
    line = f'arguments = [{script(tmp_path, "import time; time.sleep(100)")}, "{{image}}", "{{result}}"], seconds = 0.3'
    assert fault(tmp_path, line).fault is Fault.HANG


def test_a_result_under_another_name_is_named(tmp_path: Path) -> None:
    error = fault(tmp_path, 'arguments = ["cp", "{image}", "elsewhere.tif", "--suffix={result}"]')
    assert error.fault is Fault.MISSING
    assert error.hint == "it left elsewhere.tif: say so by leaves = ..."


def test_a_program_that_complains_and_goes_on_is_not_believed(tmp_path: Path) -> None:
    text = "import shutil, sys; shutil.copy(*sys.argv[1:3]); print('Error: no such op', file=sys.stderr)"
    line = f'arguments = [{script(tmp_path, text)}, "{{image}}", "{{result}}"], complaints = ["Error:"]'
    error = fault(tmp_path, line)
    assert (error.fault, "Error: no such op" in error.message) == (Fault.SETTINGS, True)


def test_the_limits_of_the_line_hold_where_the_caller_has_none_and_the_narrower_where_he_has(
    tmp_path: Path,
) -> None:
    from ispdsl.executors.command_spec import Line, _limits

    line = Line(declared(tmp_path, ALL.replace("[LINE]", '["cp"], seconds = 900, memory = 100'), "all"))
    assert _limits(line, Limits()) == Limits(seconds=900, memory=100 * MIB)
    assert _limits(line, Limits(seconds=5, memory=50 * MIB, output=7)) == Limits(5, 50 * MIB, 7)


# ---- a wrong line


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ('argument = ["cp"]', "it takes no argument argument", "did you mean arguments?"),
        ('"cp", "{image}"', "its arguments have names", "write arguments ="),
        ("image = png16", "arguments is missing", "write arguments ="),
        ('arguments = ["cp", "{image}"]', "no placeholder {result}", "leaves ="),
        ('arguments = ["cp", "{result}"]', "no placeholder {image}", "stdin = image"),
        ('arguments = ["", "{image}", "{result}"]', "the program is named by a text", "arguments ="),
        (COPY + 'settings = "no.ini"', "there is no file 'no.ini' beside it", "files are looked for in"),
        (COPY + "settings = json", "no placeholder {settings}", "write {settings} in the arguments"),
        (COPY + "image = tif16", "image of image: 'tif16' is no format", "None"),
        (COPY + 'result = ["png16", "outt=pfm"]', "result: there is no 'outt'", "did you mean out?"),
        (COPY + "image = file", "comes from no file", "write it as png16"),
        (COPY + 'size = "bordr 4"', "'bordr 4' is no size", '"border 4"'),
        (COPY + "upright = yes", "upright is one of off, on", "None"),
        (COPY + 'environment = ["A B=1"]', "'A B=1' sets nothing", "OMP_NUM_THREADS=1"),
        (COPY + "seconds = 0", "seconds is a number above 0", "write seconds"),
        (COPY + 'seconds = "fast"', "seconds is a number above 0", "write seconds"),
        (COPY + 'leaves = "../out.tif"', "is no name of a file in the run's folder", "out/result.tif"),
        (COPY + 'leaves = "/tmp/out.tif"', "is no name of a file in the run's folder", "out/result.tif"),
        (COPY + "stdout = reslt", "stdout is one of result, result.out, not 'reslt'", "None"),
        (COPY + 'wants = "5.9"', "wants a version and does not ask for it", "write version ="),
        (COPY + 'marks = ["<<"]', "marks are two texts", "write marks"),
        ('arguments = ["cp", "{image}", "{result}", "{EV}"]', "{EV} names nothing", "did you mean {ev}?"),
        ('arguments = ["cp", "{image}", "{result}", "{ev in K}"]', "declared in ev", "None"),
        ('arguments = ["cp", "{image}", "{result}", "{ev:xyz}"]', "is no format of one", ".3f"),
        ('arguments = ["cp", "{image:.3f}", "{result}"]', "is no parameter", "write {image}"),
        ('arguments = ["{image}", "{result}"]', "the program is named by a text", "arguments ="),
        ('arguments = ["cp", "{image}", "{result}", "{beside/no.icc}"]', "there is no file 'no.icc'", "looked for"),
    ],
)
def test_a_wrong_line_is_refused_with_its_place_and_a_hint(tmp_path: Path, line: str, message: str, hint: str) -> None:
    error = refused(tmp_path, line)
    assert "wired.isp:4:3: executor command of wired: " in error.message
    assert message in error.message
    assert hint in str(error.hint)


def test_a_wrong_placeholder_in_a_template_names_the_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "my.ini").write_text("[a]\nb={ev}\nc={contrast}\n")
    error = refused(tmp_path, 'arguments = ["cp", "{image}", "{result}", "{settings}"], settings = "my.ini"')
    assert "my.ini:3: {contrast} names nothing" in error.message


@pytest.mark.parametrize(
    "types", [("rgb<srgb, f32>", "png16"), ("rgb<srgb, u16>", "tiff8"), ("chroma<srgb, f32>", "pfm")]
)
def test_a_format_that_cannot_hold_the_type_is_refused_before_anything_runs(
    tmp_path: Path, types: tuple[str, str]
) -> None:
    assert types[0] in refused(tmp_path, COPY + f"image = {types[1]}", given=types[0]).message


@pytest.mark.parametrize("name", ["/etc/passwd", "../outside.ini", "link.ini"])
def test_a_template_elsewhere_is_foreign(tmp_path: Path, name: str) -> None:
    (tmp_path / "isp").mkdir()
    (tmp_path / "outside.ini").write_text("x")
    (tmp_path / "isp/link.ini").symlink_to(tmp_path / "outside.ini")
    line = f'arguments = ["cp", "{{image}}", "{{result}}", "{{settings}}"], settings = "{name}"'
    with pytest.raises(ExecutorError) as error:
        wired(tmp_path / "isp", line)
    assert error.value.fault is Fault.FOREIGN


def test_a_template_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "my.ini").write_bytes(b"\xff\xfe\0x")
    line = 'arguments = ["cp", "{image}", "{result}", "{settings}"], settings = "my.ini"'
    assert "no UTF-8 text" in refused(tmp_path, line).message


def test_what_nearly_reads_as_a_placeholder_is_noted(tmp_path: Path) -> None:
    executor = wired(tmp_path, 'arguments = ["cp", "{image}", "{result}", "--suffix={ ev }"]')
    assert executor.notes[1] == "{ ev } is passed on as it is: it does not read as a placeholder"


# ---- the program and its version


def test_a_program_that_is_not_there_is_absent(tmp_path: Path) -> None:
    with pytest.raises(ExecutorError, match="no program nothing-of-the-kind or neither") as error:
        wired(tmp_path, 'arguments = ["nothing-of-the-kind|neither", "{image}", "{result}"]')
    assert error.value.fault is Fault.ABSENT


def test_the_first_program_that_is_there_is_taken(tmp_path: Path) -> None:
    executor = wired(tmp_path, 'arguments = ["nothing-of-the-kind|cp", "{image}", "{result}"]')
    assert executor.program.endswith("/cp")
    assert executor.version.startswith("cp ")


def test_a_program_beside_the_text_is_named_by_its_path(tmp_path: Path) -> None:
    own = tmp_path / "tools" / "dev"
    own.parent.mkdir()
    own.write_text(f"#!{sys.executable}\nimport shutil, sys\nshutil.copy(*sys.argv[1:])\n")
    own.chmod(0o755)
    executor = wired(tmp_path, 'arguments = ["tools/dev", "{image}", "{result}"]')
    image = picture()
    np.testing.assert_array_equal(run(executor, image).outputs["out"], image)
    assert command.reaches(executor.declared) == ("tools/dev",)


def probing(tmp_path: Path, said: str, wants: str, status: int = 0) -> str:
    (tmp_path / "v.py").write_text(f"import sys\nprint({said!r}, file=sys.stderr)\nsys.exit({status})\n")
    return COPY + f'version = [{PYTHON}, "{{beside/v.py}}"]' + (f", wants = {wants}" if wants else "")


@pytest.mark.parametrize("status", [0, 1])
def test_the_version_is_what_the_program_says(tmp_path: Path, status: int) -> None:
    executor = wired(tmp_path, probing(tmp_path, "Developer, version 5.9.1 (c) 2004", '"5.9"', status))
    assert executor.version == "cp 5.9.1"


@pytest.mark.parametrize(("said", "wants"), [("version 5.10", '"5.1"'), ("version 4.9", '[">=5", "6"]'), ("hello", "")])
def test_another_version_is_a_fault_that_says_what_was_found(tmp_path: Path, said: str, wants: str) -> None:
    with pytest.raises(ExecutorError) as error:
        wired(tmp_path, probing(tmp_path, said, wants))
    assert error.value.fault is Fault.VERSION
    assert said.removeprefix("version ") in error.value.message


@pytest.mark.parametrize(
    ("wanted", "found", "expected"),
    [
        ("5.9", "5.9", True),
        ("5.9", "5.9.1", True),
        ("5.9", "5.90", False),
        ("5.9", "5.10", False),
        (">=5.9", "5.10", True),
        (">= 5.9", "5.9", True),
        (">=5.9", "5.8.9", False),
        ("6.9.11-60", "6.9.11-60", True),
    ],
)
def test_which_versions_are_wanted(wanted: str, found: str, expected: bool) -> None:
    assert accepts(wanted, found) is expected


def test_all_that_a_text_names_is_reached(tmp_path: Path) -> None:
    (tmp_path / "my.ini").write_text("ev={ev} lut={beside/warm.cube}\n")
    (tmp_path / "warm.cube").write_text("x")
    line = 'arguments = ["a|cp", "{image}", "{result}", "{settings}"], settings = "my.ini", version = ["probe", "-v"]'
    text = f"stage s(image: rgb<srgb, f32>) -> rgb<srgb, f32> {{ slider ev in 0..1 = 0 executor command({line}) }}"
    found = declared(tmp_path, text, "s")
    assert command.reaches(found) == ("a", "cp", "probe", "my.ini", "warm.cube")


def test_a_line_without_a_program_reaches_nothing(tmp_path: Path) -> None:
    text = 'stage s(image: rgb<srgb, f32>) -> rgb<srgb, f32> { executor command(arguments = [""], version = [""]) }'
    assert command.reaches(declared(tmp_path, text, "s")) == ()


def test_what_is_here_is_found_without_an_error() -> None:
    found = command.findings()
    assert [each.name for each in found] == ["RawTherapee", "ImageMagick", "GEGL"]
    assert all(each.here or each.advice for each in found)


def test_nothing_is_left_in_the_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    executor = wired(tmp_path, COPY)
    run(executor, picture())
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_tap_that_is_the_output_is_named_so(tmp_path: Path) -> None:
    text = """stage a(image: rgb<srgb, unit>) -> rgb<srgb, unit> {
  slider v in 0..1 = 0
}
pipeline p(image: rgb<srgb, unit>) -> (out: rgb<srgb, unit>) {
  executor command(arguments = ["cp", "{image}", "{result}", "{taps.seen}", "{a.v}"])
  out = image -> a -> tap seen
}
"""
    path = tmp_path / "p.isp"
    path.write_text(text)
    with pytest.raises(CompileError, match=r"tap seen watches the output itself; write \{result\.out\}"):
        open_executor(blackbox.declared(build(load(path))))


def test_an_empty_result_is_said_to_be_empty(tmp_path: Path) -> None:
    empty = tmp_path / "empty.py"
    empty.write_text("import sys; open(sys.argv[1], 'w').close()")
    executor = wired(
        tmp_path, f'arguments = [{PYTHON}, "{empty}", "{{result}}", "{{image}}"], image = npy, result = npy'
    )
    with pytest.raises(ExecutorError, match="is empty") as error:
        run(executor, picture())
    assert error.value.fault is Fault.MISSING
    assert "leaves" not in (error.value.hint or "")


def test_a_folder_where_a_settings_file_belongs_is_named_so(tmp_path: Path) -> None:
    (tmp_path / "d.ini").mkdir()
    with pytest.raises(CompileError, match=r"'d\.ini' beside it is no file"):
        wired(tmp_path, COPY + 'settings = "d.ini"')


def test_a_path_out_of_the_folder_says_where_it_is_written(tmp_path: Path) -> None:
    with pytest.raises(ExecutorError, match="executor command of") as error:
        wired(tmp_path, COPY + 'settings = "../d.ini"')
    assert error.value.fault is Fault.FOREIGN
