"""Searchers on noisy functions of twenty numbers: `make reproduce-functions [SEARCHERS="surrogate cma-es ..."]`.

Each searcher makes the same number of calls on the same functions with the same noise, and is judged by the true value
at the point that it recommends at its end. Runs that are in the result already are not made again.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.reproduce.functions.cases import CALLS, FUNCTIONS, SPACE, Case
from benchmarks.reproduce.functions.page import page
from benchmarks.reproduce.functions.plot import plot
from benchmarks.reproduce.record import machine
from ispdsl.optimise.engine import search
from ispdsl.optimise.searchers import SEARCHERS

ROOT = Path(__file__).parents[3]
OUTPUT = ROOT / "docs" / "reproduce"
NAME = "functions"
PACKAGES = ("ispdsl", "numpy", "scipy", "cma", "optuna", "torch")
"""Whose versions the result depends on."""
BLOCKS = 50
"""Pieces of a run, of which each has the mean of where it looked."""
COMPARED = tuple(name for name in SEARCHERS if name != "latin")

Run = tuple[str, str, str, int]
"""Function, variant, searcher and seed."""


def measure(run: Run, calls: int) -> dict[str, Any]:
    """One search."""
    name, variant, searcher, seed = run
    case = Case(next(each for each in FUNCTIONS if each.name == name), variant, seed)
    begun, used = time.perf_counter(), time.process_time()
    found = search(SEARCHERS[searcher], case.score(), SPACE, calls=calls, seed=seed)
    seconds, processor = time.perf_counter() - begun, time.process_time() - used
    looked = [case.true(each.point) for each in found.evaluations]
    return {
        "function": name,
        "variant": variant,
        "searcher": searcher,
        "seed": seed,
        "calls": len(found.evaluations),
        "recommended": case.true(found.recommended),
        "luckiest": case.true(found.point),
        "looked": [round(float(np.mean(part)), 6) for part in np.array_split(looked, min(BLOCKS, len(looked)))],
        "deviation": case.deviation,
        "seconds": round(seconds, 1),
        "processor_seconds": round(processor, 1),
        "machine": machine(packages=PACKAGES),
    }


def made(runs: Sequence[tuple[Run, int]], jobs: int) -> Iterator[dict[str, Any]]:
    """Make runs, several at once where there are jobs for them."""
    if jobs == 1:
        yield from (measure(run, calls) for run, calls in runs)
        return
    with ProcessPoolExecutor(jobs) as pool:
        for done in as_completed([pool.submit(measure, run, calls) for run, calls in runs]):
            yield done.result()


FIRST = 1
"""Seed 0 was looked at while `surrogate` was made."""


def main() -> None:
    """Measure, and write docs/reproduce/functions.{json,md,png}."""
    parser = argparse.ArgumentParser(prog="functions", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help=f"how many; they are {FIRST}, {FIRST + 1}, ...")
    parser.add_argument("--calls", type=int, help="of each run, for a shorter trial (give --output as well)")
    parser.add_argument("--function", action="append", choices=[each.name for each in FUNCTIONS], help="default: all")
    parser.add_argument("--variant", action="append", choices=list(CALLS), help="default: both")
    parser.add_argument("--searcher", action="append", choices=list(COMPARED), help="default: all")
    parser.add_argument("--jobs", type=int, default=1, help="runs at once")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    given = parser.parse_args()
    known = given.output / f"{NAME}.json"
    runs: list[dict[str, Any]] = json.loads(known.read_text(encoding="utf-8"))["runs"] if known.is_file() else []
    wanted = [
        ((name, variant, searcher, seed), given.calls or CALLS[variant])
        for searcher in given.searcher or COMPARED
        for seed in range(FIRST, FIRST + given.seeds)
        for variant in given.variant or CALLS
        for name in given.function or [each.name for each in FUNCTIONS]
    ]
    there = {((run["function"], run["variant"], run["searcher"], run["seed"]), run["calls"]) for run in runs}
    given.output.mkdir(parents=True, exist_ok=True)
    for found in made([each for each in wanted if each not in there], given.jobs):
        shown = ("function", "variant", "searcher", "seed", "recommended", "processor_seconds")
        print(*(found[key] for key in shown), file=sys.stderr, flush=True)
        runs.append(found)
        write(runs, given.output)
    write(runs, given.output)
    print(known)


def write(runs: list[dict[str, Any]], folder: Path) -> None:
    """Write the result, its page and its plot."""
    names = [each.name for each in FUNCTIONS]
    runs.sort(
        key=lambda run: (
            list(CALLS).index(run["variant"]),
            names.index(run["function"]),
            list(SEARCHERS).index(run["searcher"]),
            run["seed"],
        )
    )
    unfinished = folder / f".{NAME}.json"
    lines = ",\n".join(json.dumps(run) for run in runs)
    unfinished.write_text(f'{{"runs": [\n{lines}\n]}}\n', encoding="utf-8")
    unfinished.replace(folder / f"{NAME}.json")
    (folder / f"{NAME}.md").write_text(page(runs), encoding="utf-8")
    plot(folder / f"{NAME}.png", runs)


if __name__ == "__main__":
    main()
