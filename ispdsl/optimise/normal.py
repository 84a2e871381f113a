"""The normal equations of pictures, without their Jacobian: derivatives of a tile at a time, multiplied and forgotten.

``J^T W J`` and ``J^T W r`` are all that a step of least squares asks for. Where stages look at no neighbours and there
are many pixels, a program that is made for the pipeline sums them in one pass (`ispdsl.backends.system`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ispdsl.backends.front import Front
from ispdsl.optimise.certainty import blocks_of
from ispdsl.optimise.model import TOGETHER, Model, Picture
from ispdsl.optimise.parts import Part, Tile, tiles
from ispdsl.optimise.sharing import Sharing
from ispdsl.optimise.space import Numbers

if TYPE_CHECKING:
    from ispdsl.backends.system.fused import Bound

Floats = NDArray[np.floating]

FUSED = 2_000_000
"""Pixels of a picture from which a program is compiled; one that is there already is used for any."""

SAME = 1e-3
"""What a program's sums may differ from those of torch, on a sample, as a part: rounding is far below, errors above."""

SCORED = 1_000_000
"""Numbers of pictures by which standard errors are judged, at most: of tiles that are drawn."""


@dataclass(frozen=True, eq=False)
class Source:
    """A picture whose normal equations are wanted.

    Attributes:
        model, front: of it.
        target: ``(C, H, W)``, 1 for white.
        peak: the value of the model's pictures that stands for white.
        inside: places of the numbers that count, all planes of a pixel or none.
        robust: the scale of Charbonnier's loss; None for squares.
        part: a sample that is known to be what the picture has there; None where none was drawn.
    """

    model: Model
    front: Front
    target: Picture
    peak: float
    inside: NDArray[np.int64]
    robust: float | None
    part: Part | None

    def system(self, at: Numbers, residual: Floats, weights: Floats | None) -> tuple[Numbers, Numbers]:
        """``J^T W J`` ``(N, N)`` and ``J^T W r`` ``(N,)`` by the unit face of the hard ranges."""
        if self.program is not None:
            return self.program.at(at)[:2]
        pull = residual if weights is None else residual * weights
        pulls = self._picture(pull)
        heights = None if weights is None and self.inside.size == pulls.size else self._picture(
            np.ones_like(residual) if weights is None else weights
        )  # fmt: skip
        normal, slope = np.zeros((at.size, at.size)), np.zeros(at.size)
        for tile in self.tiles:
            slopes = self.slopes(tile, at)
            left = slopes if heights is None else slopes * heights[:, tile.rows, tile.columns].reshape(-1)
            normal += _product(left, slopes)
            slope += _product(slopes, pulls[:, tile.rows, tile.columns].reshape(1, -1))[:, 0]
        return normal, slope

    def slopes(self, tile: Tile, at: Numbers) -> NDArray[np.float32]:
        """Derivatives of the numbers of a tile, ``(N, m)``."""
        x = torch.from_numpy(at)

        def along(direction: Tensor) -> Tensor:
            return torch.func.jvp(tile.picture, (x,), (direction,))[1].flatten() / self.peak

        several = torch.func.vmap(along, randomness="same")
        size = len(self.target) * (tile.rows.stop - tile.rows.start) * (tile.columns.stop - tile.columns.start)
        count = max(1, TOGETHER // size)
        return np.concatenate([several(some).numpy() for some in torch.eye(at.size, dtype=x.dtype).split(count)])

    def scores(self, at: Numbers, pull: Floats, most: int, random: np.random.Generator) -> Numbers:
        """``J^T v`` of blocks of pixels, each by itself, ``(B, N)``; some, scaled up, may stand for all."""
        pulls = self._picture(pull)
        found: list[Numbers] = []
        seen = 0
        for number in random.permutation(len(self.tiles)):
            if seen >= most:
                break
            tile = self.tiles[number]
            mine = pulls[:, tile.rows, tile.columns]
            groups = blocks_of(np.arange(mine.size), mine.shape)
            slopes = self.slopes(tile, at) * mine.reshape(-1)
            found.append(np.stack([np.bincount(groups, each).astype(np.float64) for each in slopes], axis=1))
            seen += mine.size
        return np.concatenate(found) * np.sqrt(pulls.size / seen)

    def _picture(self, values: Floats) -> NDArray[np.float32]:
        """Numbers that count in their places, and zeros elsewhere, ``(C, H, W)``."""
        found = np.zeros(self.target.size, np.float32)
        found[self.inside] = values
        return found.reshape(self.target.shape)

    @cached_property
    def tiles(self) -> list[Tile]:
        """What it is taken apart into; only where a sample has shown that it can be."""
        return list(tiles(self.model, self.front, self.part is None))

    @cached_property
    def program(self) -> Bound | None:
        """The program that sums all pixels up; None where none is made.

        It is made for `FUSED` pixels and more, or where one is there, and must agree with torch on the sample.
        """
        if self.front.reach or self.part is None:
            return None
        from ispdsl.backends.system.fused import is_compiled, pixels_of, recorded
        from ispdsl.backends.system.recording import UnfusedError

        model = self.model
        try:
            made = recorded(self.front, model.vector, model.held, model.metadata, self.peak, self.robust)
        except UnfusedError:
            return None
        plane = self.target[0].size
        places = self.inside[self.inside < plane]
        if places.size < FUSED and not is_compiled(made):
            return None
        targets = self.target.reshape(-1, plane)
        point = np.array(model.vector.to_vector(model.vector.settings))
        some = made.over(pixels_of(self.front, self.part.places), targets[:, self.part.places])
        if not _agree(some.at(point)[0], self._of_part(point, targets[:, self.part.places])):
            return None
        return made.over(pixels_of(self.front, places), targets[:, places])

    def _of_part(self, at: Numbers, target: Picture) -> Numbers:
        """``J^T W J`` of the sample, by torch."""
        assert self.part is not None, "asked where there is one"
        rows = np.arange(target.size)
        slopes = self.part.model.jacobian(at, rows) / self.peak
        apart = self.part.model.picture(at).reshape(-1) / self.peak - target.reshape(-1)
        root = 1.0 if self.robust is None else (1 + np.square(apart / self.robust)) ** -0.25
        return _product((slopes.T * root).astype(np.float64), (slopes.T * root).astype(np.float64))


@dataclass(frozen=True, eq=False)
class Normal:
    """The normal equations of several pictures at a point ``(N,)`` of a search.

    Attributes:
        sources: the pictures.
        sharing: which numbers of the search are whose.
        point: where.
    """

    sources: Sequence[Source]
    sharing: Sharing
    point: Numbers

    @property
    def rows(self) -> NDArray[np.int64]:
        """How many residuals depend on each number, ``(N,)``."""
        found = np.zeros(self.sharing.size, np.int64)
        for source, columns in zip(self.sources, self.sharing.places, strict=True):
            found[columns] += source.inside.size
        return found

    def system(self, residual: Floats, weights: Floats | None) -> tuple[Numbers, Numbers]:
        """``J^T W J``, ``(N, N)``, and ``J^T W r``, ``(N,)``, of residuals ``(M,)`` and their weights."""
        size = self.sharing.size
        normal, slope, begin = np.zeros((size, size)), np.zeros(size), 0
        for source, at, width, columns in self._each():
            own = slice(begin, begin + source.inside.size)
            begin = own.stop
            some = None if weights is None else weights[own]
            square, pull = source.system(at, residual[own], some)
            normal[np.ix_(columns, columns)] += square * np.outer(width, width)
            slope[columns] += pull * width
        return normal, slope

    def scores(self, pull: Floats, seed: int = 0) -> Numbers:
        """``J^T v`` of every block of pixels by itself, ``(B, N)``; of drawn tiles where there are many."""
        found, begin, random = list[Numbers](), 0, np.random.default_rng(seed)
        for source, at, width, columns in self._each():
            own = slice(begin, begin + source.inside.size)
            begin = own.stop
            mine = source.scores(at, pull[own], SCORED // len(self.sources), random) * width
            found.append(np.zeros((len(mine), self.sharing.size)))
            found[-1][:, columns] = mine
        return np.concatenate(found)

    def _each(self) -> list[tuple[Source, Numbers, Numbers, NDArray[np.int64]]]:
        sharing = self.sharing
        return list(zip(self.sources, sharing.units_at(self.point), sharing.widths, sharing.places, strict=True))


def _agree(one: Numbers, other: Numbers) -> bool:
    scale = np.sqrt(np.maximum(np.diag(other), 1e-300))
    return bool(np.all(np.abs(one - other) <= SAME * np.outer(scale, scale)))


def _product(first: Floats, second: Floats) -> Numbers:
    """``A B^T`` of rows of many numbers, in double precision."""
    return first.astype(np.float64) @ second.astype(np.float64).T
