"""`ispdsl verify`: does every stage do what its contract says?"""

from __future__ import annotations

import json
import os
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ispdsl.cli.boundary import CommandError, ExitCode, guarded
from ispdsl.cli.console import emit, note
from ispdsl.cli.doctor import ispdsl_version
from ispdsl.cli.files import isp_files, named_or_shipped, require_file
from ispdsl.cli.options import AllowExec, DoublesOption, Json, complete_file
from ispdsl.cli.progress import progress
from ispdsl.diagnostics import nearest

if TYPE_CHECKING:
    from ispdsl.contracts.engine import Task, Verdict
    from ispdsl.contracts.parallel import Order

FOLDER = "counterexamples"
KINDS = ("program", "proxy", "executor")


@guarded
def verify(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE",
            help="Files, folders to search for .isp files, or shipped pipelines by name; default: here.",
            autocompletion=complete_file,
        ),
    ] = None,
    stage: Annotated[str | None, typer.Option(metavar="NAME", help="Only this stage or pipeline.")] = None,
    properties: Annotated[
        list[str] | None, typer.Option("--property", metavar="NAME", help="Only this property. May be repeated.")
    ] = None,
    impl: Annotated[
        str | None,
        typer.Option("--impl", metavar="KIND", help="Only program, proxy or executor; default: all but executors."),
    ] = None,
    examples: Annotated[int, typer.Option(metavar="N", min=1, help="Legal calls tried for each property.")] = 100,
    seed: Annotated[int, typer.Option(metavar="S", min=0, help="The same seed tries the same calls.")] = 0,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", metavar="N", min=1, help="Processes; default: one a core, fewer for little work."),
    ] = None,
    trust: Annotated[
        list[str] | None,
        typer.Option("--trust", metavar="PACKAGE", help="Let programs of this package run. May be repeated."),
    ] = None,
    save: Annotated[Path, typer.Option("--save", metavar="FOLDER", help="Where counterexamples are kept.")] = Path(
        FOLDER
    ),
    allow_exec: AllowExec = False,
    doubles: DoublesOption = None,
    as_json: Json = False,
) -> None:
    """Test every property of every stage on every implementation, and show the smallest call that breaks one."""
    from ispdsl.contracts.counterexample import report
    from ispdsl.contracts.parallel import Order, ProcessEndedError, verdicts

    if impl is not None and impl not in KINDS:
        raise CommandError(f"there is no implementation {impl}", f"it is one of {', '.join(KINDS)}")
    paths = _sources([named_or_shipped(path) for path in files or [Path()]], save)
    for path in paths:
        require_file(path)
    order = Order(paths, stage, tuple(properties or ()), impl, tuple(trust or ()), examples, seed, allow_exec, doubles)
    todo = order.tasks()
    _demand_something(order, todo)
    found: dict[int, Verdict] = {}
    try:
        with (
            progress() as step,
            closing(verdicts(order, todo, jobs or _processes(len(todo) * examples))) as arriving,
        ):
            for number, verdict in arriving:
                found[number] = verdict
                step(len(found), len(todo), todo[number].title)
                if verdict.outcome != "holds" and not as_json:
                    emit(f"{report(verdict, save)}\n")
    except ProcessEndedError as error:
        raise CommandError(error.message, error.hint, ExitCode.EXECUTOR) from error
    listed = [found[number] for number in sorted(found)]
    if as_json:
        emit(json.dumps(_document(order, listed, save), indent=2))
    else:
        _conclude(order, listed)
    if any(verdict.outcome != "holds" for verdict in listed):
        raise typer.Exit(ExitCode.DIAGNOSTICS)


def _sources(given: list[Path], save: Path) -> tuple[Path, ...]:
    """The files that are named, and those of the folders that are no saved counterexamples."""
    kept = save.resolve()

    def is_saved(path: Path) -> bool:
        inside = (path.relative_to(folder).parts for folder in given if path.is_relative_to(folder))
        return any(FOLDER in parts for parts in inside) or (path.name == "call.isp" and kept in path.resolve().parents)

    found = tuple(path for path in isp_files(given) if path in given or not is_saved(path))
    if not found:
        raise CommandError("there are only counterexamples here", "name one to test what it imports")
    return found


def _processes(calls: int) -> int:
    """One a core, but no more than the work pays for: each takes seconds to start."""
    return min(os.cpu_count() or 1, 1 + calls // 3000)


def _demand_something(order: Order, todo: list[Task]) -> None:
    """Refuse an order that tests nothing: it would look like success."""
    from ispdsl.contracts.checks import NAMES
    from ispdsl.contracts.parallel import named

    if order.stage is not None:
        known = named(order.paths)
        if order.stage not in known:
            near = nearest(order.stage, known)
            raise CommandError(
                f"there is no stage {order.stage} in these files", f"did you mean {near}?" if near else None
            )
    for name in order.properties:
        if name not in NAMES:
            near = nearest(name, NAMES)
            raise CommandError(f"there is no property {name}", f"did you mean {near}?" if near else None)
    if not todo:
        hint = "; ".join(_absent(order)) or "`ispdsl verify FILE` tests the stages and pipelines that a file declares"
        raise CommandError("there is nothing to test here", hint)


def _absent(order: Order) -> list[str]:
    """Implementations that cannot run here, each with the reason."""
    from ispdsl.contracts.implementations import absent
    from ispdsl.contracts.subject import subjects

    found = [each for path in order.paths for each in subjects(path, order.stage)]
    return [
        f"{each.name}: {name} is not tested, {why}"
        for each in found
        for name, why in absent(each, order.kind, order.allow_exec, order.doubles)
    ]


def _document(order: Order, found: list[Verdict], folder: Path) -> dict[str, Any]:
    """Everything as plain values."""
    import torch

    return {
        "ispdsl": ispdsl_version(),
        "torch": torch.__version__,
        "seed": order.seed,
        "examples": order.examples,
        "counts": {name: sum(v.outcome == name for v in found) for name in ("holds", "fails", "untested")},
        "not_tested": _absent(order),
        "verdicts": [_row(verdict, folder) for verdict in found],
    }


def _row(verdict: Verdict, folder: Path) -> dict[str, Any]:
    from ispdsl.contracts.counterexample import counterexample, saved

    location = verdict.line.location
    row: dict[str, Any] = {
        "stage": verdict.subject.name,
        "property": str(verdict.line),
        "file": location.file,
        "line": location.line,
        "implementation": verdict.implementation,
        "outcome": verdict.outcome,
        "examples": verdict.examples,
        "seconds": round(verdict.seconds, 3),
    }
    if verdict.reason:
        row["reason"] = verdict.reason
    if verdict.violation is not None:
        kept, place = saved(verdict, folder)
        row["counterexample"] = {**asdict(counterexample(verdict)), "folder": place if kept else None}
        if not kept:
            note(f"the counterexample of {verdict.line} is not saved: {place}")
    return row


def _conclude(order: Order, found: list[Verdict]) -> None:
    """One line that says how it went, and what was not tested at all."""
    contracts = len({verdict.subject.key for verdict in found})
    how = _outcome([verdict.outcome for verdict in found])
    emit(f"{_counted(contracts, 'contract')}, {how}, {order.examples} examples each, seed {order.seed}")
    missing = len(_absent(order))
    if missing:
        note(f"{_counted(missing, 'implementation')} not tested here (--json says which and why)")


def _outcome(outcomes: list[str]) -> str:
    """How many do not hold and of how many nothing is known, in words."""
    fails, untested = outcomes.count("fails"), outcomes.count("untested")
    every = _counted(len(outcomes), "property", "properties")
    unknown = f"{untested} {'is' if untested == 1 else 'are'} untested"
    if fails:
        return f"{fails} of {every} {'does' if fails == 1 else 'do'} not hold{f', {unknown}' if untested else ''}"
    if untested:
        return f"none of {every} fails, {unknown}"
    return f"{every} holds" if len(outcomes) == 1 else f"all {every} hold"


def _counted(number: int, noun: str, several: str | None = None) -> str:
    return f"{number} {noun if number == 1 else several or f'{noun}s'}"
