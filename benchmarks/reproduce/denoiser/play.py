"""One seed: photographs, noise, and what two searches make of the denoiser's settings."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import ispdsl
from benchmarks.reproduce.denoiser.photographs import Drawn, Photograph, draw, noisy
from ispdsl.graph import Graph
from ispdsl.optimise.composite import composite
from ispdsl.optimise.free import Free, written
from ispdsl.optimise.rendering import renderer, views
from ispdsl.optimise.searchers import SEARCHERS
from ispdsl.optimise.tasks.match import match
from ispdsl.optimise.tuning import Method, Tuned, tune
from ispdsl.runtime.values import Settings

PIPELINE = Path(__file__).parent / "denoiser.isp"

OURS, RIVAL = 150, 300
"""Calls of the search by a model of pictures, and of CMA-ES."""

METHODS: Mapping[str, Method] = {
    "composite": Method(lambda asked: composite(asked.residual), calls=OURS),
    "cma-es": Method(lambda _: SEARCHERS["cma-es"], calls=RIVAL, polish=0.0),
}
"""Each as `ispdsl tune --searcher` has it; CMA-ES has all calls for itself."""


def ask(folder: Path, seed: int, name: str) -> dict[str, Any]:
    """Let one search the settings for a seed's photographs, and measure them on photographs of other raws."""
    drawn = draw(folder, seed)
    graph = ispdsl.build(ispdsl.load(str(PIPELINE)))
    start = Settings.of(graph)
    begun = time.perf_counter()
    found, program = searched(graph, drawn, METHODS[name], seed)
    spent = time.perf_counter() - begun
    return {
        "seed": seed,
        "noise": round(drawn.noise, 2),
        "tuned_on": drawn.raws[0],
        "tested_on": drawn.raws[1],
        "unseen_before": unseen(graph, drawn, start, seed),
        "calls": found.calls,
        "path": [round(-float(value), 4) for value in found.found.path],
        "settings": {address: shown(found.settings, address) for address in Free.of(start, None, True).addresses},
        "unseen": unseen(graph, drawn, found.settings, seed),
        "why": found.found.why,
        "seconds": round(spent, 1),
        "program": program,
    }


ALIKE = ("seed", "noise", "tuned_on", "tested_on", "unseen_before")
"""What the answers to one seed have in common."""


def together(answers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The answers to one seed as one.

    Raises:
        ValueError: they are of different questions.
    """
    first = next(iter(answers.values()))
    if any(each[name] != first[name] for each in answers.values() for name in ALIKE):
        raise ValueError(f"answers of seed {first['seed']} are of different photographs: give another --work")
    rest = {name: {key: each[key] for key in each if key not in ALIKE} for name, each in answers.items()}
    return {**{name: first[name] for name in ALIKE}, "players": rest}


def searched(graph: Graph, drawn: Drawn, method: Method, seed: int) -> tuple[Tuned, str]:
    """What a search finds, from the program's defaults, and which program it was."""
    frame = noisy(drawn.tuned, drawn.noise, seed)
    with renderer(graph, [frame], "command", allow_exec=True) as (render, program):
        task = match([drawn.tuned], views(graph, [frame], ["tuned on"]))
        free = Free.of(Settings.of(graph), None, choices=True)
        return tune(free, task, render, replace(method, seed=seed)), program


def unseen(graph: Graph, drawn: Drawn, settings: Settings, seed: int) -> list[float]:
    """PSNR of each photograph that is tested on, in dB."""
    frames = [noisy(photo, drawn.noise, 1000 * (seed + 1) + index) for index, photo in enumerate(drawn.tested)]
    with renderer(graph, frames, "command", allow_exec=True) as (render, _):
        return [decibels(*pair) for pair in zip(render(settings), drawn.tested, strict=True)]


def decibels(one: Photograph, other: Photograph) -> float:
    """PSNR."""
    return round(-10 * float(np.log10(np.mean(np.square(one - other), dtype=np.float64))), 4)


def shown(settings: Settings, address: str) -> str:
    """A setting as people read it."""
    return written(settings[address], settings.slot(address).unit)


def reached(path: Sequence[float], level: float) -> int | None:
    """Calls until the best so far was this good; None where it never was."""
    return next((call for call, value in enumerate(path, 1) if value >= level), None)


def kept(work: Path, folder: Path, seed: int, name: str) -> dict[str, Any]:
    """An answer that is there already, or a new one."""
    path = work / name / f"{seed}.json"
    if path.is_file():
        return json.loads(path.read_text(encoding="utf-8"))
    found = ask(folder, seed, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found), encoding="utf-8")
    return found
