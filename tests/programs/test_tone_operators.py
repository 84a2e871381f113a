"""Tone operators of Reinhard, Drago and Hable, held to their papers' formulas and landmarks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ispdsl.programs import tone_operators as operators
from tests.programs.checks import check_program

SPACE: dict[str, Any] = {"space": "linear_srgb"}
WEIGHTS = np.array([0.2126, 0.7152, 0.0722])
HABLE = {
    "ev": 1.0,
    "white": 11.2,
    "shoulder": 0.15,
    "linear": 0.5,
    "angle": 0.1,
    "toe": 0.2,
    "toe_numerator": 0.02,
    "toe_denominator": 0.3,
}


def picture(low: float = 0.01, high: float = 6.0) -> Tensor:
    """Colours of every kind over a wide range of light, none neutral."""
    generator = torch.Generator().manual_seed(5)
    return low + (high - low) * torch.rand(3, 8, 9, generator=generator, dtype=torch.float64) ** 3


def greys(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).expand(3, 1, len(values))


def luma(image: Tensor) -> np.ndarray:
    return np.tensordot(WEIGHTS, image.numpy(), 1)


@pytest.mark.parametrize(
    ("program", "static", "free"),
    [
        (operators.reinhard, SPACE, {"log_average": 0.3, "key": 0.2, "white": 3.0, "amount": 0.8}),
        (operators.drago, SPACE, {"log_average": 0.3, "white": 6.0, "bias": 0.8, "amount": 0.8}),
        (operators.hable, {}, {**HABLE, "amount": 0.8}),
    ],
)
def test_every_program_keeps_its_contract(program, static, free) -> None:
    check_program(program, [picture()], static=static, free=free, radius=0)
    image = picture(-0.5, 6.0)
    assert torch.equal(program(image, **static, **{**free, "amount": 0.0}), image)
    half = program(image.bfloat16(), **static, **free)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.double(), program(image, **static, **free), rtol=0.03, atol=0.03)


def test_reinhard_is_equation_4_on_luma() -> None:
    image = picture()
    found = operators.reinhard(image, log_average=0.25, key=0.18, white=3.0, amount=1.0, **SPACE)
    light = luma(image) * 0.18 / 0.25
    wanted = image.numpy() / luma(image) * light * (1 + light / 3.0**2) / (1 + light)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_reinhard_brings_white_to_one_and_a_high_white_leaves_equation_3() -> None:
    white = greys(0.3 / 0.18 * 5)
    shown = operators.reinhard(white, log_average=0.3, key=0.18, white=5.0, amount=1.0, **SPACE)
    torch.testing.assert_close(shown, greys(1.0))
    plain = operators.reinhard(greys(2.0), log_average=0.18, key=0.18, white=1e6, amount=1.0, **SPACE)
    torch.testing.assert_close(plain, greys(2 / 3))


def test_drago_is_equation_4_on_luma() -> None:
    image = picture()
    found = operators.drago(image, log_average=0.4, white=6.0, bias=0.85, amount=1.0, **SPACE)
    light, peak = luma(image) / 0.4, 6.0 / 0.4
    bent = (light / peak) ** (np.log(0.85) / np.log(0.5))
    shown = np.log(light + 1) / np.log(2 + 8 * bent) / np.log10(peak + 1)
    np.testing.assert_allclose(found, image.numpy() / luma(image) * shown, rtol=1e-12)


@pytest.mark.parametrize("bias", [0.5, 0.85, 1.0])
def test_drago_brings_white_to_one_and_less_bias_darkens(bias: float) -> None:
    shown = operators.drago(greys(0.5, 8.0), log_average=0.2, white=8.0, bias=bias, amount=1.0, **SPACE)
    assert shown[0, 0, 1].item() == pytest.approx(1.0)
    more = operators.drago(greys(0.5), log_average=0.2, white=8.0, bias=bias * 0.9, amount=1.0, **SPACE)
    assert more[0, 0, 0] > shown[0, 0, 0], "a lower bias is nearer to the smaller base, so it is brighter"


def hable_of_the_talk(x: np.ndarray) -> np.ndarray:
    a, b, c, d, e, f = 0.15, 0.50, 0.10, 0.20, 0.02, 0.30
    return ((x * (a * x + c * b) + d * e) / (x * (a * x + b) + d * f)) - e / f


def test_hable_is_the_curve_of_the_talk() -> None:
    image = picture()
    wanted = hable_of_the_talk(2 * image.numpy()) / hable_of_the_talk(np.array(11.2))
    np.testing.assert_allclose(operators.hable(image, **HABLE, amount=1.0), wanted, rtol=1e-10)


def test_hable_brings_white_to_one_and_black_to_zero() -> None:
    torch.testing.assert_close(operators.hable(greys(0.0, 5.6), **HABLE, amount=1.0), greys(0.0, 1.0))


def test_hable_goes_on_below_black_with_its_slope_there() -> None:
    below = operators.hable(greys(-0.4, -0.2, -1e-6, 1e-6), **HABLE, amount=1.0)[0, 0]
    torch.testing.assert_close(below[:3] / below[2], torch.tensor([4e5, 2e5, 1.0], dtype=torch.float64))
    assert (below[3] / -below[2]).item() == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize("angle", [0.1, 1.0])
@pytest.mark.parametrize("toe", [0.05, 1.0])
@pytest.mark.parametrize("denominator", [0.2, 1.0])
def test_hable_rises_at_its_limits(angle: float, toe: float, denominator: float) -> None:
    ramp = greys(*np.linspace(-2, 20, 300))
    settings = {**HABLE, "angle": angle, "toe": toe, "toe_denominator": denominator}
    assert (operators.hable(ramp, **settings, amount=1.0).diff(dim=-1) > -1e-12).all()


def test_gains_by_luma_keep_chromaticity_and_stay_finite_at_black() -> None:
    image = picture()
    dark = torch.tensor([-0.2, -1e-9, 0.0, 1e-9], dtype=torch.float64).expand(3, 1, 4).clone().requires_grad_()
    for program, white in ((operators.reinhard, 4.0), (operators.drago, 8.0)):
        rest = {"bias": 0.85} if program is operators.drago else {"key": 0.18}
        shown = program(image, log_average=0.3, white=white, amount=1.0, **rest, **SPACE)
        torch.testing.assert_close(shown / shown.sum(0), image / image.sum(0))
        below = program(dark, log_average=0.3, white=white, amount=1.0, **rest, **SPACE)
        (gradient,) = torch.autograd.grad(below.sum(), dark)
        assert torch.isfinite(gradient).all()
        assert (gradient > 0).all()
        assert (below.diff(dim=-1) > 0).all()


def test_a_key_of_no_light_counts_as_the_darkest() -> None:
    nothing, darkest = (
        operators.reinhard(picture(), log_average=key, key=0.18, white=4.0, amount=1.0, **SPACE)
        for key in (0.0, operators.DARKEST_KEY)
    )
    assert torch.equal(nothing, darkest)
    assert math.isfinite(float(nothing.sum()))
