"""Settings: every legal one, the soft range favoured, the ends of the hard range and of register codes included."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from ispdsl.contracts.conditions import Bounds, Conditions, bounds_of, pinned
from ispdsl.ir.params import Array, Choice, FileReference, Parameter, Register, Slider, Table, Toggle
from ispdsl.ir.units import canonical
from ispdsl.runtime import faces
from ispdsl.runtime.cube import read_cube

Strategy = st.SearchStrategy[Any]

STEPS = 1000
"""Steps in which ranges are drawn."""

LARGEST_SIZE = 64
"""What decides the size of a result is drawn up to here."""

BY_HAND = 36
"""Tables of more numbers than this are random by seed, not number by number."""


def setting(parameter: Parameter, conditions: Conditions = ()) -> Strategy:
    """Values of a parameter as programs receive them, at which the conditions on it alone hold."""
    wanted = pinned(parameter.name, conditions)
    match parameter:
        case Choice():
            return st.just(wanted) if isinstance(wanted, str) else st.sampled_from(_options(parameter, conditions))
        case Toggle():
            return (
                st.just(wanted)
                if isinstance(wanted, bool)
                else st.sampled_from((parameter.default, not parameter.default))
            )
        case Slider():
            return _slider(parameter, bounds_of(parameter.name, conditions))
        case Register():
            return _register(parameter, bounds_of(parameter.name, conditions))
        case Table():
            return st.just(table(parameter, wanted)) if wanted is not None else _table(parameter)


def _options(parameter: Choice, conditions: Conditions) -> tuple[str, ...]:
    """Those that no ``!=`` excludes, the default first."""
    excluded = {each.right for each in conditions if each.left == parameter.name and each.operator == "!="}
    options = (parameter.default, *(each for each in parameter.options if each != parameter.default))
    return tuple(each for each in options if each not in excluded)


def _slider(parameter: Slider, limits: Bounds) -> Strategy:
    """Floats, or whole numbers where a type depends on them."""
    default, *ends = (canonical(each, parameter.unit) for each in (parameter.default, *parameter.soft, *parameter.hard))
    soft, hard = _within((ends[0], ends[1]), limits), _within((ends[2], ends[3]), limits)
    if parameter.structural:
        sizes = {int(default), int(hard[0]), min(int(hard[1]), LARGEST_SIZE)}
        return st.sampled_from(sorted(size for size in sizes if hard[0] <= size <= hard[1]))
    points = [each for each in (default, 0.0, *soft, *hard) if hard[0] <= each <= hard[1]]
    return numbers(points, (soft, soft, hard))


def numbers(points: Sequence[float], ranges: Sequence[Bounds]) -> st.SearchStrategy[float]:
    """The points in one half of the draws, the first ones plainest; in the other steps of a thousandth over the ranges.

    One whole number decides: drawing floats, and choosing between strategies, costs several times as much.
    """
    points = tuple(dict.fromkeys(points))
    count = len(ranges) * (STEPS + 1) // max(len(points), 1)
    first = count * len(points)

    def number(index: int) -> float:
        if index < first:
            return points[index // count]
        which, place = divmod(index - first, STEPS + 1)
        low, high = ranges[which]
        return min(max(low + (high - low) * place / STEPS, low), high)

    return st.integers(0, first + len(ranges) * (STEPS + 1) - 1).map(number)


def _within(ends: Bounds, limits: Bounds) -> Bounds:
    """A range cut to the limits; where nothing is left, the nearest legal point."""
    low, high = max(ends[0], limits[0]), min(ends[1], limits[1])
    if low > high:
        low = high = limits[0] if ends[1] < limits[0] else limits[1]
    return low, high


def _register(parameter: Register, limits: Bounds) -> Strategy:
    """What codes stand for: any, the first and last and those beside them."""
    low, high = faces.codes(parameter)
    start = faces.to_code(parameter, parameter.default, nearest=True)
    assert isinstance(start, int), "a register has one code"
    special = sorted(
        {low, min(low + 1, high), max(high - 1, low), high, start, min(start + 1, high), max(start - 1, low)}
    )
    codes = st.sampled_from(special) | st.integers(low, high)

    def physical(code: int) -> float:
        value = faces.from_code(parameter, code)
        assert isinstance(value, float | int), "a register holds a number"
        return canonical(float(value), parameter.unit)

    return codes.map(physical).filter(lambda value: limits[0] <= value <= limits[1])


# ---- tables -------------------------------------------------------------------------------------------------


def table(parameter: Table, value: Any) -> Tensor:
    """The numbers of a table in canonical units, float64."""
    if isinstance(value, FileReference):
        return torch.from_numpy(read_cube(value.found).copy()).to(torch.float64)
    found = faces.canonical(parameter, value)
    assert isinstance(found, Array), "tables are arrays in canonical form"
    return torch.tensor(found.values, dtype=torch.float64).reshape(found.shape)


def _table(parameter: Table) -> Strategy:
    start = table(parameter, parameter.default)
    plain = st.sampled_from([start, *_identity(parameter)])
    size = math.prod(parameter.shape)
    seeds = st.integers(0, 10_000)
    if parameter.hard is None:
        return plain | seeds.map(lambda seed: start + 0.3 * (_random(start.shape, seed) - 0.5))
    low, high = (canonical(end, parameter.unit) for end in parameter.hard)
    around = seeds.map(lambda seed: (start + 0.2 * (high - low) * (_random(start.shape, seed) - 0.5)).clamp(low, high))
    ends = st.sampled_from((low, high)).map(lambda end: torch.full(parameter.shape, end, dtype=torch.float64))
    anything = seeds.map(lambda seed: low + (high - low) * _random(parameter.shape, seed))
    if size > BY_HAND:
        return st.one_of(plain, around, ends, anything)
    numbers = st.lists(st.floats(low, high, allow_subnormal=False), min_size=size, max_size=size)
    by_hand = numbers.map(lambda found: torch.tensor(found, dtype=torch.float64).reshape(parameter.shape))
    return st.one_of(plain, around, ends, anything, by_hand)


def _identity(parameter: Table) -> list[Tensor]:
    try:
        return [table(parameter, "identity")]
    except ValueError:
        return []


def _random(shape: tuple[int, ...] | torch.Size, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator, dtype=torch.float64)
