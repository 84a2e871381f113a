"""Plant faults in the programs of the standard library and see which of them break a contract.

First every stage's contract is tested as it is; lines that do not hold then are left out. Then each fault is planted
in a process of its own, from the changed source text, and the contract is tested until a line breaks.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from benchmarks.faults.catalogue import FAULTS
from benchmarks.faults.fault import ROOT, Fault, FaultError, source_of
from benchmarks.faults.hunt import Finding, Job, hunt
from benchmarks.faults.processes import ChildError, each_apart
from benchmarks.faults.report import Measured, Outcome, document, page

LIMIT = 900.0
"""Seconds that a contract may take; a fault whose contract takes longer counts as missed."""


def measure(faults: Sequence[Fault], examples: int, seed: int, processes: int) -> Measured:
    """Test the contracts of all stages that have a fault, then plant the faults.

    Raises:
        FaultError: a fault does not fit its module, or a contract cannot be run at all.
    """
    begun = time.perf_counter()
    for fault in faults:
        fault.planted(source_of(fault.module))
    stages = {fault.stage: fault for fault in faults}
    plain = [Job(fault.file, fault.stage_name, examples, seed) for fault in stages.values()]
    found = _run(plain, processes, "contracts without a fault")
    sound = dict(zip(stages, found, strict=True))
    for stage, finding in sound.items():
        if isinstance(finding, ChildError):
            raise FaultError(f"the contract of {stage} cannot be run: {finding}")
    settled = {stage: finding for stage, finding in sound.items() if isinstance(finding, Finding)}
    skip = {stage: tuple(line.line for line in finding.broken) for stage, finding in settled.items()}
    jobs = [Job(f.file, f.stage_name, examples, seed, f, skip[f.stage]) for f in faults]
    outcomes = [_outcome(fault, one) for fault, one in zip(faults, _run(jobs, processes, "faults"), strict=True)]
    return Measured(tuple(outcomes), settled, examples, seed, time.perf_counter() - begun)


def _outcome(fault: Fault, found: Finding | ChildError) -> Outcome:
    if isinstance(found, ChildError):
        _say(f"{fault.name}: {found}")
        return Outcome(fault, None, LIMIT)
    return Outcome(fault, found.broken[0] if found.broken else None, found.seconds)


def _run(jobs: Sequence[Job], processes: int, what: str) -> list[Finding | ChildError]:
    """The findings of jobs, in their order; says on the way what was found and how long the rest may take."""
    found: dict[int, Finding | ChildError] = {}
    begun = time.perf_counter()
    for number, finding in each_apart(hunt, jobs, processes, LIMIT):
        found[number] = finding
        left = (time.perf_counter() - begun) / len(found) * (len(jobs) - len(found))
        broken = finding.broken if isinstance(finding, Finding) else ()
        ended = str(finding) if isinstance(finding, ChildError) else "; ".join(each.line for each in broken) or "-"
        _say(f"{what} {len(found)}/{len(jobs)}, {left / 60:.0f} min left: {jobs[number].title}: {ended}")
    return [found[number] for number in range(len(jobs))]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Measure, and write `faults.json` and `faults.md`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=100, help="legal calls tried for each line")
    parser.add_argument("--seed", type=int, default=0, help="the same one tries the same calls")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these faults, or the faults of these stages, only")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--json", action="store_true", help="print JSON in place of the page")
    parser.add_argument("--output", type=Path, help="where the results go; docs/reproduce unless --only is given")
    given = parser.parse_args()
    faults = [f for f in FAULTS if not given.only or f.name in given.only or f.stage in given.only]
    if not faults:
        parser.error(f"there is no fault and no stage with a fault called {', '.join(given.only)}")
    for heavy in ("torch", "hypothesis"):  # imported once, before the processes fork
        import_module(heavy)
    try:
        found = document(measure(faults, given.examples, given.seed, given.jobs))
    except FaultError as error:
        sys.exit(f"faults: {error}")
    folder = given.output or (None if given.only else ROOT / "docs" / "reproduce")
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "faults.json").write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        (folder / "faults.md").write_text(page(found), encoding="utf-8")
    print(json.dumps(found, indent=2, ensure_ascii=False) if given.json else page(found))


if __name__ == "__main__":
    main()
