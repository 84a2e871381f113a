"""A picture of a raw that is of another size, and what is rendered of the raw, on a grid that is coarser than both.

A camera sharpens and smooths its own pictures as it likes, so that single pixels say little of its tones and colours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ispdsl.optimise.grid import Floats, Grid, gaussian_samples
from ispdsl.optimise.registration import Placement
from ispdsl.runtime.frame import Frame
from ispdsl.runtime.pictures import orient

CELL, LONGEST = 4.0, 256
"""Pixels of the coarser of both across a cell, at least, and cells along the longer side, at most."""

SOFT = 0.5
"""Sigma of the Gaussian through which both are seen, in cells."""

CLIPPED = 254.5 / 255
"""A value from here on is white whatever the light was."""

Place = tuple[int, int, int, int]
"""Top, left, height and width of a part of a raw."""


@dataclass(frozen=True, eq=False)
class Aligned:
    """A picture and what is rendered, on one grid.

    Attributes:
        grid: takes what is rendered of the raw, or of its part, to the grid.
        target: the picture on the grid, ``(C, h, w)``, as the sensor lay.
        looked_at: cells that lie on both, and within which the picture is not clipped, ``(h, w)``.
        cell: pixels of the raw across a cell.
    """

    grid: Grid
    target: Floats
    looked_at: NDArray[np.bool_]
    cell: float


def align(
    target: Floats, placement: Placement, part: Place, *, cell: float = CELL, longest: int | None = LONGEST
) -> Aligned:
    """Put a picture on a grid with what is rendered of a part of its raw.

    Args:
        target: ``(C, h, w)``, 1 for white, as its file has it.
        placement: of the picture on the raw.
        part: what is rendered; the whole raw is one.
        cell: pixels of the coarser of both across a cell, at least.
        longest: cells along the longer side, at most.
    """
    turned = np.ascontiguousarray(orient(target, placement.orientation))
    scale = float(np.mean(placement.scale))
    top, left, height, width = part
    first = max(placement.top, top), max(placement.left, left)
    last = min(placement.bottom, top + height), min(placement.right, left + width)
    lengths = [max(b - a, 0.0) for a, b in zip(first, last, strict=True)]
    step = cell * max(1.0, scale)
    step = step if longest is None else max(step, max(lengths) / longest)
    grids: list[Grid] = []
    inside = np.ones(tuple(max(int(length / step), 1) for length in lengths), np.bool_)
    edges = (placement.top, placement.left), (top, left)
    sides = turned.shape[1:], (height, width)
    for begin, size, pixel in zip(edges, sides, (placement.scale, (1.0, 1.0)), strict=True):
        weights: list[Floats] = []
        for axis in (0, 1):
            start, each = (first[axis] - begin[axis]) / pixel[axis], step / pixel[axis]
            weights.append(gaussian_samples(inside.shape[axis], size[axis], start, each, SOFT * each))
            middles = start + (np.arange(inside.shape[axis]) + 0.5) * each
            within = (middles >= 2 * SOFT * each - 0.5) & (middles <= size[axis] - 2 * SOFT * each + 0.5)
            inside &= within[:, None] if axis == 0 else within[None, :]
        grids.append(Grid(*weights))
    ours = grids[0]
    clipped = np.asarray((turned >= CLIPPED).any(axis=0), np.float32)
    return Aligned(grids[1], ours.of(turned), inside & (ours.of(clipped) < 0.5), step)


def reduced(frame: Frame, factor: int) -> Frame:
    """A frame of so many times fewer pixels each way: the mean over those of the same colour. Far ends may be left out.

    Its colours are up to half a pixel apart from where its mosaic says: good enough to see which way to go.
    """
    image = frame.image
    sites = 1 if image.shape[0] == 3 else 2
    height, width = (side // (sites * factor) for side in image.shape[1:])
    cut = image[:, : height * sites * factor, : width * sites * factor].astype(np.float32)
    each = cut.reshape(len(image), height, factor, sites, width, factor, sites).mean(axis=(2, 5))
    codes = np.rint(each).astype(image.dtype)
    return replace(frame, image=codes.reshape(len(image), height * sites, width * sites))


def on_reduced(aligned: Aligned, factor: int, size: tuple[int, int]) -> Grid:
    """The grid for what is rendered of a frame that was reduced to a size."""
    rows, columns = (
        weights[:, : side * factor].reshape(len(weights), side, factor).sum(axis=2)
        for weights, side in zip((aligned.grid.rows, aligned.grid.columns), size, strict=True)
    )
    return Grid(*(each / np.maximum(each.sum(axis=1, keepdims=True), 1e-6) for each in (rows, columns)))
