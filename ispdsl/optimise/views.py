"""What a regression looks at: raws with the pictures that were made of them, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ispdsl.errors import UserError
from ispdsl.optimise.blocks import Blocks, side_by_side
from ispdsl.optimise.certainty import blocks_of
from ispdsl.optimise.model import Picture
from ispdsl.optimise.real import Render
from ispdsl.optimise.sharing import Sharing
from ispdsl.optimise.space import Numbers
from ispdsl.optimise.together import Batch, batches, pictures_at
from ispdsl.runtime.values import Settings


class RegressionError(UserError):
    """There is nothing to search: nothing is free, or what is rendered cannot be laid upon the target."""


class Double(Protocol):
    """What says where to go, at points of the unit cube: `ispdsl.optimise.model.Model`, or anything like it."""

    def picture(self, point: Numbers, /) -> Picture:
        """What it renders there."""
        ...

    def jacobian(self, point: Numbers, rows: NDArray[np.int64], /) -> NDArray[np.float32]:
        """The derivatives ``(M, N)`` of some numbers of the picture."""
        ...


@dataclass(frozen=True, eq=False)
class View:
    """A raw with the picture that was made of it.

    Attributes:
        target: ``(C, H, W)``, 1 for white, as large as what is rendered.
        settings: where the search begins, resolved for the raw; what is not free stays as it is.
        render: the real thing, or the programs.
        model: what gives derivatives, and what starts are tried on; None for searches that see the score alone.
        peak: the value that stands for white in what `render` and `model` give.
        looked_at: which pixels count, ``(H, W)``; None for all.
        name: by which settings of its own are told.
    """

    target: Picture
    settings: Settings
    render: Render
    model: Double | None
    peak: float = 1.0
    looked_at: NDArray[np.bool_] | None = None
    name: str = ""


@dataclass(frozen=True, eq=False)
class Scene:
    """All views side by side. `inside` holds the places of the numbers of each that count; `asked` counts renders.

    Views that can be rendered together are.
    """

    views: Sequence[View]
    sharing: Sharing
    inside: list[NDArray[np.int64]]
    asked: list[int]

    @staticmethod
    def of(views: Sequence[View], sharing: Sharing, border: int) -> Scene:
        """Views as they are searched, without so many px at each side.

        Raises:
            RegressionError: nothing of one is left.
        """
        return Scene(views, sharing, [_inside(view, border) for view in views], [0])

    def some(self, most: int, seed: int) -> list[NDArray[np.int64]]:
        """Which of the numbers that count are looked at, of each view; so many of all, drawn once."""
        return [_some(each.size, most // len(self.views), seed) for each in self.inside]

    def all(self) -> list[NDArray[np.int64]]:
        """All of the numbers that count, of each view."""
        return [np.arange(each.size) for each in self.inside]

    def apart(self, pictures: Sequence[Picture]) -> list[NDArray[np.float32]]:
        """How far pictures are from their targets, at the numbers that count."""
        found: list[NDArray[np.float32]] = []
        for view, picture, inside in zip(self.views, pictures, self.inside, strict=True):
            if picture.shape != view.target.shape:
                what = f"the target is {_shape(view.target)}, and what is rendered {_shape(picture)}"
                raise RegressionError(what, "give a target of the same size")
            found.append((picture / np.float32(view.peak) - view.target).reshape(-1)[inside])
        return found

    def seen(self, apart: Sequence[NDArray[np.float32]], rows: Sequence[NDArray[np.int64]]) -> NDArray[np.float32]:
        """The numbers that are looked at, of all views in a row."""
        return np.concatenate([each[some] for each, some in zip(apart, rows, strict=True)])

    def believed(self, z: Numbers) -> list[NDArray[np.float32]]:
        """How far the doubles' pictures are from the targets."""
        self.asked[0] += 1
        units, models = self.sharing.units_at(z), self.models
        pictures: dict[int, Picture] = {}
        for places, batch in self._batches:
            pictures.update(zip(places, batch.pictures([units[place] for place in places]), strict=True))
        for place, model in enumerate(models):
            if place not in pictures:
                pictures[place] = model.picture(units[place])
        return self.apart([pictures[place] for place in range(len(models))])

    def believed_at(self, points: Sequence[Numbers]) -> list[list[NDArray[np.float32]]]:
        """The same at several points, of small pictures in one call."""
        if not points:
            return []
        self.asked[0] += len(points)
        units = [self.sharing.units_at(z) for z in points]
        pictures = [pictures_at(model, [each[place] for each in units]) for place, model in enumerate(self.models)]
        return [self.apart(each) for each in zip(*pictures, strict=True)]

    def derivatives(self, z: Numbers, rows: Sequence[NDArray[np.int64]]) -> Blocks:
        """Of the numbers that are looked at; of each view by what it sees of the point, and by nothing else."""
        sharing, units = self.sharing, self.sharing.units_at(z)
        looked = [inside[some] for inside, some in zip(self.inside, rows, strict=True)]
        slopes: dict[int, NDArray[np.float32]] = {}
        for places, batch in self._batches:
            found = batch.jacobians([units[place] for place in places], [looked[place] for place in places])
            slopes.update(zip(places, found, strict=True))
        for place, model in enumerate(self.models):
            if place not in slopes:
                slopes[place] = model.jacobian(units[place], looked[place])
        parts = [
            (slopes[place] * (width / view.peak).astype(np.float32), columns)
            for place, (view, width, columns) in enumerate(zip(self.views, sharing.widths, sharing.places, strict=True))
        ]
        return side_by_side(parts, sharing.size)

    @cached_property
    def models(self) -> list[Double]:
        """What shows the way to each view.

        Raises:
            RegressionError: one has nothing.
        """
        return [_double(view) for view in self.views]

    @property
    def together(self) -> bool:
        """Whether some views are rendered in one call."""
        return bool(self._batches)

    @cached_property
    def _batches(self) -> list[tuple[list[int], Batch]]:
        return batches(self.models)

    def blocks(self, rows: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
        """The block of every number that is looked at; views share none."""
        found: list[NDArray[np.int64]] = []
        begin = 0
        for view, inside, some in zip(self.views, self.inside, rows, strict=True):
            found.append(blocks_of(inside[some], view.target.shape) + begin)
            begin = int(found[-1].max()) + 1
        return np.concatenate(found)


def decibels(apart: NDArray[np.floating]) -> float:
    """PSNR of a difference where white is 1; 200 at most."""
    return -10 * float(np.log10(max(float(np.mean(np.square(apart, dtype=np.float64))), 1e-20)))


def _double(view: View) -> Double:
    if view.model is None:
        raise RegressionError("nothing says where to go from what is rendered", "give each view a model")
    return view.model


def _inside(view: View, border: int) -> NDArray[np.int64]:
    """Places, in reading order, of the numbers of a picture that count and do not lie at its border."""
    planes, height, width = view.target.shape
    if min(height, width) <= 2 * border:
        hint = "look at a larger part, or leave out less"
        raise RegressionError(f"a border of {border} px leaves nothing of {width} x {height} px", hint)
    counts = np.zeros((height, width), np.bool_)
    inner = (slice(border, height - border), slice(border, width - border))
    counts[inner] = True if view.looked_at is None else view.looked_at[inner]
    if not counts.any():
        raise RegressionError("nothing of the target is left to look at", "give one that is not clipped throughout")
    return np.flatnonzero(np.broadcast_to(counts, (planes, height, width)))


def _some(total: int, most: int, seed: int) -> NDArray[np.int64]:
    """Places of so many numbers of a picture, drawn once; all of them where there are no more."""
    if total <= most:
        return np.arange(total)
    return np.sort(np.random.default_rng(seed).choice(total, most, replace=False))


def _shape(picture: Picture) -> str:
    planes, height, width = picture.shape
    return f"{width} x {height} px of {planes} planes"
