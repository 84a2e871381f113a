"""Logarithms and powers in Halide are as near to those of float64 as `powers` says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("halide")

import halide as hl

from ispdsl.backends.halide import powers

SAMPLES = 1_000_000


def computed(function: Callable[[hl.Expr], hl.Expr], numbers: NDArray[np.float32]) -> NDArray[np.float64]:
    given, result, x = hl.ImageParam(hl.Float(32), 1), hl.Func(), hl.Var()
    result[x] = function(given[x])
    result.vectorize(x, 32)
    given.set(hl.Buffer(numbers))
    found = np.empty_like(numbers)
    result.realize(hl.Buffer(found))
    return found.astype(np.float64)


def uniform(low: float, high: float) -> NDArray[np.float32]:
    return np.random.default_rng(0).uniform(low, high, SAMPLES).astype(np.float32)


def test_logarithms_of_everything_that_float32_has():
    numbers = np.concatenate([np.exp2(uniform(-126, 127.9)), uniform(0.5, 2)])
    wanted = np.log2(numbers.astype(np.float64))
    apart = np.abs(computed(powers.log2, numbers) - wanted)
    assert (apart / np.maximum(np.abs(wanted), 0.5)).max() <= 3e-7


@pytest.mark.parametrize(
    ("function", "exact", "low", "high"), [(powers.exp2, np.exp2, -126, 127), (powers.exp, np.exp, -87, 88)]
)
def test_exponentials(function: Callable[..., hl.Expr], exact: Callable[..., NDArray[np.float64]], low: int, high: int):
    numbers = uniform(low, high)
    wanted = exact(numbers.astype(np.float64))
    assert (np.abs(computed(function, numbers) - wanted) / wanted).max() <= 5e-7
