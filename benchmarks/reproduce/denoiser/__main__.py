"""A denoiser tuned for noisy photographs: `make reproduce-denoiser DATA=folder`.

The denoiser is ffmpeg's `bm3d`, run by `executor command`. For each seed: parts of training raws with noise, tuned on
by a search that models pictures and by CMA-ES, both from the program's defaults; and pictures of other raws with the
same noise, on which the defaults and what both found are measured. Every call is one of the program.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.reproduce.approximation.targets import ROOT
from benchmarks.reproduce.denoiser.page import page
from benchmarks.reproduce.denoiser.play import METHODS, OURS, RIVAL, kept, together
from benchmarks.reproduce.denoiser.process import one_thread
from benchmarks.reproduce.record import machine

OUTPUT = ROOT / "docs" / "reproduce"
NAME = "denoiser"
PACKAGES = ("ispdsl", "numpy", "scipy", "cma")
"""Whose versions the result depends on."""


def main() -> None:
    """Measure, and write docs/reproduce/denoiser.{json,md}."""
    parser = argparse.ArgumentParser(prog=NAME, description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("ISPDSL_DATA"), help="raws; default: ISPDSL_DATA")
    parser.add_argument("--seeds", type=int, default=10, help="how many, from 1")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="processes")
    parser.add_argument("--work", type=Path, help="keep answers in this folder, and go on with those that are there")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    given = parser.parse_args()
    if given.data is None:
        parser.error("where are raws? --data FOLDER, make DATA=FOLDER, or set ISPDSL_DATA")
    if shutil.which("ffmpeg") is None:
        parser.error("there is no ffmpeg: `make programs` installs it")
    begun = time.perf_counter()
    seeds = range(1, given.seeds + 1)
    with tempfile.TemporaryDirectory() as temporary:
        work = (given.work or Path(temporary)).absolute()
        with ProcessPoolExecutor(given.jobs, get_context("spawn"), one_thread) as pool:
            asked = [(name, seed) for seed in seeds for name in METHODS]
            waiting = {pool.submit(kept, work, given.data, seed, name): (name, seed) for name, seed in asked}
            for done, future in enumerate(as_completed(waiting), 1):
                left = (time.perf_counter() - begun) / done * (len(waiting) - done)
                name, seed = waiting[future]
                said = f"seed {seed}: {name} {future.result()['path'][-1]:.2f} dB"
                print(f"{said} ({done} of {len(waiting)}, {left:.0f} s left)", file=sys.stderr, flush=True)
        answers = [together({name: kept(work, given.data, seed, name) for name in METHODS}) for seed in seeds]
    result: dict[str, Any] = {
        "ours": OURS,
        "rival": RIVAL,
        "answers": answers,
        "jobs": given.jobs,
        "seconds": round(sum(one["seconds"] for each in answers for one in each["players"].values()), 1),
        "machine": machine(packages=PACKAGES),
    }
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / f"{NAME}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (given.output / f"{NAME}.md").write_text(page(result), encoding="utf-8")
    print(given.output / f"{NAME}.json")


if __name__ == "__main__":
    main()
