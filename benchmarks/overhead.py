"""What the engine adds to a trivial command: `python -m benchmarks.overhead`.

A bare `subprocess.run` and our call of the same program, in turns in one process, so that a busy machine disturbs
both: once the sandbox alone with a program that does nothing, once the whole `command` executor with one that copies a
picture in a file, which is written before and read, checked and believed afterwards. `overhead_*.py` measure the
other executors.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

import ispdsl
from ispdsl.backends.blackbox import declared_in
from ispdsl.executors.command import open_executor
from ispdsl.executors.model import Limits, Request
from ispdsl.executors.sandbox import empty_folder, run_program

LIMIT = 10.0
"""Milliseconds that the engine may add to a trivial command."""

SIZE = 64

COPY = """
## A program that does the least that an ISP can do.
stage copy(image: rgb<srgb, unit>) -> (copied: rgb<srgb, unit>) {
  executor command(arguments = ["PROGRAM", "{image}", "{result}"], image = npy, result = npy)
}
"""


@dataclass(frozen=True)
class Overhead:
    """Medians of so many calls in turns, in milliseconds; `added` is the median of the differences of neighbours."""

    name: str
    rounds: int
    bare: float
    ours: float
    added: float
    quartiles: tuple[float, float]
    """Of the differences."""

    @property
    def ratio(self) -> float:
        """How many times as long our call takes."""
        return self.ours / self.bare

    def __str__(self) -> str:
        low, high = self.quartiles
        return (
            f"{self.name:<8} {self.bare:7.3f} ms bare {self.ours:8.3f} ms ours {self.added:+8.3f} ms "
            f"({low:+.3f} to {high:+.3f}) x{self.ratio:.2f}"
        )


def in_turns(name: str, bare: Callable[[], object], ours: Callable[[], object], rounds: int) -> Overhead:
    """Time two ways of doing the same; the first round of each warms up."""
    pairs = [(_milliseconds(bare), _milliseconds(ours)) for _ in range(rounds + 1)][1:]
    added = [mine - theirs for theirs, mine in pairs]
    low, middle, high = statistics.quantiles(added, n=4)
    return Overhead(
        name,
        rounds,
        bare=statistics.median(theirs for theirs, _ in pairs),
        ours=statistics.median(mine for _, mine in pairs),
        added=middle,
        quartiles=(low, high),
    )


def _milliseconds(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - begun)


def sandbox(rounds: int) -> Overhead:
    """A program that does nothing, in the sandbox."""
    command = [_program("true")]
    with empty_folder() as folder:
        return in_turns(
            "sandbox",
            lambda: subprocess.run(command, check=True, capture_output=True, cwd=folder),
            lambda: run_program(command, folder, Limits()),
            rounds,
        )


def command(rounds: int) -> Overhead:
    """A program that copies a picture in a file, by the `command` executor."""
    copy = _program("cp")
    image = np.random.default_rng(0).random((3, SIZE, SIZE), np.float32)
    with tempfile.TemporaryDirectory() as scratch:
        text = Path(scratch, "copy.isp")
        text.write_text(COPY.replace("PROGRAM", copy))
        (found,) = declared_in(ispdsl.load(text))
        given, result = Path(scratch, "image.npy"), Path(scratch, "result.npy")
        np.save(given, image)
        with closing(open_executor(found, Limits(), 0)) as executor:
            answer = executor.run(Request({"image": image}, {}))
            assert np.array_equal(answer.outputs["copied"], image)
            return in_turns(
                "command",
                lambda: subprocess.run([copy, given, result], check=True, capture_output=True),
                lambda: executor.run(Request({"image": image}, {})),
                rounds,
            )


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise SystemExit(f"there is no program {name} here")
    return path


def main() -> int:
    """Print what is added; 1 where it is too much."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    found = [sandbox(given.rounds), command(given.rounds)]
    if given.json:
        print(json.dumps([{**asdict(each), "ratio": each.ratio} for each in found], indent=2))
    else:
        print(*found, sep="\n")
    return int(any(each.added >= LIMIT for each in found))


if __name__ == "__main__":
    sys.exit(main())
