"""An evaluation: every variant on every query, in processes side by side, and what it comes to."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ispdsl.evaluation.chains import EvaluationError, chain_of, domain, note_of, trained, weights
from ispdsl.evaluation.measure import Chain, Query, measure
from ispdsl.evaluation.report import Evaluated, stages
from ispdsl.evaluation.sensitivity import Sensitivity, sensitivity
from ispdsl.evaluation.trust import FEWEST, Calibration, Evidence, Trust, TrustError, check, fingerprint, fit_trust
from ispdsl.evaluation.trust_file import save, trust
from ispdsl.graph import Graph
from ispdsl.interrupts import held_back, leave_to_parent
from ispdsl.ir.types import Type
from ispdsl.store.runs import Row, Run, get, rows

DETAILED = 16
"""Queries whose taps get SSIM and CIEDE2000 as well; the first output of every query does."""

Told = Callable[[int, int, str], None]
"""Called with the number of queries done, their number, and the variant."""


@dataclass(frozen=True)
class Job:
    """What a worker has to know of a variant; it can be sent to other processes."""

    run: Run
    graph: Graph = field(repr=False)
    doubles: Path
    packages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Task:
    """One query: its number, its place in the run's ledger, and the type of its frame."""

    number: int
    blob: str
    type: str
    detailed: bool


def tasks(source: Run, only: Iterable[str] | None = None) -> list[Task]:
    """The queries that a run holds.

    Args:
        source: samples with all watched values.
        only: names of raws; None for all.

    Raises:
        EvaluationError: there are none.
    """
    wanted = None if only is None else set(only)
    kept: list[tuple[Row, dict[str, Any]]] = []
    parts_only = 0
    for line in rows(source):
        note = note_of(source, line)
        extra = note.get("extra") or {}
        if wanted is not None and note.get("raw") not in wanted:
            continue
        if extra.get("chart") or extra.get("stage") is not None:
            parts_only += 1
            continue
        kept.append((line, note))
    if not kept:
        if parts_only:
            raise EvaluationError(
                f"{source.path} was sampled stage by stage, which says nothing of the chain",
                "name raws to evaluate on: `ispdsl evaluate RUN RAW...`",
            )
        raise EvaluationError(f"{source.path} has no held-out samples", "name raws that the doubles have not seen")
    step = -(-len(kept) // DETAILED)
    return [
        Task(line.number, line.blob, str(note["type"]), index % step == 0) for index, (line, note) in enumerate(kept)
    ]


def measured(job: Job, source: Run, wanted: Sequence[Task], jobs: int, told: Told | None = None) -> list[Query]:
    """Every query of one variant, in order.

    Args:
        job: the variant.
        source: the run with the samples.
        wanted: the queries.
        jobs: processes of one thread each; with 1 it is done in this one.
        told: called after each query.

    Raises:
        UserError: as `measure`, and as compiling the doubles.
    """
    name = job.doubles.name
    work = partial(_measured, job, source)
    if jobs == 1:
        found: list[Query] = []
        for task in wanted:
            found.append(work(task))
            if told is not None:
                told(len(found), len(wanted), name)
        return found
    done: dict[int, Query] = {}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(wanted)), context, _begin) as pool:
        try:
            with held_back():  # submitting starts the processes
                futures = [pool.submit(work, task) for task in wanted]
            for future in as_completed(futures):
                query = future.result()
                done[query.number] = query
                if told is not None:
                    told(len(done), len(wanted), name)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [done[task.number] for task in wanted]


def _begin() -> None:
    leave_to_parent()
    torch.set_num_threads(1)


_CHAINS: dict[tuple[Path, str], Chain] = {}
"""Of this process, by folder of doubles and type of the frame: compiling takes longer than a query."""


def chain_for(job: Job, type_: str) -> Chain:
    """The chain of a variant for frames of a type, made once a process."""
    key = (job.doubles.resolve(), type_)
    if key not in _CHAINS:
        _CHAINS[key] = chain_of(job.graph, job.doubles, Type.parse(type_), job.packages)
    return _CHAINS[key]


def forget() -> None:
    """Drop what `chain_for` has made: the doubles may have been trained anew."""
    _CHAINS.clear()


def _measured(job: Job, source: Run, task: Task) -> Query:
    return measure(chain_for(job, task.type), get(source, task.blob), task.number, task.detailed)


def evidence(chain: Chain, queries: Sequence[Query]) -> list[Evidence]:
    """What a trust figure is fitted to."""
    return [
        Evidence(query.values, query.image, query.watched, query.chain[chain.main].psnr, query.spread)
        for query in queries
        if chain.main in query.chain
    ]


def evaluated(job: Job, chain: Chain, queries: Sequence[Query], refit: bool = True) -> tuple[Evaluated, Trust | None]:
    """What the queries of one variant come to; its trust figure is checked on them, fitted to them and kept.

    Args:
        job: the variant.
        chain: of it, for any of the frames.
        queries: measured.
        refit: keep the trust figure beside the doubles.

    Raises:
        UserError: the trust figure cannot be written.
    """
    known = [line for line in map(partial(note_of, job.run), rows(job.run)) if not _is_chart(line)]
    seen = trained(job.run, [chain])
    whole = domain(job.run, job.graph, chain, [line["settings"] for line in known if line["raw"] in seen])
    found = evidence(chain, queries)
    before = _before(job.doubles, found)
    fitted = replace(fit_trust(found, whole), doubles=chain.hashes) if len(found) >= FEWEST else None
    if fitted is not None and refit:
        save(fitted, job.doubles)
    psnr = [query.chain[chain.main].psnr for query in queries]
    sensitivities = sensitivity(whole.knobs, [query.values for query in queries], psnr)
    calibration = fitted.calibration if fitted else {}
    table = stages(chain, weights(chain), queries)
    alone = _own(chain, queries)
    return Evaluated(job.doubles.name, table, chain.main, queries, sensitivities, alone, calibration, before), fitted


def _own(chain: Chain, queries: Sequence[Query]) -> dict[str, tuple[Sensitivity, ...]]:
    """The error of each double against its own parameters, by watched value."""
    found: dict[str, tuple[Sensitivity, ...]] = {}
    for card in chain.cards.values():
        knobs = [knob for knob in card.task.knobs if all(knob.address in query.values for query in queries)]
        for name in card.watched[1]:
            kept = [query for query in queries if name in query.own]
            if knobs and kept:
                psnr = [query.own[name].psnr for query in kept]
                found[name] = sensitivity(knobs, [query.values for query in kept], psnr)
    return found


def _is_chart(note: Mapping[str, Any]) -> bool:
    return bool((note.get("extra") or {}).get("chart"))


def _before(doubles: Path, found: Sequence[Evidence]) -> Mapping[str, Calibration]:
    """How good the trust figure that is there already is on settings that it was not fitted to.

    Nothing where there is none, or it is of other parameters.
    """
    try:
        old = trust(doubles)
        new = [each for each in found if fingerprint(old.domain.knobs, each.settings) not in old.fitted]
        return check(old, new) if len(new) >= FEWEST else {}
    except (TrustError, KeyError, ValueError):
        return {}
