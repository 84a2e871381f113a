"""Doubles as a user gets them: the real thing is sampled on chosen raws, and networks are trained on the samples."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.reproduce.approximation import raws
from benchmarks.reproduce.approximation.raws import Chosen
from benchmarks.reproduce.approximation.targets import ROOT, Target, Variant


@dataclass
class Log:
    """The commands that were run, and what they took."""

    commands: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def run(self, *words: str) -> str:
        """Run an `ispdsl` command; what it says on stderr goes through.

        Raises:
            SystemExit: it failed.
        """
        print("ispdsl", *words, file=sys.stderr, flush=True)
        begun = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "ispdsl", *words], stdout=subprocess.PIPE, text=True, cwd=ROOT, check=False
        )
        self.commands.append({"command": ["ispdsl", *words], "seconds": round(time.perf_counter() - begun, 1)})
        # 4: a few samples failed, which the run keeps and the report counts
        if done.returncode not in (0, 4):
            raise SystemExit(f"ispdsl {words[0]} ended with {done.returncode}")
        return done.stdout


@dataclass(frozen=True)
class Sampled:
    """What was sampled.

    Attributes:
        chosen: regions of the raws, to learn from and to test on.
        testing: files of those to test on, of one megapixel at most.
        run: folder of the samples.
    """

    chosen: Chosen
    testing: tuple[Path, ...]
    run: Path


def sampled(log: Log, each: Target, data: Path, work: Path, seed: int) -> Sampled:
    """Sample a target's real thing on raws below a folder; a run that is in `work` already goes on."""
    chosen = raws.choose(data, most=raws.MOST)
    training = raws.write(chosen.training[: raws.MOST - each.charts], work / "training", one_matrix=each.one_matrix)
    testing = raws.write(chosen.testing, work / "testing", one_matrix=each.one_matrix)
    for number in range(each.charts):  # written anew, to the same bytes
        like = training[number * max(len(training) // each.charts, 1) % len(training)]
        chart = work / "training" / f"chart_{number}.dng"
        log.run("chart", str(like), "-o", str(chart), "--seed", str(seed + number))
        training.append(chart)
    run = work / "run"
    resumed = ["--resume"] if (run / "run.json").is_file() else []
    held = ["--hold-out", training[0].name] if len(training) > 1 else []
    with beside(each):
        log.run(
            "sample", str(each.pipeline), *map(str, training), "-o", str(run), "--count", str(each.count),
            "--backend", each.backend, *held, "--seed", str(seed), *each.sample, *each.trust, *each.allowed, *resumed,
        )  # fmt: skip
    return Sampled(chosen, tuple(testing), run)


def trained(log: Log, run: Path, each: Target, variant: Variant, limit: float, seed: int) -> dict[str, Any]:
    """Train a variant for so many minutes; what a kept run has is not trained again."""
    name = f"{variant.name}-{limit:g}"
    known = run / "training" / f"{name}.json"
    if known.is_file():
        found = json.loads(known.read_text(encoding="utf-8"))
        log.commands.append(found["command"])
        return {**found["trained"], "variant": variant}
    skip = [] if "--whole" in variant.train else each.skip
    words = ["--variant", name, "--minutes", f"{limit:g}", "--seed", str(seed)]
    begun = time.perf_counter()
    told = json.loads(log.run("train", str(run), *words, *variant.train, *skip, *each.trust, "--json"))
    made = {"minutes": limit, "wall_seconds": round(time.perf_counter() - begun, 1), "told": told}
    known.write_text(json.dumps({"trained": made, "command": log.commands[-1]}), encoding="utf-8")
    return {**made, "variant": variant}


@contextmanager
def beside(each: Target) -> Generator[None]:
    """Run what the target needs beside it."""
    if not each.served:
        yield
        return
    process = subprocess.Popen([sys.executable, *each.served], cwd=ROOT)
    try:
        time.sleep(2.0)
        if process.poll() is not None:
            raise SystemExit(f"{' '.join(each.served)} ended with {process.returncode}")
        yield
    finally:
        process.terminate()
        process.wait()
