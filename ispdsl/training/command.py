"""The whole of a training: which doubles, how long each, side by side, and then all in a row."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

from ispdsl.proxies.double import load, save
from ispdsl.store.runs import Run
from ispdsl.training import checkpoint
from ispdsl.training.chain import Tuned, fine_tune
from ispdsl.training.data import TrainingError
from ispdsl.training.distributed import ALONE, Group
from ispdsl.training.examples import roles_of
from ispdsl.training.options import Job, Options, Outcome
from ispdsl.training.pool import Heard, train_all
from ispdsl.training.stages import EVERY, Ground, chosen, ground_of, network_of

WRITING_SECONDS = 1.0
"""For the doubles after fine-tuning."""


@dataclass(frozen=True)
class Training:
    """What a training came to."""

    outcomes: tuple[Outcome, ...]
    tuned: Tuned | None
    seconds: float


def jobs_of(ground: Ground, options: Options) -> list[Job]:
    """The doubles to train.

    Raises:
        TrainingError: there is no stage of a name.
        CompileError: there is no such network, or it takes other arguments.
    """
    found = chosen(ground, options.stages, options.skip, options.networks.keys() - {EVERY})
    networks = [network_of(ground, segment, options.networks, options.whole) for segment in found]
    return [
        Job(segment.address, network, member)
        for segment, network in zip(found, networks, strict=True)
        for member in range(options.ensemble)
    ]


def train_run(
    run: Run, options: Options, heard: Heard, *, begun: float | None = None, group: Group = ALONE
) -> Training:
    """Train doubles of a run.

    Args:
        run: with samples.
        options: what is asked for.
        heard: called with the news.
        begun: when the time began to run, of `time.monotonic`.
        group: the processes that train together.

    Raises:
        TrainingError: no stage of a name, no raw to train on, a process was killed, a run by stage to tune in a row.
        CompileError, PlanError: a network that there is not, or that cannot do what it should.
    """
    begun = time.monotonic() if begun is None else begun
    ground = ground_of(run, options.file, options.whole, options.trust)
    roles_of(run, options.hold_out)  # what is wrong with it is said before anything is trained
    if options.fine_tune and run.head.design.get("per_stage"):
        hint = "sample the whole pipeline, or leave --fine-tune out"
        raise TrainingError(f"{run.path} was sampled stage by stage, and doubles are tuned in a row", hint)
    jobs = jobs_of(ground, options)
    tuning = 60 * options.fine_tune
    ends = None if options.seconds is None else begun + max(options.seconds - tuning, 0.0)
    outcomes = train_all(run, jobs, options, ends, heard, group)
    tuned = None
    if tuning and group.writes and all(outcome.error is None for outcome in outcomes):
        left = tuning if options.seconds is None else begun + options.seconds - WRITING_SECONDS - time.monotonic()
        tuned = _tune(ground, options, outcomes, max(min(left, tuning), 1.0), heard)
    return Training(tuple(outcomes), tuned, time.monotonic() - begun)


def _tune(ground: Ground, options: Options, outcomes: Sequence[Outcome], seconds: float, heard: Heard) -> Tuned:
    """Fine-tune the doubles, not the further members of an ensemble, and write them anew."""
    paths = {outcome.name: outcome.path for outcome in outcomes if outcome.path is not None and "#" not in outcome.name}
    doubles = {name: load(path) for name, path in paths.items()}
    roles = roles_of(ground.run, options.hold_out)
    threads = max(min(options.jobs, os.cpu_count() or 1), 1)
    tuned = fine_tune(ground, doubles, roles, seed=options.seed, seconds=seconds, threads=threads, told=heard)
    for name, double in doubles.items():
        path = paths[name]
        about = {"before": round(tuned.before, 3), "after": round(tuned.after, 3), "steps": tuned.steps}
        training = {**double.card.training, "fine_tuned": {**about, "seconds": round(tuned.seconds, 2)}}
        double.card = double.card.model_copy(update={"training": training})
        save(double, path)
        card = json.dumps(double.card.model_dump(mode="json"), indent=2) + "\n"
        checkpoint.write_atomically(path.with_suffix(".json"), card.encode())
    return tuned
