"""Networks that look at pictures of dark scenes, tuned through the pipeline: `make reproduce-tasks [DATA=folder]`.

For each seed: a split into pictures to tune on and pictures to score, noise of its own, and four ways to set
`machine_vision.isp`. The weights of the networks never change.
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

from benchmarks.reproduce.record import machine
from benchmarks.reproduce.tasks.cases import CASES, Case
from benchmarks.reproduce.tasks.page import page
from benchmarks.reproduce.tasks.process import ask, one_thread, place

ROOT = Path(__file__).parents[3]
OUTPUT = ROOT / "docs" / "reproduce"
NAME = "tasks"


def measure(case: Case, data: Path, answers: Path, seeds: Sequence[int], jobs: int) -> dict[str, Any]:
    """Play every seed of a case; answers that are there already are kept."""
    begun = time.perf_counter()
    open_ = [seed for seed in seeds if not place(answers, case, seed).is_file()]
    with ProcessPoolExecutor(jobs, get_context("spawn"), one_thread) as pool:
        waiting = {pool.submit(ask, case.name, data, answers, seed): seed for seed in open_}
        for done, future in enumerate(as_completed(waiting), 1):
            left = (time.perf_counter() - begun) / done * (len(waiting) - done)
            found = f"{case.name}, seed {waiting[future]}: {future.result()}"
            print(f"{found} ({done} of {len(waiting)}, {left:.0f} s left)", file=sys.stderr, flush=True)
    return {
        "title": case.title,
        "about": case.about,
        "score": case.score,
        "steps": case.steps,
        "together": case.together,
        "rate": case.rate,
        "answers": [json.loads(place(answers, case, seed).read_text(encoding="utf-8")) for seed in seeds],
    }


def main() -> None:
    """Measure, and write docs/reproduce/tasks.{json,md}; cases that are not measured keep what they had."""
    parser = argparse.ArgumentParser(prog=NAME, description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("ISPDSL_DATA"), help="default: ISPDSL_DATA")
    parser.add_argument("--case", action="append", choices=[each.name for each in CASES], help="default: all")
    parser.add_argument("--seeds", type=int, default=10, help="how many splits")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="processes")
    parser.add_argument("--work", type=Path, help="keep answers in this folder, and go on with what is there")
    parser.add_argument("--sheet", type=Path, help="a picture of photographs and of what was made of their dark raws")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    given = parser.parse_args()
    if given.data is None:
        parser.error("where are pictures and weights? --data FOLDER, make DATA=FOLDER, or set ISPDSL_DATA")
    known = given.output / f"{NAME}.json"
    result: dict[str, Any] = json.loads(known.read_text(encoding="utf-8")) if known.is_file() else {"cases": {}}
    with tempfile.TemporaryDirectory() as temporary:
        answers = (given.work or Path(temporary)).absolute() / "answers"
        for case in [each for each in CASES if each.name in (given.case or [one.name for one in CASES])]:
            begun = time.perf_counter()
            found = measure(case, given.data, answers, range(given.seeds), given.jobs)
            spent = round(time.perf_counter() - begun, 1)
            result["cases"][case.name] = {**found, "seconds": spent, "machine": machine()}
            result["cases"] = {one.name: result["cases"][one.name] for one in CASES if one.name in result["cases"]}
            given.output.mkdir(parents=True, exist_ok=True)
            known.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
            (given.output / f"{NAME}.md").write_text(page(result), encoding="utf-8")
    if given.sheet:
        from benchmarks.reproduce.tasks.strip import strip

        strip(given.sheet, result)
    print(known)


if __name__ == "__main__":
    main()
