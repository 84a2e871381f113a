"""Plant faults in the programs of the standard library and see which of them break a contract.

Each fault is planted in a process of its own, from the changed source text, and the contract is tested until a line
breaks. Then those lines are tested without a fault: one that does not hold then has caught nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
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
    """Plant the faults; then see that the lines that caught them hold without a fault, else look for others.

    Raises:
        FaultError: a fault does not fit its module, or a contract cannot be run without a fault.
    """
    begun = time.perf_counter()
    for fault in faults:
        fault.planted(source_of(fault.module))
    found: dict[Fault, Finding | ChildError] = {}
    sound: dict[str, set[str]] = {fault.stage: set() for fault in faults}
    unsound: dict[str, set[str]] = {fault.stage: set() for fault in faults}
    while todo := [fault for fault in faults if fault not in found or _line(found[fault]) in unsound[fault.stage]]:
        jobs = [Job(f.file, f.stage_name, examples, seed, f, tuple(sorted(unsound[f.stage]))) for f in todo]
        found.update(zip(todo, _run(jobs, processes, "faults"), strict=True))
        _hold(found, sound, unsound, (examples, seed, processes))
    outcomes = tuple(_outcome(fault, found[fault]) for fault in faults)
    left_out = {stage: tuple(sorted(lines)) for stage, lines in unsound.items() if lines}
    return Measured(outcomes, left_out, examples, seed, time.perf_counter() - begun)


def _hold(
    found: Mapping[Fault, Finding | ChildError],
    sound: Mapping[str, set[str]],
    unsound: Mapping[str, set[str]],
    setting: tuple[int, int, int],
) -> None:
    """Test the lines that caught something without any fault, and note which of them hold."""
    examples, seed, processes = setting
    new: dict[str, tuple[Fault, set[str]]] = {}
    for fault, finding in found.items():
        line = _line(finding)
        if line is not None and line not in sound[fault.stage] | unsound[fault.stage]:
            new.setdefault(fault.stage, (fault, set()))[1].add(line)
    jobs = [Job(f.file, f.stage_name, examples, seed, only=tuple(sorted(lines))) for f, lines in new.values()]
    for stage, finding in zip(new, _run(jobs, processes, "without a fault"), strict=True):
        if isinstance(finding, ChildError):
            raise FaultError(f"the contract of {stage} cannot be run: {finding}")
        broken = {each.line for each in finding.broken}
        unsound[stage].update(broken)
        sound[stage].update(new[stage][1] - broken)


def _line(finding: Finding | ChildError) -> str | None:
    """The line that a fault broke."""
    return finding.broken[0].line if isinstance(finding, Finding) and finding.broken else None


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
