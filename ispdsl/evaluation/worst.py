"""The worst queries, and a typical one: as pictures, and as settings that can be rendered again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ispdsl.comparison.pair import peak_of
from ispdsl.evaluation.evaluate import Job, Task, chain_for
from ispdsl.evaluation.measure import Query, render, settings_of
from ispdsl.evaluation.pictures import Shot, sheet
from ispdsl.evaluation.report import Evaluated
from ispdsl.runtime.sidecar import Sidecar, save
from ispdsl.store.head import PipelineHead
from ispdsl.store.runs import Run, get

SHOWN = 3
"""Worst queries that are drawn, each of another raw or part where there are some."""


def worst(found: Evaluated) -> list[Query]:
    """The worst queries, the worst first."""
    return sorted(found.queries, key=lambda query: query.chain[found.main].psnr)[:SHOWN]


def typical(found: Evaluated) -> Query:
    """The query in the middle."""
    ordered = sorted(found.queries, key=lambda query: query.chain[found.main].psnr)
    return ordered[len(ordered) // 2]


def draw(path: Path, found: Evaluated, job: Job, source: Run, tasks: Sequence[Task]) -> None:
    """A page with the worst queries and a typical one: real, doubles, ten times the difference.

    Raises:
        UserError: a sample is gone, or the picture cannot be written.
    """
    blobs = {task.number: task for task in tasks}
    named = [(f"worst {place}", query) for place, query in enumerate(worst(found), 1)]
    shots: list[Shot] = []
    for name, query in [*named, ("typical", typical(found))]:
        task = blobs[query.number]
        chain, sample = chain_for(job, task.type), get(source, task.blob)
        made = render(chain, sample, settings_of(chain.graph, sample))[found.main]
        type_ = chain.types[found.main]
        psnr = query.chain[found.main].psnr
        real = np.ascontiguousarray(sample.images[found.main])
        titles = (f"{name}: {psnr:.1f} dB", _settings(found, query), query.raw)
        shots.append(Shot(titles, real, made, type_, peak_of(type_, sample.metadata)))
    sheet(path, shots)


def _settings(found: Evaluated, query: Query) -> str:
    """What the parameters that say most about the error are set to, in declared units."""
    told = [(one.address, query.settings.get(one.address)) for one in found.sensitivities[:2]]
    return ", ".join(f"{address.rpartition('.')[2]} {_short(value)}" for address, value in told)


def _short(value: object) -> str:
    """A value as the sidecar writes it, with two decimals."""
    return re.sub(r"(\.\d\d)\d+", r"\1", str(value))[:16]


def save_settings(path: Path, query: Query, pipeline: PipelineHead) -> Path:
    """Write the settings of a query as a preset; returns the path.

    Raises:
        OSError: it cannot be written.
    """
    frame = {"file": query.raw, "part": list(query.part)}
    save(Sidecar(query.settings, pipeline.name, pipeline.sha256, frame), path)
    return path
