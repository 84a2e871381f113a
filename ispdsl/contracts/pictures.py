"""Small images that matter: each kind is one way in which stages go wrong.

A picture is described by a few numbers and drawn from them, so that a counterexample is read in one line and shrinks
to the plainest kind, the smallest size and round levels.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Draw = Callable[["Picture", int, torch.Generator], Tensor]


@dataclass(frozen=True)
class Picture:
    """What an image shows: `kind` between the levels `low` and `high`, at `row` and `column`, with colours by `seed`.

    Levels are linear, 1 is white. `seed` 0 gives all planes the same values.
    """

    kind: str
    height: int
    width: int
    low: float = 0.0
    high: float = 1.0
    row: int = 0
    column: int = 0
    seed: int = 0

    def __str__(self) -> str:
        levels = f"of {self.low:g}" if self.kind == "flat" else f"from {self.low:g} to {self.high:g}"
        row, column = self.row % max(self.height, 1), self.column % max(self.width, 1)
        place = f" at row {row}, column {column}" if self.kind in PLACED else ""
        colours = f", colours by seed {self.seed}" if self.seed else ""
        return f"{self.kind} {levels}{place}, {self.height} x {self.width}{colours}"


def pixels(picture: Picture, planes: int) -> Tensor:
    """The image ``(planes, H, W)`` of a picture, float64."""
    generator = torch.Generator().manual_seed(picture.seed)
    shape = KINDS[picture.kind](picture, planes, generator)
    level = picture.low + (picture.high - picture.low) * shape
    if picture.kind == "flat":
        level = torch.full_like(level, picture.low)
    if not picture.seed:
        return level.contiguous()
    tint = 0.25 + 0.75 * torch.rand(planes, 1, 1, generator=generator, dtype=torch.float64)
    return (level * (tint / tint.max())).contiguous()  # one plane keeps its levels: white and clipped ones matter


def _grid(picture: Picture) -> tuple[Tensor, Tensor]:
    rows = torch.arange(picture.height, dtype=torch.float64)[:, None]
    columns = torch.arange(picture.width, dtype=torch.float64)[None, :]
    return rows, columns


def _over(planes: int, shape: Tensor) -> Tensor:
    return shape.expand(planes, *shape.shape[-2:]).clone()


def _flat(picture: Picture, planes: int, _: torch.Generator) -> Tensor:
    return torch.zeros(planes, picture.height, picture.width, dtype=torch.float64)


def _impulse(picture: Picture, planes: int, _: torch.Generator) -> Tensor:
    found = torch.zeros(planes, picture.height, picture.width, dtype=torch.float64)
    found[:, picture.row % picture.height, picture.column % picture.width] = 1
    return found


def _gradient(picture: Picture, planes: int, _: torch.Generator) -> Tensor:
    """A ramp that rises along both axes."""
    rows, columns = _grid(picture)
    steps = max(picture.height + picture.width - 2, 1)
    return _over(planes, (rows + columns) / steps)


def _edge(picture: Picture, planes: int, _: torch.Generator) -> Tensor:
    """A step across the columns, or with an odd row along the rows."""
    rows, columns = _grid(picture)
    vertical = columns > picture.column % picture.width
    horizontal = rows > picture.row % picture.height
    step = (horizontal if picture.row % 2 else vertical).to(torch.float64)
    return _over(planes, step.expand(picture.height, picture.width))


def _checker(picture: Picture, planes: int, _: torch.Generator) -> Tensor:
    rows, columns = _grid(picture)
    return _over(planes, (rows + columns) % 2)


def _noise(picture: Picture, planes: int, generator: torch.Generator) -> Tensor:
    return torch.rand(planes, picture.height, picture.width, generator=generator, dtype=torch.float64)


def _natural(picture: Picture, planes: int, _: torch.Generator) -> Tensor:
    """A patch of a scene with the statistics of natural images."""
    photo = _dead_leaves()
    top = (picture.row * 37 + picture.seed * 11) % (photo.shape[-2] - picture.height)
    left = (picture.column * 53 + picture.seed * 29) % (photo.shape[-1] - picture.width)
    patch = photo[:, top : top + picture.height, left : left + picture.width]
    return patch[torch.arange(planes) % 3]


@functools.cache
def _dead_leaves() -> Tensor:
    """Discs that hide each other, ``(3, 96, 96)``: the dead leaves model (Lee, Mumford and Huang 2001)."""
    generator = torch.Generator().manual_seed(7)
    rows, columns = torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="ij")
    scene = torch.zeros(3, 96, 96, dtype=torch.float64)
    for _ in range(400):
        x, y, size, *colour = torch.rand(6, generator=generator, dtype=torch.float64).tolist()
        radius = 2 / (0.06 + 0.94 * size)
        inside = (rows - 96 * y) ** 2 + (columns - 96 * x) ** 2 < radius**2
        scene = torch.where(inside, torch.tensor(colour, dtype=torch.float64)[:, None, None] ** 2, scene)
    return 0.99 * scene + 0.01 * torch.rand(scene.shape, generator=generator, dtype=torch.float64)


KINDS: dict[str, Draw] = {
    "flat": _flat,
    "impulse": _impulse,
    "gradient": _gradient,
    "edge": _edge,
    "checker": _checker,
    "noise": _noise,
    "natural": _natural,
}
"""Kinds of pictures, the plainest first: a counterexample shrinks towards the front."""

PLACED = ("impulse", "edge", "natural")
"""Kinds that have a place."""
