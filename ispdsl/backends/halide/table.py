"""A function of one number as a table whose cells hold straight lines, and how a sample is looked up.

Knots are as far apart as floats that share their upper bits: the closer together the nearer the beginning. A word of 32
bits holds where a cell's line starts and how fast it rises, so that a sample costs one look-up.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import halide as hl
import numpy as np
import torch
from torch import Tensor

from ispdsl.backends.halide.index import Place
from ispdsl.backends.halide.reading import Reader, UnloweredError
from ispdsl.backends.halide.views import Shapes

START_BITS, RISE_BITS = 20, 12
"""Of a word: for the start of a cell, and for the rise within it."""


@dataclass(frozen=True, eq=False)
class Table:
    """A function of one number for each plane.

    Attributes:
        words: ``(C, N)``, int32; the start of each cell in the upper bits, its rise in the lower ones.
        low, scale: ``(C,)``; knots lie at ``first + (x - low) * scale``, as bits.
        start, rise: ``(2, C)``, factor and offset of what a word says; the rise is of one unit of the bits below a
            cell's.
        ends: ``(2, C)``, the lowest and the highest result.
        first, last: bits of the first and the last place of the table.
        shift: bits below a cell's.

    Raises:
        ValueError: the last place has no cell.
    """

    words: Tensor
    low: Tensor
    scale: Tensor
    start: Tensor
    rise: Tensor
    ends: Tensor
    first: int
    last: int
    shift: int

    def __post_init__(self) -> None:
        if (self.last - self.first) >> self.shift >= self.words.shape[1]:
            raise ValueError(f"{self.words.shape[1]} cells do not reach to the place {self.last:#x}")

    @property
    def smallest(self) -> float:
        """The first place."""
        return float(np.int32(self.first).view(np.float32))


def looked_up(image: Tensor, table: Table) -> Tensor:
    """What a table gives for each sample of an image ``(..., C, H, W)``; what is no number stays so."""

    def of_planes(numbers: Tensor) -> Tensor:
        return numbers[..., None, None]

    place = (image - of_planes(table.low)) * of_planes(table.scale) + table.smallest
    bits = place.contiguous().view(torch.int32).clamp(table.first, table.last) - table.first
    planes = torch.arange(len(table.words))[:, None, None]
    word = table.words[planes, bits >> table.shift]
    start = ((word >> RISE_BITS) & (1 << START_BITS) - 1).float()
    rise = (word & (1 << RISE_BITS) - 1).float()
    start = start * of_planes(table.start[0]) + of_planes(table.start[1])
    rise = rise * of_planes(table.rise[0]) + of_planes(table.rise[1])
    found = start + rise * (bits & (1 << table.shift) - 1).float()
    found = torch.minimum(torch.maximum(found, of_planes(table.ends[0])), of_planes(table.ends[1]))
    return torch.where(image.isnan(), image, found)


def curve(reader: Reader, place: Place, shapes: Shapes) -> hl.Expr:
    """One look-up, as `looked_up` has it: the bits of the place say which cell, and how far into it."""
    source, table = reader.node.args
    plane = place[-3]
    if not isinstance(plane, int):
        raise UnloweredError("a curve at a plane that is not known")
    own = plane % len(table.words)
    low, scale, start, rise, ends = (
        [hl.f32(float(each)) for each in numbers.reshape(-1, len(table.words))[:, own]]
        for numbers in (table.low, table.scale, table.start, table.rise, table.ends)
    )
    x = reader.read(source, place)
    bits = hl.reinterpret(hl.Int(32), (x - low[0]) * scale[0] + hl.f32(table.smallest))
    bits = hl.clamp(bits, table.first, table.last) - table.first
    word = _words(table, own)[hl.unsafe_promise_clamped(bits >> table.shift, 0, table.words.shape[1] - 1)]
    begun = hl.cast(hl.Float(32), hl.cast(hl.Int(32), word >> RISE_BITS)) * start[0] + start[1]
    slope = hl.cast(hl.Float(32), hl.cast(hl.Int(32), word & (1 << RISE_BITS) - 1)) * rise[0] + rise[1]
    found = begun + slope * hl.cast(hl.Float(32), bits & (1 << table.shift) - 1)
    return hl.select(hl.is_nan(x), x, hl.clamp(found, ends[0], ends[1]))


@lru_cache(maxsize=16)
def _words(table: Table, plane: int) -> hl.Buffer:
    """One buffer for all that read it: each more would take its own room in the cache."""
    return hl.Buffer(table.words[plane].numpy().view(np.uint32)).copy()
