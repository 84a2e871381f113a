"""The 32 registers of the simulated processor: `make reproduce-registers DATA=folder`.

For each seed: a part of a raw, hidden codes drawn evenly from the soft ranges, and the picture that the device makes
with them. Both players begin at the same codes, the worst of several draws, and see the same pictures: `ispdsl tune`'s
least squares by differences with 1,500 renders, and CMA-ES with 10,000. What they found is rendered once more by a
device that is served over TCP, and that is what counts. What CMA-ES found is not searched again where the result has it
of the same raw and codes; `--anew` does.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.reproduce.approximation.targets import ROOT
from benchmarks.reproduce.record import machine
from benchmarks.reproduce.registers.page import page, plot
from benchmarks.reproduce.registers.play import OURS, RIVAL, SIDE, kept, regions, served

OUTPUT = ROOT / "docs" / "reproduce"
NAME = "registers"
PACKAGES = ("ispdsl", "numpy", "scipy", "cma")
"""Whose versions the result depends on."""


def main() -> None:
    """Measure, and write docs/reproduce/registers.{json,md,png}."""
    parser = argparse.ArgumentParser(prog=NAME, description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("ISPDSL_DATA"), help="raws; default: ISPDSL_DATA")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--work", type=Path, help="keep answers in this folder, and go on with those that are there")
    parser.add_argument("--anew", action="store_true", help="let CMA-ES search again where the result has its answer")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    given = parser.parse_args()
    if given.data is None:
        parser.error("where are raws? --data FOLDER, make DATA=FOLDER, or set ISPDSL_DATA")
    begun = time.perf_counter()
    parts = regions(given.data, given.seeds)
    known = {} if given.anew else known_answers(given.output / f"{NAME}.json")
    answers: list[dict[str, Any]] = []
    with ProcessPoolExecutor(given.jobs, get_context("spawn")) as pool:
        waiting = [pool.submit(kept, given.work, part, seed, known.get(seed)) for seed, part in enumerate(parts)]
        for seed, future in enumerate(waiting):
            answers.append(future.result())
            told = {name: f"{one['psnr']:.2f} dB" for name, one in answers[-1]["players"].items()}
            print(f"seed {seed}: {told}", file=sys.stderr, flush=True)
    served(parts, answers)
    result: dict[str, Any] = {
        "ours": OURS,
        "rival": RIVAL,
        "side": SIDE,
        "answers": answers,
        "seconds": round(time.perf_counter() - begun, 1),
        "machine": machine(packages=PACKAGES),
    }
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / f"{NAME}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (given.output / f"{NAME}.md").write_text(page(result), encoding="utf-8")
    plot(given.output / f"{NAME}.png", result)
    print(given.output / f"{NAME}.json")


def known_answers(path: Path) -> dict[int, dict[str, Any]]:
    """The answers of a result by seed, where both players had as many renders as now."""
    if not path.is_file():
        return {}
    result = json.loads(path.read_text(encoding="utf-8"))
    if (result["ours"], result["rival"], result["side"]) != (OURS, RIVAL, SIDE):
        return {}
    return {answer["seed"]: answer for answer in result["answers"]}


if __name__ == "__main__":
    main()
