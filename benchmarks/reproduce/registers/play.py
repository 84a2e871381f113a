"""What each seed asks, what both players answer, and what a served device makes of it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import ispdsl
from benchmarks.reproduce.approximation.doubles import beside
from benchmarks.reproduce.approximation.raws import Region, choose
from benchmarks.reproduce.approximation.targets import ROOT, target
from ispdsl.backends.blackbox import declared
from ispdsl.device.isp import picture
from ispdsl.executors import bank
from ispdsl.executors.frames import Injected
from ispdsl.graph import Graph
from ispdsl.optimise.differences import differences
from ispdsl.optimise.engine import Found, search
from ispdsl.optimise.free import Free
from ispdsl.optimise.rendering import Render, renderer
from ispdsl.optimise.searchers import SEARCHERS
from ispdsl.optimise.space import Numbers
from ispdsl.optimise.tasks.match import match
from ispdsl.optimise.tasks.task import Picture, View
from ispdsl.optimise.tuning import Asked
from ispdsl.runtime.faces import from_code
from ispdsl.runtime.frame import Frame
from ispdsl.runtime.values import Settings

PIPELINE = ROOT / "pipelines" / "hardware_isp.isp"

OURS, RIVAL = 1500, 10_000
"""Renders of least squares by differences, and of CMA-ES."""

DRAWS = 8
"""Of the codes that are drawn to begin at, the worst is taken."""

SIDE = 128
"""Height and width of a part in px."""

MOMENTS = (33, 50, 100, 200, 400, 800, 1500, 3000, 6000, 10_000)
"""Numbers of renders at which the best so far is written down."""


@dataclass(frozen=True, eq=False)
class Question:
    """A part of a raw, where to begin, and the codes behind its picture."""

    seed: int
    raw: str
    frame: Frame
    free: Free
    hidden: Numbers
    start: Numbers


def in_process(graph: Graph, frame: Frame) -> Render:
    """The simulated processor without the wire: the same bits, sooner."""
    found = declared(graph, {"C": frame.cfa})
    fields, known = bank.fields(found), dict[tuple[str, float], int]()
    first, second, third, fourth = (round(256 * float(level)) for level in np.ravel(frame.metadata["black_level"]))
    white = round(256 * float(frame.metadata["white_level"]))
    injected = Injected(
        0, frame.cfa, 16, (first, second, third, fourth), white, (), frame.image.astype(np.uint16)
    )  # fmt: skip

    def render(settings: Settings) -> list[Picture]:
        values = {slot.address: settings[slot.address] for slot in settings.slots}
        wanted = bank.wanted(fields, {key: value for key, value in values.items() if value is not None}, known)
        words = {address: bits for address, (_, bits) in wanted.items()}
        return [picture(injected, words).astype(np.float32) / np.float32(255)]

    return render


def regions(data: Path, count: int) -> list[Region]:
    """The part of a raw that each seed asks about, by turns.

    Raises:
        RawError: there is no such folder, or it holds too few raws.
    """
    found = choose(data, side=SIDE).testing
    return [found[seed % len(found)] for seed in range(count)]


def question(graph: Graph, region: Region, seed: int) -> Question:
    """What a seed asks."""
    frame = region.read()
    free = Free.of(Settings.of(graph))
    rng = np.random.default_rng(seed)
    hidden, *draws = (free.space.snap(each) for each in rng.random((DRAWS + 1, free.space.size)))
    render = in_process(graph, frame)
    task = match(render(free.at(hidden)), [View(region.name, "srgb", {})])
    start = max(draws, key=lambda each: task.measure(render(free.at(each))))
    return Question(seed, region.name, frame, free, hidden, start)


def ask(region: Region, seed: int, known: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Let both players answer; CMA-ES only where it is not known what it said to the same question."""
    graph = ispdsl.build(ispdsl.load(str(PIPELINE)))
    asked = question(graph, region, seed)
    render = in_process(graph, asked.frame)
    task = match(render(asked.free.at(asked.hidden)), [View(asked.raw, "srgb", {})])
    before = -task.measure(render(asked.free.at(asked.start)))
    hidden = _codes(asked.free, asked.hidden)
    players: dict[str, Any] = {}
    for name, calls in (("differences", OURS), ("cma-es", RIVAL)):
        if name == "cma-es" and known is not None and _same(known, region.name, before, hidden):
            players[name] = known["players"][name]
            continue
        begun = time.perf_counter()
        real = Asked(asked.free, task, render)
        searcher = differences(real.residual) if name == "differences" else SEARCHERS[name]
        found = search(searcher, real.score, asked.free.space, calls=calls, seed=seed, start=asked.start)
        players[name] = {
            "renders": real.calls,
            "psnr": -found.value,
            "path": [[moment, _at(found, moment)] for moment in MOMENTS if moment <= calls],
            "codes": _codes(asked.free, found.point),
            "equal_codes": int(np.sum(found.point == asked.hidden)),
            "why": found.why,
            "seconds": round(time.perf_counter() - begun, 1),
        }
    return {"seed": seed, "raw": asked.raw, "before": before, "hidden": hidden, "players": players}


def _same(known: Mapping[str, Any], raw: str, before: float, hidden: Mapping[str, int]) -> bool:
    """Whether an answer is to the same question: the raw, the codes, and what the device made of both at the start."""
    return known["raw"] == raw and known["hidden"] == hidden and abs(known["before"] - before) < 1e-6


def served(parts: Sequence[Region], answers: Sequence[dict[str, Any]]) -> None:
    """Write beside each answer what a device that is served over TCP makes of it."""
    graph = ispdsl.build(ispdsl.load(str(PIPELINE)))
    with beside(target("registers")):
        for region, one in zip(parts, answers, strict=True):
            asked = question(graph, region, one["seed"])
            with renderer(graph, [asked.frame], "registers", allow_exec=True) as (render, _):
                task = match(render(asked.free.at(asked.hidden)), [View(asked.raw, "srgb", {})])
                for player in one["players"].values():
                    settings = Settings.of(graph).update(_values(graph, player["codes"]))
                    player["served_psnr"] = -task.measure(render(settings))


def _at(found: Found, moment: int) -> float:
    return -float(found.path[min(moment, len(found.path)) - 1])


def _codes(free: Free, point: Numbers) -> dict[str, int]:
    """Codes by address."""
    return {
        part.slot.address: round(part.low[0] + float(place) * (part.high[0] - part.low[0]))
        for part, place in zip(free.parts, point, strict=True)
    }


def _values(graph: Graph, codes: dict[str, int]) -> dict[str, object]:
    return {slot.address: from_code(slot.declaration, codes[slot.address]) for slot in graph.slots}


def kept(work: Path | None, region: Region, seed: int, known: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """An answer that is there already, or a new one."""
    path = None if work is None else work / f"seed{seed}.json"
    if path is not None and path.is_file():
        return json.loads(path.read_text(encoding="utf-8"))
    found = ask(region, seed, known)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found), encoding="utf-8")
    return found
