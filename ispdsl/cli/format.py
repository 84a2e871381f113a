"""`ispdsl fmt`: one way to write what was written."""

from __future__ import annotations

import difflib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ispdsl.cli.boundary import ExitCode, guarded, reading
from ispdsl.cli.console import Colour, emit, note, show
from ispdsl.cli.files import STDIN, isp_files, require_file, write_whole
from ispdsl.cli.options import ColourOption, Json, complete_file
from ispdsl.diagnostics import Diagnostic, IspError, Report
from ispdsl.source import Source


@dataclass(frozen=True)
class Formatted:
    """A file, and its text before and after."""

    path: Path
    before: str
    after: str

    @property
    def changed(self) -> bool:
        """Whether the file is not yet as the formatter writes it."""
        return self.before != self.after

    def diff(self) -> str:
        """What would change, as a unified diff."""
        lines = (text.splitlines(keepends=True) for text in (self.before, self.after))
        name = str(self.path)
        return "".join(
            line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
            for line in difflib.unified_diff(*lines, fromfile=name, tofile=name)
        )


@guarded
def fmt(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE", help="Files, folders, or - for stdin (printed to stdout).", autocompletion=complete_file
        ),
    ],
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit with 1 where something would.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Change nothing; print what would change.")] = False,
    as_json: Json = False,
    colour: ColourOption = Colour.AUTO,
) -> None:
    """Format .isp files in place. Comments survive; a file with a syntax error is left as it is."""
    paths = isp_files(files)
    for path in paths:
        if path != STDIN:
            require_file(path)
    done: list[Formatted] = []
    report = Report()
    for path in paths:
        try:
            done.append(_format(path))
        except IspError as error:
            report = Report.of([*report.diagnostics, *error.report.diagnostics])
    changed = [each for each in done if each.changed]
    if not check and not diff:
        for each in changed:
            if each.path != STDIN:
                write_whole(each.path, each.after)
    if as_json:
        emit(json.dumps([{"file": str(each.path), "changed": each.changed} for each in done], indent=2))
    else:
        _tell(done, "would change" if check or diff else "formatted", diff, check)
    show(report, colour, sys.stderr)
    if report.errors or ((check or diff) and changed):
        raise typer.Exit(ExitCode.DIAGNOSTICS)


def _format(path: Path) -> Formatted:
    """Format one file.

    Raises:
        IspError: it is not of the language.
    """
    from ispdsl.syntax.parser import load_source, parse
    from ispdsl.syntax.printer import format_source

    with reading(path):
        source = Source("<stdin>", sys.stdin.read()) if path == STDIN else load_source(path)
    if isinstance(source, Diagnostic):
        raise IspError(Report.of([source]))
    report = Report.of(parse(source).diagnostics)
    if report.errors:
        raise IspError(report)
    before = source.text if path == STDIN else path.read_bytes().decode()
    return Formatted(path, before, format_source(source))


def _tell(done: list[Formatted], verb: str, diff: bool, check: bool) -> None:
    """Diffs and the formatted stdin to stdout, the names of the files to stderr."""
    for each in done:
        if diff and each.changed:
            emit(each.diff())
        elif each.path == STDIN and not check and not diff:
            emit(each.after)
        elif each.changed:
            note(f"{verb}: {each.path}")
    changed = sum(each.changed for each in done)
    note(f"{changed} of {len(done)} file{'' if len(done) == 1 else 's'} {verb}")
