"""Raws finished in the style of other pictures: `make reproduce-style [DATA=folder]`.

For each seed: three looks, pictures in each of them, an encoder for each trained on raws of other photographs, and raws
of further photographs and of real cameras, finished as the encoder and as the direct way say.
"""

from __future__ import annotations

import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.reproduce import record
from benchmarks.reproduce.style import play
from benchmarks.reproduce.style.page import page
from benchmarks.reproduce.style.process import NAME, ask
from benchmarks.reproduce.style.sequences import burst_file


def main() -> None:
    """Measure, and write docs/reproduce/style.{json,md}."""
    made = record.parser(NAME, __doc__)
    made.add_argument("--sheet", type=Path, help="draw what was finished of the first seed beside the styles")
    given = record.given(made)
    begun = time.perf_counter()
    burst_file(given.data)  # it comes late in the work: better to know now that there is none
    with tempfile.TemporaryDirectory() as temporary:
        work = (given.work or Path(temporary)).absolute()
        if given.sheet is not None:
            from benchmarks.reproduce.style.sheet import draw

            draw(given.sheet, given.data, given.device)
        with ProcessPoolExecutor(given.jobs, get_context("spawn")) as pool:
            waiting = {pool.submit(ask, work, given.data, seed, given.device): seed for seed in range(given.seeds)}
            for done, future in enumerate(as_completed(waiting), 1):
                future.result()
                left = (time.perf_counter() - begun) / done * (len(waiting) - done)
                said = f"seed {waiting[future]} ({done} of {len(waiting)}, {left:.0f} s left)"
                print(said, file=sys.stderr, flush=True)
        answers = [ask(work, given.data, seed, given.device) for seed in range(given.seeds)]
    result: dict[str, Any] = {
        "pipeline": "photo_finish",
        "steps": play.STEPS,
        "rate": play.RATE,
        "together": play.TOGETHER,
        "side": play.SIDE,
        "descent": play.DESCENT,
        "tried": play.TRIED,
        "every": play.EVERY,
        "weights": record.sha256(play.weights(given.data)),
        "machine": record.machine(given.device),
        "seconds": round(time.perf_counter() - begun, 1),
        "seeds": answers,
    }
    record.write(given.output, NAME, result, page(result))


if __name__ == "__main__":
    main()
