"""What processes of `make reproduce-regression` run: a module that they can import."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch

import ispdsl
from benchmarks.reproduce.approximation.targets import Target, target
from benchmarks.reproduce.regression import play
from benchmarks.reproduce.regression.cases import Case
from ispdsl.optimise.real import renderer
from ispdsl.runtime.values import Settings
from ispdsl.runtime.vector import Vector

FLAT = 0.01
"""A picture whose values deviate less, of white, tells nothing (an overexposed window): the next raw is taken."""


def ask(
    case: Case,
    player: str,
    seed: int,
    raws: Sequence[Path],
    varied: dict[str, Any],
    doubles: Path | None,
    answers: Path,
) -> float:
    """Ask one player one question, and keep the answer; its PSNR."""
    each: Target = target(case.target)
    for raw in chain(raws[seed % len(raws) :], raws[: seed % len(raws)]):
        known = _asked(case, each, player, seed, raw, varied, doubles)
        if known is not None:
            break
    else:
        raise SystemExit(f"seed {seed}: every raw is rendered without structure; give others")
    path = place(answers, case, player, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(known), encoding="utf-8")
    return float(known["psnr"])


def _asked(
    case: Case, each: Target, player: str, seed: int, raw: Path, varied: dict[str, Any], doubles: Path | None
) -> dict[str, Any] | None:
    """The answer about a part of a raw; none where its picture is flat."""
    graph = ispdsl.build(ispdsl.load(each.pipeline))
    frame = play.part(raw, seed)
    settings = Settings.of(graph).resolved(frame.metadata)
    vector = Vector.of(settings, "unit", case.only or None)
    with renderer(graph, frame, each.backend, each.trust[1:], bool(each.allowed)) as (render, real):
        behind = play.hidden(vector, settings, varied, seed)
        picture = render(vector.from_vector(behind.tolist()))
        if picture.std() < FLAT:
            return None
        composite = play.doubled(graph, frame, doubles, each.trust[1:])
        question = play.Question(
            graph, frame, settings, vector, behind, picture, render, composite, case.calls, seed
        )  # fmt: skip
        begun = time.perf_counter()
        answer = play.PLAYERS[player](question)
        spent = time.perf_counter() - begun
        before = play.decibels((render(settings) - picture).reshape(-1))
    known = {"seed": seed, "raw": raw.name, "real": real, "free": list(vector.names), "before": before}
    return known | {"seconds": round(spent, 3), "hidden": np.round(behind, 6).tolist(), **answer}


def place(answers: Path, case: Case, player: str, seed: int) -> Path:
    """Where an answer is kept."""
    return answers / case.name / f"{player.replace(' ', '_')}-{seed}.json"


def alone() -> None:
    """One thread for each process."""
    torch.set_num_threads(1)
