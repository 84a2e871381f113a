"""`ispdsl check`: is this the language, and does it make sense?"""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ispdsl.cli.boundary import ExitCode, guarded, reading
from ispdsl.cli.console import Colour, emit, note, show
from ispdsl.cli.doctor import ispdsl_version
from ispdsl.cli.files import isp_files
from ispdsl.cli.options import ColourOption, Json, complete_file
from ispdsl.diagnostics import Diagnostic, Report
from ispdsl.render import human, json, sarif


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
            help="Files, and folders to search for .isp files; default: here.", autocompletion=complete_file
        ),
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="How to print what was found.")] = Format.HUMAN,
    strict: Annotated[bool, typer.Option("--strict", help="Let warnings fail as well.")] = False,
    as_json: Json = False,
    colour: ColourOption = Colour.AUTO,
) -> None:
    """Report everything that is wrong, without running anything."""
    paths = list(isp_files(files or [Path()]))
    from ispdsl.lower.loader import empty_library, load_report

    found: list[Diagnostic] = []
    library = empty_library()
    for path in paths:
        with reading(path):
            _, report = load_report(path, library)
        found.extend(report.diagnostics)
    report = Report.of(found)
    form = Format.JSON if as_json else form
    if form is Format.HUMAN:
        show(report, colour, sys.stdout)
    else:
        emit(json.render(report) if form is Format.JSON else sarif.render(report, ispdsl_version()))
    if not report.diagnostics:
        note(f"{len(paths)} file{'' if len(paths) == 1 else 's'} checked, {human.summary(report)}")
    if report.errors or (strict and report.warnings):
        raise typer.Exit(ExitCode.DIAGNOSTICS)
