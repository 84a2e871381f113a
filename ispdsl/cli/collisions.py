"""Before any work: no output may lie on an input, and no two outputs on each other."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ispdsl.cli.boundary import CommandError

if TYPE_CHECKING:
    from ispdsl.graph import Graph
    from ispdsl.runtime.values import Settings

SETTINGS = "the saved settings"


@dataclass(frozen=True)
class Use:
    """A file and what the command takes it for."""

    role: str
    path: Path
    replaceable: bool = False
    """Whether saved settings may replace it, where it is a sidecar."""


def refuse_collisions(inputs: Iterable[Use], outputs: Iterable[Use]) -> None:
    """Leave only where every output has a place of its own.

    Raises:
        CommandError: an output is an input or another output, or settings would replace what is no sidecar.
    """
    taken: dict[object, Use] = {}
    for use in inputs:
        for key in _keys(use.path):
            taken.setdefault(key, use)
    written: dict[object, Use] = {}
    for use in outputs:
        keys = _keys(use.path)
        source = next((taken[key] for key in keys if key in taken), None)
        other = next((written[key] for key in keys if key in written), None)
        if other is not None:
            raise CommandError(f"{use.path} would be both {other.role} and {use.role}", "give each a name of its own")
        if source is not None and not (source.replaceable and use.role == SETTINGS and _is_sidecar(use.path)):
            message = f"{use.path} is {source.role}, and {use.role} would overwrite it"
            raise CommandError(message, "choose another name for the output")
        if use.role == SETTINGS and os.path.lexists(use.path) and not _is_sidecar(use.path):
            message = f"{use.path} exists and is no sidecar, so {use.role} do not replace it"
            raise CommandError(message, "choose another name with --save-settings, or save none with --no-sidecar")
        written.update(dict.fromkeys(keys, use))


def inputs_of(graph: Graph, file: Path | None) -> Iterator[Use]:
    """The file of a pipeline, what it imports, and the tables that it names."""
    from ispdsl.ir.params import FileReference
    from ispdsl.lower.search import standard_folders

    if file is not None:
        yield Use("the pipeline", file)
    standard = standard_folders(file)
    folders = (Path(), *([file.parent] if file else []), *(folder.parent for folder in standard))
    for name in graph.module.files:
        places = (folder / name for folder in folders)
        yield from (Use("a file that the pipeline imports", place) for place in places if place.is_file())
    for slot in graph.slots:
        if isinstance(slot.start, FileReference) and slot.start.found:
            yield Use(f"the table of {slot.address}", Path(slot.start.found))


def tables_of(settings: Settings) -> Iterator[Use]:
    """The tables that settings name."""
    from ispdsl.ir.params import FileReference

    for address, value in settings.changed.items():
        if isinstance(value, FileReference) and value.found:
            yield Use(f"the table of {address}", Path(value.found))


def inputs_of_raw(raw: Path, described: Path | None, beside: Path | None, presets: Iterable[Path]) -> Iterator[Use]:
    """A raw with its description, given or found beside it, its sidecar and presets."""
    yield Use("the raw", raw)
    if described is not None:
        yield Use("the description of the raw", described)
    else:
        found = (raw.with_name(raw.name + ".json"), raw.with_name("frames.json"))
        yield from (Use("the description of the raw", path, True) for path in found if path.is_file())
    if beside is not None and beside.is_file():
        yield Use("the sidecar of the raw", beside, True)
    yield from (Use("a preset", path, True) for path in presets)


def _keys(path: Path) -> tuple[object, ...]:
    """What makes two paths the same file: where they lead, and the file itself for links of either kind."""
    try:
        place = path.resolve()
    except (OSError, RuntimeError):
        place = path.absolute()
    try:
        status = place.stat()
    except (OSError, ValueError):
        return (str(place),)
    return str(place), (status.st_dev, status.st_ino)


def _is_sidecar(path: Path) -> bool:
    from ispdsl.runtime.sidecar import load
    from ispdsl.runtime.values import SettingsError

    if not path.is_file():
        return False
    try:
        load(path)
    except SettingsError:
        return False
    return True
