"""Who searches, by name: those of `ispdsl.optimise.searchers`, and four that know more of the task."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ispdsl.cli.boundary import CommandError
from ispdsl.diagnostics import nearest

if TYPE_CHECKING:
    from ispdsl.optimise.gradients import Relaxed
    from ispdsl.optimise.tasks.task import Task
    from ispdsl.optimise.tuning import Chosen

DIFFERENCES, COMPOSITE, COORDINATES, GRADIENTS = "differences", "composite", "coordinates", "gradients"
"""Searchers besides those of `ispdsl.optimise.searchers`."""


def check_searcher(name: str) -> None:
    """See that there is such a searcher.

    Raises:
        CommandError: there is none.
    """
    from ispdsl.optimise.searchers import SEARCHERS

    known = (DIFFERENCES, COMPOSITE, COORDINATES, GRADIENTS, *SEARCHERS)
    if name not in known:
        near = nearest(name, known)
        hint = f"did you mean {near}?" if near else f"it is one of {', '.join(known)}"
        raise CommandError(f"--searcher {name}: there is no such searcher", hint)


def searcher_of(name: str | None, task: Task, relaxed: Callable[[], Relaxed] | None = None) -> tuple[str, Chosen]:
    """Who searches; where nobody says, what suits the task.

    Args:
        name: of the searcher; None for what suits the task.
        task: what is measured.
        relaxed: makes what has slopes of it; None where nothing has.

    Raises:
        CommandError: there is no such searcher, or it does not suit the task.
    """
    from ispdsl.optimise.composite import composite
    from ispdsl.optimise.coordinates import coordinates
    from ispdsl.optimise.differences import differences
    from ispdsl.optimise.gradients import gradients
    from ispdsl.optimise.searchers import SEARCHERS

    name = name or (DIFFERENCES if task.residual is not None else "cma-es")
    check_searcher(name)
    by_pictures = {DIFFERENCES: differences, COMPOSITE: composite}
    if name in by_pictures:
        if task.residual is None:
            hint = f"choose one of {', '.join((COORDINATES, *SEARCHERS))}"
            raise CommandError(f"--searcher {name} is for sums of squares, such as match by psnr", hint)
        return name, lambda asked: by_pictures[name](asked.residual)
    if name == GRADIENTS:
        if relaxed is None:
            raise CommandError(f"--searcher {name} follows slopes, and nothing has any here", "choose another searcher")
        way = gradients(relaxed())
        return name, lambda _: way
    return name, lambda _: coordinates() if name == COORDINATES else SEARCHERS[name]
