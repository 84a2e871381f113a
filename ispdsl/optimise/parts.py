"""A model of parts of a picture: of some pixels alone where nothing looks at neighbours, else of patches and tiles.

A few thousand pixels tell a dozen sliders nearly as well as some million do, and cost a thousandth. What a stage says
of how far it looks is believed only where parts are what the whole picture has there: `held` compares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ispdsl.backends.front import Front
from ispdsl.optimise.model import Model
from ispdsl.optimise.space import Numbers

CORE = 16
"""Pixels across the patches that are drawn where stages look at neighbours; as many of these as they look far."""

PATCHES = 8
"""Patches that are drawn, at least."""

TILE = 256
"""Pixels across the tiles of a whole picture: derivatives of one by a dozen numbers take some MB."""

AGREED = 1e-4
"""What a part may differ from the whole picture: more, and it is not the same."""

GAIN = 2
"""So many times more pixels than are computed for a sample a picture must have for one to be drawn."""


@dataclass(frozen=True, eq=False)
class Part:
    """Some pixels of a picture.

    Attributes:
        model: renders them as ``(C, 1, n)``.
        places: where they are, in reading order of a plane, ``(n,)``.
    """

    model: Model
    places: NDArray[np.int64]


def sample(model: Model, front: Front, inside: NDArray[np.int64], count: int, seed: int) -> Part | None:
    """A drawn part of a picture; None where it is too small for one to be of use.

    Args:
        model: of the whole picture, ``(C, H, W)``, without a lens.
        front: of the model.
        inside: places in a plane of the pixels that count.
        count: pixels to draw.
        seed: of the draw.
    """
    random = np.random.default_rng(seed)
    if not front.reach:
        if inside.size < GAIN * count:
            return None
        return pixels(model, front, np.sort(random.choice(inside, count, replace=False)))
    border = front.reach + front.reach % 2
    core = -(-border // CORE) * CORE
    number = max(-(-count // core**2), PATCHES)
    if GAIN * number * (core + 2 * border) ** 2 > inside.size:
        return None
    corners = _corners(front.size, inside, number, core, border, random)
    return None if corners is None else _patches(model, front, corners, core, border)


def pixels(model: Model, front: Front, places: NDArray[np.int64]) -> Part:
    """Pixels of a picture whose stages look at no neighbours."""
    chosen = torch.from_numpy(places)

    def cut(image: Tensor) -> Tensor:
        return image.flatten(-2)[..., chosen][..., None, :]

    composite, image = front.part(cut)
    return Part(replace(model, composite=composite, image=image), places)


def _corners(
    size: tuple[int, int], inside: NDArray[np.int64], number: int, core: int, border: int, random: np.random.Generator
) -> NDArray[np.int64] | None:
    """Where patches begin, ``(P, 2)``: at even rows and columns, and all of their pixels count."""
    counts = np.zeros(size, np.bool_)
    counts.reshape(-1)[inside] = True
    last = [(extent - core - 2 * border) // 2 for extent in size]
    if min(last) < 1:
        return None
    drawn = 2 * random.integers(0, np.array(last), (8 * number, 2)) + border
    found = [(row, column) for row, column in drawn if counts[row : row + core, column : column + core].all()]
    return np.array(found[:number]) - border if len(found) >= number else None


def _patches(model: Model, front: Front, corners: NDArray[np.int64], core: int, border: int) -> Part:
    size = core + 2 * border

    def cut(image: Tensor) -> Tensor:
        return torch.stack([image[..., row : row + size, column : column + size] for row, column in corners])

    def cores(pictures: Tensor) -> Tensor:
        inner = pictures[..., border : border + core, border : border + core]
        return inner.transpose(-4, -3).flatten(-3)[..., None, :]

    composite, image = front.part(cut)
    rows, columns = (corners[:, axis, None, None] + border for axis in (0, 1))
    steps = np.arange(core)
    places = ((rows + steps[:, None]) * front.size[1] + columns + steps).reshape(-1)
    return Part(replace(model, composite=composite, image=image, lens=cores), places)


def held(part: Part, model: Model, at: Numbers) -> bool:
    """Whether a part is what the whole picture has in its places, at a point of the unit cube."""
    whole = model.picture(at)
    there = whole.reshape(len(whole), -1)[:, part.places]
    apart = np.abs(part.model.picture(at)[:, 0] - there).max()
    return bool(apart <= AGREED * max(1.0, float(np.abs(there).max())))


@dataclass(frozen=True, eq=False)
class Tile:
    """A rectangle of a picture: rows and columns, and a function from points to its picture ``(C, h, w)``."""

    rows: slice
    columns: slice
    picture: Callable[[Tensor], Tensor]


def tiles(model: Model, front: Front, whole: bool) -> Iterator[Tile]:
    """Rectangles that make up a picture, each with a border as wide as stages look; or the picture as one."""
    height, width = front.size
    if whole or max(height, width) <= TILE:
        yield Tile(slice(0, height), slice(0, width), model.pictures)
        return
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            yield _tile(model, front, top, left)


def _tile(model: Model, front: Front, top: int, left: int) -> Tile:
    (height, width), border = front.size, front.reach + front.reach % 2
    rows, columns = slice(top, min(top + TILE, height)), slice(left, min(left + TILE, width))
    outer = slice(max(top - border, 0), rows.stop + border), slice(max(left - border, 0), columns.stop + border)
    composite, image = front.part(lambda each: each[..., outer[0], outer[1]])
    down, right = top - outer[0].start, left - outer[1].start
    inner = slice(down, down + rows.stop - rows.start), slice(right, right + columns.stop - columns.start)

    def core(picture: Tensor) -> Tensor:
        return picture[..., inner[0], inner[1]]

    return Tile(rows, columns, replace(model, composite=composite, image=image, lens=core).pictures)
