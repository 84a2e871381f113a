"""Pictures of a tuning: the score against calls, and what the real thing made before and after."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ispdsl.comparison.sheet import amplification, coarse, shown, write_rows
from ispdsl.evaluation.plots import BLUE, DOT, FAINT, ORANGE, Axes, Sheet, ticks
from ispdsl.ir.types import Type
from ispdsl.optimise.tasks.task import Picture, Task
from ispdsl.optimise.tuning import Tuned
from ispdsl.runtime.contact_sheet import THUMBNAIL

MOST_ROWS = 24
"""Raws on the sheet of pictures."""


def draw_convergence(path: Path, found: Tuned, task: Task, believed: bool = False) -> None:
    """The score against calls of the real thing: every call a dot, the best so far a line.

    Args:
        path: any picture that `write_picture` knows.
        found: the answer.
        task: what was measured.
        believed: draw what the double believed of the answer, too.

    Raises:
        PictureError: the file cannot be written.
    """
    values = task.sign * np.array([each.value for each in found.found.evaluations])
    best = task.sign * found.found.path
    known = values[np.isfinite(values)]
    # Calls that are far off would press the others together.
    low, high = (known.min(), best.max()) if task.sign < 0 else (best.min(), known.max())
    if task.sign < 0:
        low = max(low, np.percentile(known, 10) - 0.5 * (high - np.percentile(known, 10)))
    else:
        high = min(high, np.percentile(known, 90) + 0.5 * (np.percentile(known, 90) - low))
    room = max(0.06 * (high - low), 1e-6)
    sheet = Sheet(760, 420)
    after = task.shown(found.score).removeprefix(f"{task.name} = ")
    sheet.text((20, 30), f"{task.shown(found.score_before)} to {after}", size=15)
    axes = Axes(sheet, (78, 66, 730, 370), (0.0, float(len(values))), (float(low - room), float(high + room)))
    axes.rule("", "a call of the real thing; the line is the best so far")
    for value in ticks(0, len(values)):
        sheet.text((axes.at(value, axes.y[0])[0], 388), f"{value:g}", "ms", FAINT, 11)
    sheet.text((730, 408), "calls", "rs", FAINT, 12)
    for call, value in enumerate(values, 1):
        if np.isfinite(value):
            sheet.dot(axes.at(call, float(np.clip(value, *axes.y))), DOT, 2)
    line = [axes.at(call, float(np.clip(value, *axes.y))) for call, value in enumerate(best, 1) if np.isfinite(value)]
    sheet.line([*line, axes.at(len(values), float(np.clip(best[-1], *axes.y)))], BLUE, 2)
    if believed and found.believed is not None and np.isfinite(found.believed):
        level = axes.at(0, float(np.clip(task.sign * found.believed, *axes.y)))[1]
        sheet.line([(axes.box[0], level), (axes.box[2], level)], ORANGE)
        sheet.text((axes.box[2], level - 5), "what the double believes of the answer", "rs", ORANGE, 11)
    sheet.save(path)


def draw_pictures(
    path: Path, found: Tuned, names: Sequence[str], type_: Type, references: Sequence[Picture] | None = None
) -> None:
    """A row for every raw: before, after, and the reference, or where there is none the difference of both.

    Raises:
        PictureError: the file cannot be written.
    """
    rows: list[list[tuple[str, str, Picture]]] = []
    for place, name in enumerate(names[:MOST_ROWS]):
        before, after = found.before[place], found.pictures[place]
        tiles = [
            (f"{what}: {name}", "", shown(each, type_, 1.0)) for what, each in (("before", before), ("after", after))
        ]
        if references is not None:
            third = ("reference", "", shown(references[place], type_, 1.0))
        else:
            apart = np.abs(before - after)
            factor = amplification(apart) if apart.any() else 1.0
            changed = (coarse(apart, THUMBNAIL) * np.float32(factor)).clip(0, 1)
            third = ("difference", f"x {factor:g}", np.broadcast_to(changed, (3, *changed.shape[1:])))
        rows.append([*tiles, third])
    write_rows(path, rows)
