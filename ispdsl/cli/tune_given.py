"""What `ispdsl tune` is asked for: tasks, raws with their references, who searches, and where the answer goes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ispdsl.cli.boundary import CommandError
from ispdsl.cli.collisions import SETTINGS, Use
from ispdsl.cli.console import note
from ispdsl.cli.options import Backend
from ispdsl.cli.references import read_reference, reference_files
from ispdsl.cli.run import check_output, cropped, read_quietly
from ispdsl.cli.tuned import Data, Places
from ispdsl.diagnostics import nearest
from ispdsl.render.characters import clean

if TYPE_CHECKING:
    from ispdsl.graph import Graph
    from ispdsl.optimise.tasks.task import Picture, Task
    from ispdsl.optimise.tuning import Asked, Chosen, Method
    from ispdsl.runtime.frame import Frame
    from ispdsl.runtime.values import Settings

DIFFERENCES, COORDINATES = "differences", "coordinates"
"""Searchers besides those of `ispdsl.optimise.searchers`."""


class Metric(StrEnum):
    """How far a picture is from its reference."""

    PSNR = "psnr"
    L1 = "l1"
    SSIM = "ssim"
    CIEDE2000 = "ciede2000"


def weights(tasks: Sequence[str]) -> list[tuple[str, float]]:
    """Names of tasks and their weights.

    Raises:
        CommandError: a weight is no number above 0, there is no such task, or one is named twice.
    """
    from ispdsl.optimise.tasks.indicators import INDICATORS

    found: list[tuple[str, float]] = []
    for text in tasks:
        name, sign, weight = text.partition("=")
        known = ("match", *INDICATORS)
        if ":" not in name and name not in known:
            near = nearest(name, known)
            hint = f"did you mean {near}?" if near else f"it is one of {', '.join(known)}, or module:function"
            raise CommandError(f"--task {name}: there is no such task", hint)
        try:
            number = float(weight) if sign else 1.0
        except ValueError:
            number = math.nan
        if not 0 < number < math.inf:
            raise CommandError(f"--task {text}: a weight is a number above 0", f"write --task {name}=2")
        if name in dict(found):
            raise CommandError(f"--task {name} is given twice", "give it once, with a weight")
        found.append((name, number))
    return found


def check_references(wanted: Sequence[tuple[str, float]], references: Path | None) -> None:
    """See that references are given where they are needed, and only there.

    Raises:
        CommandError: they are not.
    """
    if "match" in dict(wanted) and references is None:
        raise CommandError("--task match needs pictures to match", "--references FOLDER")
    if "match" not in dict(wanted) and references is not None:
        raise CommandError("--references is for --task match", "add --task match, or leave it out")


def check_outputs(places: Places, ledger: Path | None, resume: bool) -> None:
    """See that everything can be written before anything is rendered.

    Raises:
        CommandError: something cannot, or a ledger is there that nobody wants to go on with.
    """
    for path in (places.sheet, places.plot):
        if path is not None:
            check_output(path, None)
    if places.preset is not None and (places.preset.suffix != ".json" or not places.preset.parent.is_dir()):
        raise CommandError(f"{places.preset} cannot be a preset", "name a .json file in a folder that is there")
    if places.report is not None and (places.report.is_file() or not places.report.parent.is_dir()):
        raise CommandError(f"{places.report} cannot be the folder of a report", "name one in a folder that is there")
    if resume and ledger is None:
        raise CommandError("--resume goes on with the search of a ledger", "name it: --ledger FILE")
    if ledger is not None and ledger.exists() and not resume:
        raise CommandError(f"{ledger} is there already", "go on with --resume, or name another file")


def outputs_of(places: Places, ledger: Path | None) -> list[Use]:
    """All files that are written."""
    roles = {SETTINGS: places.preset, "the picture of the raws": places.sheet, "the plot": places.plot}
    roles |= {"the ledger": ledger, "the report": None if places.report is None else places.report / "report.html"}
    return [Use(role, path) for role, path in roles.items() if path is not None]


def data_of(
    raws: list[Path], references: Path | None, part: tuple[int, int, int, int] | None, describe: Path | None, space: str
) -> Data:
    """The raws or their parts, with their references.

    Raises:
        RawError, PictureError: a file cannot be read.
        CommandError: a raw has no reference, or one that does not fit.
    """
    frames: list[Frame] = []
    pictures: list[Picture] = []
    files = reference_files(references, raws) if references is not None and raws else []
    for place, raw in enumerate(raws):
        whole = read_quietly(raw, describe)
        for text in whole.notes:
            note(f"note: {clean(raw.name)}: {clean(text)}")
        frames.append(cropped(whole, part) if part else whole)
        if files:
            pictures.append(read_reference(files[place], space, whole, part))
    return Data(tuple(raw.name for raw in raws), tuple(frames), tuple(pictures) if files else None)


def task_of(
    graph: Graph, data: Data, wanted: Sequence[tuple[str, float]], metric: Metric, border: int, trust: Sequence[str]
) -> Task:
    """What is measured on some raws.

    Raises:
        CompileError: a function is not there, or not trusted.
        CommandError: a task is not defined for these pictures.
    """
    from ispdsl.optimise.rendering import views
    from ispdsl.optimise.tasks.indicators import indicator
    from ispdsl.optimise.tasks.match import match
    from ispdsl.optimise.tasks.task import weighted
    from ispdsl.optimise.tasks.user import user_task

    seen = views(graph, data.frames, data.names)

    def one(name: str) -> Task:
        if ":" in name:
            return user_task(name, seen, trust)
        return match(data.references or (), seen, metric.value, border) if name == "match" else indicator(name, seen)

    try:
        return weighted([(one(name), weight) for name, weight in wanted])
    except ValueError as error:
        raise CommandError(str(error)) from error


def packages_of(graph: Graph, trust: Sequence[str]) -> list[str]:
    """Of the trusted packages those that programs of the pipeline are in; the others are for tasks."""
    used = {
        each.target.partition(":")[0].partition(".")[0]
        for stage in graph.module.stages.values()
        for each in stage.signature.implementations
        if each.kind == "program"
    }
    return [package for package in trust if package in used]


def searcher_of(name: str | None, task: Task) -> tuple[str, Chosen]:
    """Who searches.

    Raises:
        CommandError: there is no such searcher, or it does not suit the task.
    """
    from ispdsl.optimise.coordinates import coordinates
    from ispdsl.optimise.differences import differences
    from ispdsl.optimise.searchers import SEARCHERS

    def by_differences(asked: Asked) -> Any:
        return differences(asked.residual)

    name = name or (DIFFERENCES if task.residual is not None else "cma-es")
    if name == DIFFERENCES:
        if task.residual is None:
            hint = f"choose one of {', '.join((COORDINATES, *SEARCHERS))}"
            raise CommandError(f"--searcher {DIFFERENCES} is for sums of squares, such as match by psnr", hint)
        return name, by_differences
    if name == COORDINATES:
        return name, lambda _: coordinates()
    if name not in SEARCHERS:
        known = (DIFFERENCES, COORDINATES, *SEARCHERS)
        near = nearest(name, known)
        hint = f"did you mean {near}?" if near else f"it is one of {', '.join(known)}"
        raise CommandError(f"--searcher {name}: there is no such searcher", hint)
    return name, lambda _: SEARCHERS[name]


def about(
    graph: Graph,
    data: Data,
    task: Task,
    addresses: Sequence[str],
    chosen: Settings,
    who: str,
    method: Method,
    backend: Backend,
) -> dict[str, Any]:
    """What must be equal for the calls of a ledger to be of use."""
    from ispdsl.runtime.sidecar import Sidecar

    return {
        "pipeline": graph.sha256,
        "backend": backend.value,
        "raws": [frame.content_hash for frame in data.frames],
        "task": task.name,
        "free": list(addresses),
        "start": dict(Sidecar.of(chosen).settings),
        "searcher": who,
        "mode": method.mode,
        "calls": method.calls,
        "believed_calls": method.believed_calls,
        "best": method.best,
        "polish": method.polish,
        "seed": method.seed,
    }
