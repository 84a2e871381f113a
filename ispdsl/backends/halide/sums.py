"""Operations of aten that make a sample of several: sums over short axes, small matrices, stencils, look-ups."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import product
from typing import Any

import halide as hl
import torch
from torch import Tensor

from ispdsl.backends.halide import powers, table
from ispdsl.backends.halide.elementwise import TYPES, literal
from ispdsl.backends.halide.index import Place, Where
from ispdsl.backends.halide.reading import FEW, Reader, UnloweredError, opaque
from ispdsl.backends.halide.traced import Ref
from ispdsl.backends.halide.views import Shapes, outside, plus, times

Sum = Callable[[Reader, Place, Shapes], hl.Expr]
"""The value at a place, from a reader and the shapes of what is read."""


def _added(terms: Iterable[hl.Expr]) -> hl.Expr:
    total: hl.Expr | None = None
    for term in terms:
        total = term if total is None else total + term
    if total is None:
        raise UnloweredError("a sum of nothing")
    return total


def _terms(reader: Reader, place: Place, shapes: Shapes) -> list[hl.Expr]:
    """What a reduction goes over."""
    source, *options = reader.node.args
    shape = shapes(source)
    axes = options[0] if options else reader.node.kwargs.get("dim")
    keep = options[1] if len(options) > 1 else reader.node.kwargs.get("keepdim", False)
    axes = range(len(shape)) if axes is None or axes == [] else [axes] if isinstance(axes, int) else axes
    reduced = sorted(axis % len(shape) for axis in axes) if shape else []
    if math.prod(shape[axis] for axis in reduced) > FEW:
        raise UnloweredError(f"{reader.node.target} over {math.prod(shape[axis] for axis in reduced)} samples")
    rest = iter(at for axis, at in enumerate(place) if not (keep and axis in reduced))
    frame: list[Where | None] = [None if axis in reduced else next(rest) for axis in range(len(shape))]
    found: list[hl.Expr] = []
    for numbers in product(*(range(shape[axis]) for axis in reduced)):
        inside = iter(numbers)
        found.append(reader.read(source, tuple(next(inside) if at is None else at for at in frame)))
    return found


def _folded(function: Callable[[hl.Expr, hl.Expr], hl.Expr]) -> Sum:
    def sum_(reader: Reader, place: Place, shapes: Shapes) -> hl.Expr:
        terms = _terms(reader, place, shapes)
        total = terms[0]
        for term in terms[1:]:
            total = function(total, term)
        return total

    return sum_


def _mean(reader: Reader, place: Place, shapes: Shapes) -> hl.Expr:
    terms = _terms(reader, place, shapes)
    return _added(terms) * hl.f32(1 / len(terms))


def _length(reader: Reader, place: Place, shapes: Shapes) -> hl.Expr:
    vector, *options = reader.node.args
    if (options[0] if options else reader.node.kwargs.get("ord", 2)) != 2:
        raise UnloweredError("a norm other than the Euclidean one")
    source = replace(reader, node=replace(reader.node, args=(vector, *options[1:])))
    return hl.sqrt(_added(term * term for term in _terms(source, place, shapes)))


def _product(reader: Reader, place: Place, shapes: Shapes) -> hl.Expr:
    """mm, bmm and mv: a row by a column."""
    one, other = reader.node.args
    inner = shapes(one)[-1]
    if inner > FEW:
        raise UnloweredError(f"a product of matrices over {inner} terms")
    left = place[:-1] if len(shapes(other)) > 1 else place
    right: tuple[Where, ...] = place[-1:] if len(shapes(other)) > 1 else ()
    lead = place[: len(shapes(other)) - 2] if len(shapes(other)) > 2 else ()
    return _added(reader.read(one, (*left, k)) * reader.read(other, (*lead, k, *right)) for k in range(inner))


def _mixed(reader: Reader, place: Place, shapes: Shapes) -> hl.Expr:
    """A pixel's planes by a row of a matrix, and an offset."""
    source, matrix, offset = reader.node.args
    *lead, plane, row, column = place
    if not isinstance(plane, int):
        raise UnloweredError("planes that are mixed, at a plane that is not known")
    weights = [float(weight) for weight in matrix[plane]]
    found = hl.f32(float(offset[plane]))
    for each, weight in enumerate(weights):
        if weight:
            found = found + reader.read(source, (*lead, each, row, column)) * hl.f32(weight)
    return found


def _convolution(reader: Reader, place: Place, shapes: Shapes) -> hl.Expr:
    source, weight, bias, stride, padding, dilation, transposed, _, groups = reader.node.args
    if transposed or not isinstance(weight, Tensor) or weight.dim() != 4:
        raise UnloweredError("a convolution that is transposed, or whose weights depend on the image")
    batch, channel, row, column = place
    if not isinstance(channel, int):
        raise UnloweredError("a convolution at a plane that is not known")
    planes = weight.shape[1]
    if weight[0].numel() > 16 * FEW:
        raise UnloweredError(f"a convolution of {weight[0].numel()} terms a sample")
    first = channel // (weight.shape[0] // groups) * planes
    pairs = [list(each) * (2 // len(each)) for each in (stride, padding, dilation)]
    (down, right), (above, left), (tall, wide) = pairs
    terms: list[hl.Expr] = []
    for plane, y, x in product(range(planes), range(weight.shape[2]), range(weight.shape[3])):
        factor = float(weight[channel, plane, y, x])
        if factor:
            at = (plus(times(row, down), y * tall - above), plus(times(column, right), x * wide - left))
            value = outside(reader, source, (batch, first + plane, *at), shapes(source), 0.0)
            terms.append(value * literal(factor, reader.node.dtype))
    if bias is not None:
        terms.append(reader.read(bias, (channel,)))
    return _added(terms) if terms else literal(0.0, reader.node.dtype)


def _avg_pool(reader: Reader, place: Place, shapes: Shapes) -> hl.Expr:
    args = reader.node.args
    source, kernel = args[0], list(args[1]) * (2 // len(args[1]))
    stride = list(args[2]) * (2 // len(args[2])) if len(args) > 2 and args[2] else kernel
    if (len(args) > 3 and any(args[3])) or math.prod(kernel) > FEW or any(args[4:]):
        raise UnloweredError("avg_pool2d with padding or of a large window")
    *lead, row, column = place
    return _added(
        reader.read(source, (*lead, plus(times(row, stride[0]), y), plus(times(column, stride[1]), x)))
        for y, x in product(range(kernel[0]), range(kernel[1]))
    ) * hl.f32(1 / math.prod(kernel))


def _indexed(reader: Reader, place: Place, shapes: Shapes) -> hl.Expr:
    """index: tensors of indices for some axes that follow each other."""
    source, indices = reader.node.args
    given = [axis for axis, each in enumerate(indices) if each is not None]
    if given != list(range(given[0], given[-1] + 1)):
        raise UnloweredError("index of axes that do not follow each other")
    shape = shapes(source)
    if any(_is_mask(each) for each in indices if each is not None):
        raise UnloweredError("index by a mask")
    rank = max(len(shapes(indices[axis])) for axis in given)
    before, inner, after = place[: given[0]], place[given[0] : given[0] + rank], place[given[0] + rank :]
    chosen: list[Where] = [_looked_up(reader, indices[axis], inner, shape[axis], shapes) for axis in given]
    return reader.read(source, (*before, *chosen, *after))


def _is_mask(index: Any) -> bool:
    return isinstance(index, Tensor) and index.dtype == torch.bool


def _looked_up(reader: Reader, index: Any, place: Place, size: int, shapes: Shapes) -> Where:
    """The index that a tensor of indices has at a place of it, or of what it is broadcast to."""
    if isinstance(index, Tensor) and index.numel() == 1:
        return int(index.item()) % size
    if isinstance(index, Tensor) and index.dim() == 1 and len(place) == 1:
        return reader.mapped(place[0], index.numpy() % size)
    if isinstance(index, Tensor) and sum(each > 1 for each in index.shape) == 1:
        kept = place[len(place) - index.dim() :]
        axis = next(axis for axis, each in enumerate(index.shape) if each > 1)
        return reader.mapped(kept[axis], index.flatten().numpy() % size)
    if isinstance(reader.node.args[0], Ref):
        raise UnloweredError("a look-up in an image at places that an image gives")
    found = reader.broadcast(index, shapes(index), place)
    found = hl.cast(hl.Int(32), found)
    found = hl.clamp(hl.select(found < 0, found + size, found), 0, size - 1)
    return opaque(
        found, size, f"{index if isinstance(index, Ref) else id(index)} at {place}", place[-1] if place else 0
    )


def _gather(reader: Reader, place: Place, shapes: Shapes) -> hl.Expr:
    source, axis, index = reader.node.args
    axis %= max(len(place), 1)
    at = _looked_up(reader, index, place, shapes(source)[axis], shapes)
    return reader.read(source, (*place[:axis], at, *place[axis + 1 :]))


def _selected(reader: Reader, place: Place, shapes: Shapes) -> hl.Expr:
    """index_select by numbers that an image gives."""
    source, axis, index = reader.node.args
    axis %= max(len(place), 1)
    at = _looked_up(reader, index, (place[axis],), shapes(source)[axis], shapes)
    return reader.read(source, (*place[:axis], at, *place[axis + 1 :]))


def _power(reader: Reader, place: Place, shapes: Shapes) -> hl.Expr:
    base, exponent = reader.node.args
    below, least = _base(reader, base, place, shapes), reader.least(base)
    if isinstance(exponent, int | float) or (isinstance(exponent, Tensor) and exponent.numel() == 1):
        return powers.power(below, float(exponent), least)
    return powers.power(below, reader.broadcast(exponent, shapes(exponent), place), least)


def _logarithm(scale: float) -> Sum:
    def log(reader: Reader, place: Place, shapes: Shapes) -> hl.Expr:
        source = reader.node.args[0]
        found = powers.log2(reader.broadcast(source, shapes(source), place), reader.least(source))
        return found if scale == 1 else found * hl.f32(scale)

    return log


def _base(reader: Reader, base: Any, place: Place, shapes: Shapes) -> hl.Expr:
    return reader.broadcast(base, shapes(base), place) if not isinstance(base, int | float) else hl.f32(base)


def _scalar(reader: Reader, place: Place, shapes: Shapes) -> hl.Expr:
    return hl.cast(TYPES[reader.node.dtype](), reader.read(reader.node.args[0], ()))


def _of_products(reader: Reader, place: Place, shapes: Shapes) -> hl.Expr:
    """Addcmul and addcdiv."""
    args = reader.node.args
    a, b, c = (reader.broadcast(each, shapes(each), place) for each in args[:3])
    value = hl.f32(reader.node.kwargs.get("value", 1))
    return a + value * (b * c if "addcmul" in reader.node.target else b / c)


SUMS: dict[str, Sum] = {
    "sum": _folded(lambda a, b: a + b),
    "mean": _mean,
    "amax": _folded(hl.max),
    "amin": _folded(hl.min),
    "prod": _folded(lambda a, b: a * b),
    "linalg_vector_norm": _length,
    "mm": _product,
    "bmm": _product,
    "mv": _product,
    "mixed_planes": _mixed,
    "curve": table.curve,
    "convolution": _convolution,
    "avg_pool2d": _avg_pool,
    "index": _indexed,
    "gather": _gather,
    "looked_up": _selected,
    "pow": _power,
    "log": _logarithm(math.log(2.0)),
    "log2": _logarithm(1.0),
    "log10": _logarithm(math.log10(2.0)),
    "scalar_tensor": _scalar,
    "addcmul": _of_products,
    "addcdiv": _of_products,
}
"""By the name of the operation."""
