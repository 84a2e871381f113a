"""Several goals of `ispdsl tune --pareto`: the front of what nothing beats, as a table, values, presets, pictures."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ispdsl.cli.boundary import CommandError, ExitCode, writing
from ispdsl.cli.console import note
from ispdsl.cli.progress import progress
from ispdsl.cli.tune_given import Job, tasks_of
from ispdsl.cli.tune_search import as_command, booked, effects_of, opened
from ispdsl.cli.tuned import aligned, applied, effects_shown, facts_of
from ispdsl.render.characters import clean

if TYPE_CHECKING:
    from ispdsl.optimise.goals import Traded
    from ispdsl.optimise.morris import Effect
    from ispdsl.optimise.rendering import Render
    from ispdsl.optimise.tasks.task import Task
    from ispdsl.runtime.values import Settings

WIDTH = 110
"""Characters of a line of the table; further columns go below."""

Scores = tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Fronted:
    """What was found, and how.

    Attributes:
        found: by the search.
        tasks: the goals.
        judged: by raws that are held out: the goals at the start, and at each point of the front; None without them.
        real: the name of what rendered.
        effects: of each setting.
    """

    found: Traded
    tasks: Sequence[Task]
    judged: tuple[Scores, ...] | None
    real: str
    effects: Sequence[Effect]


def check_alone(given: dict[str, bool]) -> None:
    """See that nothing is asked for that is of a search for one goal.

    Args:
        given: options, and whether they are given.

    Raises:
        CommandError: something is.
    """
    for option in (name for name, there in given.items() if there):
        hint = "leave it out; -o writes a preset of each point, and `ispdsl run --preset` renders it"
        raise CommandError(f"{option} is for one answer, and --pareto finds a front of them by NSGA-II", hint)


def presets_of(preset: Path, count: int) -> list[Path]:
    """Where the points of a front go: ``look.1.json``, ``look.2.json`` ... for ``look.json``."""
    return [preset.with_suffix(f".{number}{preset.suffix}") for number in range(1, count + 1)]


def search_front(job: Job) -> Fronted:
    """Search for the front, and judge it.

    Raises:
        CommandError: nothing could be measured, or the tasks do not fit what is rendered.
    """
    from ispdsl.optimise.goals import NAME, trade

    with redirect_stdout(sys.stderr), ExitStack() as stack:  # what a program prints is no result of ours
        real, version = stack.enter_context(opened(job, job.data))
        tasks = tasks_of(job, job.data)
        names = " and ".join(task.name for task in tasks)
        book = stack.enter_context(booked(job, names, NAME, {}))
        with progress(job.plain) as bar, as_command():
            found = trade(
                job.free, tasks, real, calls=job.calls, seed=job.seed, ledger=book,
                told=lambda call, count: bar(call, job.calls, f"{count} on the front"),
            )  # fmt: skip
        if not found.settings:
            hint = "try the tasks on one picture by hand, or begin elsewhere with --set"
            raise CommandError(f"{names}: nothing that was tried could be measured", hint, ExitCode.EXECUTOR)
        effects = effects_of(job, real)
        judged = None
        if job.kept.frames:
            shot = stack.enter_context(opened(job, job.kept))[0]
            judged = _judged(job, shot, found)
    return Fronted(found, tasks, judged, version or "the pipeline's own programs", effects)


def _judged(job: Job, shot: Render, found: Traded) -> tuple[Scores, ...]:
    """The goals on the raws that are held out, at the start and at each point of the front."""
    tasks = tasks_of(job, job.kept)
    each = [job.chosen, *(applied(job.chosen, one, job.free) for one in found.settings)]
    made = (shot(settings) for settings in each)
    return tuple(tuple(task.measure(pictures) for task in tasks) for pictures in made)


# ---- what is said ------------------------------------------------------------------------------------------


def columns(job: Job, front: Fronted) -> list[list[str]]:
    """The front by columns, each with its head: numbers, goals, goals of raws that are held out, settings.

    The first row is the start.
    """
    from ispdsl.optimise.free import written

    found, begin = front.found, job.free.settings
    scores = [found.start.scores, *(each.scores for each in found.front.best)]
    settings: list[Settings] = [begin, *found.settings]
    shown = [["", "start", *map(str, range(1, len(settings)))]]
    for place, task in enumerate(front.tasks):
        shown.append([task.name, *(task.shown(each[place]) for each in scores)])
    for place, task in enumerate(front.tasks if front.judged is not None else ()):
        shown.append([f"held out: {task.name}", *(task.shown(each[place]) for each in front.judged or ())])
    for address in job.free.addresses:
        unit = begin.slot(address).unit
        shown.append([address, *(written(each[address], unit) for each in settings)])
    return shown


def table(job: Job, front: Fronted) -> str:
    """The front for people: a row for each point, with further columns below where a line would be too long."""
    first, *others = columns(job, front)
    lines: list[str] = []
    block, width = [first], max(map(len, first))
    for column in others:
        if len(block) > 1 and width + 2 + max(map(len, column)) > WIDTH:
            lines += [*aligned(list(zip(*block, strict=True))), ""]
            block, width = [first], max(map(len, first))
        block.append(column)
        width += 2 + max(map(len, column))
    lines += aligned(list(zip(*block, strict=True)))
    lines.append(f"nothing that was tried beats {_of(front)} in all goals, as rendered by {clean(front.real)}")
    lines.append(f"it ended as {front.found.front.why}")
    return "\n".join([*lines, *effects_shown(front.effects)])


def _of(front: Fronted) -> str:
    count = len(front.found.settings)
    return "this one" if count == 1 else f"these {count}"


def values(job: Job, front: Fronted) -> dict[str, Any]:
    """The front and all calls, for programs."""
    from ispdsl.optimise.goals import NAME
    from ispdsl.runtime.sidecar import Sidecar

    found, judged = front.found, front.judged

    def told(scores: Scores, place: int) -> dict[str, Any]:
        shown = [task.shown(each) for task, each in zip(front.tasks, scores, strict=True)]
        return {"scores": _finite(scores), "shown": shown, "held_out": judged and _finite(judged[place])}

    points = zip(found.front.best, found.settings, strict=True)
    return facts_of(job, front.real, front.effects) | {
        "goals": [task.name for task in front.tasks],
        "searcher": NAME,
        "start": told(found.start.scores, 0),
        "front": [
            {"settings": dict(Sidecar.of(settings).settings), **told(each.scores, place)}
            for place, (each, settings) in enumerate(points, 1)
        ],
        "calls": found.calls,
        "failed": found.failed,
        "fault": found.fault,
        "tried": [_finite(each.scores) for each in found.front.tried],
        "why": found.front.why,
    }


def _finite(scores: Scores) -> list[float | None]:
    return [each if abs(each) < float("inf") else None for each in scores]


def write(job: Job, front: Fronted) -> list[Path]:
    """Write presets, plot and report as they were asked for, and say what lies there from before.

    Returns:
        The presets.

    Raises:
        CommandError, PictureError: a file cannot be written.
    """
    from ispdsl.runtime.sidecar import Sidecar, save

    places, count = job.places, len(front.found.settings)
    presets = [] if places.preset is None else presets_of(places.preset, count)
    for path, settings in zip(presets, front.found.settings, strict=False):
        with writing(path):
            save(Sidecar.of(settings), path)
    if places.preset is not None and (further := presets_of(places.preset, count + 1)[-1]).exists():
        note(f"note: {clean(str(further))} and what follows are of another search")
    if places.plot is not None:
        _plot(front, places.plot, (0, 1), job.graph.name)
    if places.report is not None:
        _report(job, front, places.report)
    return presets


def _plot(front: Fronted, path: Path, goals: tuple[int, int], title: str) -> None:
    """Two of the goals against each other."""
    from ispdsl.optimise.pareto import unbeaten
    from ispdsl.optimise.plots import plot_front

    one, two = (front.tasks[goal] for goal in goals)
    scores = front.found.front.scores
    names = (f"{one.name}, {_better(one)}", f"{two.name}, {_better(two)}")
    plot_front(path, scores[:, list(goals)], unbeaten(scores), names, title, (one.sign, two.sign), 0)


def _better(task: Task) -> str:
    return "more is better" if task.sign < 0 else "less is better"


def _report(job: Job, front: Fronted, folder: Path) -> None:
    from ispdsl.optimise.goals import NAME
    from ispdsl.optimise.plots import plot_effects
    from ispdsl.optimise.report import write_page

    with writing(folder):
        folder.mkdir(exist_ok=True)
    pictures: list[tuple[str, str]] = []
    for one, two in itertools.combinations(range(len(front.tasks)), 2):
        pictures.append((f"{front.tasks[one].name} and {front.tasks[two].name}", f"front-{one + 1}-{two + 1}.png"))
        _plot(front, folder / pictures[-1][1], (one, two), "What nothing beats, and all that was tried")
    if front.effects:
        pictures.append(("Sensitivity", "effects.png"))
        plot_effects(folder / "effects.png", front.effects, "How much each setting matters")
    names = " and ".join(task.name for task in front.tasks)
    facts = {"pipeline": job.graph.name, "raws": ", ".join(job.data.names), "goals": names, "searcher": NAME}
    facts |= {"real thing": front.real, "calls": str(front.found.calls), "it ended as": front.found.front.why}
    head, *rows = zip(*columns(job, front), strict=True)
    write_page(folder, f"{job.graph.name}: {names}", facts, [("The front", head, rows)], pictures)
