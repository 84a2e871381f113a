"""Bands of hues and split toning: contracts, hand-computed colours, what stays."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ispdsl.programs import toning
from ispdsl.programs.ops import luma
from tests.programs.checks import check_program

F64 = torch.float64
SPACE = "linear_srgb"
ZERO = torch.zeros(8, dtype=F64)
SPLIT = {"shadows": 0.4, "shadows_hue": 220.0, "highlights": 0.2, "highlights_hue": 45.0, "balance": 0.2}


def picture(low: float = 0.0, high: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    return low + (high - low) * torch.rand(3, 8, 9, generator=generator, dtype=F64)


def bands(seed: int, size: float) -> Tensor:
    return size * (2 * torch.rand(8, generator=torch.Generator().manual_seed(seed), dtype=F64) - 1)


def one(band: int, value: float) -> Tensor:
    return torch.eye(8, dtype=F64)[band] * value


def hsl(image: Tensor, hue: Tensor = ZERO, saturation: Tensor = ZERO, luminance: Tensor = ZERO) -> Tensor:
    return toning.hsl_bands(image, hue=hue, saturation=saturation, luminance=luminance, space=SPACE)


def angle(image: Tensor) -> Tensor:
    red, green, blue = image
    return torch.rad2deg(torch.atan2(math.sqrt(3) * (green - blue), 2 * red - green - blue)) % 360


def test_hsl_bands_keeps_its_contract(export: bool) -> None:
    free = {"hue": bands(1, 20), "saturation": bands(2, 0.6), "luminance": bands(3, 1)}
    check_program(toning.hsl_bands, [picture()], static={"space": SPACE}, free=free, radius=0, export=export)


def test_split_toning_keeps_its_contract() -> None:
    check_program(toning.split_toning, [picture()], static={"space": SPACE}, free=SPLIT, radius=0)


@pytest.mark.parametrize("dtype", [torch.float32, F64, torch.bfloat16])
def test_identity_points_are_exact(dtype: torch.dtype) -> None:
    image = picture(-0.5, 4).to(dtype)
    assert torch.equal(hsl(image), image)
    off = {**SPLIT, "shadows": 0.0, "highlights": 0.0}
    assert torch.equal(toning.split_toning(image, **off, space=SPACE), image)


@pytest.mark.parametrize(("band", "centre"), list(enumerate(toning.BANDS)))
def test_a_band_reaches_its_hue_and_not_the_next(band: int, centre: float) -> None:
    """A colour at the centre of its band is turned by all of the setting, those of the other bands by nothing."""
    axes = torch.tensor([0.0, 120.0, 240.0], dtype=F64)
    centres = torch.tensor(toning.BANDS, dtype=F64)
    colours = (0.5 + 0.3 * torch.cos(torch.deg2rad(centres[None] - axes[:, None])))[:, None]
    turned = angle(hsl(colours, hue=one(band, 12.0))) - centres
    wanted = torch.zeros(8, dtype=F64)
    wanted[band] = 12
    torch.testing.assert_close((turned[0] + 180) % 360 - 180, wanted, rtol=0, atol=1e-9)
    assert centre == toning.BANDS[band]


def test_all_bands_alike_are_one_setting() -> None:
    """Weights sum to 1: the same saturation for all is that of the whole image, the same turn turns every hue."""
    image, y = picture(), luma(picture(), SPACE)
    half = torch.full((8,), -0.5, dtype=F64)
    torch.testing.assert_close(hsl(image, saturation=half), y + 0.5 * (image - y))
    turned = hsl(image, hue=torch.full((8,), 25.0, dtype=F64))
    torch.testing.assert_close((angle(turned) - angle(image)) % 360, torch.full((8, 9), 25.0, dtype=F64))


def test_what_stays() -> None:
    image = picture(-0.1, 2)
    out = hsl(image, hue=bands(1, 30), saturation=bands(2, 1))
    torch.testing.assert_close(luma(out, SPACE), luma(image, SPACE))
    brighter = hsl(image, luminance=bands(3, 2))
    torch.testing.assert_close(torch.linalg.cross(brighter, image, dim=0), torch.zeros_like(image))
    settings = {"hue": bands(1, 30), "saturation": bands(2, 1), "luminance": bands(3, 2)}
    grey = image[:1].expand(3, -1, -1)
    torch.testing.assert_close(hsl(grey, **settings), grey)
    torch.testing.assert_close(hsl(7 * image, **settings), 7 * hsl(image, **settings))
    red = torch.tensor([1.0, 0.0, 0.0], dtype=F64)[:, None, None]
    assert float(hsl(red, luminance=one(0, 1.0))[0]) == pytest.approx(2 ** (1 - math.exp(-16 / 3)))


def test_gradients_are_finite_at_grey_and_black() -> None:
    image = torch.tensor([[0.0, 0.5, 1.0, -0.1]] * 3, dtype=F64)[:, None].requires_grad_()
    out = hsl(image, bands(1, 30), bands(2, 1), bands(3, 2)) + toning.split_toning(image, **SPLIT, space=SPACE)
    (gradient,) = torch.autograd.grad(out.sum(), image)
    assert torch.isfinite(gradient).all()


def test_split_toning_tints_by_tone() -> None:
    image = picture(0, 2)
    torch.testing.assert_close(luma(toning.split_toning(image, **SPLIT, space=SPACE), SPACE), luma(image, SPACE))
    grey = torch.tensor([0.0, 0.002, 50.0], dtype=F64).expand(3, 1, 3)
    out = toning.split_toning(grey, **SPLIT, space=SPACE)
    assert out[:, 0, 0].tolist() == [0, 0, 0]
    hues = angle(out[:, :, 1:])[0]
    assert float(hues[0]) == pytest.approx(220, abs=1.5)
    assert float(hues[1]) == pytest.approx(45, abs=1.5)
    middle = toning.split_toning(torch.full((3, 1, 1), 0.2, dtype=F64), **SPLIT, space=SPACE).flatten()
    tints = [torch.cos(torch.deg2rad(torch.tensor([h, h - 120, h - 240], dtype=F64))) / 3 for h in (220.0, 45.0)]
    sum_of_tints = 0.2 * (0.5 * 0.4 * tints[0] + 0.5 * 0.2 * tints[1])
    wanted = 0.2 + sum_of_tints - luma(sum_of_tints[:, None, None], SPACE).flatten()
    torch.testing.assert_close(middle, wanted)
