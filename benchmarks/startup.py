"""Cold times of the command line: `python -m benchmarks.startup`.

Each command is a process of its own, as from a shell: `ispdsl check` of a pipeline and of all that is shipped, `ispdsl
--help`, `ispdsl run` of a 12 MP raw, its decoding and the writing of a PNG included, and beside them what Python and
torch take. The commands run in turns, so that a busy machine disturbs all. They have a cache folder of their own, which
is empty at first. The first round is told apart: the system may not have the files in memory, and nothing is compiled.
Seconds of the clock and of the processor are told; where the machine is busy, the latter say more.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.reproduce.record import machine
from benchmarks.scenes import raw_of

ROOT = Path(__file__).parents[1]

LIMITS = {"check": 0.5, "check-all": 0.5, "run": 3.5}
"""Seconds that commands may take from the second time on."""

FIRST = {"run": 6.0}
"""Seconds that commands may take the first time."""


@dataclass(frozen=True)
class Took:
    """Seconds of one process by the clock, and of the processor."""

    clock: float
    processor: float


def took(command: list[str], cache: Path) -> Took:
    """Run a command to its end, with a cache folder."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["XDG_CACHE_HOME"] = str(cache)
    begun = time.perf_counter()
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None, "piped"
        said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}:\n{said.decode(errors='replace')}")
    return Took(time.perf_counter() - begun, usage.ru_utime + usage.ru_stime)


def commands(pipeline: str, raw: Path, output: Path) -> dict[str, list[str]]:
    """What is timed, by name."""
    program = [sys.executable, "-m", "ispdsl"]
    return {
        "python": [sys.executable, "-c", "pass"],
        "torch": [sys.executable, "-c", "import torch"],
        "help": [*program, "--help"],
        "check": [*program, "check", pipeline],
        "check-all": [*program, "check", *(str(ROOT / each) for each in ("stdlib", "pipelines"))],
        "run": [*program, "run", pipeline, str(raw), "-o", str(output), "--no-sidecar"],
    }


def measured(pipeline: str, raw: Path | None, rounds: int) -> dict[str, Any]:
    """The first time, and the median and quickest of the others, of every command."""
    with tempfile.TemporaryDirectory() as name:
        timed = commands(pipeline, raw or raw_of(Path(name), 12.0), Path(name) / "out.png")
        runs: dict[str, list[Took]] = {each: [] for each in timed}
        for _ in range(rounds + 1):
            for each, command in timed.items():
                runs[each].append(took(command, Path(name) / "cache"))
                print(f"{each:<8} {runs[each][-1]}", file=sys.stderr)
    return {
        each: {
            "first": asdict(all_[0]),
            "median": asdict(_median(all_[1:])),
            "quickest": round(min(run.clock for run in all_[1:]), 3),
            "limit": LIMITS.get(each),
            "limit_first": FIRST.get(each),
        }
        for each, all_ in runs.items()
    }


def _median(runs: list[Took]) -> Took:
    clock, processor = (statistics.median(getattr(run, name) for run in runs) for name in ("clock", "processor"))
    return Took(round(clock, 3), round(processor, 3))


def main(arguments: list[str] | None = None) -> None:
    """Measure, print a line for each process on stderr and the result as JSON."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=__doc__)
    made.add_argument("--pipeline", default="photo_finish")
    made.add_argument("--raw", type=Path, help="a raw of your own instead of a synthetic one of 12 MP")
    made.add_argument("--rounds", type=int, default=5, help="besides the first")
    made.add_argument("--output", type=Path, help="write the JSON here as well")
    asked = made.parse_args(arguments)
    result = {"machine": machine(), "pipeline": asked.pipeline, **measured(asked.pipeline, asked.raw, asked.rounds)}
    text = json.dumps(result, indent=2)
    print(text)
    if asked.output:
        asked.output.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
