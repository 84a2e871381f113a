"""The curve that ends a pipeline becomes a table: powers and fractions one after the other as one look-up.

Behind the last operation that mixes planes or pixels, each plane is a function of one number: tone curves, gamma, the
display's encoding. Such a function is asked at knots, closer together where it begins, as the bits of a float are. What
lies between two knots is a straight line, and one word of 32 bits holds its start and its rise, so that a sample costs
one look-up whatever the curve is made of.

A table stands for a curve if at samples within all cells it is within `NEAR` of it, and the curve stands still on both
sides of the table. All others are computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._pytree import tree_map

from ispdsl.backends.halide.elementwise import COST, ELEMENTWISE
from ispdsl.backends.halide.rules import name_of
from ispdsl.backends.halide.table import RISE_BITS, START_BITS, Table, looked_up
from ispdsl.backends.halide.traced import Node, Ref, Trace

WORTH = 16
"""Additions that a curve must cost."""

NEAR = 3e-6
"""How far a table may be from its curve, of a result within 0..1."""

STILL = 2e-7
"""Of the result: what a curve may move by where it stands still."""

MANTISSA = 23
"""Bits of a float32's mantissa."""

SIZES = ((6, 5), (8, 6), (12, 6), (10, 7), (16, 7), (10, 8), (14, 8), (7, 9))
"""Tables from small to large: how many times the knots' distance doubles, and bits of the knots in between. The largest
are half of what the first cache holds."""

INSIDE = (2, 16)
"""Samples of each cell at which a table is held to its curve: few, and where it passes, more."""

MOST_TRIED = 4
"""Beginnings of a curve that are tried."""

PROBES = np.concatenate([-(2.0 ** np.arange(16, -24, -0.25)), [0.0], 2.0 ** np.arange(-24, 16.25, 0.25)])
"""Where a curve is asked first, to find where it moves: beyond, samples count as the last ones."""

HALVINGS = 60
"""Of the distance between two of them."""

Floats = NDArray[np.float64]

Curve = Callable[[Floats], Floats]
"""From ``(C, N)`` to ``(C, N)``, each plane by its own function."""


def tabled(trace: Trace) -> Trace:
    """The trace with the curve before each output in one node, whose target is ``ispdsl.curve``."""
    nodes = list(trace.nodes)
    readers: dict[int, set[int]] = {node.number: set() for node in nodes}
    for node in nodes:
        for source in node.sources:
            readers[source].add(node.number)
    outputs = {value.node for value in trace.outputs.values() if isinstance(value, Ref)}
    for end in outputs:
        for begin in islice(_beginnings(trace, end, readers, outputs), MOST_TRIED):
            found = table_of(_asked(trace, begin, end), nodes[end].shape[-3], trace.floors[begin])
            if found is not None:
                nodes[end] = replace(
                    nodes[end], target="ispdsl.curve", function=looked_up, args=(Ref(begin), found), kwargs={}
                )
                break
    return Trace(tuple(nodes), trace.outputs)


def _beginnings(trace: Trace, end: int, readers: dict[int, set[int]], outputs: set[int]) -> Iterator[int]:
    """Nodes that a result is a function of, each plane and pixel alone; that of the longest way first."""
    shape = trace.nodes[end].shape
    waiting, run, cost, found = {end}, set[int](), 0, list[int]()
    if len(shape) < 3 or trace.nodes[end].dtype != torch.float32:
        return
    for node in reversed(trace.nodes[: end + 1]):
        if node.number not in waiting:
            continue
        if waiting == {node.number} and cost >= WORTH and node.dtype == torch.float32 and node.shape == shape:
            found.insert(0, node.number)
        seen_outside = node.number != end and (readers[node.number] - run or node.number in outputs)
        if seen_outside or not _pointwise(node, shape):
            break
        run.add(node.number)
        waiting = waiting - {node.number} | set(node.sources)
        cost += COST.get(name_of(node), 1)
    yield from found


def _pointwise(node: Node, shape: tuple[int, ...]) -> bool:
    """Whether each sample is made of one, wherever it is."""
    name = name_of(node)
    alike: list[bool] = []
    constants = (each for each in (*node.args, *node.kwargs.values()) if isinstance(each, Tensor))
    alike += [each.shape[-2:].numel() == 1 for each in constants]
    return (name in ELEMENTWISE or name in COST) and node.shape == shape and all(alike)


def _asked(trace: Trace, begin: int, end: int) -> Curve:
    """The nodes between two as a function, in float64."""
    run: set[int] = set()
    waiting = {end}
    for node in reversed(trace.nodes[begin + 1 : end + 1]):
        if node.number in waiting:
            run.add(node.number)
            waiting |= set(node.sources)
    lead = len(trace.nodes[end].shape) - 3

    def curve(x: Floats) -> Floats:
        values: dict[int, Any] = {begin: torch.from_numpy(x)[(None,) * lead][..., None, :]}

        def given(value: Any) -> Any:
            if isinstance(value, Ref):
                return values[value.node]
            return value.double() if isinstance(value, Tensor) and value.is_floating_point() else value

        for number in sorted(run):
            node = trace.nodes[number]
            assert node.function is not None, "no image is part of a curve"
            values[number] = node.function(*tree_map(given, node.args), **tree_map(given, dict(node.kwargs)))
        return values[end].reshape(x.shape).double().numpy()

    return curve


def table_of(curve: Curve, planes: int, least: float = -np.inf) -> Table | None:
    """The smallest table that is near enough to a curve; None where there is none.

    Args:
        curve: of all planes.
        planes: how many.
        least: no sample is below.
    """
    with np.errstate(all="ignore"):
        span = _span(curve, planes, least)
        if span is None:
            return None
        tried = (_made(curve, *span, *size) for size in SIZES)
        return next((each for each in tried if each is not None), None)


def _span(curve: Curve, planes: int, least: float) -> tuple[Floats, Floats, Floats] | None:
    """Between which numbers each plane's function moves, and what it is there, ``(C, 2)``.

    None where it does not come to rest on both sides.
    """
    probes = np.unique(np.maximum(PROBES, least))
    values = curve(np.broadcast_to(probes, (planes, len(probes))).copy())
    if not np.isfinite(values).all():
        return None
    low = np.full(planes, least) if least > PROBES[0] else _resting(curve, probes, values)
    high = _resting(curve, probes[::-1], values[:, ::-1])
    if low is None or high is None or (low >= high).any():
        return None
    return low, high, values[:, [0, -1]]


def _resting(curve: Curve, probes: Floats, values: Floats) -> Floats | None:
    """Up to where each plane's function stands still from the first probe on; None where it moves at once."""
    moving = (np.abs(values - values[:, :1]) > STILL).argmax(1)
    if (moving < 2).any():
        return None
    resting, inner = probes[moving - 1], probes[moving]
    for _ in range(HALVINGS):
        middle = (inner + resting) / 2
        still = np.abs(curve(middle[:, None])[:, 0] - values[:, 0]) <= STILL
        inner, resting = np.where(still, inner, middle), np.where(still, middle, resting)
    return resting


def _made(curve: Curve, low: Floats, high: Floats, rests: Floats, doublings: int, bits: int) -> Table | None:
    """A table of a size; None where it is not near enough."""
    shift = MANTISSA - bits
    first, last = _bits(2.0**-doublings), _bits(1 + 2.0**-doublings)
    edges = np.append(np.arange(first, last, 1 << shift), last).astype(np.int32)
    places = edges.view(np.float32).astype(np.float64)
    scale = (1 / (high - low)).astype(np.float32)
    knots = low[:, None] + (places - places[0]) / scale[:, None].astype(np.float64)
    values = curve(knots)
    values[:, [0, -1]] = rests  # to the bit: black stays black
    still = np.zeros((len(low), 1))  # the last place may be a cell of its own
    start, starts = _coded(values, START_BITS)
    rise, rises = _coded(np.concatenate([np.diff(values) / np.diff(edges), still], 1), RISE_BITS)
    words = (start << RISE_BITS | rise).astype(np.uint32).view(np.int32)
    ends = np.stack([values.min(1), values.max(1)])
    table = Table(
        torch.from_numpy(words), _single(low), _single(scale), _single(starts), _single(rises), _single(ends),
        first, last, shift,
    )  # fmt: skip
    return _shared(table) if all(_apart(table, curve, knots, inside) <= NEAR for inside in INSIDE) else None


def _apart(table: Table, curve: Curve, knots: Floats, inside: int) -> float:
    """How far a table is from its curve at most, at so many samples of each cell, at both ends and beyond them."""
    shares = (np.arange(inside) + 0.5) / inside
    within = (knots[:, :-1, None] + np.diff(knots)[..., None] * shares).reshape(len(knots), -1)
    low, high = knots[:, :1], knots[:, -1:]
    samples = np.concatenate([within, low - 1, low, high, high + 1], 1).astype(np.float32)
    found = looked_up(torch.from_numpy(samples)[:, None], table)[:, 0].double().numpy()
    return float(np.abs(found - curve(samples.astype(np.float64).clip(low, high))).max())


def _single(numbers: NDArray[Any]) -> Tensor:
    return torch.from_numpy(numbers.astype(np.float32))


def _coded(values: Floats, bits: int) -> tuple[NDArray[np.int64], Floats]:
    """Each plane's numbers as codes from 0 on, and by what and how much to multiply and add, ``(2, C)``."""
    low, high = values.min(1), values.max(1)
    factor = np.where(high > low, (high - low) / ((1 << bits) - 1), 1.0)
    return np.rint((values - low[:, None]) / factor[:, None]).astype(np.int64), np.stack([factor, low])


def _shared(table: Table) -> Table:
    """One plane's table for all, where they are alike: that leaves room in the cache."""
    numbers = (table.words, table.low, table.scale, table.start.T, table.rise.T, table.ends.T)
    if not all((each == each[:1]).all() for each in numbers):
        return table
    words, low, scale, start, rise, ends = (each[:1] for each in numbers)
    return replace(table, words=words, low=low, scale=scale, start=start.T, rise=rise.T, ends=ends.T)


def _bits(number: float) -> int:
    return int(np.float32(number).view(np.int32))
