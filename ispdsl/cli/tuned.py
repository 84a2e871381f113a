"""What `ispdsl tune` says of its answer: a table for people, values for programs, a preset and pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ispdsl.cli.boundary import writing
from ispdsl.cli.regress_report import numbered
from ispdsl.cli.tune_given import Job
from ispdsl.render.characters import clean

if TYPE_CHECKING:
    from ispdsl.optimise.free import Free, Part
    from ispdsl.optimise.morris import Effect
    from ispdsl.optimise.tasks.task import Task
    from ispdsl.optimise.tuning import Method, Tuned
    from ispdsl.runtime.values import Settings


@dataclass(frozen=True, eq=False)
class Judged:
    """What raws that were not searched on say of the answer."""

    before: float
    after: float


@dataclass(frozen=True, eq=False)
class Answer:
    """What was found, and how.

    Attributes:
        found: by the search.
        task: that was measured.
        judged: by raws that are held out.
        real: the name of what rendered.
        who: searched.
        method: of the search.
        effects: of each setting.
    """

    found: Tuned
    task: Task
    judged: Judged | None
    real: str
    who: str
    method: Method
    effects: Sequence[Effect]


def applied(chosen: Settings, found: Settings, free: Free) -> Settings:
    """The settings with what was found for all raws, everything else as each has it."""
    return chosen.update({address: found[address] for address in free.addresses if address not in free.own})


def rows_of(free: Free, found: Sequence[Settings]) -> list[tuple[str, str, str]]:
    """Every free setting before and after, as people read it.

    Args:
        free: with where the search began.
        found: of all raws, or of each.
    """
    from ispdsl.optimise.free import written

    def shown(part: Part, side: Sequence[Settings]) -> str:
        return written(side[part.image or 0][part.slot.address], part.slot.unit)

    begun = free.each or (free.settings,)
    return [(part.name, shown(part, begun), shown(part, found)) for part in free.parts]


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table, its columns below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def table(job: Job, answer: Answer) -> str:
    """Every free setting before and after, the scores, and how much each setting matters."""
    found, task, real = answer.found, answer.task, clean(answer.real)
    lines = aligned([("", "start", "found"), *rows_of(job.free, found.each)])
    lines.append(f"start: {task.shown(found.score_before)} as rendered by {real}")
    again = found.recommended
    if again is None:
        lines.append(f"found: {task.shown(found.score)} as rendered by {real}")
    else:
        mean = f"the mean of {len(again)} calls" if len(again) > 1 else "one call"
        lines.append(f"found: {task.shown(found.score)} as rendered by {real}, {mean} at what {answer.who} recommends")
        lines.append(f"the lowest score of all calls was {task.shown(found.found.value)}; answers do not repeat")
    if found.believed is not None:
        lines.append(f"the double took what was found to be at {task.shown(found.believed)}")
    if answer.judged is not None:
        before, after = task.shown(answer.judged.before), task.shown(answer.judged.after)
        lines.append(f"held out: {before} at the start, {after} with what was found")
    lines.append(f"it ended as {found.found.why}")
    return "\n".join([*lines, *effects_shown(answer.effects)])


def effects_shown(effects: Sequence[Effect]) -> list[str]:
    """Lines that say how much each setting matters; none where nobody asked."""
    if not effects:
        return []
    lines = [f"  {each.name}  {255 * each.size:.2f} +- {255 * each.spread:.2f}" for each in effects]
    return ["over its range each setting changes the pictures by (RMS, codes of 8 bits):", *lines]


def facts_of(job: Job, real: str, effects: Sequence[Effect]) -> dict[str, Any]:
    """What is told of every answer, for programs."""
    return {
        "pipeline": job.graph.name,
        "pipeline_sha256": job.graph.sha256,
        "raws": list(job.data.names),
        "real_thing": real,
        "seed": job.seed,
        "sensitivity": [{"name": each.name, "size": each.size, "spread": each.spread} for each in effects],
    }


def values(job: Job, answer: Answer) -> dict[str, Any]:
    """All that is known of the answer, for programs."""
    from ispdsl.runtime.sidecar import Sidecar

    found, task, judged, again = answer.found, answer.task, answer.judged, answer.found.recommended
    return facts_of(job, answer.real, answer.effects) | {
        "task": task.name,
        "searcher": answer.who,
        "mode": answer.method.mode,
        "settings": dict(Sidecar.of(found.settings).settings),
        "settings_of_each": [dict(Sidecar.of(each).settings) for each in found.each],
        "score": found.score,
        "score_before": found.score_before,
        "shown": task.shown(found.score),
        "shown_before": task.shown(found.score_before),
        "lowest": found.found.value,
        "recommended": None if again is None else again.tolist(),
        "believed": found.believed,
        "believed_before": found.believed_before,
        "held_out": None if judged is None else {"before": judged.before, "after": judged.after},
        "calls": found.calls,
        "failed": found.failed,
        "fault": found.fault,
        "believed_calls": found.believed_calls,
        "path": [value if math.isfinite(value) else None for value in found.found.path.tolist()],
        "why": found.found.why,
    }


def write(job: Job, answer: Answer) -> list[Path]:
    """Write the presets, the pictures and the report that were asked for.

    Returns:
        The presets: one, or of each raw where some settings are a raw's own.

    Raises:
        CommandError, PictureError: a file cannot be written.
    """
    from ispdsl.optimise.drawings import draw_convergence, draw_pictures
    from ispdsl.runtime.sidecar import Sidecar, save

    places, found, data = job.places, answer.found, job.data
    presets = [] if places.preset is None else numbered(places.preset, len(found.each))
    for path, each in zip(presets, found.each, strict=False):
        with writing(path):
            save(Sidecar.of(each), path)
    if places.sheet is not None:
        draw_pictures(places.sheet, found, data.names, job.graph.outputs[0].type, data.references)
    if places.plot is not None:
        draw_convergence(places.plot, found, answer.task, believed=found.believed is not None)
    if places.report is not None:
        _report(job, answer)
    return presets


def _report(job: Job, answer: Answer) -> None:
    from ispdsl.optimise.drawings import draw_pictures
    from ispdsl.optimise.report import write_report

    folder, found, task, data = job.places.report, answer.found, answer.task, job.data
    assert folder is not None, "it was asked for"
    with writing(folder):
        folder.mkdir(exist_ok=True)
    sheet = folder / "pictures.png"
    draw_pictures(sheet, found, data.names, job.graph.outputs[0].type, data.references)
    facts = {"pipeline": job.graph.name, "raws": ", ".join(data.names), "task": task.name, "searcher": answer.who}
    facts |= {"real thing": answer.real, "start": task.shown(found.score_before), "found": task.shown(found.score)}
    facts |= {} if found.recommended is None else {"lowest of all calls": task.shown(found.found.value)}
    facts |= {} if found.believed is None else {"the double believes": task.shown(found.believed)}
    facts |= {"calls": str(found.calls), "it ended as": found.found.why}
    write_report(
        folder, f"{job.graph.name}: {task.name}", {answer.who: [found.found]}, job.free.space, told=facts,
        settings=rows_of(job.free, found.each), effects=answer.effects, pictures=[("Before and after", sheet)],
        unit=task.name, shown=lambda score: task.sign * score,
    )  # fmt: skip
