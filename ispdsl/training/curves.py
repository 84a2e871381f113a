"""Curves of a training: a table for other programs, TensorBoard's files, and lines in the terminal."""

from __future__ import annotations

import csv
import math
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CURVE = "curve.csv"
COLUMNS = ("step", "seconds", "loss", "psnr", "rate")
BARS = "▁▂▃▄▅▆▇█"


@dataclass
class Curve:
    """A curve that is being written; one row an evaluation."""

    path: Path | None = None
    board: Any = None
    points: list[float] = field(default_factory=list[float])

    def add(self, step: int, seconds: float, loss: float, psnr: float | None, rate: float) -> None:
        """One more evaluation."""
        if self.path is None:
            return
        with self.path.open("a", newline="", encoding="utf-8") as file:
            row = (step, f"{seconds:.2f}", f"{loss:.6g}", "" if psnr is None else f"{psnr:.3f}", f"{rate:.4g}")
            csv.writer(file).writerow(row)
        self.board.add_scalar("loss", loss, step)
        self.board.add_scalar("rate", rate, step)
        if psnr is not None:
            self.board.add_scalar("psnr", psnr, step)


@contextmanager
def written(folder: Path, step: int, writes: bool = True) -> Generator[Curve]:
    """A curve in a folder; rows of an earlier run beyond `step` are taken back, since their steps are done again."""
    if not writes:
        yield Curve()
        return
    from tensorboardX import SummaryWriter

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / CURVE
    kept = [row for row in read(path) if row["step"] <= step] if step else []
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        table.writerows([_cell(row[name]) for name in COLUMNS] for row in kept)
    with ExitStack() as stack:
        board = SummaryWriter(str(folder / "tensorboard"), purge_step=step or None)
        stack.callback(board.close)
        yield Curve(path, board)


def read(path: Path) -> list[dict[str, float]]:
    """The rows of a curve, as far as they can be read; nothing where there is none."""
    if not path.exists():
        return []
    found: list[dict[str, float]] = []
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            try:
                found.append({name: float(row[name] or "nan") for name in COLUMNS})
            except (KeyError, TypeError, ValueError):
                continue  # a line that was being written when the machine stopped
    return found


def _cell(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.10g}"


def sparkline(values: list[float], width: int = 24) -> str:
    """Values as a line of bars, the last `width` of them between their lowest and highest."""
    shown = [value for value in values if math.isfinite(value)][-width:]
    if not shown:
        return ""
    low, span = min(shown), max(shown) - min(shown)
    places = (round((value - low) / span * (len(BARS) - 1)) if span else 0 for value in shown)
    return "".join(BARS[place] for place in places)
