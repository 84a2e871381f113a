"""What `ispdsl tune` says of its answer: a table for people, values for programs, a preset and pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ispdsl.cli.boundary import writing
from ispdsl.render.characters import clean

if TYPE_CHECKING:
    from ispdsl.graph import Graph
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


@dataclass(frozen=True, eq=False)
class Judged:
    """What raws that were not searched on say of the answer."""

    before: float
    after: float


def applied(chosen: Settings, found: Tuned, addresses: Sequence[str]) -> Settings:
    """The settings with what was found, everything else as each raw has it."""
    return chosen.update({address: found.settings[address] for address in addresses})


def table(start: Settings, addresses: Sequence[str], found: Tuned, task: Task, judged: Judged | None, real: str) -> str:
    """Every free setting before and after, and the scores."""
    from ispdsl.optimise.free import written

    rows = [("", "start", "found")]
    for address in addresses:
        unit = start.slot(address).unit
        rows.append((address, written(start[address], unit), written(found.settings[address], unit)))
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
    return "\n".join((*lines, f"it ended as {found.found.why}"))


def values(
    graph: Graph, data: Data, found: Tuned, task: Task, judged: Judged | None, real: str, who: str, method: Method
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
    }


def write(
    output: Path | None,
    sheet: Path | None,
    plot: Path | None,
    graph: Graph,
    data: Data,
    found: Tuned,
    task: Task,
) -> None:
    """Write the preset and the pictures that were asked for.

    Raises:
        CommandError, PictureError: a file cannot be written.
    """
    from ispdsl.optimise.drawings import draw_convergence, draw_pictures
    from ispdsl.runtime.sidecar import Sidecar, save

    if output is not None:
        with writing(output):
            save(Sidecar.of(found.settings), output)
    if sheet is not None:
        draw_pictures(sheet, found, data.names, graph.outputs[0].type, data.references)
    if plot is not None:
        draw_convergence(plot, found, task, believed=found.believed is not None)
