"""Gamut compression against the formulas of ACES Reference Gamut Compression."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from ispdsl.programs import gamut
from tests.programs.checks import check_program

F64 = torch.float64
SETTINGS = {"threshold": 0.8, "limit": 1.3, "power": 1.2, "amount": 1.0}


def picture(low: float = -0.3, high: float = 1.4) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    return low + (high - low) * torch.rand(3, 8, 9, generator=generator, dtype=F64)


def aces(image: np.ndarray, threshold: float, limit: float, power: float) -> np.ndarray:
    """The published steps: distance from the achromatic axis, the power compression, and back."""
    achromatic = image.max(0)
    distance = (achromatic - image) / np.abs(achromatic)
    scale = (limit - threshold) / (((1 - threshold) / (limit - threshold)) ** -power - 1) ** (1 / power)
    over = np.maximum(distance - threshold, 0) / scale
    compressed = np.where(distance < threshold, distance, threshold + scale * over / (1 + over**power) ** (1 / power))
    return achromatic - compressed * np.abs(achromatic)


@pytest.mark.parametrize("power", [1.0, 1.2, 4.0])
def test_it_keeps_its_contract(power: float) -> None:
    check_program(gamut.gamut_map, [picture()], free={**SETTINGS, "power": power + 0.01, "amount": 0.8}, radius=0)


@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize(
    ("threshold", "limit", "power"), [(0.8, 1.3, 1.2), (0.0, 1.05, 1.0), (0.95, 4.0, 4.0), (0.5, 2.0, 2.0)]
)
def test_it_agrees_with_the_published_formulas(
    threshold: float, limit: float, power: float, dtype: torch.dtype
) -> None:
    image = picture(-0.8, 2).to(dtype)
    found = gamut.gamut_map(image, threshold=threshold, limit=limit, power=power, amount=1.0)
    wanted = aces(image.double().numpy(), threshold, limit, power)
    np.testing.assert_allclose(found.double().numpy(), wanted, rtol=0, atol=1e-5)


def test_the_limit_comes_to_the_surface_and_the_inside_stays() -> None:
    colours = torch.tensor([[1.0, 1.0], [-0.3, 0.3], [0.25, 0.21]], dtype=F64)[:, None]
    out = gamut.gamut_map(colours, **SETTINGS)
    np.testing.assert_allclose(out[:, 0, 0].numpy(), [1, 0, 0.25], atol=1e-12)
    assert torch.equal(out[:, 0, 1], colours[:, 0, 1])
    assert (gamut.gamut_map(picture(-0.2, 1), **{**SETTINGS, "limit": 4.0})[0] > -0.2).all()


@pytest.mark.parametrize("dtype", [torch.float32, F64, torch.bfloat16])
def test_amount_0_and_greys_are_the_identity(dtype: torch.dtype) -> None:
    image = picture(-0.8, 4).to(dtype)
    assert torch.equal(gamut.gamut_map(image, **{**SETTINGS, "amount": 0.0}), image)
    grey = image[:1].expand(3, -1, -1)
    assert torch.equal(gamut.gamut_map(grey, **{**SETTINGS, "threshold": 0.0}), grey)


def test_it_is_safe_at_black_and_below() -> None:
    image = torch.tensor([[0.0, 0.0, -0.1, -0.5, 1e-30], [0.0, -1.0, -0.2, -0.5, 0.0], [0.0, -2.0, -3.0, -0.5, 0.0]])
    image = image[:, None].double().requires_grad_()
    out = gamut.gamut_map(image, **SETTINGS)
    (gradient,) = torch.autograd.grad(out.sum(), image)
    assert torch.isfinite(out).all()
    assert torch.isfinite(gradient).all()
    assert out[:, 0, 1].tolist() == [0, 0, 0]


def test_more_amount_and_a_larger_limit_lift_and_light_rises() -> None:
    image = picture(-0.8, 2)
    amounts = torch.stack([gamut.gamut_map(image, **{**SETTINGS, "amount": a}) for a in (0.0, 0.3, 1.0)])
    limits = torch.stack([gamut.gamut_map(image, **{**SETTINGS, "limit": v}) for v in (1.05, 1.3, 2.0, 4.0)])
    assert (amounts.diff(dim=0) >= 0).all()
    assert (limits.diff(dim=0) >= -1e-12).all()
    light = picture(0, 2)
    for plane in range(3):
        more = light.clone()
        more[plane] += 0.01
        for power in (1.0, 4.0):
            call = {**SETTINGS, "threshold": 0.2, "power": power}
            assert (gamut.gamut_map(more, **call) - gamut.gamut_map(light, **call) >= -1e-12).all()
