"""Residuals and their derivatives at each pixel, and the sums of their products over all: a program of Halide.

A piece of some thousand pixels is summed in float32, in the lanes of vectors; the pieces in double precision. They run
side by side. Of a piece, residuals and derivatives of a few vectors of pixels are kept at a time, in the
cache nearest to the core, and each block of products stays in registers while it is summed over them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import halide as hl
import numpy as np

from ispdsl.backends.halide import powers
from ispdsl.backends.system.scalars import Scalars

LANES = 16 if hl.get_host_target().has_feature(hl.TargetFeature.AVX512) else 8
"""Pixels of a vector: one register of AVX-512, or of AVX2."""

ROWS = 8
"""Vectors of a piece whose derivatives are there at a time."""

PIECE = 2048
"""Pixels that are summed in float32: more lose digits, fewer leave more to sum up."""

BLOCK = (5, 3)
"""Products that are summed at a time, as rows and columns: as many accumulators and factors as there are registers."""


LOWERED: Mapping[str, Callable[..., hl.Expr]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "pow": powers.power,
    "max": hl.max,
    "min": hl.min,
    "select": hl.select,
    "abs": hl.abs,
    "sign": powers.sign,
    "sqrt": hl.sqrt,
    "exp": powers.exp,
    "exp2": powers.exp2,
    "expm1": powers.expm1,
    "log": powers.log,
    "log2": powers.log2,
    "log1p": powers.log1p,
    "sigmoid": lambda a: hl.f32(1) / (hl.f32(1) + powers.exp(-a)),
    "tanh": powers.tanh,
    "softplus": lambda a: hl.max(a, hl.f32(0)) + powers.log1p(powers.exp(-hl.abs(a))),
    "sin": hl.sin,
    "cos": hl.cos,
    "atan": hl.atan,
    "floor": hl.floor,
    "ceil": hl.ceil,
    "trunc": hl.trunc,
    "round": hl.round,
    "stop": lambda a: a,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "not": hl.logical_not,
}
"""Every operation on numbers of pixels."""


@dataclass(frozen=True)
class Sums:
    """A compiled program.

    Attributes:
        pixels: ``(n, planes)``, in the order of Halide: the pixel runs fastest.
        target: ``(n, outputs)``.
        settings: numbers that are the same for all pixels.
        scale: of the robust loss; not read without.
        count: of the pixels that are looked at, of all that are given.
        result: ``(LANES, products, pieces)``: above the diagonal, row by row, of the columns of the derivatives, the
            residual and what it costs.
    """

    pixels: hl.ImageParam
    target: hl.ImageParam
    settings: hl.ImageParam
    scale: hl.Param
    count: hl.Param
    result: hl.Func = field(repr=False)
    blocks: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Wanted:
    """What is summed: places in a graph.

    Attributes:
        outputs: of each plane of the picture.
        slopes: of the derivatives of each by each setting, ``(outputs, settings)``.
        shared: of numbers that are the same for all pixels, in the order in which they are given.
    """

    outputs: Sequence[int]
    slopes: Sequence[Sequence[int]]
    shared: Sequence[int]


def program(scalars: Scalars, wanted: Wanted, robust: bool) -> Sums:
    """Compile the sums of a graph.

    Args:
        scalars: what happens to a pixel.
        wanted: of it.
        robust: whether residuals count as by Charbonnier's loss.
    """
    x, k, e, b, u, piece = (hl.Var(name) for name in ("x", "k", "e", "b", "u", "piece"))
    pixels, target = hl.ImageParam(hl.Float(32), 2, "pixels"), hl.ImageParam(hl.Float(32), 2, "target")
    settings = hl.ImageParam(hl.Float(32), 1, "settings")
    scale, count = hl.Param(hl.Float(32), "scale"), hl.Param(hl.Int(32), "count")
    columns = _columns(scalars, wanted, pixels, target, settings, scale if robust else None, x)
    planes, size = len(columns), len(columns[0])
    made, kept = hl.Func("made"), hl.Func("kept")
    made[x] = hl.Tuple([value for plane in columns for value in plane])
    tall, wide = BLOCK
    room = size + -size % math.lcm(tall, wide)
    padded = [made[x][plane * size + at] if at < size else hl.f32(0) for plane in range(planes) for at in range(room)]
    kept[x, k] = hl.select(x < count, hl.mux(k, padded), hl.f32(0))
    tops, lefts = zip(*_blocks(size), strict=True)
    top, left = (hl.Buffer(np.array(each, np.int32)).copy() for each in (tops, lefts))
    part, total, result = hl.Func("part"), hl.Func("total"), hl.Func("result")
    group = hl.RDom([(0, PIECE // (LANES * ROWS))], "group")
    along = hl.RDom([(0, planes), (0, ROWS)], "along")
    start = hl.Var("start")
    part[u, e, b, start] = hl.f32(0)
    pixel, plane = start + along.y * LANES + u, along.x * room
    row, column = hl.clamp(top[b], 0, room - tall) + e / wide, hl.clamp(left[b], 0, room - wide) + e % wide
    part[u, e, b, start] += kept[pixel, plane + row] * kept[pixel, plane + column]
    total[u, e, b, piece] = hl.f32(0)
    total[u, e, b, piece] += part[u, e, b, piece * PIECE + group.x * (LANES * ROWS)]
    result[u, e, b, piece] = total[u, e, b, piece]
    result.bound(u, 0, LANES).bound(e, 0, tall * wide).bound(b, 0, len(tops)).vectorize(u).parallel(piece)
    total.compute_at(result, piece).vectorize(u, LANES)
    total.update(0).reorder(u, e, b, group.x).vectorize(u, LANES).unroll(e)
    total.bound(e, 0, tall * wide)
    part.compute_at(total, b).vectorize(u, LANES).bound(e, 0, tall * wide).unroll(e)
    part.update(0).reorder(u, e, along.x, along.y).vectorize(u, LANES).unroll(e)
    kept.compute_at(total, group.x).bound(k, 0, planes * room).bound_extent(x, LANES * ROWS).reorder(k, x)
    kept.vectorize(x, LANES).unroll(k)
    made.compute_at(kept, x).bound_extent(x, LANES).vectorize(x, LANES)
    for each in (made, kept, part, total, result):
        each.never_partition_all()
    result.compile_jit(hl.get_jit_target_from_environment())
    return Sums(pixels, target, settings, scale, count, result, tuple(zip(tops, lefts, strict=True)))


def _blocks(size: int) -> list[tuple[int, int]]:
    """Blocks that cover a square from its diagonal up: the first row and column of each."""
    tall, wide = BLOCK
    return [(top, left) for top in range(0, size, tall) for left in range(top // wide * wide, size, wide)]


def _columns(
    scalars: Scalars,
    wanted: Wanted,
    pixels: hl.ImageParam,
    target: hl.ImageParam,
    settings: hl.ImageParam,
    scale: hl.Param | None,
    x: hl.Var,
) -> list[list[hl.Expr]]:
    """Of each plane: derivatives and residual, under their weight."""
    shared = {place: number for number, place in enumerate(wanted.shared)}
    values: dict[int, hl.Expr] = {}
    needed = {*wanted.outputs, *(place for plane in wanted.slopes for place in plane)}
    for place in range(max(needed), -1, -1):
        if place in needed and place not in shared:
            needed.update(scalars.nodes[place].operands)
    for place in sorted(needed):
        node = scalars.nodes[place]
        if place in shared:
            values[place] = settings[shared[place]]
        elif node.operation == "constant":
            values[place] = hl.f32(node.value)
        elif node.operation == "truth":
            values[place] = hl.cast(hl.Bool(), hl.i32(int(node.value)))
        elif node.operation == "pixel":
            values[place] = pixels[x, int(node.value)]
        else:
            values[place] = LOWERED[node.operation](*(values[each] for each in node.operands))
    found: list[list[hl.Expr]] = []
    for number, place in enumerate(wanted.outputs):
        residual = values[place] - target[x, number]
        plane = [*(values[each] for each in wanted.slopes[number]), residual]
        if scale is not None:  # Charbonnier's loss, and its weights
            bend = hl.sqrt(hl.f32(1) + residual * residual / (scale * scale))
            root = hl.sqrt(hl.f32(1) / bend)
            cost = hl.f32(math.sqrt(2)) * hl.abs(residual) / hl.sqrt(bend + hl.f32(1))
            plane = [*(each * root for each in plane), cost]
        found.append(plane)
    return found
