"""Settings and a classifier trained together, on dark pictures and raws: `make reproduce-joint [DATA=folder]`."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.reproduce.joint.process import TRAIN, ask
from benchmarks.reproduce.joint.tables import TABLES, Table

NAME = "joint"


def measure(table: Table, data: Path, work: Path, seeds: int, folds: int | None, jobs: int, device: str) -> Any:
    """All folds of all seeds of a table."""
    from benchmarks.reproduce.cifar import photographs, splits
    from benchmarks.reproduce.joint.page import summary
    from benchmarks.reproduce.record import machine

    count = len(list(splits(len(photographs(data)[0]), TRAIN, 0)))
    asked = [(seed, fold) for seed in range(seeds) for fold in range(min(folds or count, count))]
    begun = time.perf_counter()
    answers: dict[tuple[int, int], dict[str, Any]] = {}
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        waiting = {pool.submit(ask, table.name, data, work, seed, fold, device): (seed, fold) for seed, fold in asked}
        for future in as_completed(waiting):
            answers[waiting[future]] = found = future.result()
            left = (time.perf_counter() - begun) / len(answers) * (len(asked) - len(answers))
            said = ", ".join(f"{way} {digits.count('1') / len(digits):.1%}" for way, digits in found["told"].items())
            print(f"{table.name} {waiting[future]}: {said} ({left:.0f} s left)", file=sys.stderr, flush=True)
    return {
        "title": table.title,
        "about": table.about,
        **summary([answers[each] for each in asked]),
        "seconds": round(time.perf_counter() - begun, 1),
        "machine": machine(device),
    }


def main() -> None:
    """Measure, and write docs/reproduce/joint.{json,md}; tables that are not measured keep what they had."""
    from benchmarks.reproduce import record
    from benchmarks.reproduce.joint.beside import beside
    from benchmarks.reproduce.joint.page import page

    parser = record.parser(NAME, __doc__)
    parser.add_argument("--table", action="append", choices=[each.name for each in TABLES], help="default: all")
    parser.add_argument("--folds", type=int, help="of each seed; default: as many as score every photograph once")
    parser.add_argument("--guide", type=Path, metavar="FILE", help="a copy of the guide, to run beside (with no table)")
    parser.add_argument("--guide-python", type=Path, default=Path(sys.executable), help="where its packages are")
    given = record.given(parser)
    known = given.output / f"{NAME}.json"
    result: dict[str, Any] = json.loads(known.read_text(encoding="utf-8")) if known.is_file() else {"tables": {}}
    with tempfile.TemporaryDirectory() as temporary:
        work = (given.work or Path(temporary)).absolute() / NAME
        if given.guide:
            result["guide"] = beside(given.guide, given.guide_python.absolute(), given.data, work, given.seeds)
            record.write(given.output, NAME, result, page(result))
        chosen = given.table or ([] if given.guide else [each.name for each in TABLES])
        for table in [each for each in TABLES if each.name in chosen]:
            found = measure(table, given.data, work, given.seeds, given.folds, given.jobs, given.device)
            result["tables"][table.name] = found
            names = [each.name for each in TABLES if each.name in result["tables"]]
            result["tables"] = {name: result["tables"][name] for name in names}
            record.write(given.output, NAME, result, page(result))


if __name__ == "__main__":
    main()
