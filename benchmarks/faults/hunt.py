"""Hold the contract of a stage against its program, faulty or not, in a process of its own."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.faults.fault import Fault
from benchmarks.faults.plant import plant

FEW = 10
"""Examples of each line in the first round, which catches most faults; the rest has all of them."""

COSTLY = ("exports",)
"""Lines that are left out: they say nothing of the numbers."""


@dataclass(frozen=True)
class Job:
    """A contract to be tested: of a stage of a file, with a fault planted or none."""

    file: Path
    stage: str
    examples: int
    seed: int
    fault: Fault | None = None
    skip: tuple[str, ...] = ()
    """Lines that do not hold without any fault, so that they tell nothing."""
    only: tuple[str, ...] = ()
    """Lines to be tested; all where that is left out."""

    @property
    def title(self) -> str:
        """What is tested, in words."""
        return f"{self.file.stem}.{self.stage}" + (f" with {self.fault.name}" if self.fault else "")


@dataclass(frozen=True)
class Broken:
    """A line that does not hold: what it says and the message of the counterexample."""

    line: str
    message: str


@dataclass(frozen=True)
class Finding:
    """What became of a job: the lines that do not hold (with a fault the first alone), the seconds it took."""

    broken: tuple[Broken, ...]
    lines: int
    seconds: float


def hunt(job: Job) -> Finding:
    """Test the lines of a contract, until the first that does not hold where a fault is planted.

    Every line is tried with a few examples before any is tried with all of them.

    Raises:
        FaultError: the fault cannot be planted.
    """
    begun = time.perf_counter()
    if job.fault is not None:
        plant(job.fault)
    import torch

    from ispdsl.contracts import engine
    from ispdsl.contracts.engine import check, tasks
    from ispdsl.contracts.subject import Line, subjects

    torch.set_num_threads(1)
    engine.PATIENCE = 0.0  # any counterexample will do, not the smallest
    found = subjects(job.file, job.stage)

    def wanted(line: Line) -> bool:
        return line.name not in COSTLY and str(line) not in job.skip and (not job.only or str(line) in job.only)

    todo = tasks(found, "program", lines=wanted)
    broken: dict[str, Broken] = {}
    for examples in (min(FEW, job.examples), job.examples) if job.fault else (job.examples,):
        for task in todo:
            verdict = check(task, examples, job.seed)
            if verdict.violation is None:
                continue
            broken[str(task.line)] = Broken(str(task.line), verdict.violation.message)
            if job.fault is not None:
                return Finding(tuple(broken.values()), len(todo), time.perf_counter() - begun)
    return Finding(tuple(broken.values()), len(todo), time.perf_counter() - begun)
