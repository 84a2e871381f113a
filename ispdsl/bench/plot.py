"""Pictures of speed: contenders beside each other, and against the size of the image."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from ispdsl.bench.measure import Field
from ispdsl.bench.registry import CONTENDERS
from ispdsl.evaluation.plots import BLUE, FAINT, GRID, INK, ORANGE, Axes, Sheet

COLOURS = (
    *(BLUE, ORANGE, (70, 150, 90), (150, 90, 170), (190, 60, 80), (110, 110, 110), (40, 150, 160), (170, 130, 30)),
    *((120, 80, 50), (230, 130, 180), (60, 60, 60)),
)
"""Of contenders, in the order of the registry."""


def colour_of(name: str) -> tuple[int, int, int]:
    """The colour of a contender in every picture."""
    names = [each.name for each in CONTENDERS]
    return COLOURS[names.index(name) % len(COLOURS)] if name in names else INK


def plot_contenders(path: Path, title: str, forward: Field, gradient: Field | None) -> None:
    """A bar of megapixels a second for each contender, with its quartiles; those with gradients below.

    Args:
        path: the picture.
        title: what was measured; a second line is written smaller.
        forward: the contenders.
        gradient: those with gradients, where they were measured.

    Raises:
        ValueError: nobody took part.
        PictureError: the file cannot be written.
    """
    shown = [("from raw to picture", forward), ("gradient of a mean square", gradient)]
    fields = [(name, field) for name, field in shown if field is not None and field.measured]
    if not fields:
        raise ValueError("nobody took part")
    first, _, second = title.partition("\n")
    sheet = Sheet(820, 80 + sum(50 + 24 * len(field.measured) for _, field in fields))
    sheet.text((20, 30), first, size=16)
    sheet.text((20, 52), second, colour=FAINT, size=12)
    top = 80.0
    for name, field in fields:
        sheet.text((20, top + 14), f"{name}: MP/s, and quartiles", colour=FAINT, size=12)
        _bars(sheet, top + 24, field)
        top += 50 + 24 * len(field.measured)
    sheet.save(path)


def _bars(sheet: Sheet, top: float, field: Field) -> None:
    pixels = field.size[0] * field.size[1] / 1e6
    most = max(pixels / each.spread.low for each in field.measured)
    for place, each in enumerate(field.measured):
        y = top + 24 * place
        left, full = 170.0, 540.0
        rates = [pixels / seconds for seconds in (each.spread.high, each.spread.median, each.spread.low)]
        low, middle, high = (left + full * rate / most for rate in rates)
        sheet.text((160, y + 12), each.name, "rm", INK, 12)
        sheet.bar((left, y + 4, max(middle, left + 1), y + 20), colour_of(each.name))
        sheet.line([(low, y + 12), (high, y + 12)], INK, 1.4)
        sheet.text((high + 8, y + 12), f"{rates[1]:.1f}", "lm", FAINT, 11)


def plot_sizes(path: Path, title: str, rates: Mapping[str, Mapping[float, float]]) -> None:
    """Megapixels a second against megapixels, both on scales of decades: a line for each contender.

    Args:
        path: the picture.
        title: what to write above.
        rates: by contender, megapixels a second by megapixels.

    Raises:
        ValueError: there is nothing to show.
        PictureError: the file cannot be written.
    """
    known = {name: each for name, each in rates.items() if each}
    if not known:
        raise ValueError("nobody took part")
    sizes = [math.log10(size) for each in known.values() for size in each]
    speeds = [math.log10(rate) for each in known.values() for rate in each.values()]
    sheet = Sheet(900, 520)
    sheet.text((20, 30), title, size=16)
    axes = Axes(sheet, (64, 62, 700, 466), _room(sizes), _room(speeds))
    for value in _decades(*axes.y):
        left, right = axes.at(axes.x[0], math.log10(value)), axes.at(axes.x[1], math.log10(value))
        sheet.line([left, right], GRID)
        sheet.text((left[0] - 6, left[1]), f"{value:g}", "rm", FAINT, 11)
    for value in _decades(*axes.x):
        x, y = axes.at(math.log10(value), axes.y[0])
        sheet.text((x, y + 18), f"{value:g}", "ms", FAINT, 11)
    sheet.text((64, 52), "MP/s", colour=FAINT, size=12)
    sheet.text((700, 504), "MP", "rs", FAINT, 12)
    for place, (name, each) in enumerate(known.items()):
        colour = colour_of(name)
        points = [axes.at(math.log10(size), math.log10(rate)) for size, rate in sorted(each.items())]
        sheet.line(points if len(points) > 1 else points * 2, colour, 2.0)
        for point in points:
            sheet.dot(point, colour, 3)
        sheet.line([(716, 76 + 20 * place), (734, 76 + 20 * place)], colour, 2.4)
        sheet.text((740, 80 + 20 * place), name, colour=FAINT, size=12)
    sheet.save(path)


def _room(values: Sequence[float]) -> tuple[float, float]:
    return min(values) - 0.08, max(values) + 0.08


def _decades(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten between two logarithms."""
    powers = range(math.floor(low), math.ceil(high) + 1)
    return [
        each
        for power in powers
        for each in (10.0**power, 2 * 10.0**power, 5 * 10.0**power)
        if low <= math.log10(each) <= high
    ]
