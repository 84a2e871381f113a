"""Raws that no double has seen, asked of the real thing: a run of its own, which goes on where it stopped."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ispdsl.backends.blackbox import COMPOSITE, declared, declared_in, opened
from ispdsl.darkroom import mosaic_input
from ispdsl.evaluation.chains import EvaluationError
from ispdsl.executors.trust import fingerprint
from ispdsl.graph import Graph
from ispdsl.runtime.frame import Frame
from ispdsl.runtime.sidecar import Sidecar
from ispdsl.runtime.values import Settings
from ispdsl.sampling.asks import Wish, asks_of, parts_each
from ispdsl.sampling.parts import Part, parts_of
from ispdsl.sampling.recipe import Recipe
from ispdsl.sampling.sampler import Outcome, Progress, sample
from ispdsl.store.head import RawHead, RunHead
from ispdsl.store.runs import HEAD, Run, create, open_run

WHOLE = 1 << 20
"""A side that no raw has: parts are whole frames."""

Ranges = Literal["sampled", "soft", "hard"]


@dataclass(frozen=True)
class Plan:
    """How an evaluation draws its queries.

    Attributes:
        count: settings.
        ranges: those that were sampled, or the soft or hard ones of the same parameters.
        side: of a part in px; `WHOLE` for frames.
        seed: of settings and parts.
    """

    count: int = 100
    ranges: Ranges = "sampled"
    side: int = 512
    seed: int = 0


def fresh(
    run: Run,
    graph: Graph,
    raws: Mapping[str, Frame],
    plan: Plan,
    folder: Path,
    trained: Collection[str],
    *,
    jobs: int,
    trust: Sequence[str] = (),
    allow_exec: bool = False,
    start: Callable[[], object] | None = None,
    told: Callable[[Progress], None] | None = None,
) -> tuple[Run, Outcome]:
    """Ask the real thing for the queries of an evaluation, those that are not there yet.

    Args:
        run: where the doubles were trained.
        graph: its pipeline.
        raws: frames by the name of their file.
        plan: how queries are drawn.
        folder: the run directory of the queries.
        trained: names of the run's raws that were trained on.
        jobs: processes, or real things, that work side by side.
        trust: packages besides ispdsl whose programs may run.
        allow_exec: run the programs and devices that the text names.
        start: called in each worker process of the composite before anything else.
        told: called after each query.

    Raises:
        EvaluationError: a raw is one that was trained on; the real thing is another version; the folder holds other
            queries.
        UserError: as sampling.
    """
    known = {raw.sha256 for raw in run.head.raws if raw.name in trained}
    seen = [name for name, frame in raws.items() if frame.source.sha256 in known]
    if seen:
        raise EvaluationError(f"{seen[0]} was trained on", "name raws that were not, or none for those held out")
    backend = run.head.backend
    real = _real(graph, run.head, allow_exec)
    wish = _wish(run.head, plan)
    settings = Sidecar(_held(run.head)).apply(Settings.of(graph))
    parts = {
        name: parts_of(frame, name, wish.side, parts_each(wish, len(raws)), wish.seed) for name, frame in raws.items()
    }
    identity = "\n".join([real, *(fingerprint(each) for each in declared_in(graph.module))])
    asks = asks_of(graph, parts, settings, wish, backend, identity)
    head = _head(run.head, graph, raws, parts, {**asks.design, "held": _held(run.head)}, len(asks.asks), plan.seed)
    into = _opened(folder, replace_watched(head, asks.watched), real)
    recipe = Recipe(graph, settings, wish.taps, asks.border, backend, tuple(trust), allow_exec)
    return into, sample(into, recipe, asks.asks, jobs=jobs, start=start, told=told)


def replace_watched(head: RunHead, watched: tuple[str, ...]) -> RunHead:
    """The head with the names of what is kept."""
    return head.model_copy(update={"watched": watched})


def _wish(head: RunHead, plan: Plan) -> Wish:
    """What was varied when the doubles' samples were made, over the ranges of then or the declared ones."""
    design = head.design
    varied, vary, taps = design.get("varied"), design.get("vary"), design.get("taps")
    addresses = tuple(varied) if isinstance(varied, dict) else None
    told = {name: str(text) for name, text in vary.items()} if isinstance(vary, dict) else {}
    extent = str(design.get("ranges", "soft")) if plan.ranges == "sampled" else plan.ranges
    return Wish(
        count=plan.count,
        extent="hard" if extent == "hard" else "soft",
        only=addresses,
        vary=told if plan.ranges == "sampled" else {},
        side=plan.side,
        taps=tuple(map(str, taps)) if isinstance(taps, list) else None,
        seed=plan.seed,
    )


def _held(head: RunHead) -> dict[str, Any]:
    """What was set and did not vary."""
    held = head.design.get("held")
    return dict(held) if isinstance(held, dict) else {}


def _real(graph: Graph, head: RunHead, allow_exec: bool) -> str:
    """Name and version of the real thing, which must be that of the run.

    Raises:
        EvaluationError: it is another version.
    """
    if head.backend == COMPOSITE:
        return head.real
    with opened(declared(graph), allow_exec) as executor:
        version = executor.version
    if version != head.real:
        hint = "evaluate with the version that was sampled, or sample this one"
        raise EvaluationError(f"the doubles are of {head.real}, and this is {version}", hint)
    return version


def _head(
    old: RunHead,
    graph: Graph,
    raws: Mapping[str, Frame],
    parts: Mapping[str, Sequence[Part]],
    design: dict[str, Any],
    count: int,
    seed: int,
) -> RunHead:
    types = sorted({str(part.frame.type) for own in parts.values() for part in own})
    heads = [
        RawHead(name=name, path=str(Path(frame.source.path).absolute()), sha256=frame.source.sha256, role="test")
        for name, frame in raws.items()
    ]
    return RunHead(
        pipeline=old.pipeline,
        backend=old.backend,
        real=old.real,
        types={mosaic_input(graph): " | ".join(types)},
        raws=tuple(heads),
        design=design,
        count=count,
        seed=seed,
        versions=old.versions,
    )


def _opened(folder: Path, head: RunHead, real: str) -> Run:
    """The run of the queries, made or found.

    Raises:
        EvaluationError: it holds other queries.
    """
    if not (folder / HEAD).exists():
        return create(folder, head)
    found = open_run(folder)
    same = [
        found.head.pipeline.sha256 == head.pipeline.sha256,
        found.head.real == real,
        found.head.design == head.design,
        [raw.sha256 for raw in found.head.raws] == [raw.sha256 for raw in head.raws],
    ]
    if not all(same):
        raise EvaluationError(f"{folder} holds other queries", "name another folder with --output")
    return found


def name_of(plan: Plan, raws: Mapping[str, Frame]) -> str:
    """A name for an evaluation that is the same for the same queries: ``sampled-100-0-1a2b3c``."""
    words = [f"{plan}", *sorted(frame.source.sha256 for frame in raws.values())]
    digest = hashlib.sha256("\n".join(words).encode()).hexdigest()
    return f"{plan.ranges}-{plan.count}-{plan.seed}-{digest[:6]}"
