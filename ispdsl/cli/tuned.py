"""What `ispdsl tune` says of its answer: a table for people, values for programs, a preset and pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ispdsl.cli.boundary import writing
from ispdsl.render.characters import clean

if TYPE_CHECKING:
    from ispdsl.graph import Graph
    from ispdsl.optimise.free import Free
    from ispdsl.optimise.morris import Effect
    from ispdsl.optimise.tasks.task import Picture, Task
    from ispdsl.optimise.tuning import Method, Tuned
    from ispdsl.runtime.frame import Frame
    from ispdsl.runtime.values import Settings


@dataclass(frozen=True, eq=False)
class Data:
    """Some raws, and the references that they have."""

    names: tuple[str, ...]
    frames: tuple[Frame, ...]
    references: tuple[Picture, ...] | None


@dataclass(frozen=True)
class Places:
    """Where the answer goes: a preset, a sheet of the raws, a plot of the score, the folder of a report."""

    preset: Path | None
    sheet: Path | None
    plot: Path | None
    report: Path | None


@dataclass(frozen=True, eq=False)
class Judged:
    """What raws that were not searched on say of the answer."""

    before: float
    after: float


def applied(chosen: Settings, found: Tuned, addresses: Sequence[str]) -> Settings:
    """The settings with what was found, everything else as each raw has it."""
    return chosen.update({address: found.settings[address] for address in addresses})


def rows_of(start: Settings, addresses: Sequence[str], found: Tuned) -> list[tuple[str, str, str]]:
    """Every free setting before and after, as people read it."""
    from ispdsl.optimise.free import written

    units = {address: start.slot(address).unit for address in addresses}
    return [(each, written(start[each], units[each]), written(found.settings[each], units[each])) for each in addresses]


def table(
    start: Settings,
    addresses: Sequence[str],
    found: Tuned,
    task: Task,
    judged: Judged | None,
    real: str,
    effects: Sequence[Effect] = (),
) -> str:
    """Every free setting before and after, the scores, and how much each setting matters."""
    rows = [("", "start", "found"), *rows_of(start, addresses, found)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.append(f"start: {task.shown(found.score_before)} as rendered by {clean(real)}")
    lines.append(f"found: {task.shown(found.score)} as rendered by {clean(real)}")
    if found.believed is not None:
        lines.append(f"the double took what was found to be at {task.shown(found.believed)}")
    if judged is not None:
        lines.append(
            f"held out: {task.shown(judged.before)} at the start, {task.shown(judged.after)} with what was found"
        )
    lines.append(f"it ended as {found.found.why}")
    if effects:
        lines.append("over its range each setting changes the pictures by (RMS, codes of 8 bits):")
        lines += [f"  {each.name}  {255 * each.size:.2f} +- {255 * each.spread:.2f}" for each in effects]
    return "\n".join(lines)


def values(
    graph: Graph,
    data: Data,
    found: Tuned,
    task: Task,
    judged: Judged | None,
    real: str,
    who: str,
    method: Method,
    effects: Sequence[Effect] = (),
) -> dict[str, Any]:
    """All that is known of the answer."""
    from ispdsl.runtime.sidecar import Sidecar

    return {
        "pipeline": graph.name,
        "pipeline_sha256": graph.sha256,
        "raws": list(data.names),
        "real_thing": real,
        "task": task.name,
        "searcher": who,
        "mode": method.mode,
        "seed": method.seed,
        "settings": dict(Sidecar.of(found.settings).settings),
        "score": found.score,
        "score_before": found.score_before,
        "shown": task.shown(found.score),
        "shown_before": task.shown(found.score_before),
        "believed": found.believed,
        "believed_before": found.believed_before,
        "held_out": None if judged is None else {"before": judged.before, "after": judged.after},
        "calls": found.calls,
        "failed": found.failed,
        "believed_calls": found.believed_calls,
        "path": [value if math.isfinite(value) else None for value in found.found.path.tolist()],
        "why": found.found.why,
        "sensitivity": [{"name": each.name, "size": each.size, "spread": each.spread} for each in effects],
    }


def write(
    places: Places,
    graph: Graph,
    data: Data,
    free: Free,
    found: Tuned,
    task: Task,
    effects: Sequence[Effect],
    told: Mapping[str, str],
) -> None:
    """Write the preset, the pictures and the report that were asked for.

    Raises:
        CommandError, PictureError: a file cannot be written.
    """
    from ispdsl.optimise.drawings import draw_convergence, draw_pictures
    from ispdsl.optimise.report import write_report
    from ispdsl.runtime.sidecar import Sidecar, save

    if places.preset is not None:
        with writing(places.preset):
            save(Sidecar.of(found.settings), places.preset)
    type_ = graph.outputs[0].type
    if places.sheet is not None:
        draw_pictures(places.sheet, found, data.names, type_, data.references)
    if places.plot is not None:
        draw_convergence(places.plot, found, task, believed=found.believed is not None)
    if places.report is not None:
        with writing(places.report):
            places.report.mkdir(exist_ok=True)
        sheet = places.report / "pictures.png"
        draw_pictures(sheet, found, data.names, type_, data.references)
        facts = {"pipeline": graph.name, "raws": ", ".join(data.names), "task": task.name, **told}
        facts |= {"start": task.shown(found.score_before), "found": task.shown(found.score)}
        facts |= {} if found.believed is None else {"the double believes": task.shown(found.believed)}
        facts |= {"calls": str(found.calls), "it ended as": found.found.why}
        write_report(
            places.report, f"{graph.name}: {task.name}", {told["searcher"]: [found.found]}, free.space, told=facts,
            settings=rows_of(free.settings, free.addresses, found), effects=effects,
            pictures=[("Before and after", sheet)], unit=task.name, shown=lambda score: task.sign * score,
        )  # fmt: skip
