"""Fine-tuning: all doubles of a pipeline in a row, on what its taps and outputs really were.

Each double was trained on the real input of its stage, and is given the output of the double before it: errors add up.
A short training through all of them brought 1 to 1.4 dB in 18 s.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ispdsl.backends.composite import Composite, compile
from ispdsl.backends.vector import tensors
from ispdsl.ir.types import Type
from ispdsl.passes.segments import watched
from ispdsl.passes.select import match
from ispdsl.proxies.codec import code_range
from ispdsl.proxies.double import Double
from ispdsl.runtime.sidecar import Sidecar
from ispdsl.runtime.values import Settings
from ispdsl.store.runs import get, rows
from ispdsl.store.sample import Sample
from ispdsl.training import data
from ispdsl.training.budget import REPLANS, Pace, due, rate_at
from ispdsl.training.data import TrainingError, seeded
from ispdsl.training.examples import Roles
from ispdsl.training.looks import Look, look_of, shown, weighed
from ispdsl.training.loop import Told, psnr
from ispdsl.training.stages import Ground

NAME = "chain"
RATE = 3e-4
HELD_OUT = 12
EVALUATIONS = 6
TIMED = 5
MOST_SAMPLES = 400
READING = 0.25
"""The part of the time after which no more samples are read."""
OUTPUT_WEIGHT = 2.0
"""How much an output counts, when a tap counts 1."""


@dataclass(frozen=True, eq=False)
class Query:
    """One call of the whole pipeline, ready for a composite."""

    inputs: Mapping[str, Tensor]
    settings: Mapping[str, Any]
    metadata: Mapping[str, Any]
    targets: Mapping[str, Tensor]
    type: str


@dataclass(frozen=True)
class Tuned:
    """What fine-tuning did: held-out PSNR of the pipeline's outputs before and after, in dB, and how long it took."""

    before: float
    after: float
    steps: int
    seconds: float


def fine_tune(
    ground: Ground,
    doubles: Mapping[str, Double],
    roles: Roles,
    *,
    seed: int,
    seconds: float | None = None,
    steps: int | None = None,
    threads: int = 1,
    told: Callable[[Told], None] | None = None,
) -> Tuned:
    """Train all doubles together; they keep their weights where that makes the chain no better on held-out raws.

    Args:
        ground: the run.
        doubles: by address; other calls stay programs.
        roles: which raw is for what.
        seed: of what is drawn.
        seconds: how long, or
        steps: how many steps.
        threads: of torch.
        told: called after each step.

    Raises:
        TrainingError: there is no sample with an image of every value that is watched, or the loss diverges.
        PlanError, CompileError: the doubles do not fit, or a call that stays a program has none.
    """
    begun = time.monotonic()
    known = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        until = math.inf if seconds is None else begun + READING * seconds
        training, held = _queries(ground, roles, seed, until)
        chain = _Chain(ground, doubles, {query.type for query in (*training, *held)})
        before = chain.score(held)
        kept = {address: _state(double) for address, double in doubles.items()}
        left = None if seconds is None else seconds - (time.monotonic() - begun)
        done, best, best_score = _descend(chain, training, held, seed, left, steps, told)
        better = not held or best_score > before
        for address, double in doubles.items():
            double.load_state_dict((best if better else kept)[address])
            double.eval().requires_grad_(requires_grad=False)
        return Tuned(before, best_score if better else before, done, time.monotonic() - begun)
    finally:
        torch.set_num_threads(known)


class _Chain:
    """The composite of the doubles, for each CFA, and how its results are weighed."""

    def __init__(self, ground: Ground, doubles: Mapping[str, Double], types: set[str]) -> None:
        self.doubles = doubles
        mosaics = [port.name for port in ground.flat.inputs if port.type.name == "raw"]
        self._composites: dict[str, Composite] = {}
        for text in types:
            variables = match(ground.flat, {name: Type.parse(text) for name in mosaics})
            made = compile(ground.flat, types=variables, doubles=dict(doubles), trust=ground.trust)
            self._composites[text] = made
        graph = next(iter(self._composites.values())).plan.graph
        seen = {name: value for name, value in watched(graph).items() if value.node is not None}
        self._outputs = {name: value for name, value in seen.items() if value in graph.results.values()}
        self._peaks = {name: float(code_range(graph.type_of(value)) or 1) for name, value in seen.items()}
        self._looks: dict[str, Look] = {name: look_of(graph.type_of(value)) for name, value in seen.items()}
        reach = (double.radius for double in doubles.values())
        self._margin = sum(8 if radius is None else radius for radius in reach)

    def parameters(self) -> list[Tensor]:
        """All weights."""
        return [weight for double in self.doubles.values() for weight in double.parameters()]

    def run(self, query: Query) -> dict[str, Tensor]:
        """Watched values by name."""
        composite = self._composites[query.type]
        made = composite(query.inputs, query.settings, query.metadata)
        found = {**made.outputs, **made.taps}
        return {name: found[name] for name in self._peaks if name in found and name in query.targets}

    def loss(self, query: Query) -> Tensor:
        """Mean squared difference over watched values, as it counts, without the border."""
        losses: list[Tensor] = []
        weights: list[float] = []
        for name, found in self.run(query).items():
            given, wanted = (self._inner(image) / self._peaks[name] for image in (found, query.targets[name]))
            one, other = weighed(given, wanted, self._looks[name])
            losses.append((one - other).square().mean())
            weights.append(OUTPUT_WEIGHT if name in self._outputs else 1.0)
        return (torch.stack(losses) * torch.tensor(weights)).sum() / sum(weights)

    @torch.no_grad()
    def score(self, queries: Sequence[Query]) -> float:
        """Mean PSNR of the outputs, without the border; NaN without queries."""
        scores: list[float] = []
        for query in queries:
            for name, found in self.run(query).items():
                if name in self._outputs:
                    both = (self._inner(image) / self._peaks[name] for image in (found, query.targets[name]))
                    one, other = (shown(image, self._looks[name]) for image in both)
                    scores.append(psnr(float((one - other).square().mean())))
        return sum(scores) / len(scores) if scores else math.nan

    def _inner(self, image: Tensor) -> Tensor:
        return data.inside(image, data.inner_margin(min(image.shape[-2:]), self._margin))


def _descend(
    chain: _Chain,
    training: Sequence[Query],
    held: Sequence[Query],
    seed: int,
    seconds: float | None,
    steps: int | None,
    told: Callable[[Told], None] | None,
) -> tuple[int, dict[str, dict[str, Tensor]], float]:
    """Steps done, and the best weights by address with their score."""
    for double in chain.doubles.values():
        double.train().requires_grad_(requires_grad=True)
    optimiser = torch.optim.Adam(chain.parameters(), lr=RATE, fused=True)
    pace = Pace.of_steps(steps) if steps is not None else Pace.unknown()
    best, best_score, step, begun = _states(chain), -math.inf, 0, time.monotonic()
    marks = [part / EVALUATIONS for part in range(1, EVALUATIONS + 1)]
    while pace.at(step) < 1.0:
        spent = time.monotonic() - begun
        if seconds is not None and step and (step == TIMED or due(pace, step, REPLANS) or spent > seconds):
            pace = pace.replanned(step, seconds - spent, spent / step)
        chosen = int(torch.randint(len(training), (1,), generator=seeded(seed, NAME, step)))
        for group in optimiser.param_groups:
            group["lr"] = rate_at(pace, step, RATE)
        optimiser.zero_grad(set_to_none=True)
        loss = chain.loss(training[chosen])
        loss.backward()
        optimiser.step()
        step += 1
        if due(pace, step, marks):
            if not math.isfinite(float(loss.detach())):
                raise TrainingError(f"the loss of the chain is {float(loss.detach())}", "leave --fine-tune out")
            score = chain.score(held)
            if not held or score > best_score:
                best, best_score = _states(chain), score
        if told is not None:
            left = (pace.ends() - step) * (time.monotonic() - begun) / step
            shown = best_score if math.isfinite(best_score) else None
            told(Told(NAME, step, pace.ends(), float(loss.detach()), shown, left, pace.at(step) >= 1.0))
    return step, best, best_score


def _states(chain: _Chain) -> dict[str, dict[str, Tensor]]:
    return {address: _state(double) for address, double in chain.doubles.items()}


def _state(double: Double) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in double.state_dict().items()}


# ---- queries -------------------------------------------------------------------------------------------------


def _queries(ground: Ground, roles: Roles, seed: int, until: float) -> tuple[list[Query], list[Query]]:
    """Calls of the whole pipeline: to train on, small ones, and held-out ones."""
    names = set(watched(ground.collapsed))
    every = rows(ground.run)
    order = torch.randperm(len(every), generator=seeded(seed, NAME, -1)).tolist()
    training: list[Query] = []
    held: list[Query] = []
    for index in order:
        if len(training) >= MOST_SAMPLES and len(held) >= HELD_OUT:
            break
        if training and held and time.monotonic() > until:
            break
        sample = get(ground.run, every[index].blob)
        if sample.raw in roles.unused or sample.extra.get("chart") or not names <= sample.images.keys():
            continue
        if sample.raw in roles.held_out:
            if len(held) < HELD_OUT:
                held.append(_query(ground, sample, names))
        elif len(training) < MOST_SAMPLES:
            training.append(_query(ground, sample, names))
    if not training:
        hint = "sample the whole pipeline, without --per-stage, or leave --fine-tune out"
        raise TrainingError(f"no sample of {ground.run.path} has all watched values", hint)
    return training, held


def _query(ground: Ground, sample: Sample, names: set[str]) -> Query:
    """A sample as a composite takes it. It is taken whole: statistics are those of all of it."""
    graph = ground.collapsed
    known = {slot.address for slot in graph.slots if slot.drives and not slot.fixed and not slot.structural}
    written = {name: value for name, value in sample.settings.items() if name in known}
    settings = Sidecar(written).apply(Settings.of(graph)).resolved(sample.metadata)
    images = {name: torch.from_numpy(np.ascontiguousarray(sample.images[name])) for name in names}
    ports = {port.name for port in graph.inputs}
    return Query(
        {name: image for name, image in images.items() if name in ports},
        {name: value for name, value in tensors(settings).items() if name in known},
        {
            name: value if isinstance(value, str) else torch.from_numpy(np.asarray(value, dtype=np.float32))
            for name, value in sample.metadata.items()
        },
        {name: image for name, image in images.items() if name not in ports},
        sample.type,
    )
