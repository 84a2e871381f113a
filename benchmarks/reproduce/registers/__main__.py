"""The 32 registers of the simulated processor: `make reproduce-registers DATA=folder`.

For each seed: a part of a raw, hidden codes drawn evenly from the soft ranges, and the picture that the device makes
with them. Both players begin at the same codes, the worst of several draws, and see the same pictures: `ispdsl tune`'s
least squares by differences with 1,500 renders, and CMA-ES with 10,000. What they found is rendered once more by a
device that is served over TCP, and that is what counts.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

import ispdsl
from benchmarks.reproduce.approximation.doubles import beside
from benchmarks.reproduce.approximation.raws import choose
from benchmarks.reproduce.approximation.targets import ROOT, target
from benchmarks.reproduce.registers.page import page, plot
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
from ispdsl.runtime.frame import Frame
from ispdsl.runtime.values import Settings

OUTPUT = ROOT / "docs" / "reproduce"
NAME = "registers"
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


def question(graph: Graph, data: Path, seed: int) -> Question:
    """What a seed asks."""
    regions = choose(data, side=SIDE).testing
    region = regions[seed % len(regions)]
    frame = region.read()
    free = Free.of(Settings.of(graph))
    rng = np.random.default_rng(seed)
    hidden, *draws = (free.space.snap(each) for each in rng.random((DRAWS + 1, free.space.size)))
    render = in_process(graph, frame)
    task = match(render(free.at(hidden)), [View(region.name, "srgb", {})])
    start = max(draws, key=lambda each: task.measure(render(free.at(each))))
    return Question(seed, region.name, frame, free, hidden, start)


def ask(data: Path, seed: int) -> dict[str, Any]:
    """Let both players answer."""
    graph = ispdsl.build(ispdsl.load(str(PIPELINE)))
    asked = question(graph, data, seed)
    render = in_process(graph, asked.frame)
    task = match(render(asked.free.at(asked.hidden)), [View(asked.raw, "srgb", {})])
    players: dict[str, Any] = {}
    for name, calls in (("differences", OURS), ("cma-es", RIVAL)):
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
    before = -task.measure(render(asked.free.at(asked.start)))
    hidden = _codes(asked.free, asked.hidden)
    return {"seed": seed, "raw": asked.raw, "before": before, "hidden": hidden, "players": players}


def served(data: Path, answers: list[dict[str, Any]]) -> None:
    """Write beside each answer what a device that is served over TCP makes of it."""
    graph = ispdsl.build(ispdsl.load(str(PIPELINE)))
    with beside(target("registers")):
        for one in answers:
            asked = question(graph, data, one["seed"])
            with renderer(graph, [asked.frame], "registers", allow_exec=True) as (render, _):
                task = match(render(asked.free.at(asked.hidden)), [View(asked.raw, "srgb", {})])
                for player in one["players"].values():
                    settings = Settings.of(graph).update(_values(graph, player["codes"]))
                    player["served_psnr"] = -task.measure(render(settings))


def _at(found: Found, moment: int) -> float:
    return -float(found.path[min(moment, len(found.path)) - 1])


def _codes(free: Free, point: Numbers) -> dict[str, int]:
    return {
        part.slot.address: round(float(low + place * (high - low)))
        for part, place, low, high in zip(
            free.parts, point, (one.low[0] for one in free.parts), (one.high[0] for one in free.parts), strict=True
        )
    }


def _values(graph: Graph, codes: dict[str, int]) -> dict[str, object]:
    from ispdsl.runtime.faces import from_code

    return {slot.address: from_code(slot.declaration, codes[slot.address]) for slot in graph.slots}


def main() -> None:
    """Measure, and write docs/reproduce/registers.{json,md,png}."""
    parser = argparse.ArgumentParser(prog=NAME, description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("ISPDSL_DATA"), help="raws; default: ISPDSL_DATA")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--work", type=Path, help="keep answers in this folder, and go on with those that are there")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    given = parser.parse_args()
    if given.data is None:
        parser.error("where are raws? --data FOLDER, make DATA=FOLDER, or set ISPDSL_DATA")
    begun = time.perf_counter()
    answers: list[dict[str, Any]] = []
    with ProcessPoolExecutor(given.jobs, get_context("spawn")) as pool:
        waiting = [pool.submit(_kept, given.work, given.data, seed) for seed in range(given.seeds)]
        for seed, future in enumerate(waiting):
            answers.append(future.result())
            told = {name: f"{one['psnr']:.2f} dB" for name, one in answers[-1]["players"].items()}
            print(f"seed {seed}: {told}", file=sys.stderr, flush=True)
    served(given.data, answers)
    result: dict[str, Any] = {
        "ours": OURS,
        "rival": RIVAL,
        "side": SIDE,
        "answers": answers,
        "seconds": round(time.perf_counter() - begun, 1),
        "machine": {
            "python": platform.python_version(),
            "cores": len(os.sched_getaffinity(0)),
            **{package: version(package) for package in ("ispdsl", "numpy", "scipy", "cma")},
        },
    }
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / f"{NAME}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (given.output / f"{NAME}.md").write_text(page(result), encoding="utf-8")
    plot(given.output / f"{NAME}.png", result)
    print(given.output / f"{NAME}.json")


def _kept(work: Path | None, data: Path, seed: int) -> dict[str, Any]:
    """An answer that is there already, or a new one."""
    path = None if work is None else work / f"seed{seed}.json"
    if path is not None and path.is_file():
        return json.loads(path.read_text(encoding="utf-8"))
    found = ask(data, seed)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found), encoding="utf-8")
    return found


if __name__ == "__main__":
    main()
