"""`ispdsl check`: is this the language, and does it make sense?"""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ispdsl.cli.boundary import CommandError, ExitCode, guarded, reading
from ispdsl.cli.console import Colour, complain, emit, note, show
from ispdsl.cli.files import STDIN, isp_files, named_or_shipped, refuse_other, require_file
from ispdsl.cli.memory import no_collection
from ispdsl.cli.options import ColourOption, Json, complete_file
from ispdsl.diagnostics import Diagnostic, Report
from ispdsl.render import human, json
from ispdsl.source import Source

if TYPE_CHECKING:
    from ispdsl.lower.imports import Library


class Format(StrEnum):
    """How to print a report."""

    HUMAN = "human"
    JSON = "json"
    SARIF = "sarif"


@guarded
def check(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE",
            help="Files, folders to search for .isp files, shipped pipelines by name, - for stdin; default: here.",
            autocompletion=complete_file,
        ),
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="How to print what was found.")] = Format.HUMAN,
    strict: Annotated[bool, typer.Option("--strict", help="Let warnings fail as well.")] = False,
    as_json: Json = False,
    colour: ColourOption = Colour.AUTO,
) -> None:
    """Report everything that is wrong, without running anything."""
    paths = isp_files(map(named_or_shipped, files or [Path()]))
    found: list[Diagnostic] = []
    unreadable = 0
    with no_collection():
        from ispdsl.lower.loader import empty_library

        library = empty_library()
        for path in paths:
            try:
                found.extend(_examine(path, library).diagnostics)
            except CommandError as error:
                unreadable += 1
                complain(error.message, error.hint, colour)
    report = Report.of(found)
    form = Format.JSON if as_json else form
    if form is Format.HUMAN:
        show(report, colour, sys.stdout)
    elif form is Format.JSON:
        emit(json.render(report))
    else:
        from ispdsl.cli.doctor import ispdsl_version
        from ispdsl.render import sarif

        emit(sarif.render(report, ispdsl_version()))
    if not report.diagnostics and not unreadable:
        note(f"{len(paths)} file{'' if len(paths) == 1 else 's'} checked, {human.summary(report)}")
    if unreadable:
        raise typer.Exit(ExitCode.UNREADABLE)
    if report.errors or (strict and report.warnings):
        raise typer.Exit(ExitCode.DIAGNOSTICS)


def _examine(path: Path, library: Library) -> Report:
    """What is wrong with one file.

    Raises:
        CommandError: it cannot be read.
    """
    from ispdsl.lower.loader import load_report, load_text

    if path == STDIN:
        with reading("stdin"):
            return load_text(Source("<stdin>", sys.stdin.read()), library)[1]
    require_file(path)
    refuse_other(path)
    with reading(path):
        return load_report(path, library)[1]
