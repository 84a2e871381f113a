"""Runs of linear stages become one matrix in Halide's programs, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

pytest.importorskip("halide")

from ispdsl.backends.halide.compiled import compiled
from ispdsl.backends.halide.linear import merged, mixed_planes
from ispdsl.backends.halide.traced import Ref, Trace
from tests.backends.test_halide_rules import HEIGHT, WIDTH, image, traced

MATRIX = torch.tensor([[1.2, -0.1, -0.1], [-0.2, 1.3, -0.1], [0.0, -0.3, 1.3]])
GAINS = torch.tensor([2.0, 1.0, 1.5])[:, None, None]


def linear(x: Tensor) -> Tensor:
    """Gains, a matrix, saturation and a black level."""
    mixed = torch.einsum("ij,bjhw->bihw", MATRIX, x * GAINS * 1.5)
    luma = mixed.mean(1, keepdim=True)
    return luma + 1.2 * (mixed - luma) - 0.05


def runs(function: Callable[[Tensor], Tensor]) -> list[tuple[Tensor, Tensor]]:
    trace: Trace = merged(traced(function, (1, 3, HEIGHT, WIDTH)))
    return [node.args[1:] for node in trace.nodes if node.target == "ispdsl.mixed_planes"]


def test_a_run_becomes_its_matrix():
    ((matrix, offset),) = runs(lambda x: linear(x.abs()))
    given = image().abs()
    torch.testing.assert_close(mixed_planes(given, matrix, offset), linear(given))


def test_the_program_with_the_matrix_gives_what_torch_gives():
    def function(x: Tensor) -> Tensor:
        return linear(x).clamp(0, 1).sqrt()

    made = compiled(traced(function, (1, 3, HEIGHT, WIDTH)), torch.float32)
    torch.testing.assert_close(made(image()), function(image()), rtol=2e-6, atol=2e-6)


def test_an_output_that_is_read_on_the_way_stays():
    def function(x: Tensor) -> Tensor:
        first = linear(x.abs())
        return torch.where(first > 0.5, first, linear(first))

    trace = merged(traced(function, (1, 3, HEIGHT, WIDTH)))
    one, other = (node for node in trace.nodes if node.target == "ispdsl.mixed_planes")
    assert other.args[0] == Ref(one.number)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: linear(x) * x,
        lambda x: (linear(x) * torch.linspace(0, 1, HEIGHT)[:, None] * 2 + 1 - x * 3) * 0.5,
        lambda x: linear(x.roll(1, -1)) + linear(x),
        lambda x: x * 2 + 1,
    ],
    ids=["a square", "by rows", "a neighbour", "cheap"],
)
def test_what_is_no_mixing_of_planes_is_left(function: Callable[[Tensor], Tensor]):
    given = image()
    made = compiled(traced(function, tuple(given.shape)), torch.float32)
    torch.testing.assert_close(made(given), function(given), rtol=5e-6, atol=5e-6)
    whole = merged(traced(function, tuple(given.shape)))
    assert whole.nodes[-1].target != "ispdsl.mixed_planes"
