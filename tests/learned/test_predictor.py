"""The network: what it sees, where it begins, and what attention does."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ispdsl.errors import CompileError
from ispdsl.learned.predictor import Attention, Predictor, checked, colours

ALL: tuple[Attention, ...] = ("none", "single", "multi", "self")


def test_a_mosaic_becomes_its_colours_at_half_size() -> None:
    tile = torch.tensor([[10.0, 2.0], [4.0, 7.0]])  # of grbg: G R / B G
    planes = colours(tile.repeat(3, 2)[None, None], "grbg", torch.tensor([1.0, 0, 0, 0]), torch.tensor(11.0))
    assert planes.shape == (1, 3, 3, 2)
    expected = [2 / 11, (9.0 + 7) / 2 / (11 - 0.5), 4 / 11]
    torch.testing.assert_close(planes[0, :, 1, 1], torch.tensor(expected))
    smaller = colours(torch.rand(2, 1, 21, 33), "bggr", reduced=4)
    assert smaller.shape == (2, 3, 2, 4)
    image = torch.rand(1, 3, 5, 7)
    torch.testing.assert_close(colours(image, "linear"), image)


@pytest.mark.parametrize("attention", ALL)
@pytest.mark.parametrize("size", [(1, 1), (7, 40), (70, 66)])
def test_it_begins_at_the_start_of_each_picture_at_any_size(attention: Attention, size: tuple[int, int]) -> None:
    network = Predictor(3, width=2, levels=4, attention=attention)
    start = torch.tensor([[0.0, 0.4, 1.0], [0.1, 0.2, 0.3]])
    found = network(torch.rand(2, 3, *size), start)
    torch.testing.assert_close(found.values, start)
    assert found.attention.shape == found.local.shape
    torch.testing.assert_close(found.attention.sum((-2, -1)), torch.ones(2, 3))


def trained_at_random(attention: Attention) -> Predictor:
    torch.manual_seed(0)
    network = Predictor(2, width=4, levels=3, attention=attention)
    with torch.no_grad():
        for layer in (network.local[-1], *([] if network.scores is None else [network.scores[-1]])):
            assert isinstance(layer, nn.Conv2d)
            nn.init.normal_(layer.weight, std=2.0)
    return network


def test_what_decides_how_much_a_place_counts() -> None:
    planes = torch.rand(1, 3, 64, 64)
    start = torch.full((2,), 0.5)
    maps = {attention: trained_at_random(attention)(planes, start).attention[0].detach() for attention in ALL}
    for attention in ("none", "self"):
        assert float(maps[attention].std()) == 0
    assert float(maps["single"][0].std()) > 0
    torch.testing.assert_close(maps["single"][0], maps["single"][1])
    assert not torch.allclose(maps["multi"][0], maps["multi"][1])


def test_values_are_the_weighed_mean_within_limits() -> None:
    network = trained_at_random("multi")
    found = network(torch.rand(3, 3, 40, 40), torch.full((2,), 0.5))
    expected = (0.5 + (found.attention * found.local).sum((-2, -1))).clamp(0, 1)
    torch.testing.assert_close(found.values, expected)


def test_at_the_edge_a_slope_that_leads_inside_passes() -> None:
    network = Predictor(1, width=2, levels=2)
    network(torch.rand(1, 3, 8, 8), torch.zeros(1)).values.sum().backward()
    layer = network.local[-1]
    assert isinstance(layer, nn.Conv2d)
    bias = layer.bias
    assert bias is not None
    assert bias.grad is not None
    assert float(bias.grad) == 0, "down leads out"
    network(torch.rand(1, 3, 8, 8), torch.zeros(1)).values.neg().sum().backward()
    assert float(bias.grad) == pytest.approx(-1), "up leads in"


def test_a_stop_is_the_same_step_in_bright_and_dark() -> None:
    network = Predictor(1, encoding="log")
    light = torch.tensor([0.04, 0.08, 0.4, 0.8])[:, None, None, None].expand(-1, 3, 32, 32)
    seen = network._seen(light)[:, 0, 0, 0]
    assert float(seen[1] - seen[0]) == pytest.approx(float(seen[3] - seen[2]), rel=0.05)
    assert float(network._seen(torch.zeros(1, 3, 32, 32)).max()) == pytest.approx(-2.5)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"width": 0}, "width 0"),
        ({"attention": "all"}, "attention 'all'"),
        ({"levels": 7, "width": 128}, "too large"),
        ({"count": True}, "count True"),
    ],
)
def test_arguments_of_a_file_are_not_believed(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(CompileError, match=message):
        checked({**Predictor(2).arguments, **wrong})
