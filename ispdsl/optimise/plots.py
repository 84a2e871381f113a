"""Pictures of searches: how they came down, where they looked, what matters, and what can be had at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ispdsl.evaluation.plots import BLUE, FAINT, GRID, INK, ORANGE, Axes, Sheet, ticks
from ispdsl.optimise.engine import Found
from ispdsl.optimise.morris import Effect
from ispdsl.optimise.pareto import unbeaten
from ispdsl.optimise.space import Space

COLOURS = (BLUE, ORANGE, (70, 150, 90), (150, 90, 170), (190, 60, 80), (110, 110, 110), (40, 150, 160), (170, 130, 30))
"""Of searchers, in the order in which they are given."""

SHOWN = 12
"""Numbers of a search that have a panel or a bar of their own."""

Colour = tuple[int, int, int]
Floats = NDArray[np.float64]
Shown = Callable[[float], float]
"""From a score to the number that people read, such as dB."""


def plot_convergence(
    path: Path, runs: Mapping[str, Sequence[Found]], title: str, shown: Shown = lambda score: score
) -> None:
    """The best so far against calls and against seconds: a line for each searcher, the median of its runs.

    Args:
        path: the picture.
        runs: by searcher; those of a search that ended stay where it ended.
        title: what to write above, with the unit.
        shown: what to show of a score.

    Raises:
        ValueError: there is no run.
    """
    found = {name: [each for each in several if each.evaluations] for name, several in runs.items()}
    found = {name: several for name, several in found.items() if several}
    if not found:
        raise ValueError("there is no search to show")
    most = max(len(each.evaluations) for several in found.values() for each in several)
    by_calls = {name: _median([_shown(each.path, shown) for each in several], most) for name, several in found.items()}
    longest = max(_seconds(each)[-1] for several in found.values() for each in several)
    moments = np.linspace(0, max(longest, 1e-3), 200)
    by_seconds = {
        name: np.median([_at(moments, _seconds(each), _shown(each.path, shown)) for each in several], axis=0)
        for name, several in found.items()
    }
    span = _span(np.concatenate(list(by_calls.values())))
    sheet = Sheet(900, 340)
    sheet.text((20, 30), title, size=16)
    left = Axes(sheet, (64, 66, 430, 290), (0.0, math.log10(max(most, 2))), span)
    right = Axes(sheet, (494, 66, 860, 290), (0.0, float(moments[-1])), span)
    left.rule("best so far, against calls")
    right.rule("against seconds")
    for calls in _decades(most):
        sheet.text((left.at(math.log10(calls), span[0])[0], 306), str(calls), "ms", FAINT, 11)
    for value in ticks(0.0, float(moments[-1])):
        sheet.text((right.at(value, span[0])[0], 306), f"{value:g}", "ms", FAINT, 11)
    for place, name in enumerate(found):
        colour = COLOURS[place % len(COLOURS)]
        curve = by_calls[name]
        _line(left, [math.log10(call) for call in range(1, most + 1)], curve, colour)
        _line(right, moments.tolist(), by_seconds[name], colour)
        x = 64 + 104 * place
        sheet.line([(x, 326), (x + 18, 326)], colour, 2.4)
        sheet.text((x + 24, 330), name, colour=FAINT, size=11)
    sheet.save(path)


def plot_paths(path: Path, found: Found, space: Space, title: str) -> None:
    """Where a search looked, call by call: a panel for each of the first numbers; what was best so far is a line.

    Raises:
        ValueError: nothing was asked.
    """
    if not found.evaluations:
        raise ValueError("there is no search to show")
    points = np.stack([each.point for each in found.evaluations])
    bests = _best_places(found)
    names = [axis.name for axis in space.axes][:SHOWN]
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    sheet = Sheet(300 * columns + 20, 130 * rows + 60)
    sheet.text((20, 30), title, size=16)
    for index, name in enumerate(names):
        left, top = 300 * (index % columns) + 40, 130 * (index // columns) + 74
        axes = Axes(sheet, (left, top, left + 250, top + 80), (1.0, max(len(points), 2)), (0.0, 1.0))
        axes.rule(_short(name, 30))
        for call, point in enumerate(points, 1):
            sheet.dot(axes.at(call, float(point[index])), (186, 202, 226), 1.6)
        steps = [axes.at(call, float(points[best][index])) for call, best in enumerate(bests, 1)]
        sheet.line(steps, BLUE, 1.8)
    sheet.save(path)


def plot_parallel(path: Path, found: Found, space: Space, title: str) -> None:
    """Parallel coordinates (Inselberg 1985): a line for each call from number to number, the best of them in colour.

    Raises:
        ValueError: nothing was asked.
    """
    if not found.evaluations:
        raise ValueError("there is no search to show")
    names = [axis.name for axis in space.axes][:SHOWN]
    sheet = Sheet(max(110 * len(names), 320) + 60, 340)
    sheet.text((20, 30), title, size=16)
    across = [60 + 110 * index for index in range(len(names))]
    for x, name in zip(across, names, strict=True):
        sheet.line([(x, 60), (x, 290)], GRID, 1.4)
        sheet.text((x, 308), _short(name, 17), "ms", FAINT, 10)
    sheet.text((40, 64), "1", "rm", FAINT, 11)
    sheet.text((40, 290), "0", "rm", FAINT, 11)
    order = sorted(found.evaluations, key=lambda each: -each.value if math.isfinite(each.value) else -math.inf)
    for rank, each in enumerate(order):
        best = rank >= len(order) - max(len(order) // 20, 1)
        colour: Colour = ORANGE if rank == len(order) - 1 else BLUE if best else (222, 226, 232)
        line = [(x, 290 - 230 * float(value)) for x, value in zip(across, each.point, strict=False)]
        sheet.line(line if len(line) > 1 else line * 2, colour, 2.2 if best else 0.8)
    sheet.text((sheet.width - 20, 30), "orange: the best; blue: the best twentieth", "rs", FAINT, 11)
    sheet.save(path)


def plot_effects(path: Path, effects: Sequence[Effect], title: str) -> None:
    """How much each number matters: bars of the mean absolute effect, a line for its spread.

    Raises:
        ValueError: there is no effect.
    """
    if not effects:
        raise ValueError("there is no effect to show")
    shown = effects[:SHOWN]
    most = max(max(each.size + each.spread for each in shown), 1e-12)
    sheet = Sheet(760, 26 * len(shown) + 76)
    sheet.text((20, 30), title, size=16)
    axes = Axes(sheet, (230, 50, 730, 50 + 26 * len(shown)), (0.0, most), (0.0, 1.0))
    for value in ticks(0.0, most):
        x, _ = axes.at(value, 0)
        sheet.line([(x, axes.box[1]), (x, axes.box[3])], GRID)
        sheet.text((x, axes.box[3] + 16), f"{value:g}", "ms", FAINT, 11)
    for index, each in enumerate(shown):
        top = axes.box[1] + 5 + 26 * index
        sheet.text((220, top + 9), _short(each.name, 30), "rm")
        end = axes.at(each.size, 0)[0]
        sheet.bar((axes.box[0], top, max(end, axes.box[0]), top + 14), BLUE)
        ends = [axes.at(max(each.size - each.spread, 0.0), 0)[0], axes.at(each.size + each.spread, 0)[0]]
        sheet.line([(ends[0], top + 7), (ends[1], top + 7)], INK, 1.2)
    sheet.save(path)


def plot_front(
    path: Path,
    values: Floats,
    best: NDArray[np.bool_],
    names: tuple[str, str],
    title: str,
    signs: tuple[int, int] = (1, 1),
    start: int | None = None,
) -> None:
    """Two goals against each other: what was tried are dots, what nothing beats is orange.

    A line joins what nothing beats in these two goals; of more than two, some of the orange dots lie behind it.

    Args:
        path: the picture.
        values: of the two goals, ``(N, 2)``, smaller is better.
        best: which of them nothing beats, ``(N,)``.
        names: of the goals.
        title: what to write above.
        signs: -1 where people think of a goal's negative, of which more is better.
        start: which of them the search began at; it is black.

    Raises:
        ValueError: nothing was tried.
    """
    known = np.isfinite(values).all(axis=1)
    if not known.any():
        raise ValueError("there is no answer to show")
    shown = values * np.array(signs)
    sheet = Sheet(560, 460)
    sheet.text((20, 30), title, size=16)
    axes = Axes(sheet, (70, 74, 530, 400), _span(shown[known, 0]), _span(shown[known, 1]))
    axes.rule(names[1])
    for value in ticks(*axes.x):
        sheet.text((axes.at(value, axes.y[0])[0], 418), f"{value:g}", "ms", FAINT, 11)
    sheet.text((530, 440), names[0], "rs", FAINT, 12)
    for x, y in shown[known & ~best]:
        sheet.dot(axes.at(float(x), float(y)), (186, 202, 226), 2.4)
    front = sorted(map(tuple, values[best][unbeaten(values[best])].tolist()))
    steps = [point for (x, y), (right, _) in pairwise(front) for point in ((x, y), (right, y))]
    if front:
        line = [axes.at(signs[0] * x, signs[1] * y) for x, y in (*steps, front[-1])]
        sheet.line(line * (1 if len(line) > 1 else 2), ORANGE, 1.6)
    for x, y in shown[known & best]:
        sheet.dot(axes.at(float(x), float(y)), ORANGE, 3.4)
    if start is not None and bool(np.isfinite(values[start]).all()):
        x, y = axes.at(float(shown[start, 0]), float(shown[start, 1]))
        sheet.dot((x, y), INK, 3.4)
        sheet.text((x + 8, y), "start", "lm", INK, 11)
    sheet.save(path)


# ---- numbers -----------------------------------------------------------------------------------------------


def _shown(path: Floats, shown: Shown) -> Floats:
    """What people read of the lowest score so far; not a number before the first score."""
    return np.array([shown(float(each)) if math.isfinite(each) else math.nan for each in path])


def _median(paths: Sequence[Floats], most: int) -> Floats:
    longer = np.stack([np.concatenate([path, np.full(most - len(path), path[-1])]) for path in paths])
    known = [each[np.isfinite(each)] for each in longer.T]
    return np.array([np.median(each) if each.size else math.nan for each in known])


def _seconds(found: Found) -> Floats:
    return np.cumsum([each.seconds for each in found.evaluations])


def _at(moments: Floats, seconds: Floats, path: Floats) -> Floats:
    """The best so far at some moments; not a number before the first answer."""
    after = np.searchsorted(seconds, moments, side="right")
    return np.array([math.nan if not count else float(path[count - 1]) for count in after])


def _best_places(found: Found) -> list[int]:
    """After each call, which one was the best so far."""
    places: list[int] = []
    for index, each in enumerate(found.evaluations):
        value = each.value if math.isfinite(each.value) else math.inf
        best = places[-1] if places else index
        known = found.evaluations[best].value
        places.append(index if value < (known if math.isfinite(known) else math.inf) else best)
    return places


def _span(values: Floats) -> tuple[float, float]:
    """A range with room around all values that are numbers."""
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    room = max(0.06 * (high - low), 1e-3 * max(abs(high), abs(low)), 1e-9)
    return low - room, high + room


def _decades(most: int) -> list[int]:
    """Round numbers of calls up to a number."""
    found = [step * 10**power for power in range(8) for step in (1, 2, 5)]
    return [each for each in found if each <= max(most, 2)]


def _line(axes: Axes, places: Sequence[float], values: Floats, colour: Colour) -> None:
    """A line through the values that are numbers."""
    points = [axes.at(x, float(y)) for x, y in zip(places, values, strict=True) if math.isfinite(y)]
    if points:
        axes.sheet.line(points if len(points) > 1 else points * 2, colour, 2.0)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"...{text[3 - most :]}"
