"""Several goals of a pipeline at once: the settings that no others beat in all of them, as the real thing renders them.

What is free and what is measured are those of `ispdsl.optimise.tuning`; the goals are not added up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ispdsl.optimise.free import Free
from ispdsl.optimise.ledger import Ledger
from ispdsl.optimise.pareto import Front, Tried, pareto
from ispdsl.optimise.space import Numbers
from ispdsl.optimise.tasks.task import Picture, Task
from ispdsl.optimise.tuning import Asked
from ispdsl.runtime.values import Settings

if TYPE_CHECKING:
    from ispdsl.optimise.rendering import Render

NAME = "nsga-ii"
"""Who searches."""


@dataclass(frozen=True, eq=False)
class Traded:
    """What was found for several goals.

    Attributes:
        front: every call of the real thing, the first at the start, and which of them nothing beats.
        settings: of each point of ``front.best``, in its order.
        failed: calls that gave no picture, or no number for a goal.
        fault: what the last that gave no picture said; None where there is none, or not since the ledger was read.
    """

    front: Front
    settings: tuple[Settings, ...]
    failed: int
    fault: str | None

    @property
    def calls(self) -> int:
        """Of the real thing."""
        return len(self.front.tried)

    @property
    def start(self) -> Tried:
        """The call at the start."""
        return self.front.tried[0]


def trade(
    free: Free,
    tasks: Sequence[Task],
    render: Render,
    *,
    calls: int,
    seed: int = 0,
    ledger: Ledger | None = None,
    told: Callable[[int, int], None] | None = None,
) -> Traded:
    """Look for settings that no others beat in all tasks, by NSGA-II. Ctrl-C ends the search with what was found.

    Args:
        free: what is free, and where the search begins.
        tasks: the goals, two or more; each is made small.
        render: the real thing.
        calls: of it, at most; a call renders all raws once.
        seed: of everything that is drawn.
        ledger: where calls are written down, and where those of a search that was stopped are read.
        told: called after each call with their number and how many of them nothing beats.

    Raises:
        ValueError: there is nothing to search, something is each image's own, or what is rendered does not fit a task.
        UserError: the real thing cannot render the start, or fails again and again.
        LedgerError: the ledger is of another search, or cannot be written.
    """
    if free.own:
        raise ValueError(f"{free.own[0]} is each image's own, and a front is of settings that all share")
    latest: tuple[float, ...] = ()

    def measure(pictures: Sequence[Picture]) -> float:
        nonlocal latest
        latest = tuple(float(task.measure(pictures)) for task in tasks)
        return sum(latest)

    names = tuple(task.name for task in tasks)
    asked = Asked(free, Task(" and ".join(names), measure, str), render)

    def goals(point: Numbers) -> tuple[float, ...]:
        return (math.nan,) * len(tasks) if math.isnan(asked.score(point)) else latest

    start = free.start
    front = pareto(goals, free.space, names, calls=calls, seed=seed, start=start, ledger=ledger, told=told)
    failed = sum(not all(map(math.isfinite, each.scores)) for each in front.tried)
    return Traded(front, tuple(free.at(each.point) for each in front.best), failed, asked.fault)
