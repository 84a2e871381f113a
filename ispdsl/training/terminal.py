"""Live curves in the terminal: a line for each double with step, loss, held-out PSNR, its curve, and the time left."""

from __future__ import annotations

import math
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from ispdsl.training.curves import sparkline
from ispdsl.training.loop import Told
from ispdsl.training.options import Outcome
from ispdsl.training.pool import Heard


@dataclass
class Line:
    """What is shown of a double."""

    name: str
    kind: str
    told: Told | None = None
    outcome: Outcome | None = None
    curve: list[float] = field(default_factory=list[float])

    def hear(self, news: Told | Outcome) -> None:
        """Take in news of this double."""
        if isinstance(news, Outcome):
            self.outcome = news
            return
        self.told = news
        if news.psnr is not None and (not self.curve or self.curve[-1] != news.psnr):
            self.curve.append(news.psnr)

    def cells(self) -> tuple[str, ...]:
        """Name, network, step, loss, PSNR, curve and time left, as text."""
        told, outcome = self.told, self.outcome
        if outcome is not None and outcome.error is not None:
            return (self.name, self.kind, "failed", "", "", sparkline(self.curve), "")
        psnr = outcome.psnr if outcome is not None else told.psnr if told is not None else None
        decibels = "" if psnr is None else f"{psnr:.2f} dB"
        if outcome is not None:
            return (self.name, self.kind, str(outcome.steps), "", decibels, sparkline(self.curve), "done")
        if told is None:
            return (self.name, self.kind, "waiting", "", "", "", "")
        loss = f"{told.loss:.5f}" if math.isfinite(told.loss) else ""
        step = f"{told.step}/{told.steps}" if told.steps < 10**7 else str(told.step)
        return (self.name, self.kind, step, loss, decibels, sparkline(self.curve), _clock(told.seconds_left))


@contextmanager
def shown(doubles: Sequence[tuple[str, str]]) -> Generator[Heard]:
    """Within, the news handed to the yielded function are shown on stderr, where that is a terminal.

    Args:
        doubles: names and kinds of networks.
    """
    lines = {name: Line(name, kind) for name, kind in doubles}

    def heard(news: Told | Outcome) -> None:
        lines.setdefault(news.name, Line(news.name, "")).hear(news)

    if not sys.stderr.isatty():
        yield heard
        return
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(stderr=True), get_renderable=lambda: _table(list(lines.values())), refresh_per_second=4):
        yield heard


def _table(lines: Sequence[Line]):  # its type is rich's, which is imported where it is shown
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for title, side in zip(("double", "network", "step", "loss", "held out", "", "left"), "llrrrlr", strict=True):
        table.add_column(title, justify="left" if side == "l" else "right", no_wrap=True)
    for line in lines:
        table.add_row(*(Text(cell) for cell in line.cells()))
    return table


def _clock(seconds: float) -> str:
    whole = max(int(seconds), 0)
    return f"{whole // 60}:{whole % 60:02d}"
