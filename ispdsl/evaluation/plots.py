"""Plots: the error of every stage, against every parameter, and as the trust figure expects it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ispdsl.evaluation.features import Floats
from ispdsl.evaluation.sensitivity import Sensitivity
from ispdsl.runtime.pictures import write_picture

PAPER, INK, FAINT, GRID = (255, 255, 255), (34, 38, 46), (120, 126, 136), (228, 230, 234)
BLUE, ORANGE, DOT = (38, 98, 178), (218, 110, 30), (150, 178, 214)
SCALE = 2
"""Pixels of the file for one of the drawing; it is drawn twice as large again and made smaller, which smooths it."""
FINE = 2 * SCALE
SIZE = 13
PANELS = 9
"""Parameters of one plot, the most telling first."""

Box = tuple[float, float, float, float]
Point = tuple[float, float]


@dataclass
class Sheet:
    """A drawing; all measures are in its own pixels."""

    width: int
    height: int

    def __post_init__(self) -> None:
        self.image = Image.new("RGB", (self.width * FINE, self.height * FINE), PAPER)
        self._draw = ImageDraw.Draw(self.image)

    def line(self, points: Sequence[Point], colour: tuple[int, int, int] = INK, width: float = 1.0) -> None:
        """A line through several points."""
        flat = [(x * FINE, y * FINE) for x, y in points]
        self._draw.line(flat, fill=colour, width=max(1, round(width * FINE)), joint="curve")

    def dot(self, at: Point, colour: tuple[int, int, int], radius: float = 2.2) -> None:
        """A filled circle."""
        x, y = (each * FINE for each in at)
        self._draw.ellipse([x - radius * FINE, y - radius * FINE, x + radius * FINE, y + radius * FINE], fill=colour)

    def bar(self, box: Box, colour: tuple[int, int, int]) -> None:
        """A filled rectangle."""
        self._draw.rectangle([each * FINE for each in box], fill=colour)

    def text(
        self, at: Point, text: str, anchor: str = "ls", colour: tuple[int, int, int] = INK, size: float = SIZE
    ) -> None:
        """Text at a point; `anchor` as pillow has it."""
        font = ImageFont.load_default(size=size * FINE)
        self._draw.text((at[0] * FINE, at[1] * FINE), text, fill=colour, font=font, anchor=anchor)

    def save(self, path: Path) -> None:
        """Write it.

        Raises:
            PictureError: the file cannot be written.
        """
        small = self.image.resize((self.width * SCALE, self.height * SCALE), Image.Resampling.BOX)
        write_picture(path, np.asarray(small, np.float32).transpose(2, 0, 1) / 255)


@dataclass(frozen=True)
class Axes:
    """A frame in a sheet: its box (left, top, right, bottom) and the values at its edges."""

    sheet: Sheet
    box: Box
    x: tuple[float, float]
    y: tuple[float, float]

    def at(self, x: float, y: float) -> Point:
        """Where a value lies in the sheet."""
        left, top, right, bottom = self.box
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return left + across * (right - left), bottom - up * (bottom - top)

    def rule(self, title: str, right: str = "") -> None:
        """Horizontal rules with their values, and a title above."""
        for value in ticks(*self.y):
            _, y = self.at(self.x[0], value)
            self.sheet.line([(self.box[0], y), (self.box[2], y)], GRID)
            self.sheet.text((self.box[0] - 6, y), f"{value:g}", "rm", FAINT, 11)
        self.sheet.text((self.box[0], self.box[1] - 9), title)
        if right:
            self.sheet.text((self.box[2], self.box[1] - 9), right, "rs", FAINT, 11)


def ticks(low: float, high: float) -> list[float]:
    """Round values within a range, three to six of them."""
    step = 10.0 ** math.floor(math.log10(max(high - low, 1e-9)))
    step = next((step * by for by in (0.2, 0.5, 1, 2) if (high - low) / (step * by) <= 5), step * 2)
    first = math.ceil(low / step - 1e-9)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]


def _span(values: Floats) -> tuple[float, float]:
    """A range with room around all values."""
    low, high = float(values.min()), float(values.max())
    room = max(0.06 * (high - low), 0.5)
    return low - room, high + room


def plot_sensitivity(path: Path, found: Sequence[Sensitivity], title: str) -> None:
    """The error against each parameter: dots are queries, the line their mean in a piece of the range, below it the
    worst. The most telling parameter comes first.

    Raises:
        ValueError: there is no parameter.
    """
    shown = list(found[:PANELS])
    if not shown:
        raise ValueError("no parameter was varied")
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    width, height = 330, 230
    sheet = Sheet(columns * width + 20, rows * height + 60)
    sheet.text((20, 30), title, size=16)
    sheet.line([(sheet.width - 262, 25), (sheet.width - 240, 25)], BLUE, 2.2)
    sheet.text((sheet.width - 234, 30), "mean", colour=FAINT, size=12)
    sheet.line([(sheet.width - 182, 25), (sheet.width - 160, 25)], ORANGE, 1.6)
    sheet.text((sheet.width - 154, 30), "worst", colour=FAINT, size=12)
    sheet.dot((sheet.width - 98, 26), DOT, 3)
    sheet.text((sheet.width - 88, 30), "a query", colour=FAINT, size=12)
    span = _span(np.concatenate([each.psnr for each in shown]))
    for index, each in enumerate(shown):
        left, top = (index % columns) * width + 58, (index // columns) * height + 80
        axes = Axes(sheet, (left, top, left + width - 70, top + height - 80), (0.0, 1.0), span)
        _panel(axes, each)
    sheet.save(path)


def _panel(axes: Axes, found: Sensitivity) -> None:
    axes.rule(_short(found.address, 28), f"{found.explained:.0%} of the error")
    for place, psnr in zip(found.places, found.psnr, strict=True):
        axes.sheet.dot(axes.at(min(max(float(place), 0.0), 1.0), float(psnr)), DOT)
    count = len(found.bins)
    known = [(index, each) for index, each in enumerate(found.bins) if each.count]
    axes.sheet.line([axes.at((index + 0.5) / count, each.worst) for index, each in known], ORANGE, 1.6)
    axes.sheet.line([axes.at((index + 0.5) / count, each.mean) for index, each in known], BLUE, 2.2)
    for index, each in known:
        axes.sheet.dot(axes.at((index + 0.5) / count, each.mean), BLUE, 3)
    bottom = axes.box[3] + 16
    named = found.bins[0].low == found.bins[0].high  # a name, not a piece of a range
    if named:
        for index, each in enumerate(found.bins):
            at = axes.at((index + 0.5) / count, axes.y[0])[0]
            axes.sheet.text((at, bottom), _short(each.label, 42 // count), "ms", FAINT, 11)
        return
    axes.sheet.text((axes.box[0], bottom), f"{found.bins[0].low:.4g}", "ls", FAINT, 11)
    axes.sheet.text((axes.box[2], bottom), f"{found.bins[-1].high:.4g}", "rs", FAINT, 11)


def plot_stages(path: Path, names: Sequence[str], own: Sequence[float | None], chain: Sequence[float | None]) -> None:
    """Mean PSNR of every watched value: of its double on the real input, and accumulated along the chain.

    Raises:
        ValueError: there is no stage.
    """
    if not names:
        raise ValueError("there is no stage")
    height = 34 * len(names) + 96
    sheet = Sheet(820, height)
    sheet.text((20, 30), "Mean PSNR in dB, stage by stage", size=16)
    for x, colour, text in ((440, BLUE, "on the real input"), (600, ORANGE, "accumulated along the chain")):
        sheet.bar((x, 19, x + 12, 31), colour)
        sheet.text((x + 18, 30), text, colour=FAINT, size=12)
    known = [value for value in (*own, *chain) if value is not None]
    low = 10 * math.floor(max(min(known, default=0.0) - 10, 0) / 10)
    high = max(known, default=1.0) * 1.02
    axes = Axes(sheet, (190, 50, 760, height - 34), (low, high), (0.0, 1.0))
    for value in ticks(low, high):
        x, _ = axes.at(value, 0)
        sheet.line([(x, axes.box[1]), (x, axes.box[3])], GRID)
        sheet.text((x, axes.box[3] + 16), f"{value:g}", "ms", FAINT, 11)
    for index, name in enumerate(names):
        top = axes.box[1] + 10 + 34 * index
        sheet.text((180, top + 11), _short(name, 26), "rm")
        for offset, value, colour in ((0, own[index], BLUE), (12, chain[index], ORANGE)):
            if value is not None:
                right = max(axes.at(value, 0)[0], axes.box[0])
                sheet.bar((axes.box[0], top + offset, right, top + offset + 10), colour)
                sheet.text((right + 5, top + offset + 9), f"{value:.1f}", colour=FAINT, size=10)
    sheet.save(path)


def plot_trust(path: Path, expected: Floats, truth: Floats, title: str) -> None:
    """Expected against true PSNR of queries that the trust figure was not fitted to.

    Args:
        path: the picture.
        expected: `(N, 3)`: the figure and its interval, in dB.
        truth: `(N,)`.
        title: what to write above.
    """
    sheet = Sheet(560, 520)
    sheet.text((20, 30), title, size=16)
    span = _span(np.concatenate([truth, expected[:, 0]]))
    axes = Axes(sheet, (66, 62, 536, 470), span, span)
    axes.rule("true PSNR in dB")
    for value in ticks(*span):
        x, _ = axes.at(value, span[0])
        sheet.text((x, axes.box[3] + 16), f"{value:g}", "ms", FAINT, 11)
    sheet.text((axes.box[2], axes.box[3] + 36), "expected PSNR in dB, and the interval", "rs", FAINT, 12)
    sheet.line([axes.at(span[0], span[0]), axes.at(span[1], span[1])], FAINT)
    for (_, low, high), real in zip(expected, truth, strict=True):
        ends = [axes.at(min(max(float(each), span[0]), span[1]), float(real)) for each in (low, high)]
        sheet.line(ends, (206, 218, 234))
    for (middle, low, high), real in zip(expected, truth, strict=True):
        sheet.dot(axes.at(float(middle), float(real)), BLUE if low <= real <= high else ORANGE, 3)
    sheet.save(path)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"...{text[3 - most :]}"
