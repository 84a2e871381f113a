"""Small operations that the programs share."""

from __future__ import annotations

import pytest
import torch

from ispdsl.programs.ops import broadcast_shapes


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
