"""`ispdsl runs`: what is in run directories, going on with one, tidying it up, taking its samples elsewhere."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ispdsl.cli.boundary import CommandError, ExitCode, guarded
from ispdsl.cli.console import emit, note
from ispdsl.cli.options import AllowExec, Json
from ispdsl.render.characters import clean

if TYPE_CHECKING:
    from ispdsl.store.runs import Failure, Run

Folder = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")]


@guarded
def ls(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to look; default: here.")] = Path(),
    as_json: Json = False,
) -> None:
    """List the runs in a folder and below."""
    from ispdsl.store.collect import runs_below
    from ispdsl.store.errors import StoreError
    from ispdsl.store.runs import open_run

    if not folder.is_dir():
        raise CommandError(f"{folder} is no folder", code=ExitCode.UNREADABLE)
    found: list[dict[str, Any]] = []
    for path in runs_below(folder):
        try:
            found.append(_line(open_run(path)))
        except StoreError as error:
            found.append({"path": str(path), "error": error.message})
    if as_json:
        emit(json.dumps(found, indent=2))
        return
    for each in found:
        emit(clean(f"{each['path']}  {each.get('error') or _in_words(each)}"))
    if not found:
        note(f"there is no run in {clean(str(folder))}; `ispdsl sample` makes one")


@guarded
def show(
    folder: Folder,
    check: Annotated[bool, typer.Option("--check", help="Read every sample back and name those damaged.")] = False,
    as_json: Json = False,
) -> None:
    """Show what a run is of, how far it is, what failed, how large it is, and the doubles in it."""
    from ispdsl.store.collect import damaged
    from ispdsl.store.runs import failures, open_run

    run = open_run(folder)
    told = {**_line(run), "head": run.head.model_dump(mode="json")}
    told["failures"] = _by_fault(failures(run))
    told["doubles"] = _doubles(run)
    if check:
        found = damaged(run)
        told["damaged"] = [{"key": row.key, "number": row.number, "why": why} for row, why in found]
    if as_json:
        emit(json.dumps(told, indent=2))
    else:
        for line in _page(told, run):
            emit(clean(line))
    if told.get("damaged"):
        note("`ispdsl runs gc --damaged` forgets what is damaged; `ispdsl runs resume` makes it again")
        raise typer.Exit(ExitCode.DIAGNOSTICS)


@guarded
def resume(
    folder: Folder,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", min=1, metavar="N", help="How many work at once; default: as when it was made."),
    ] = None,
    allow_exec: AllowExec = False,
    trust: Annotated[
        list[str] | None, typer.Option("--trust", metavar="PACKAGE", help="Run programs of this package as well.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Go on sampling where a run stopped, by the command that made it; what failed is tried again."""
    from ispdsl.store.runs import open_run

    context = recorded(open_run(folder))
    # what a text may start is for whoever types the command to say, not for a folder that may come from a stranger
    context.params |= {"allow_exec": allow_exec, "trust": trust or [], "as_json": as_json}
    if jobs is not None:
        context.params["jobs"] = jobs
    with context:
        context.command.invoke(context)


def recorded(run: Run) -> Any:
    """The command line that made a run, ready to be run again to go on with it. Files are found wherever one stands.

    Raises:
        CommandError: it was not made by `ispdsl sample`, or by another version of it.
    """
    from ispdsl.cli.sample import sample

    head = run.head
    if head.command[1:2] != ("sample",):
        hint = "`ispdsl sample --resume` goes on with it where the rest of the command is that of the run"
        raise CommandError(f"{run.path} was not made by `ispdsl sample`", hint)
    single = typer.Typer(add_completion=False)
    single.command("sample")(sample)
    command = typer.main.get_command(single)
    try:
        context = command.make_context("sample", list(head.command[2:]))
    except Exception as error:
        raise CommandError(f"{run.path}: this ispdsl does not know the command that made it: {error}") from error
    own = {"file": head.pipeline.file, "raws": [Path(raw.path) for raw in head.raws], "output": run.path}
    context.params |= {**own, "pipeline": head.pipeline.name, "resume": True}
    return context


@guarded
def gc(
    folder: Folder,
    forget_damaged: Annotated[
        bool, typer.Option("--damaged", help="Read every sample back, and forget those that are damaged.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Delete what was written into a run and never acknowledged, if it is older than a minute."""
    from ispdsl.store.collect import damaged
    from ispdsl.store.collect import gc as collect
    from ispdsl.store.runs import forget, open_run

    run = open_run(folder)
    forgotten = forget(run, [row.key for row, _ in damaged(run)]) if forget_damaged else 0
    gone = collect(run)
    if as_json:
        emit(json.dumps({"files": gone.files, "bytes": gone.bytes, "forgotten": forgotten}))
        return
    if forget_damaged:
        emit(f"{forgotten} damaged samples forgotten; `ispdsl runs resume` makes them again")
    emit(f"{gone.files} files deleted, {size(gone.bytes)}")


@guarded
def export(
    folder: Folder,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where the shards go.")],
    per_shard: Annotated[int, typer.Option("--per-shard", min=1, metavar="N", help="Samples in a shard at most.")] = 64,
    as_json: Json = False,
) -> None:
    """Write the samples of a run into a few large safetensors files, with an index."""
    from ispdsl.store.export import INDEX, export_shards
    from ispdsl.store.runs import open_run

    shards = export_shards(open_run(folder), output, per_shard)
    if as_json:
        emit(json.dumps({"index": str(output / INDEX), "shards": list(map(str, shards))}, indent=2))
        return
    emit(clean(str(output / INDEX)))
    note(f"{len(shards)} shards, {size(sum(path.stat().st_size for path in shards))}")


def size(count: int) -> str:
    """Bytes as people say them: ``3.2 MB``."""
    number, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if number < 1000:
            break
        number, unit = number / 1000, larger
    return f"{number:.0f} {unit}" if unit == "bytes" else f"{number:.1f} {unit}"


def _line(run: Run) -> dict[str, Any]:
    """A run in short."""
    from ispdsl.store.runs import failures, rows

    done = rows(run)
    return {
        "path": str(run.path),
        "pipeline": run.head.pipeline.name,
        "real": run.head.real or run.head.backend,
        "created": run.head.created,
        "samples": len(done),
        "count": run.head.count,
        "failed": len(failures(run)),
        "bytes": sum(row.bytes for row in done),
        "seconds": round(sum(row.seconds for row in done), 3),
    }


def _in_words(line: dict[str, Any]) -> str:
    failed = f", {line['failed']} failed" if line["failed"] else ""
    of = f" of {line['count']}" if line["count"] else ""
    return f"{line['pipeline']} by {line['real']}: {line['samples']}{of} samples{failed}, {size(line['bytes'])}"


def _by_fault(found: Iterable[Failure]) -> dict[str, dict[str, Any]]:
    """How often each fault happened, the most frequent first, and what the first one said."""
    kept = list(found)
    first = {each.fault: each.message for each in reversed(kept)}
    counted = Counter(each.fault for each in kept).most_common()
    return {fault: {"count": count, "example": first[fault]} for fault, count in counted}


def _doubles(run: Run) -> list[dict[str, Any]]:
    """The doubles in a run, by the cards beside them."""
    from pydantic import ValidationError

    from ispdsl.proxies.card import Card
    from ispdsl.store.disk import read_regular
    from ispdsl.store.errors import StoreError

    found: list[dict[str, Any]] = []
    for path in sorted((run.path / "doubles").glob("*/*.safetensors")):
        told: dict[str, Any] = {"variant": path.parent.name, "name": path.stem}
        try:
            card = Card.model_validate_json(read_regular(path.with_suffix(".json"), 1 << 24))
            told |= {"network": card.network, "error": card.error}
        except (StoreError, ValidationError) as error:
            told["why"] = str(error).splitlines()[0]
        found.append(told)
    return found


def _extent(over: object) -> str:
    """What an address was varied over: ``-4..4 ev``, or the options of a choice."""
    if not isinstance(over, dict):
        return str(over)
    if "low" in over and "high" in over:
        return f"{over['low']:g}..{over['high']:g} {over.get('unit', '')}".rstrip()
    return ", ".join(f"{name} {value}" for name, value in over.items())


def _page(told: dict[str, Any], run: Run) -> Iterable[str]:
    """What `show` prints."""
    head = run.head
    yield f"{told['path']}: {_in_words(told)}"
    yield f"  pipeline  {head.pipeline.name} of {head.pipeline.file}"
    yield f"  made      {head.created}, by {head.real or head.backend}, in {told['seconds']:.1f} s"
    plain = {**head.design, "seed": head.seed}
    yield f"  design    {', '.join(f'{name} {value}' for name, value in plain.items() if isinstance(value, str | int))}"
    varied = head.design.get("varied")
    for address, over in varied.items() if isinstance(varied, dict) else ():
        yield f"  varied    {address} {_extent(over)}"
    if head.watched:
        yield f"  watched   {', '.join(head.watched)}"
    for raw in head.raws:
        yield f"  raw       {raw.name} ({raw.role})"
    for fault, each in told["failures"].items():
        yield f"  failed    {each['count']} by {fault}: {each['example']}"
    for each in told["doubles"]:
        error = ", ".join(f"{name} {value:.4g}" for name, value in each.get("error", {}).items())
        yield f"  double    {each['name']} ({each['variant']}), {each.get('network') or each['why']}: {error}".rstrip(
            ": "
        )
    for each in told.get("damaged", ()):
        yield f"  damaged   sample {each['number']}: {each['why']}"
    if told.get("damaged") == []:
        yield "  every sample reads back"
