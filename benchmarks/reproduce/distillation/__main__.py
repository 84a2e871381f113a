"""Classifiers of raws, taught by classifiers of pictures: `make reproduce-distillation [DATA=folder]`."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from argparse import Namespace
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.reproduce.distillation.cases import CASES, Case
from benchmarks.reproduce.distillation.process import ask

NAME = "distillation"
TEACHERS = ("published", "own")


def measure(case: Case, who: str, work: Path, given: Namespace) -> dict[str, Any]:
    """The folds of all seeds of a table."""
    from benchmarks.reproduce.distillation.page import summary
    from benchmarks.reproduce.record import machine

    asked = [(seed, fold) for seed in range(given.seeds) for fold in range(given.folds)]
    begun = time.perf_counter()
    answers: dict[tuple[int, int], dict[str, Any]] = {}
    with ProcessPoolExecutor(given.jobs, get_context("spawn")) as pool:
        waiting = {
            pool.submit(ask, case.name, who, given.data, work, seed, fold, given.device): (seed, fold)
            for seed, fold in asked
        }
        for future in as_completed(waiting):
            answers[waiting[future]] = found = future.result()
            left = (time.perf_counter() - begun) / len(answers) * (len(asked) - len(answers))
            said = ", ".join(f"{way} {digits.count('1') / len(digits):.1%}" for way, digits in found["told"].items())
            print(f"{case.name}, {who} {waiting[future]}: {said} ({left:.0f} s left)", file=sys.stderr, flush=True)
    return {
        "title": case.title,
        "about": case.about,
        "teacher": who,
        **summary([answers[each] for each in asked]),
        "seconds": round(time.perf_counter() - begun, 1),
        "machine": machine(given.device),
    }


def main() -> None:
    """Measure, and write docs/reproduce/distillation.{json,md}; tables that are not measured keep what they had."""
    from benchmarks.reproduce import record
    from benchmarks.reproduce.distillation.page import page

    parser = record.parser(NAME, __doc__)
    parser.add_argument("--case", action="append", choices=[each.name for each in CASES], help="default: all")
    parser.add_argument("--teacher", action="append", choices=TEACHERS, help="default: both")
    parser.add_argument("--folds", type=int, default=1, help="of each seed; 5 score every photograph of 2500 once")
    given = record.given(parser)
    known = given.output / f"{NAME}.json"
    result: dict[str, Any] = json.loads(known.read_text(encoding="utf-8")) if known.is_file() else {"tables": {}}
    names = [f"{case.name}, {who}" for case in CASES for who in TEACHERS]
    with tempfile.TemporaryDirectory() as temporary:
        work = (given.work or Path(temporary)).absolute() / NAME
        for case in [each for each in CASES if not given.case or each.name in given.case]:
            for who in given.teacher or TEACHERS:
                result["tables"][f"{case.name}, {who}"] = measure(case, who, work, given)
                result["tables"] = {name: result["tables"][name] for name in names if name in result["tables"]}
                record.write(given.output, NAME, result, page(result))


if __name__ == "__main__":
    main()
