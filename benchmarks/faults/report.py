"""What the contracts caught, as JSON and as a Markdown page."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from benchmarks.faults.fault import KINDS, Fault
from benchmarks.faults.hunt import Broken

PROGRAMS = ("ispdsl", "torch", "numpy", "hypothesis")
LONGEST = 110
"""Characters of a message in the table."""


@dataclass(frozen=True)
class Outcome:
    """A fault, the first line of the contract that it breaks if there is one, and how long that took."""

    fault: Fault
    caught: Broken | None
    seconds: float


@dataclass(frozen=True)
class Measured:
    """A run of the benchmark: `unsound` are lines of stages that do not hold without a fault, and count for nothing."""

    outcomes: tuple[Outcome, ...]
    unsound: Mapping[str, tuple[str, ...]]
    examples: int
    seed: int
    seconds: float


def document(found: Measured) -> dict[str, Any]:
    """Everything about a run, as JSON can hold it."""
    caught = sum(one.caught is not None for one in found.outcomes)
    return {
        "measure": "share of planted faults that break at least one line of their stage's contract",
        "faults": len(found.outcomes),
        "caught": caught,
        "share": round(caught / max(len(found.outcomes), 1), 4),
        "by_kind": by_kind(found.outcomes),
        "examples": found.examples,
        "seed": found.seed,
        "seconds": round(found.seconds, 1),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PROGRAMS}},
        "stages": len({one.fault.stage for one in found.outcomes}),
        "lines_that_fail_without_a_fault": {stage: list(lines) for stage, lines in found.unsound.items()},
        "outcomes": [
            {
                "name": one.fault.name,
                "kind": one.fault.kind,
                "stage": one.fault.stage,
                "module": one.fault.module,
                "change": one.fault.diff,
                "caught_by": one.caught.line if one.caught else None,
                "message": one.caught.message if one.caught else None,
                "seconds": round(one.seconds, 2),
            }
            for one in found.outcomes
        ],
    }


def by_kind(outcomes: Sequence[Outcome]) -> dict[str, dict[str, int]]:
    """How many faults of each kind there are, and how many were caught."""
    found: dict[str, dict[str, int]] = {}
    for kind in KINDS:
        own = [one for one in outcomes if one.fault.kind == kind]
        if own:
            found[kind] = {"faults": len(own), "caught": sum(one.caught is not None for one in own)}
    return found


def page(found: dict[str, Any]) -> str:
    """The page of a document."""
    outcomes = found["outcomes"]
    missed = [one for one in outcomes if one["caught_by"] is None]
    written = sum(one["caught_by"] is not None and one["caught_by"].startswith("property") for one in outcomes)
    unsound = found["lines_that_fail_without_a_fault"]
    lines = [
        "# Seeded faults",
        "",
        "Mistakes that engineers make, each planted alone in the source of one stage's program, and what the stage's",
        f"contract says to it. A fault is caught when a line breaks within {found['examples']} examples that holds for",
        "the program as it is; the first such line is named. Lines about export are left out.",
        "Made by `make reproduce-faults`.",
        "",
        f"**{found['caught']} of {found['faults']} faults are caught ({100 * found['share']:.1f} %)**, {written} of"
        f" them by a written line first, the others by an implied one; {found['stages']} stages, seed {found['seed']}.",
        "",
        "| kind | faults | caught |",
        "|---|---|---|",
        *(f"| {kind} | {row['faults']} | {row['caught']} |" for kind, row in found["by_kind"].items()),
        "",
        "## Missed",
        "",
        *([f"- {one['name']} in `{one['stage']}`: {one['kind']}" for one in missed] or ["None."]),
        "",
        *(_unsound(unsound) if unsound else []),
        "## All faults",
        "",
        "| stage | fault | kind | change | caught by |",
        "|---|---|---|---|---|",
        *map(_row, outcomes),
        "",
        f"Versions: {', '.join(f'{name} {number}' for name, number in found['versions'].items())}."
        f" It took {found['seconds'] / 60:.0f} minutes.",
    ]
    return "\n".join(lines) + "\n"


def _unsound(unsound: Mapping[str, Sequence[str]]) -> list[str]:
    """The lines that do not hold without any fault."""
    rows = [f"- `{stage}`: {', '.join(f'`{line}`' for line in broken)}" for stage, broken in unsound.items()]
    return ["Left out, because they do not hold for the program as it is:", "", *rows, ""]


def _row(one: Mapping[str, Any]) -> str:
    change = "<br>".join(f"`{line}`" for line in one["change"].replace("|", "\\|").splitlines())
    if one["caught_by"] is None:
        return f"| `{one['stage']}` | {one['name']} | {one['kind']} | {change} | **missed** |"
    message = one["message"].replace("|", "\\|")
    message = message if len(message) <= LONGEST else f"{message[:LONGEST]}..."
    return f"| `{one['stage']}` | {one['name']} | {one['kind']} | {change} | `{one['caught_by']}`: {message} |"
