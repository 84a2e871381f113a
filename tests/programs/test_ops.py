"""Small operations that the programs share."""

from __future__ import annotations

import pytest
import torch

from ispdsl.programs.ops import broadcast_shapes, plus, squared_length, weighted_sum


@pytest.mark.parametrize(
    "shapes",
    [(), ((),), ((), (3,)), ((2, 1), (5,)), ((4, 1, 3), (4, 2, 1), (1,)), ((0,), (1,)), (torch.Size([2]), [2])],
    ids=str,
)
def test_shapes_are_broadcast_as_torch_does(shapes: tuple[tuple[int, ...], ...]) -> None:
    assert broadcast_shapes(*shapes) == torch.broadcast_shapes(*shapes)
    assert isinstance(broadcast_shapes(*shapes), torch.Size)


@pytest.mark.parametrize("shapes", [((2,), (3,)), ((0,), (5,)), ((4, 2), (3, 1))], ids=str)
def test_shapes_that_do_not_go_together_are_refused_as_by_torch(shapes: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(RuntimeError, match="shape mismatch"):
        broadcast_shapes(*shapes)
    with pytest.raises(RuntimeError):
        torch.broadcast_shapes(*shapes)


@pytest.mark.parametrize(
    "weight", [0.25, torch.tensor(0.25), torch.full((1, 2, 4), 0.25)], ids=["number", "scalar", "plane"]
)
def test_a_weighted_term_is_added_whatever_holds_the_weight(weight: torch.Tensor | float) -> None:
    total, term = torch.arange(24.0).reshape(3, 2, 4), torch.ones(3, 2, 4)
    assert plus(total, weight, term).equal(total + 0.25)


@pytest.mark.parametrize("planes", [1, 3, 4])
def test_the_squared_length_is_that_of_the_planes(planes: int) -> None:
    vectors = torch.randn(2, planes, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(planes))
    torch.testing.assert_close(squared_length(vectors), vectors.square().sum(-3, keepdim=True), rtol=1e-14, atol=0)


def test_weighted_sums_add_up_from_left_to_right() -> None:
    large = torch.tensor([1e8])
    terms = [large, torch.tensor([3.0]), -large]
    assert weighted_sum([1.0, 1.0, 1.0], terms).item() == (large + 3.0 - large).item()
    assert weighted_sum([0.5, torch.tensor(2.0)], [torch.tensor([4.0]), torch.tensor([3.0])]).item() == 8.0
