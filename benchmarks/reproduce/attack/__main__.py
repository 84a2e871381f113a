"""Raws that fool a classifier under some settings and not under others: `make reproduce-attack [DATA=folder]`."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.reproduce import record
from benchmarks.reproduce.attack.cases import CASES
from benchmarks.reproduce.attack.page import page
from benchmarks.reproduce.attack.play import COUNT, SIDE, STEPS, STOPS, WEIGHTS, play
from ispdsl.learned.attack import ENOUGH, PAPER, scaled

NAME = "attack"


def main() -> None:
    """Measure, and write docs/reproduce/attack.{json,md}."""
    options = record.parser(NAME, __doc__)
    options.add_argument("--case", action="append", choices=[each.name for each in CASES], help="default: all")
    given = record.given(options)
    cases: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        work = given.work or Path(temporary)
        for case in [each for each in CASES if each.name in (given.case or [one.name for one in CASES])]:
            answers: list[dict[str, Any]] = []
            for seed in range(given.seeds):
                begun = time.perf_counter()
                answer = record.kept(
                    work, f"{case.name}-{seed}", lambda case=case, seed=seed: play(case, given.data, seed, given.device)
                )
                answers.append(answer)
                right = {name: sum(each["S1"]) / len(each["S1"]) for name, each in answer["told"].items()}
                took = time.perf_counter() - begun
                print(f"{case.name}, seed {seed}: under S1 {right}, {took:.0f} s", file=sys.stderr, flush=True)
            seconds = sum(each["seconds"] for each in answers)
            cases.append({"name": case.name, "about": case.about, "answers": answers, "seconds": round(seconds, 1)})
    result = {
        "side": SIDE,
        "stops": STOPS,
        "count": COUNT,
        "steps": STEPS,
        "enough": ENOUGH,
        "seeds": given.seeds,
        "bound": scaled(PAPER, SIDE * SIDE),
        "weights_sha256": record.sha256(given.data / WEIGHTS),
        "machine": record.machine(given.device),
        "cases": cases,
    }
    record.write(given.output, NAME, result, page(result))


if __name__ == "__main__":
    main()
