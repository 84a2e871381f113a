"""A network that demosaics and denoises, trained through photo finishing: `make reproduce-frontend [DATA=folder]`."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from benchmarks.reproduce import record
from benchmarks.reproduce.frontend.page import page
from benchmarks.reproduce.frontend.play import DENOISERS, SIZES, TESTED, play

NAME = "frontend"


def main() -> None:
    """Measure, and write docs/reproduce/frontend.{json,md}."""
    given = record.given(record.parser(NAME, __doc__))
    with tempfile.TemporaryDirectory() as temporary:
        work = given.work or Path(temporary)
        answers = []
        for seed in range(given.seeds):
            print(f"seed {seed}", file=sys.stderr, flush=True)
            name = f"{NAME}-{given.device}-{seed}"
            answers.append(record.kept(work, name, lambda seed=seed: play(given.data, seed, given.device)))
    result = {
        "size": asdict(SIZES[given.device]),
        "tested": TESTED,
        "denoisers": len(DENOISERS),
        "machine": record.machine(given.device),
        "answers": answers,
    }
    record.write(given.output, NAME, result, page(result))


if __name__ == "__main__":
    main()
