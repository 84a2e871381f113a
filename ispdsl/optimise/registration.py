"""Where on a raw a picture of it lies: its orientation, size and crop, whatever its tones.

Both are seen as luma from which local mean and contrast are taken, so that tone curves and white balance do not matter
(as in Pizer et al., "Adaptive Histogram Equalization and Its Variations", 1987, section 2). Every orientation and some
fifty sizes are tried by normalised correlation in the Fourier domain with its overlap (Padfield, "Masked Object
Registration in the Fourier Domain", IEEE Transactions on Image Processing 21(5), 2012); the best few are refined by
least squares on finer grids (Lucas and Kanade, "An Iterative Image Registration Technique", IJCAI 1981), each side of
the picture by itself.

Coordinates are those of edges: pixel ``i`` reaches from ``i`` to ``i + 1``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.ndimage import gaussian_filter, map_coordinates

from ispdsl.errors import UserError
from ispdsl.optimise.grid import gaussian_samples
from ispdsl.optimise.least_squares import Numbers, minimise
from ispdsl.runtime.frame import Frame
from ispdsl.runtime.pictures import orient

Plane = NDArray[np.float32]
"""``(H, W)``."""

COARSE, FINE = 96, (128, 256, 512)
"""Cells along the longer side of the raw while everything is tried, and of the picture while it is refined."""

SMALLEST, LARGEST, FINER = 0.2, 1.1, 1.035
"""The longer side of the picture as a part of the raw's: least, most, and the factor between two that are tried."""

WINDOW = 5.0
"""Cells within which mean and contrast are local: sigma of a Gaussian."""

OVERLAP = 0.6
"""How much of the picture must lie on the raw."""

FOLLOWED = 5
"""Places that are refined."""

ALIKE = 0.4
"""Correlation below which it is another picture; those of the same scene by another developer have 0.7 and more."""

SQUARE = 0.03
"""How much the scales of both axes may differ."""


class RegistrationError(UserError):
    """The picture is not of this raw, or too little of it is."""


@dataclass(frozen=True)
class Placement:
    """Where a picture lies on a raw, as the sensor lay.

    Attributes:
        orientation: EXIF orientation that turns the picture so that it lies as the raw does.
        size: height and width of the picture once it is turned, in its own px.
        top, left, bottom, right: its edges on the raw, in px of the raw; they may lie beyond it.
        correlation: of both where they overlap; 1 for equal ones.
    """

    orientation: int
    size: tuple[int, int]
    top: float
    left: float
    bottom: float
    right: float
    correlation: float

    @property
    def scale(self) -> tuple[float, float]:
        """Pixels of the raw for each pixel of the picture, down and across."""
        return (self.bottom - self.top) / self.size[0], (self.right - self.left) / self.size[1]

    def on(self, factor: float, top: float = 0.0, left: float = 0.0) -> Placement:
        """The same on a raw of so many times the size, counted from a point of that one."""
        return replace(
            self,
            top=self.top * factor - top,
            left=self.left * factor - left,
            bottom=self.bottom * factor - top,
            right=self.right * factor - left,
        )


def sketch(frame: Frame) -> Plane:
    """What a raw shows, at half its size, from black 0 to white 1, coded about as displays do."""
    light = frame.image.astype(np.float32).mean(axis=0)
    height, width = (side // 2 * 2 for side in light.shape)
    cells = light[:height, :width].reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))
    black = np.float32(np.mean(np.asarray(frame.metadata["black_level"])))
    white = np.float32(np.asarray(frame.metadata["white_level"]))
    return np.clip((cells - black) / (white - black), 0, 1) ** np.float32(1 / 2.4)


def register(target: NDArray[np.floating], seen: Plane) -> Placement:
    """Find a picture on a raw.

    Args:
        target: ``(C, h, w)``, coded for a display, in any orientation.
        seen: the raw, ``(H, W)``, from 0 to 1, coded about as displays do: `sketch`.

    Returns:
        The placement in pixels of `seen`.

    Raises:
        RegistrationError: they are not of each other, or overlap too little.
    """
    luma = np.asarray(target, np.float32).mean(axis=0)
    found = [_refined(luma, seen, each, FINE[0]) for each in _tried(luma, seen)]
    best = max(found, key=lambda each: each.correlation, default=None)
    if best is None or best.correlation < ALIKE:
        nearest = "" if best is None else f": the best place has a correlation of {best.correlation:.2f}"
        message = f"the target is found nowhere on the raw, in no orientation and no size{nearest}"
        raise RegistrationError(message, "give a picture of this raw; less than a fifth of its side cannot be found")
    for cells in FINE[1:]:
        best = _refined(luma, seen, best, cells)
    down, across = best.scale
    if abs(down / across - 1) > SQUARE:
        message = f"the target fits only when it is stretched: {down:.3f} down and {across:.3f} across"
        raise RegistrationError(message, "give a picture that was scaled by one factor")
    return best


# ---- everything is tried -----------------------------------------------------------------------------------


def _tried(luma: Plane, seen: Plane) -> list[Placement]:
    """The most likely places, coarse."""
    pitch = max(1.0, max(seen.shape) / COARSE)
    cells = max(seen.shape) / pitch
    there = _features(_reduced(seen, pitch))
    found: list[tuple[float, Placement]] = []
    luma = _reduced(luma, max(1.0, max(luma.shape) / (4 * COARSE)))
    for part in np.geomspace(SMALLEST, LARGEST, 1 + int(np.ceil(np.log(LARGEST / SMALLEST) / np.log(FINER)))):
        across = max(luma.shape) / (part * cells)  # of its own pixels for each cell
        if min(luma.shape) / across < 2 * WINDOW:
            continue
        here = _features(_reduced(luma, across))
        for orientation in range(1, 9):
            turned = orient(here, orientation)
            found += [(score, _placed(orientation, turned, lag, pitch)) for score, lag in _lags(turned, there)]
    chosen: list[Placement] = []
    for _, each in sorted(found, key=lambda pair: -pair[0]):
        if len(chosen) == FOLLOWED:
            break
        if all(_apart(each, other) > 3 * pitch for other in chosen):
            chosen.append(each)
    return chosen


def _placed(orientation: int, turned: Plane, lag: tuple[int, int], pitch: float) -> Placement:
    (top, left), (rows, columns) = lag, turned.shape
    ends = (top + rows) * pitch, (left + columns) * pitch
    return Placement(orientation, (rows, columns), top * pitch, left * pitch, *ends, 0.0)


def _apart(one: Placement, other: Placement) -> float:
    """How far the furthest edge is from that of another, in px of the raw; infinite where they are turned apart."""
    if one.orientation != other.orientation:
        return np.inf
    return max(abs(getattr(one, side) - getattr(other, side)) for side in ("top", "left", "bottom", "right"))


def _lags(here: Plane, there: Plane) -> Iterator[tuple[float, tuple[int, int]]]:
    """Where a plane lies best on another: a score, and row and column of its first corner.

    The score is the correlation times the root of the number of cells that overlap: by how many standard deviations of
    chance it is above nothing.
    """
    height, width = (
        int(next_fast_len(a + b - 1, real=True) or 0) for a, b in zip(here.shape, there.shape, strict=True)
    )

    def spectrum(plane: Plane) -> NDArray[np.complex64]:
        return np.asarray(rfft2(plane, (height, width)))

    def correlated(one: NDArray[np.complex64], other: NDArray[np.complex64]) -> Plane:
        return np.asarray(irfft2(one * np.conj(other), (height, width)))

    mine, its = np.ones_like(here), np.ones_like(there)
    both = correlated(spectrum(there), spectrum(here))
    energy = correlated(spectrum(there**2), spectrum(mine)) * correlated(spectrum(its), spectrum(here**2))
    cells = correlated(spectrum(its), spectrum(mine))
    score = both / np.sqrt(np.maximum(energy, 1e-3)) * np.sqrt(np.maximum(cells, 0))
    score[cells < OVERLAP * here.size] = -np.inf
    place = int(score.argmax())
    row, column = divmod(place, width)
    if np.isfinite(score[row, column]):
        yield float(score[row, column]), (_signed(row, height, there.shape[0]), _signed(column, width, there.shape[1]))


def _signed(place: int, period: int, most: int) -> int:
    """A place of a circular correlation as a lag: those beyond the other plane are before its begin."""
    return place if place < most else place - period


# ---- the best are refined ----------------------------------------------------------------------------------


def _refined(luma: Plane, seen: Plane, begin: Placement, cells: int) -> Placement:
    """A placement to a fraction of a cell, of which there are so many along the longer side of the picture."""
    turned = np.ascontiguousarray(orient(luma, begin.orientation))
    begin = replace(begin, size=turned.shape)
    across = max(1.0, max(turned.shape) / cells)
    here = _features(_reduced(turned, across))
    cell = across * float(np.mean(begin.scale))
    pitch = max(1.0, cell)
    there = _features(_reduced(seen, pitch), WINDOW * cell / pitch)
    return _fitted(here, there, begin, pitch, across)


def _fitted(here: Plane, there: Plane, begin: Placement, pitch: float, across: float) -> Placement:
    """The four edges at which the features of both are nearest. Beyond the raw there are none: 0."""
    rows, columns = here.shape
    # A cell may end before the picture does; edges are those of the cells here.
    shares = np.array([rows, columns, rows, columns]) * across / np.array([*begin.size, *begin.size])
    top, left, bottom, right = np.array([begin.top, begin.left, begin.bottom, begin.right]) / pitch
    edges = np.array([top, left, top + (bottom - top) * shares[0], left + (right - left) * shares[1]])
    down, right_ = np.meshgrid((np.arange(rows) + 0.5) / rows, (np.arange(columns) + 0.5) / columns, indexing="ij")
    reach = 5.0

    def places(x: Numbers) -> tuple[Numbers, NDArray[np.float64]]:
        at = edges + (x - 0.5) * 2 * reach
        y, z = at[0] + (at[2] - at[0]) * down - 0.5, at[1] + (at[3] - at[1]) * right_ - 0.5
        return at, np.stack([y, z])

    slopes = np.gradient(there)

    def residual(x: Numbers) -> NDArray[np.floating]:
        return (map_coordinates(there, places(x)[1], order=1, cval=0.0) - here).ravel()

    def jacobian(x: Numbers) -> NDArray[np.float64]:
        _, at = places(x)
        by_row, by_column = (map_coordinates(each, at, order=1, cval=0.0) for each in slopes)
        each = (by_row * (1 - down), by_column * (1 - right_), by_row * down, by_column * right_)
        return np.stack([part.ravel() for part in each], axis=1) * 2 * reach

    start = np.full(4, 0.5)
    fit = minimise(residual, jacobian, start, (np.zeros(4), np.ones(4)), calls=25, flat=1e-4, robust=0.7)
    at, where = places(fit.point)
    inside = ((where >= 0) & (where <= np.array(there.shape)[:, None, None] - 1)).all(axis=0)
    seen = map_coordinates(there, where, order=1, cval=0.0)[inside]
    norm = float(np.sqrt(np.sum(seen**2) * np.sum(here[inside] ** 2)))
    alike = float(np.sum(seen * here[inside])) / max(norm, 1e-6) if inside.mean() > OVERLAP / 2 else 0.0
    found = at * pitch
    height, width = (found[2] - found[0]) / shares[0], (found[3] - found[1]) / shares[1]
    top, left = float(found[0]), float(found[1])
    return replace(begin, top=top, left=left, bottom=top + float(height), right=left + float(width), correlation=alike)


# ---- what is compared --------------------------------------------------------------------------------------


def _reduced(plane: Plane, pitch: float) -> Plane:
    """A plane by cells of so many px, those at its far ends that are not whole left out."""
    if pitch == 1.0:
        return plane
    sigma = 0.5 * max(pitch, 1.0)
    rows, columns = (gaussian_samples(max(int(side / pitch), 1), side, 0.0, pitch, sigma) for side in plane.shape)
    return np.asarray(rows @ plane @ columns.T, np.float32)


def _features(plane: Plane, window: float = WINDOW) -> Plane:
    """A plane without its local mean, over its local contrast."""
    apart = plane - gaussian_filter(plane, window)
    contrast = np.sqrt(gaussian_filter(apart**2, window))
    return np.asarray(apart / (contrast + 0.01), np.float32)
