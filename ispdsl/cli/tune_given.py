"""What `ispdsl tune` is asked for: tasks, raws with their references, who searches, and where the answer goes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ispdsl.cli.beforehand import check_output
from ispdsl.cli.boundary import CommandError, as_usage
from ispdsl.cli.collisions import SETTINGS, Use, inputs_of, inputs_of_raw, tables_of
from ispdsl.cli.console import note
from ispdsl.cli.raws import cropped, read_quietly
from ispdsl.cli.references import check_once, read_reference, reference_files, told_apart
from ispdsl.diagnostics import nearest
from ispdsl.render.characters import clean

if TYPE_CHECKING:
    from ispdsl.cli.means import Means
    from ispdsl.graph import Graph
    from ispdsl.optimise.free import Free
    from ispdsl.optimise.tasks.task import Picture, Task
    from ispdsl.runtime.frame import Frame
    from ispdsl.runtime.values import Settings

Place = tuple[int, int, int, int]


class Metric(StrEnum):
    """How far a picture is from its reference."""

    PSNR = "psnr"
    L1 = "l1"
    CHARBONNIER = "charbonnier"
    GRADIENT = "gradient"
    SSIM = "ssim"
    CIEDE2000 = "ciede2000"
    FEATURES = "features"


@dataclass(frozen=True)
class Goals:
    """What is measured: tasks with their weights, and for `match` against what and how.

    `network` is a file: the weights of what looks at pictures for the metric of features.
    """

    wanted: tuple[tuple[str, float], ...]
    references: Path | None
    metric: Metric
    border: int
    network: Path | None = None

    @property
    def matching(self) -> Path | None:
        """The references, where they are needed."""
        return self.references if "match" in dict(self.wanted) else None


@dataclass(frozen=True)
class Places:
    """Where the answer goes: a preset, a sheet of the raws, a plot of the score, a report; and the calls: a ledger."""

    preset: Path | None
    sheet: Path | None
    plot: Path | None
    report: Path | None
    ledger: Path | None


@dataclass(frozen=True, eq=False)
class Data:
    """Some raws, and the references that they have."""

    names: tuple[str, ...]
    frames: tuple[Frame, ...]
    references: tuple[Picture, ...] | None


@dataclass(frozen=True, eq=False)
class Job:
    """All that a tuning is given, read and checked.

    Attributes:
        graph, chosen: the pipeline, and where the search begins.
        goals, means, places: what is measured, what renders, and where the answer goes.
        data, kept: raws that are searched on, and those that judge the answer.
        free: what is searched.
        calls, seed, sensitivity: of the real thing at most; of everything that is drawn; trajectories of Morris.
        plain: whether progress goes without colours.
    """

    graph: Graph
    chosen: Settings
    goals: Goals
    means: Means
    places: Places
    data: Data
    kept: Data
    free: Free
    calls: int
    seed: int
    sensitivity: int
    plain: bool


def goals_of(
    tasks: Sequence[str],
    references: Path | None,
    metric: Metric,
    border: int,
    network: Path | None,
    apart: bool = False,
) -> Goals:
    """What is measured, as the command line has it.

    Args:
        tasks: names with weights.
        references: for `match`.
        metric: for `match`.
        border: for `match`, px a side.
        network: for `match` by features, weights.
        apart: whether every task is a goal of its own.

    Raises:
        CommandError: there is no such task, a weight is wrong or weighs nothing, or files miss or lack their use.
    """
    goals = Goals(tuple(weights(tasks)), references, metric, border, network)
    if apart and len(tasks) < 2:
        raise CommandError("--pareto is for several goals, and there is one task", "name another with --task")
    for text in tasks if apart else ():
        name, sign, _ = text.partition("=")
        if sign:
            raise CommandError(f"--task {text}: --pareto weighs no goal against another", f"write --task {name}")
    check_references(goals.wanted, references)
    check_network(metric, network)
    return goals


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


def check_network(metric: Metric, network: Path | None) -> None:
    """See that a network's weights are given where they are needed, and only there.

    Raises:
        CommandError: they are not.
    """
    if metric is Metric.FEATURES and network is None:
        hint = "--weights FILE: the state dict of a ResNet for CIFAR (docs/vision.md)"
        raise CommandError("--metric features needs a network to look at pictures", hint)
    if metric is not Metric.FEATURES and network is not None:
        raise CommandError("--weights is for --metric features", "add --metric features, or leave it out")


def check_outputs(places: Places, resume: bool) -> None:
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
    if resume and places.ledger is None:
        raise CommandError("--resume goes on with the search of a ledger", "name it: --ledger FILE")
    if places.ledger is not None and places.ledger.exists() and not resume:
        raise CommandError(f"{places.ledger} is there already", "go on with --resume, or name another file")
    if places.ledger is not None and resume and not places.ledger.exists():
        note(f"{places.ledger} is not there: the search begins anew")


def outputs_of(places: Places, presets: Iterable[Path]) -> list[Use]:
    """All files that are written, of presets these."""
    roles = {"the picture of the raws": places.sheet, "the plot": places.plot, "the ledger": places.ledger}
    roles |= {"the report": None if places.report is None else places.report / "report.html"}
    others = [Use(role, path) for role, path in roles.items() if path is not None]
    return [*(Use(SETTINGS, path) for path in presets), *others]


def inputs_read(
    graph: Graph, file: Path | None, chosen: Settings, raws: Sequence[Path], others: Sequence[Path],
    goals: Goals, describe: Path | None, presets: Sequence[Path],
) -> list[Use]:  # fmt: skip
    """All files that are read.

    Raises:
        CommandError: a raw has no reference.
    """
    uses = [*inputs_of(graph, file), *tables_of(chosen)]
    for raw in (*raws, *others):
        uses += inputs_of_raw(raw, describe, None, presets)
    if goals.matching is not None:
        uses += [Use("a reference", path) for path in reference_files(goals.matching, [*raws, *others])]
    return uses if goals.network is None else [*uses, Use("the weights", goals.network)]


def data_of(
    raws: Sequence[Path], others: Sequence[Path], references: Path | None, part: Place | None, describe: Path | None,
    space: str,
) -> tuple[Data, Data]:  # fmt: skip
    """Raws or their parts with their references: those that are searched on, and others that judge.

    Raises:
        RawError, PictureError: a file cannot be read.
        CommandError: a raw has no reference, or one that does not fit.
    """
    files = [*raws, *others]
    frames: list[Frame] = []
    pictures: list[Picture] = []
    found = reference_files(references, files) if references is not None else []
    names = told_apart(files)
    for place, raw in enumerate(files):
        whole = read_quietly(raw, describe)
        for text in whole.notes:
            note(f"note: {clean(names[place])}: {clean(text)}")
        frames.append(cropped(whole, part) if part else whole)
        if found:
            pictures.append(read_reference(found[place], space, whole, part))

    def some(places: slice) -> Data:
        return Data(tuple(names[places]), tuple(frames[places]), tuple(pictures[places]) if found else None)

    return some(slice(len(raws))), some(slice(len(raws), None))


def free_of(chosen: Settings, data: Data, only: Sequence[str] | None, choices: bool, own: Sequence[str]) -> Free:
    """What is free, shared by all raws or each one's own.

    Raises:
        SettingsError: an address is unknown or cannot be free, a value waits for metadata, or nothing is free.
        CommandError: raws with settings of their own cannot be told apart.
    """
    from ispdsl.optimise.free import Free

    if own:
        check_once(data.names)
    begun = [chosen.resolved(frame.metadata) for frame in data.frames]
    return Free.of(begun[0], only, choices, own=own, images=list(zip(map(clean, data.names), begun, strict=True)))


def tasks_of(job: Job, data: Data) -> list[Task]:
    """What is measured on some raws, each task by itself.

    Raises:
        CommandError: a task is not defined for these pictures, or its function is not there, or not trusted.
        RunError: a file of weights is none, or is of another network.
    """
    from ispdsl.errors import CompileError
    from ispdsl.optimise.rendering import views
    from ispdsl.optimise.tasks.indicators import indicator
    from ispdsl.optimise.tasks.match import match
    from ispdsl.optimise.tasks.user import user_task
    from ispdsl.vision.resnet import load_resnet

    seen, goals = views(job.graph, data.frames, data.names), job.goals
    network = None if goals.network is None else load_resnet(goals.network)

    def one(name: str) -> Task:
        if ":" in name:
            return user_task(name, seen, job.means.trust)
        if name != "match":
            return indicator(name, seen)
        return match(data.references or (), seen, goals.metric.value, goals.border, network)

    try:
        return [one(name) for name, _ in goals.wanted]
    except ValueError as error:
        raise CommandError(str(error)) from error
    except CompileError as error:
        raise as_usage(error) from error


def summed(job: Job, data: Data) -> Task:
    """The sum of what is measured on some raws, by weight.

    Raises:
        CommandError: as of `tasks_of`.
    """
    from ispdsl.optimise.tasks.task import weighted

    return weighted(list(zip(tasks_of(job, data), (weight for _, weight in job.goals.wanted), strict=True)))


def about(job: Job, task: str, who: str) -> dict[str, Any]:
    """What must be equal for the calls of a ledger to be of use, whoever searches."""
    from ispdsl.runtime.sidecar import Sidecar

    return {
        "pipeline": job.graph.sha256,
        "backend": job.means.backend.value,
        "raws": [frame.content_hash for frame in job.data.frames],
        "task": task,
        "free": list(job.free.addresses),
        **({"per_image": list(job.free.own)} if job.free.own else {}),
        "start": dict(Sidecar.of(job.chosen).settings),
        "searcher": who,
        "calls": job.calls,
        "seed": job.seed,
    }
