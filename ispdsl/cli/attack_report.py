"""What `ispdsl attack` says: a table for people, values for programs, a picture of every raw."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ispdsl.cli.tuned import aligned
from ispdsl.render.characters import clean

if TYPE_CHECKING:
    from ispdsl.cli.attack import Job
    from ispdsl.graph import Graph
    from ispdsl.learned.attacked import Case, Seen

MOST_RAWS = 24
"""On the sheet."""


def _class(number: int, classes: Sequence[str]) -> str:
    return classes[number] if number < len(classes) else str(number)


def table(job: Job, cases: Sequence[Case], classes: Sequence[str]) -> str:
    """For every raw and setting what is told of it, as it was and as it is now."""
    from ispdsl.learned.attacked import succeeded, wrong_already

    def told(seen: Seen) -> str:
        return f"{_class(seen.told, classes)} {100 * seen.confidence:.1f} %"

    rows = [("", "settings", "right", "as it was", "changed")]
    for name, case in zip(job.names, cases, strict=True):
        for settings, before in case.before.items():
            row = (clean(name), clean(settings), _class(case.label, classes), told(before), told(case.after[settings]))
            rows.append(row)
    lines = aligned(rows)
    for name, case in zip(job.names, cases, strict=True):
        within = f"{case.size:.4g} of {case.bound:.4g} ({job.norm.value}, black to white)"
        lines.append(f"{clean(name)}: changed by {within}, no sample by more than {case.largest:g} codes")
    against, *others = job.settings
    spared = f" and right under {clean(others[0])}" if others else ""
    before = sum(map(wrong_already, cases))
    count = sum(succeeded(case) and not wrong_already(case) for case in cases)
    by = "the pipeline's own programs" if job.means.backend.value == "composite" else job.means.backend.value
    known = f"; {before} wrong before anything was changed" if before else ""
    lines.append(f"{count} of {len(cases)} made wrong under {clean(against)}{spared}, as rendered by {by}{known}")
    return "\n".join(lines)


def values(job: Job, cases: Sequence[Case], classes: Sequence[str]) -> dict[str, Any]:
    """The same for programs."""
    from ispdsl.learned.attacked import succeeded, wrong_already

    def told(seen: Seen) -> dict[str, Any]:
        return {"class": _class(seen.told, classes), "number": seen.told, "confidence": round(seen.confidence, 6)}

    return {
        "pipeline": job.graph.name,
        "pipeline_sha256": job.graph.sha256,
        "real_thing": job.means.backend.value,
        "against": next(iter(job.settings)),
        "sparing": list(job.settings)[1:],
        "norm": job.norm.value,
        "steps": job.steps,
        "enough": job.enough if math.isfinite(job.enough) else None,
        "raws": [
            {
                "name": name,
                "file": str(target),
                "right": case.label,
                "bound": case.bound,
                "size": case.size,
                "largest_codes": case.largest,
                "before": {settings: told(seen) for settings, seen in case.before.items()},
                "after": {settings: told(seen) for settings, seen in case.after.items()},
                "wrong_already": wrong_already(case),
                "succeeded": succeeded(case),
            }
            for name, target, case in zip(job.names, job.targets, cases, strict=True)
        ],
    }


def sheet(path: Path, graph: Graph, cases: Sequence[Case], names: Sequence[str], classes: Sequence[str]) -> None:
    """A row for every raw and setting: before, after, and the change of the raw, amplified.

    Raises:
        PictureError: the file cannot be written.
    """
    import numpy as np

    from ispdsl.comparison.sheet import amplification, coarse, shown, write_rows
    from ispdsl.runtime.contact_sheet import THUMBNAIL

    type_ = graph.outputs[0].type
    rows: list[list[tuple[str, str, Any]]] = []
    for name, case in zip(names[:MOST_RAWS], cases, strict=False):
        apart = np.abs(case.change).max(axis=0, keepdims=True) / max(case.largest, 1.0)
        factor = amplification(apart) if apart.any() else 1.0
        drawn = (coarse(apart, THUMBNAIL) * np.float32(factor)).clip(0, 1)
        change = (
            f"change, white is {case.largest / factor:.3g} codes",
            "",
            np.broadcast_to(drawn, (3, *drawn.shape[1:])),
        )
        for settings, before in case.before.items():
            sides = (("before", before), ("after", case.after[settings]))
            tiles = [
                (f"{what}, {settings}: {name}", _class(seen.told, classes), shown(seen.picture, type_, 1.0))
                for what, seen in sides
            ]
            rows.append([*tiles, change])
    write_rows(path, rows)
