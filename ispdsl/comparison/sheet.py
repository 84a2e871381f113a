"""A picture of the differences: a row for every tap, both images and, amplified, what lies between them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ispdsl.comparison.pair import Pair
from ispdsl.ir.types import Type
from ispdsl.runtime.contact_sheet import (
    LABEL,
    MARGIN,
    PAPER,
    THUMBNAIL,
    label,
    paste,
    shrink,
    to_display,
    without_mosaic,
)
from ispdsl.runtime.pictures import orient, write_picture
from ispdsl.runtime.spaces import Floats

MOST = 2.0**16
"""The strongest amplification: more would show how floats are rounded."""


def difference_sheet(path: Path, pairs: Sequence[Pair], names: tuple[str, str], orientation: int = 1) -> None:
    """Write a page with a row for every pair that has images: the first, the second, and their difference.

    Args:
        path: any format that `write_picture` knows.
        pairs: what to show, in this order.
        names: of the backends.
        orientation: EXIF orientation of the images.

    Raises:
        ValueError: no pair has images.
        PictureError: the file cannot be written.
    """
    rows = [_row(pair, names, orientation) for pair in pairs if pair.images is not None]
    if not rows:
        raise ValueError("there are no differences to show")
    write_rows(path, rows)


def write_rows(path: Path, rows: Sequence[Sequence[tuple[str, str, NDArray[np.float32]]]]) -> None:
    """Write a page of rows of three tiles, each with its title, a remark and a thumbnail `(3, H, W)`.

    Raises:
        PictureError: the file cannot be written.
    """
    heights = [max(picture.shape[1] for _, _, picture in row) for row in rows]
    width = 3 * (THUMBNAIL + MARGIN) + MARGIN
    page = Image.new("RGB", (width, sum(heights) + len(rows) * (LABEL + MARGIN) + MARGIN), PAPER)
    top = MARGIN
    for row, height in zip(rows, heights, strict=True):
        for column, (title, remark, picture) in enumerate(row):
            left = MARGIN + column * (THUMBNAIL + MARGIN)
            paste(page, picture, left + THUMBNAIL // 2, top + height // 2)
            label(page, title, remark, left, top + height + LABEL - 10)
        top += height + LABEL + MARGIN
    write_picture(path, np.asarray(page, np.float32).transpose(2, 0, 1) / 255)


def _row(pair: Pair, names: tuple[str, str], orientation: int) -> list[tuple[str, str, NDArray[np.float32]]]:
    """Title, remark and thumbnail of three tiles."""
    assert pair.images is not None
    assert pair.figures is not None
    peak = pair.figures.peak
    space = str(pair.type.args[0] if pair.type.name == "rgb" else pair.type)  # short: the backend's name needs the room
    first, second = (orient(image, orientation) for image in pair.images)
    tiles = [
        (f"{pair.name}: {name}", space, shown(image, pair.type, peak))
        for name, image in zip(names, (first, second), strict=True)
    ]
    apart = np.abs(first - second) / np.float32(peak)
    factor = amplification(apart)
    remark = "equal" if pair.figures.equal else f"x {factor:g}"
    return [*tiles, ("difference", remark, _as_colours(coarse(apart, THUMBNAIL) * np.float32(factor)))]


def shown(image: Floats, type_: Type, peak: float) -> NDArray[np.float32]:
    """A thumbnail in sRGB `(3, h, w)`; of chroma, its first plane as blue and its second as red about a mid grey."""
    small = shrink(without_mosaic(image, type_.name), THUMBNAIL) / np.float32(peak)
    if type_.name == "chroma":
        return np.stack([0.5 + small[1], np.full_like(small[0], 0.5), 0.5 + small[0]]).clip(0, 1)
    return to_display(small, type_.name if type_.name == "raw" else str(type_.args[0]), white=1.0)


def amplification(apart: Floats) -> float:
    """A power of two by which differences `(C, H, W)`, as fractions of the peak, are plain to see without clipping.

    One value in a thousand may clip: a single pixel that is far off must not hide the rest. Differences are never
    weakened, and never amplified by more than `MOST`.
    """
    usual = float(np.quantile(apart, 0.999)) or float(apart.max())
    return min(MOST, max(1.0, 2.0 ** np.floor(np.log2(1 / usual)))) if usual > 0 else 1.0


def coarse(apart: Floats, side: int) -> NDArray[np.float32]:
    """`(C, H, W)` scaled to fit in `side` x `side` px, every pixel the largest of its area: a lone one stays seen."""
    step = -(-max(apart.shape[1:]) // side)
    pad = [(0, -size % step) for size in apart.shape[1:]]
    whole = np.pad(apart, [(0, 0), *pad])
    planes, height, width = whole.shape
    return shrink(whole.reshape(planes, height // step, step, width // step, step).max(axis=(2, 4)), side)


def _as_colours(apart: Floats) -> NDArray[np.float32]:
    """One plane as grey, the two of chroma as blue and red, three as they are; clipped to 0..1."""
    planes = {1: (0, 0, 0), 2: (1, None, 0), 3: (0, 1, 2)}[len(apart)]
    black = np.zeros_like(apart[0])
    return np.stack([black if plane is None else apart[plane] for plane in planes]).clip(0, 1).astype(np.float32)
