"""`ispdsl trust`: allow a file for good to use the programs, files and devices that it names."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ispdsl.cli.boundary import CommandError, guarded, reading
from ispdsl.cli.console import emit, note
from ispdsl.cli.files import find_pipeline, named_or_shipped
from ispdsl.cli.options import Json, complete_file
from ispdsl.render.characters import clean

if TYPE_CHECKING:
    from ispdsl.executors.trust import Permission


@guarded
def trust(
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE", help="A .isp file that names programs or devices.", autocompletion=complete_file
        ),
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="List what is trusted, and change nothing.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Trust the file no more.")] = False,
    as_json: Json = False,
) -> None:
    """Allow a file to use the programs and devices that it names, as long as they stay the same."""
    from ispdsl.executors.trust import granted, revoke

    if listed:
        if file is not None or remove:
            raise CommandError("--list stands alone", "it lists the permissions of all files")
        _say(granted().values(), as_json)
        return
    if file is None:
        raise CommandError("which file?", "write: ispdsl trust FILE, or --list")
    if remove:
        gone = revoke(named_or_shipped(Path(file)))
        if not gone:
            raise CommandError(f"{file} is not trusted", "`ispdsl trust --list` says what is")
        note(f"{file} is trusted no more")
        return
    _say(_allow(file), as_json)
    note("as long as the file, and what it names beside itself, stay the same; take it back with --remove")


def _allow(file: str) -> list[Permission]:
    """Record that a file is trusted."""
    from ispdsl.backends.blackbox import declared_in
    from ispdsl.executors.kinds import reaches
    from ispdsl.executors.trust import grant
    from ispdsl.lower.loader import load

    path = find_pipeline(file)
    with reading(path):
        found = declared_in(load(path))
    if not any(reaches(each) for each in found):
        raise CommandError(f"{file} names no program, file or device", "it needs no permission to run")
    return grant(path, found)


def _say(permissions: Iterable[Permission], as_json: bool) -> None:
    """What may be used, by file."""
    everything = sorted(permissions, key=lambda each: (each.file, each.name))
    if as_json:
        emit(json.dumps([each.model_dump(mode="json") for each in everything], indent=2))
        return
    last = None
    for each in everything:
        if each.file != last:
            emit(f"{clean(each.file)} may use")
            last = each.file
        emit(f"  {clean(each.name)}: {clean(', '.join(each.reaches))}")
        emit(f"    by {clean(each.executor)}")
    if not everything:
        note("no file is trusted")
