"""`ispdsl sweep`: one raw at many settings, by programs or by several real things at once."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ispdsl.cli.beforehand import check_doubles, check_permission, check_trust
from ispdsl.cli.boundary import CommandError, ExitCode, guarded, writing
from ispdsl.cli.console import emit, note
from ispdsl.cli.files import write_whole
from ispdsl.cli.options import (
    AllowExec,
    Backend,
    BackendOption,
    DoublesOption,
    Implementations,
    Json,
    PipelineFile,
    PipelineName,
    pairs,
)
from ispdsl.cli.progress import progress
from ispdsl.cli.raws import cropped, parse_crop, read_quietly
from ispdsl.cli.settings import choose
from ispdsl.cli.show import build_graph, check_implementations
from ispdsl.render.characters import clean

if TYPE_CHECKING:
    from ispdsl.darkroom import Development
    from ispdsl.errors import UserError
    from ispdsl.graph import Graph
    from ispdsl.sweep import Point

RECORD = "sweep.json"
SHEET = "sheet.png"
LARGEST_SHEET = 100
"""Pictures on the sheet."""
WIDEST = 6
"""Pictures in a row of it."""


@guarded
def sweep(
    file: PipelineFile,
    raw: Annotated[Path, typer.Argument(metavar="RAW", help="A raw file.")],
    vary: Annotated[
        list[str],
        typer.Option("--vary", metavar="ADDRESS=VALUES", help="LOW..HIGH:COUNT, or A,B,C, or all. May be repeated."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where pictures and record go.")],
    pipeline: PipelineName = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="ADDRESS=VALUE", help="What stays. May be repeated.")
    ] = None,
    presets: Annotated[
        list[Path] | None, typer.Option("--preset", metavar="FILE", help="Settings from a file. May be repeated.")
    ] = None,
    suffix: Annotated[
        str, typer.Option("--format", metavar="SUFFIX", help="What pictures are written as: png, tif, npy ...")
    ] = "png",
    backend: BackendOption = Backend.COMPOSITE,
    allow_exec: AllowExec = False,
    impl: Implementations = None,
    doubles: DoublesOption = None,
    trust: Annotated[
        list[str] | None, typer.Option("--trust", metavar="PACKAGE", help="Run programs of this package as well.")
    ] = None,
    describe: Annotated[
        Path | None, typer.Option("--describe", metavar="JSON", help="The description of a mosaic without a header.")
    ] = None,
    crop: Annotated[str | None, typer.Option("--crop", metavar="Y,X,H,W", help="This part, in sensor pixels.")] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, metavar="N", help="Real things at once; default: one a core.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an earlier sweep stopped.")] = False,
    as_json: Json = False,
) -> None:
    """Develop a raw at every combination of values: a picture each, a record of them, and all on one sheet."""
    from ispdsl.sweep import grid, keys
    from ispdsl.sweep import sweep as developments

    graph = build_graph(file, pipeline, inline=False)
    chosen = dict(pairs(impl, "--impl", "STAGE=KIND"))
    check_doubles(doubles, backend)
    check_implementations(graph, chosen, doubles)
    check_trust(trust or [])
    check_permission(graph, backend, allow_exec)
    base = choose(graph, None, presets or [], pairs(settings, "--set", "ADDRESS=VALUE"))
    points = grid(base, dict(pairs(vary, "--vary", "ADDRESS=VALUES")))
    frame = read_quietly(raw, describe)
    frame = cropped(frame, parse_crop(crop)) if crop else frame
    suffix = f".{suffix.removeprefix('.')}"
    with writing(output):
        output.mkdir(parents=True, exist_ok=True)
    head = {"pipeline": graph.name, "sha256": graph.sha256, "frame": frame.content_hash, "backend": backend.value}
    record = Record(output, head, _kept(output, head) if resume else _fresh(output), points)
    wanted = keys(graph, frame, points, backend.value, {**chosen, **_doubles(doubles), "format": suffix})
    by = _version(graph, backend, allow_exec) if record.rows else ""
    todo = [point for point in points if not _is_done(record.rows.get(point.name), output, wanted[point.name], by)]
    if len(todo) < len(points):
        note(f"{len(points) - len(todo)} of {len(points)} points are there already")
    begun, failed = time.perf_counter(), 0
    with progress() as bar:

        def told(done: int, total: int, failures: int) -> None:
            bar(done, total, f"{failures} failed" if failures else backend.value)

        packages, lanes = tuple(trust or ()), jobs or os.cpu_count() or 1
        ways: dict[str, Any] = {"impl": chosen, "trust": packages, "backend": backend.value, "lanes": lanes}
        ways["doubles"] = doubles
        found = developments(graph, frame, todo, **ways, allow_exec=allow_exec, told=told)
        with closing(found), closing(record):
            for number, result in found:
                row = _row(todo[number], result, output, suffix)
                record.add({**row, "key": wanted[row["name"]]})
                failed += "error" in row
    _sheet(record.order, output)
    if as_json:
        emit((output / RECORD).read_text(encoding="utf-8").rstrip())
    else:
        emit(clean(str(output / RECORD)))
    seconds = time.perf_counter() - begun
    note(f"{len(todo) - failed} developed in {seconds:.1f} s, {failed} failed; {clean(str(output / SHEET))} shows them")
    if failed:
        raise typer.Exit(ExitCode.EXECUTOR)


@dataclass
class Record:
    """What is known of every point, kept in a file: at most once a second, since a large one takes its time."""

    output: Path
    head: Mapping[str, str]
    rows: dict[str, dict[str, Any]]
    points: Sequence[Point]
    written: float = 0.0

    @property
    def order(self) -> list[dict[str, Any]]:
        """The rows in the order of the grid."""
        return [self.rows[point.name] for point in self.points if point.name in self.rows]

    def add(self, row: dict[str, Any]) -> None:
        """One more point."""
        self.rows[row["name"]] = row
        if time.monotonic() - self.written >= 1.0:
            self.close()

    def close(self) -> None:
        """Bring the file up to date."""
        write_whole(self.output / RECORD, json.dumps({**self.head, "points": self.order}, indent=2) + "\n")
        self.written = time.monotonic()


def _fresh(output: Path) -> dict[str, Any]:
    """Nothing; but an earlier sweep is not written over.

    Raises:
        CommandError: there is one.
    """
    if (output / RECORD).exists():
        raise CommandError(f"{output} holds a sweep already", "go on with --resume, or choose another folder")
    return {}


def _kept(output: Path, head: dict[str, str]) -> dict[str, Any]:
    """What an earlier sweep has done.

    Raises:
        CommandError: it is of another pipeline, raw or backend, or its record cannot be read.
    """
    path = output / RECORD
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        other = [name for name, value in head.items() if found[name] != value]
        rows = {str(row["name"]): dict(row) for row in found["points"]}
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise CommandError(f"{path} is no record of a sweep: {error}", "choose another folder") from error
    if other:
        raise CommandError(f"{path} is of another {' and '.join(other)}", "choose another folder")
    return rows


def _doubles(doubles: Path | None) -> dict[str, str]:
    """The hash of each double's file, by what stands for it in a key."""
    if doubles is None:
        return {}
    from ispdsl.backends.doubles import files

    found = files(doubles)
    return {f"double of {name}": hashlib.sha256(path.read_bytes()).hexdigest() for name, path in found.items()}


def _is_done(row: Mapping[str, Any] | None, output: Path, key: str, by: str) -> bool:
    """Whether a row of an earlier sweep is of the very same point, by the same version, and its picture is there."""
    if row is None or (row.get("key"), row.get("by")) != (key, by):
        return False
    return isinstance(row.get("file"), str) and (output / Path(row["file"]).name).is_file()


def _version(graph: Graph, backend: Backend, allow_exec: bool) -> str:
    """What would develop now."""
    from ispdsl.backends.blackbox import declared, opened

    if backend is Backend.COMPOSITE:
        return backend.value
    with opened(declared(graph), allow_exec) as executor:
        return executor.version


def _row(point: Point, result: Development | UserError, output: Path, suffix: str) -> dict[str, Any]:
    """Write the picture of a point; what the record says of it."""
    from ispdsl.darkroom import Development, save_outputs, sidecar_of

    row: dict[str, Any] = {"name": point.name, "values": dict(point.values)}
    if not isinstance(result, Development):
        first, *more = result.message.splitlines()
        note("\n  ".join([f"{clean(point.name)}: {clean(first)}", *map(clean, more)]))
        return {**row, "error": result.message, "fault": str(getattr(result, "fault", "")) or None}
    path = output / f"{_file_name(point.name)}{suffix}"
    save_outputs(result, path)
    settings = dict(sidecar_of(result).settings)
    return {**row, "file": path.name, "by": result.made_by or "composite", "settings": settings}


def _file_name(name: str) -> str:
    """A name that every file system takes."""
    kept = "".join(each if each.isalnum() or each in "=.,+-_% " else "_" for each in name)
    return kept.replace(" ", "")[:180]


def _sheet(rows: list[dict[str, Any]], output: Path) -> None:
    """All pictures on one page, where they are pictures."""
    from ispdsl.runtime.contact_sheet import contact_sheet
    from ispdsl.runtime.pictures import PictureError, read_picture

    tiles: list[Any] = []
    for row in rows[:LARGEST_SHEET]:
        if "file" in row:
            try:
                image, space = read_picture(output / row["file"])
            except PictureError:
                continue
            words = (f"{address.rpartition('.')[2]} {value}" for address, value in row["values"].items())
            tiles.append((", ".join(words), image, space))
    if tiles:
        last = [list(row["values"].values())[-1] for row in rows]
        across = len(set(last))  # the values that vary fastest make a row
        contact_sheet(output / SHEET, tiles, across if 1 < across <= WIDEST else None)
    if len(rows) > LARGEST_SHEET:
        note(f"{SHEET} shows the first {LARGEST_SHEET} of {len(rows)}")
