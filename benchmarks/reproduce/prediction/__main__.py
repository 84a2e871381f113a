"""Settings for each picture by a network, against one setting for all: `make reproduce-prediction [DATA=folder]`.

For each seed of each case: conditions, a split, the best setting for all pictures, and networks that differ in what
decides how much a place of a raw counts. Then the seconds that a network takes for a large raw.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.reproduce.prediction.cases import CASES
from benchmarks.reproduce.prediction.page import page
from benchmarks.reproduce.prediction.process import ask, one_thread
from benchmarks.reproduce.record import given, kept, machine, parser, write

NAME = "prediction"
THREADS, TIMES = 2, 5


def main(arguments: list[str] | None = None) -> None:
    """Measure, and write docs/reproduce/prediction.{json,md}."""
    made = parser(NAME, __doc__)
    made.add_argument("--case", action="append", choices=[each.name for each in CASES], help="default: all")
    found = given(made, arguments)
    cases = [each for each in CASES if each.name in (found.case or [one.name for one in CASES])]
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        answers = (found.work or Path(temporary)).absolute()
        large = kept(answers, "large", lambda: seconds_of(large_raw(found.data)))
        asked = [(case.name, seed) for case in cases for seed in range(found.seeds)]
        if found.jobs == 1:  # a GPU is shared badly by processes
            for done, (name, seed) in enumerate(asked, 1):
                ask(name, found.data, answers, seed, found.device)
                _say(name, seed, done, len(asked), begun)
        else:
            with ProcessPoolExecutor(found.jobs, get_context("spawn"), one_thread) as pool:
                waiting = {pool.submit(ask, name, found.data, answers, seed, found.device): (name, seed)
                           for name, seed in asked}  # fmt: skip
                for done, future in enumerate(as_completed(waiting), 1):
                    future.result()
                    _say(*waiting[future], done, len(asked), begun)
        result: dict[str, Any] = {
            "cases": {
                case.name: [ask(case.name, found.data, answers, seed, found.device) for seed in range(found.seeds)]
                for case in cases
            },
            "large": large,
            "seconds": round(time.perf_counter() - begun, 1),
            "machine": machine(found.device),
        }
    write(found.output, NAME, result, page(result))


def _say(name: str, seed: int, done: int, total: int, begun: float) -> None:
    left = (time.perf_counter() - begun) / done * (total - done)
    print(f"{name}, seed {seed} ({done} of {total}, {left:.0f} s left)", file=sys.stderr, flush=True)


def large_raw(data: Path) -> Path:
    """The DNG of a camera under ``raw/gopro/dng`` with the largest file.

    Raises:
        FileNotFoundError: there is none.
    """
    folder = data / "raw" / "gopro" / "dng"
    paths = sorted(folder.glob("*.dng"), key=lambda path: path.stat().st_size)
    if not paths:
        raise FileNotFoundError(f"{folder} holds no .dng")
    return paths[-1]


def seconds_of(raw: Path) -> dict[str, Any]:
    """How long a network of the paper's five levels takes for a large raw that is in memory, on two threads."""
    import torch

    from ispdsl.darkroom import tensors
    from ispdsl.learned.ground import Scene, looked_at
    from ispdsl.learned.predictor import Predictor
    from ispdsl.runtime.rawfile import read

    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    frame = read(raw)
    image, metadata = tensors(frame)
    torch.manual_seed(0)
    network = Predictor(10, 8, 5, "multi").eval()
    scene = Scene(frame.cfa, image, metadata, torch.full((10,), 0.5))
    walls: list[float] = []
    busy: list[float] = []
    with torch.no_grad():
        for _ in range(TIMES + 1):
            wall, cpu = time.perf_counter(), time.process_time()
            looked_at(network, [scene])
            walls.append(time.perf_counter() - wall)
            busy.append((time.process_time() - cpu) / THREADS)
    torch.set_num_threads(before)
    return {
        "file": raw.name,
        "size": list(frame.size),
        "seconds": round(statistics.median(walls[1:]), 3),
        "processor_seconds_a_thread": round(statistics.median(busy[1:]), 3),
        "threads": THREADS,
        "times": TIMES,
    }


if __name__ == "__main__":
    main()
