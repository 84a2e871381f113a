"""The settings behind a picture, against the number of real calls: `make reproduce-regression [DATA=folder]`.

For every case: doubles are trained for five minutes on samples of the real thing, as `make reproduce-approximation`
does it; then the real thing makes pictures of unseen raws at hidden settings, one for each seed, and every player looks
for the settings. All begin at the pipeline's own settings and look within the same ranges. What counts is the picture
that the real thing makes of what was found.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.reproduce.approximation.doubles import Log, beside, sampled, trained
from benchmarks.reproduce.approximation.targets import ROOT, target
from benchmarks.reproduce.record import machine
from benchmarks.reproduce.regression.cases import CASES, EACH, Case
from benchmarks.reproduce.regression.page import page, plot
from benchmarks.reproduce.regression.process import alone, ask, place

OUTPUT = ROOT / "docs" / "reproduce"
NAME = "regression"
PACKAGES = ("ispdsl", "torch", "numpy", "scipy", "cma", "optuna")
"""Whose versions the result depends on."""
MINUTES = 5.0


def measure(case: Case, data: Path, work: Path, answers: Path, seeds: Sequence[int], jobs: int) -> dict[str, Any]:
    """Ask every player every question of a case; answers that are there already are kept."""
    begun = time.perf_counter()
    each, log = target(case.target), Log()
    made = sampled(log, each, data, work, 0)
    doubles: Path | None = None
    if "adam" not in case.players:
        variant = each.variants[0]
        with beside(each):
            trained(log, made.run, each, variant, MINUTES, 0)
        doubles = made.run / "doubles" / f"{variant.name}-{MINUTES:g}"
    design = json.loads((made.run / "run.json").read_text(encoding="utf-8"))["design"]
    asked = [(player, seed) for player in case.players for seed in seeds]
    open_ = [(player, seed) for player, seed in asked if not place(answers, case, player, seed).is_file()]
    jobs = 1 if "adam" in case.players else jobs  # its players are timed against each other
    with beside(each), ProcessPoolExecutor(jobs, get_context("spawn"), alone) as pool:
        waiting = {
            pool.submit(ask, case, player, seed, made.testing, design["varied"], doubles, answers): (player, seed)
            for player, seed in open_
        }
        for done, future in enumerate(as_completed(waiting), 1):
            player, seed = waiting[future]
            spent = time.perf_counter() - begun
            left = spent / done * (len(waiting) - done)
            found = f"{case.name}: {player}, seed {seed}: {future.result():.1f} dB"
            print(f"{found} ({done} of {len(waiting)}, {left:.0f} s left)", file=sys.stderr, flush=True)
    players = {
        player: [json.loads(place(answers, case, player, seed).read_text(encoding="utf-8")) for seed in seeds]
        for player in case.players
    }
    return {
        "title": case.title,
        "pipeline": each.pipeline.relative_to(ROOT).as_posix(),
        "free": next(iter(players.values()))[0]["free"],
        "calls": case.calls,
        "rivals_calls": EACH,
        "wanted": dict(case.wanted),
        "seeds": list(seeds),
        "seconds": round(sum(one["seconds"] for ones in players.values() for one in ones), 1),
        "raws": sorted({one["raw"] for ones in players.values() for one in ones}),
        "players": players,
    }


def main() -> None:
    """Measure, and write docs/reproduce/regression.{json,md,png}; cases that are not measured keep what they had."""
    parser = argparse.ArgumentParser(prog="regression", description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("ISPDSL_DATA"), help="raws; default: ISPDSL_DATA")
    parser.add_argument("--case", action="append", choices=[each.name for each in CASES], help="default: all")
    parser.add_argument("--seeds", type=int, default=10, help="how many questions")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="processes")
    parser.add_argument("--work", type=Path, help="keep runs and answers in this folder, and go on with what is there")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    given = parser.parse_args()
    if given.data is None:
        parser.error("where are raws? --data FOLDER, make DATA=FOLDER, or set ISPDSL_DATA")
    known = given.output / f"{NAME}.json"
    result: dict[str, Any] = json.loads(known.read_text(encoding="utf-8")) if known.is_file() else {"cases": {}}
    with tempfile.TemporaryDirectory() as temporary:
        work = (given.work or Path(temporary)).absolute()
        for case in [each for each in CASES if each.name in (given.case or [one.name for one in CASES])]:
            found = measure(case, given.data, work / case.target, work / "answers", range(given.seeds), given.jobs)
            result["cases"][case.name] = {**found, "machine": machine(packages=PACKAGES)}
            result["cases"] = {one.name: result["cases"][one.name] for one in CASES if one.name in result["cases"]}
            given.output.mkdir(parents=True, exist_ok=True)
            known.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
            (given.output / f"{NAME}.md").write_text(page(result), encoding="utf-8")
            plot(given.output / f"{NAME}.png", result)
    print(known)


if __name__ == "__main__":
    main()
