"""Comparisons of masks by exclusive or."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from ispdsl.backends.masks import rewrite_mask_comparisons


def patterned(image: Tensor) -> Tensor:
    rows, columns = (torch.arange(size) % 2 == 0 for size in image.shape[-2:])
    chequered = torch.where(rows[:, None] == columns, image, 2 * image)
    return torch.where(rows[:, None] != columns, chequered, 3 * image)


def test_masks_that_are_compared_give_the_same_by_exclusive_or():
    image = torch.rand(3, 4, 7)
    graph = make_fx(patterned, tracing_mode="fake", _allow_non_fake_inputs=True)(image)
    assert rewrite_mask_comparisons(graph.graph) == 2
    graph.recompile()
    assert torch.equal(graph(image), patterned(image))
    assert rewrite_mask_comparisons(graph.graph) == 0


def test_numbers_that_are_compared_stay():
    graph = make_fx(lambda x: torch.where(x == x.flip(-1), x, 0.0), tracing_mode="fake")(torch.rand(3, 4, 7))
    assert rewrite_mask_comparisons(graph.graph) == 0
