"""Dark channel, atmospheric light and haze removal."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import torch
from torch import Tensor

from ispdsl.programs.dehaze import airlight, dark_channel, dehaze
from tests.programs.checks import check_program

SPACE = {"space": "linear_srgb"}
AIR = torch.tensor([0.9, 0.95, 1.0], dtype=torch.float64)


def picture(height: int = 8, width: int = 9) -> Tensor:
    generator = torch.Generator().manual_seed(10)
    return 0.05 + 0.9 * torch.rand(3, height, width, generator=generator, dtype=torch.float64)


def hazy(thickness: float = 0.6, height: int = 40, width: int = 44) -> tuple[Tensor, Tensor]:
    """A scene with a dark pixel in every patch, and the same behind even haze."""
    generator = torch.Generator().manual_seed(11)
    clear = torch.rand(3, height, width, generator=generator, dtype=torch.float64)
    clear[:, ::4, ::4] = 0.0
    return clear, clear * (1 - thickness) + AIR[:, None, None] * thickness


def test_every_program_keeps_its_contract(export: bool) -> None:
    check_program(airlight, [picture(4, 5)], free={"softness": 0.05}, export=export)
    check_program(dehaze, [picture(4, 5)], static=SPACE, free={"airlight": AIR, "strength": 0.7}, export=export)
    assert dehaze(picture().bfloat16(), airlight=AIR, strength=0.7, **SPACE).dtype == torch.bfloat16
    assert airlight(picture().bfloat16(), softness=0.05).dtype == torch.bfloat16


def test_it_reads_no_farther_than_stated() -> None:
    image = picture(3, 161)
    touched = image.clone()
    touched[:, 1, 80] = 0.0
    before, after = (dehaze(each, airlight=AIR, strength=0.7, **SPACE) for each in (image, touched))
    changed = (before != after).any(0).any(0).nonzero().ravel()
    assert changed.min() >= 80 - 67
    assert changed.max() <= 80 + 67


@pytest.mark.parametrize("size", [(2, 2), (5, 3), (20, 31)])
def test_the_dark_channel_is_the_minimum_of_a_patch(size: tuple[int, int]) -> None:
    image = picture(*size)
    wanted = scipy.ndimage.minimum_filter(image.amin(0).numpy(), size=15, mode="mirror")
    np.testing.assert_array_equal(dark_channel(image)[0], wanted)


def test_no_strength_is_the_identity() -> None:
    image = picture() * 4 - 0.1
    assert torch.equal(dehaze(image, airlight=AIR, strength=0.0, **SPACE), image)


@pytest.mark.parametrize("thickness", [0.2, 0.6])
def test_even_haze_goes(thickness: float) -> None:
    clear, haze = hazy(thickness)
    torch.testing.assert_close(dehaze(haze, airlight=AIR, strength=1.0, **SPACE), clear, rtol=0, atol=1e-6)
    part = dehaze(haze, airlight=AIR, strength=0.5, **SPACE)
    left = (haze - AIR[:, None, None]) / (1 - 0.5 * thickness) + AIR[:, None, None]
    torch.testing.assert_close(part, left, rtol=0, atol=1e-6)


def test_strength_below_0_adds_haze() -> None:
    _, haze = hazy()
    more = dehaze(haze, airlight=AIR, strength=-1.0, **SPACE)
    assert ((more - AIR[:, None, None]).abs() <= (haze - AIR[:, None, None]).abs()).all()
    assert more.std() < 0.8 * haze.std()


def test_transmission_stays_above_a_tenth() -> None:
    air = AIR[:, None, None].expand(3, 6, 6)
    touched = air - 0.01
    shown = dehaze(touched, airlight=AIR, strength=1.0, **SPACE)
    torch.testing.assert_close(shown, air - 0.1, rtol=0, atol=1e-9)


def test_airlight_finds_the_densest_haze_and_not_a_white_spot() -> None:
    clear, _ = hazy()
    depth = torch.linspace(0, 1, 44, dtype=torch.float64)
    scene = clear * (1 - depth) + AIR[:, None, None] * depth
    scene[:, 20, 5] = 4.0
    found = airlight(scene, softness=0.01)
    torch.testing.assert_close(found, AIR, rtol=0, atol=0.05)


def test_airlight_is_the_softmax_mean() -> None:
    image = picture(5, 6).numpy()
    weights = np.exp(scipy.ndimage.minimum_filter(image.min(0), size=15, mode="mirror") / 0.1)
    wanted = (image * weights).sum((1, 2)) / weights.sum()
    np.testing.assert_allclose(airlight(torch.from_numpy(image), softness=0.1), wanted, rtol=1e-12)
