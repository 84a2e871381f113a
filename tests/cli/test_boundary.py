"""Errors become a message, a hint and an exit code, whatever they were."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from ispdsl.cli.boundary import CommandError, ExitCode, guarded, reading, writing
from ispdsl.cli.console import Colour
from ispdsl.diagnostics import Diagnostic, IspError, Label, Report
from ispdsl.errors import PlanError, StageError
from ispdsl.interrupts import Terminated
from ispdsl.source import Source, Span

REPORT = Report.of([Diagnostic("E201", "no such stage", Label(Source("a.isp", "abc"), Span(0, 1)))])


def code_of(error: BaseException, as_json: bool = False, colour: Colour = Colour.NEVER) -> int:
    @guarded
    def command(as_json: bool, colour: Colour) -> None:
        raise error

    with pytest.raises(typer.Exit) as left:
        command(as_json=as_json, colour=colour)
    return left.value.exit_code


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (IspError(REPORT), ExitCode.DIAGNOSTICS, "error[E201]: no such stage"),
        (CommandError("no", "yes"), ExitCode.USAGE, "error: no\n  hint: yes\n"),
        (PlanError("no plan", "make one"), ExitCode.DIAGNOSTICS, "error: no plan\n  hint: make one\n"),
        (StageError("tone", "tone_map", "blew up"), ExitCode.EXECUTOR, "error: tone (stage tone_map): blew up\n"),
        (FileNotFoundError(2, "No such file", "x"), ExitCode.OUTPUT, "error: x: No such file\n"),
        (ModuleNotFoundError("no", name="rawpy"), ExitCode.EXECUTOR, "error: the package `rawpy` is not installed\n"),
        (ModuleNotFoundError("no", name="ispdsl.x"), ExitCode.INTERNAL, "fault of ispdsl"),
        (ZeroDivisionError("oops"), ExitCode.INTERNAL, "error: ZeroDivisionError: oops\n"),
        (RecursionError("deep"), ExitCode.INTERNAL, "ISPDSL_DEBUG=1"),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED, "interrupted\n"),
        (Terminated(), ExitCode.TERMINATED, "terminated\n"),
        (CommandError("\x1b[31mred\n\x9bsecond"), ExitCode.USAGE, "error: \\x1b[31mred\n  \\x9bsecond\n"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_said(error: BaseException, code: int, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(error) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert "Traceback" not in err


def test_errors_of_the_slow_rooms_are_known_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    from ispdsl.runtime.frame import RawError
    from ispdsl.runtime.pictures import PictureError

    assert code_of(RawError("no raw", "give one")) == ExitCode.UNREADABLE
    assert capsys.readouterr().err == "error: no raw\n  hint: give one\n"
    assert code_of(PictureError("no picture")) == ExitCode.OUTPUT
    assert capsys.readouterr().err == "error: no picture\n"


def test_json_errors(capsys: pytest.CaptureFixture[str]) -> None:
    code_of(IspError(REPORT), as_json=True)
    assert json.loads(capsys.readouterr().err)[0]["code"] == "E201"
    code_of(CommandError("no", "yes"), as_json=True)
    assert json.loads(capsys.readouterr().err) == {"error": "no", "hint": "yes"}


def test_colour_is_passed_on(capsys: pytest.CaptureFixture[str]) -> None:
    code_of(CommandError("no"), colour=Colour.ALWAYS)
    assert "\x1b[1;31merror:\x1b[0m no" in capsys.readouterr().err


def test_debugging_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISPDSL_DEBUG", "1")

    @guarded
    def command() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        command()


def test_exit_and_usage_pass_through() -> None:
    @guarded
    def leave() -> None:
        raise typer.Exit(7)

    @guarded
    def misuse() -> None:
        raise typer.BadParameter("no")

    with pytest.raises(typer.Exit) as left:
        leave()
    assert left.value.exit_code == 7
    with pytest.raises(typer.BadParameter):
        misuse()


def test_the_side_of_an_io_error_is_known(tmp_path: Path) -> None:
    with pytest.raises(CommandError) as read, reading("in.isp"):
        (tmp_path / "none").read_text()
    assert read.value.code == ExitCode.UNREADABLE
    assert read.value.message == "cannot read in.isp: No such file or directory"
    with pytest.raises(CommandError) as wrote, writing("out.png"):
        (tmp_path / "none" / "out.png").write_text("")
    assert wrote.value.code == ExitCode.OUTPUT


@pytest.mark.parametrize("words", [["ir", "--schema"], ["version"]], ids=["while writing", "at the last flush"])
def test_a_broken_pipe_is_quiet(words: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-m", "ispdsl", *words], stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (ExitCode.GOOD, b"")


def test_an_interrupt_ends_with_130() -> None:
    script = (
        "import sys, time\n"
        "from ispdsl.cli import app, doctor\n"
        "doctor.examine = lambda: print('ready', flush=True) or time.sleep(60) or []\n"
        "sys.argv = ['ispdsl', 'doctor']\n"
        "app.main()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == ExitCode.INTERRUPTED
    assert err == b"interrupted\n"


def test_an_interrupt_while_importing_is_quiet() -> None:
    script = (
        "import sys, ispdsl.__main__ as program\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'ispdsl.cli.app': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "program.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (ExitCode.INTERRUPTED, b"interrupted\n")
