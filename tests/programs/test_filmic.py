"""The filmic spline and the log-logistic sigmoid: formulas, landmarks, order of tones."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor

from ispdsl.programs.filmic import filmic, sigmoid
from tests.programs.checks import check_program

FILMIC = {"grey": 0.18, "black": -8.0, "white": 4.0, "contrast": 1.4, "latitude": 0.25}
SIGMOID = {"grey": 0.18, "contrast": 1.5, "skew": 0.3}


def picture() -> Tensor:
    generator = torch.Generator().manual_seed(6)
    return 0.003 + 2.5 * torch.rand(3, 8, 9, generator=generator, dtype=torch.float64) ** 3


def plane(values: object) -> Tensor:
    return torch.as_tensor(values, dtype=torch.float64).reshape(1, 1, -1)


def around(grey: float) -> Tensor:
    return plane([grey / 1.0001, grey * 1.0001])


@pytest.mark.parametrize(("program", "free"), [(filmic, FILMIC), (sigmoid, SIGMOID)])
def test_every_program_keeps_its_contract(program, free) -> None:
    check_program(program, [picture()], free=free, radius=0)
    half = program(picture().bfloat16(), **free)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.double(), program(picture(), **free), rtol=0.03, atol=0.01)


@pytest.mark.parametrize("contrast", [0.5, 1.4, 4.0])
@pytest.mark.parametrize("latitude", [0.0, 0.5, 0.95])
@pytest.mark.parametrize(("black", "white"), [(-16.0, 0.5), (-1.0, 12.0), (-8.0, 4.0)])
def test_filmic_lands_at_its_landmarks(contrast: float, latitude: float, black: float, white: float) -> None:
    settings = {"grey": 0.25, "black": black, "white": white, "contrast": contrast, "latitude": latitude}
    marks = plane([-1.0, 0.0, 0.25 * 2.0**black, 0.25, 0.25 * 2.0**white, 1e5])
    torch.testing.assert_close(filmic(marks, **settings), plane([0.0, 0.0, 0.0, 0.18, 1.0, 1.0]))
    slope = filmic(around(0.25), **settings).log2().diff() / around(0.25).log2().diff()
    assert slope.item() == pytest.approx(contrast, rel=5e-3)
    ramp = plane(0.25 * 2.0 ** np.linspace(black - 1, white + 1, 4000))
    shown = filmic(ramp, **settings)
    assert (shown.diff(dim=-1) > -1e-12).all()
    assert shown.min() >= 0
    assert shown.max() <= 1


def test_filmic_is_straight_in_its_latitude_and_meets_toe_and_shoulder_with_its_slope() -> None:
    stops = np.linspace(-8, 4, 200001)
    encoded = filmic(plane(0.18 * 2.0**stops), **{**FILMIC, "latitude": 0.6}).numpy().ravel() ** (1 / 2.4)
    slope = np.diff(encoded) / np.diff(stops)
    level = 0.18 ** (1 / 2.4)
    line = 1.4 * level * np.log(2) / 2.4
    below, above = 0.6 * min(8.0, level / line), 0.6 * min(4.0, (1 - level) / line)
    middle = 0.5 * (stops[1:] + stops[:-1])
    straight = (middle > -below + 0.01) & (middle < above - 0.01)
    np.testing.assert_allclose(slope[straight], line, rtol=1e-6)
    assert np.abs(np.diff(slope)).max() < 1e-3 * line, "the slope has no jump"
    assert slope[0] < 0.01 * line
    assert slope[-1] < 0.01 * line
    assert slope[middle < -below - 0.1].max() < line


def test_filmic_toe_is_the_rational_quadratic_of_gregory_and_delbourgo() -> None:
    level, slope = 0.18 ** (1 / 2.4), 1.4 * 0.18 ** (1 / 2.4) * np.log(2) * 12 / 2.4
    run = 0.25 * min(8 / 12, level / slope)
    width, height = 8 / 12 - run, level - slope * run
    t = np.linspace(0.01, 0.99, 50)
    mean = height / width
    wanted = height * (mean * t**2 + 0.0 * t * (1 - t)) / (mean + (0.0 + slope - 2 * mean) * t * (1 - t))
    found = filmic(plane(0.18 * 2.0 ** (12 * t * width - 8)), **FILMIC)
    np.testing.assert_allclose(found.numpy().ravel(), wanted**2.4, rtol=1e-9)


@pytest.mark.parametrize("skew", [-1.0, 0.0, 1.0])
@pytest.mark.parametrize("contrast", [0.25, 1.5, 5.0])
@pytest.mark.parametrize("grey", [0.02, 0.18, 0.5])
def test_sigmoid_keeps_grey_and_has_the_contrast_stated(grey: float, contrast: float, skew: float) -> None:
    settings = {"grey": grey, "contrast": contrast, "skew": skew}
    torch.testing.assert_close(sigmoid(plane([grey]), **settings), plane([grey]))
    slope = sigmoid(around(grey), **settings).log2().diff() / around(grey).log2().diff()
    assert slope.item() == pytest.approx(contrast, rel=1e-3)
    shown = sigmoid(plane(np.linspace(-0.01, 1, 4000) ** 3 * 50), **settings)
    assert (shown.diff(dim=-1) >= 0).all()
    assert shown.min() == 0
    assert shown.max() <= 1


def test_sigmoid_is_the_burr_type_3_distribution() -> None:
    x = np.geomspace(1e-3, 100, 60)
    power = 2**0.3
    whole = 0.18 ** (-1 / power)
    steepness = 1.5 * whole / (power * (whole - 1))
    scale = 0.18 * (whole - 1) ** (1 / steepness)
    wanted = scipy.stats.burr(c=steepness, d=power, scale=scale).cdf(x)
    np.testing.assert_allclose(sigmoid(plane(x), **SIGMOID).numpy().ravel(), wanted, rtol=1e-9)


def test_sigmoid_without_skew_is_naka_and_rushton() -> None:
    x = np.geomspace(1e-3, 100, 60)
    steepness = 1.5 / (1 - 0.18)
    half = 0.18 * (1 / 0.18 - 1) ** (1 / steepness)
    wanted = x**steepness / (x**steepness + half**steepness)
    np.testing.assert_allclose(sigmoid(plane(x), **{**SIGMOID, "skew": 0.0}).numpy().ravel(), wanted, rtol=1e-9)


def test_more_skew_softens_the_shoulder_and_hardens_the_toe() -> None:
    ends = plane([0.002, 20.0])
    low, high = (sigmoid(ends, **{**SIGMOID, "skew": skew}).ravel() for skew in (-0.5, 0.5))
    assert high[0] < 0.5 * low[0]
    assert 1 - high[1] > 5 * (1 - low[1])


def test_black_has_finite_gradients_in_both() -> None:
    dark = plane([-0.1, 0.0, 1e-12, 1e-6]).requires_grad_()
    for shown in (filmic(dark, **FILMIC), sigmoid(dark, **{**SIGMOID, "contrast": 0.25})):
        (gradient,) = torch.autograd.grad(shown.sum(), dark)
        assert torch.isfinite(gradient).all()
        assert (gradient >= 0).all()
