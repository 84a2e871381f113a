"""Where searchers look, call by call, and what they recommend in the end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.reproduce.functions.cases import FUNCTIONS
from ispdsl.evaluation.plots import FAINT, GRID, Axes, Sheet
from ispdsl.optimise.searchers import SEARCHERS

COLOURS = {
    "surrogate": (38, 98, 178),
    "cma-es": (218, 110, 30),
    "bayesian": (44, 142, 90),
    "tpe": (148, 84, 170),
    "nelder-mead": (190, 60, 70),
    "powell": (130, 110, 60),
    "random": (140, 146, 156),
}
WIDTH, HEIGHT = 310, 250
LOWEST = 0.1
"""Values below are drawn there: the axis is logarithmic."""


def plot(path: Path, runs: Sequence[dict[str, Any]]) -> None:
    """A panel for each function and variant: lines are means of where a searcher looks, dots of what it recommends.

    Raises:
        PictureError: the file cannot be written.
    """
    names = [name for name in SEARCHERS if any(run["searcher"] == name for run in runs)]
    sheet = Sheet(len(FUNCTIONS) * WIDTH + 20, 2 * HEIGHT + 70)
    sheet.text((20, 30), "True value where searchers look; dots: where they recommend to go", size=16)
    for index, name in enumerate(names):
        left = sheet.width - 105 * (len(names) - index)
        sheet.line([(left, 25), (left + 18, 25)], COLOURS[name], 2.4)
        sheet.text((left + 23, 30), name, colour=FAINT, size=12)
    for row, variant in enumerate(("centre", "shifted")):
        for column, function in enumerate(FUNCTIONS):
            own = [run for run in runs if (run["variant"], run["function"]) == (variant, function.name)]
            if own:
                left, top = column * WIDTH + 58, row * HEIGHT + 80
                box = (left, top, left + WIDTH - 70, top + HEIGHT - 70)
                _panel(sheet, box, own, f"{function.name}, {variant}", function.published[0])
    sheet.save(path)


def _panel(
    sheet: Sheet, box: tuple[float, float, float, float], runs: Sequence[dict[str, Any]], title: str, published: float
) -> None:
    curves: dict[str, tuple[list[float], float]] = {}
    for name in COLOURS:
        own = [run for run in runs if run["searcher"] == name]
        if own:
            shortest = min(len(run["looked"]) for run in own)
            looked = np.mean([run["looked"][:shortest] for run in own], 0)
            curves[name] = ([_log(value) for value in looked], _log(float(np.mean([r["recommended"] for r in own]))))
    every = [value for line, end in curves.values() for value in (*line, end)] + [_log(published)]
    axes = Axes(sheet, box, (0.0, 1.06), (math.floor(min(every)), math.ceil(max(every) + 1e-9)))
    for decade in range(int(axes.y[0]), int(axes.y[1]) + 1):
        y = axes.at(0.0, decade)[1]
        sheet.line([(box[0], y), (box[2], y)], GRID)
        sheet.text((box[0] - 6, y), f"{10.0**decade:g}", "rm", FAINT, 11)
    sheet.text((box[0], box[1] - 9), title)
    sheet.line([axes.at(0.0, _log(published)), axes.at(1.06, _log(published))], FAINT)
    sheet.text(axes.at(1.0, _log(published) + 0.02), "Tseng et al.", "rs", FAINT, 10)
    for name, (line, end) in curves.items():
        sheet.line([axes.at((i + 0.5) / len(line), value) for i, value in enumerate(line)], COLOURS[name], 1.6)
        sheet.dot(axes.at(1.03, end), COLOURS[name], 3.4)
    sheet.text((box[0], box[3] + 16), "0", "ls", FAINT, 11)
    sheet.text((axes.at(1.0, axes.y[0])[0], box[3] + 16), f"{max(run['calls'] for run in runs)} calls", "rs", FAINT, 11)


def _log(value: float) -> float:
    return math.log10(max(value, LOWEST))
