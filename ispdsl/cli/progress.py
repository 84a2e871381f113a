"""A bar on stderr while a pipeline runs, where stderr is a terminal; nothing at all where it is not."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from ispdsl.cli.console import note

Step = Callable[[int, int, str], None]
"""Called before each step with the number of steps done, their number, and its name."""


@contextmanager
def progress(plain: bool = False) -> Generator[Step]:
    """Within, the yielded function shows what is being done, how far it is, how long it has run and will run.

    `plain` leaves the colours out; NO_COLOR does as well.
    """
    if not sys.stderr.isatty():
        yield _nothing
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description:<24}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True, no_color=plain or None), transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def step(done: int, total: int, name: str) -> None:
            bar.update(task, description=name, completed=done, total=total)

        yield step


def say_where_it_begins(checkpoint: Path, resume: bool) -> None:
    """Tell who asked to go on that there is nothing to go on from, and who did not that something is given up."""
    if resume and not checkpoint.exists():
        note(f"{checkpoint} is not there: the training begins anew")
    if not resume and checkpoint.is_file():
        note(f"{checkpoint} is an unfinished training, to be replaced by this one; --resume goes on with it")


def say_replaced(output: Path) -> None:
    """Tell whoever trains into a file that is there: to keep it, they stop now."""
    if output.is_file():
        note(f"{output} is there: to be replaced when the training is done; another name keeps both")


def _nothing(done: int, total: int, name: str) -> None:
    """Nobody watches."""
