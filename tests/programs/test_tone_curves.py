"""Levels, the parametric curve and the monotone curve: formulas, order of tones, identities."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.interpolate
import torch
from torch import Tensor

from ispdsl.programs.tone_curves import levels, monotone_curve, parametric_curve
from tests.programs.checks import check_program

REGIONS = ("shadows", "darks", "lights", "highlights")
SPLITS = {"split_dark": 0.25, "split_mid": 0.5, "split_light": 0.75}
PARAMETRIC = {"shadows": 0.4, "darks": -0.3, "lights": 0.8, "highlights": -0.6, **SPLITS}
RISES = torch.tensor([0.3, 0.9, 0.1, 0.5, 1.0, 0.02, 0.4, 0.6], dtype=torch.float64)


def picture(low: float = -0.1, high: float = 1.4) -> Tensor:
    generator = torch.Generator().manual_seed(8)
    return low + (high - low) * torch.rand(3, 8, 9, generator=generator, dtype=torch.float64)


def plane(values: object) -> Tensor:
    return torch.as_tensor(values, dtype=torch.float64).reshape(1, 1, -1)


@pytest.mark.parametrize(
    ("program", "free"),
    [
        (levels, {"black": 0.05, "mid": 0.4, "white": 0.9}),
        (parametric_curve, PARAMETRIC),
        (monotone_curve, {"rises": RISES}),
    ],
)
def test_every_program_keeps_its_contract(program, free) -> None:
    check_program(program, [picture()], free=free, radius=0)
    half = program(picture().bfloat16(), **free)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.double(), program(picture(), **free), rtol=0.03, atol=0.03)


def test_identity_points() -> None:
    image = picture(-0.5, 4.0)
    assert torch.equal(levels(image, black=0.0, mid=0.5, white=1.0), image)
    assert torch.equal(parametric_curve(image, **dict.fromkeys(REGIONS, 0.0), **SPLITS), image)
    alike = torch.full((8,), 0.5, dtype=torch.float64)
    torch.testing.assert_close(monotone_curve(image, rises=alike), image, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("mid", [0.1, 0.3, 0.5, 0.9])
def test_levels_brings_its_three_points_to_0_half_and_1(mid: float) -> None:
    points = plane([0.1, 0.1 + mid * 0.7, 0.8])
    torch.testing.assert_close(levels(points, black=0.1, mid=mid, white=0.8), plane([0.0, 0.5, 1.0]), atol=1e-5, rtol=0)


def test_levels_is_a_stretch_and_a_power_law() -> None:
    x = np.linspace(0.12, 1.5, 40)
    wanted = ((x - 0.05) / 0.85) ** (np.log(0.5) / np.log(0.4))
    np.testing.assert_allclose(levels(plane(x), black=0.05, mid=0.4, white=0.9).numpy().ravel(), wanted, rtol=1e-4)


@pytest.mark.parametrize("splits", [(0.05, 0.4, 0.65), (0.25, 0.5, 0.75), (0.35, 0.6, 0.95), (0.35, 0.4, 0.65)])
def test_the_parametric_curve_rises_at_every_corner_of_its_settings(splits: tuple[float, float, float]) -> None:
    x = plane(np.linspace(-0.2, 1.2, 2801))
    places = dict(zip(SPLITS, splits, strict=True))
    for corner in itertools.product((-1.0, 1.0), repeat=4):
        slope = parametric_curve(x, **dict(zip(REGIONS, corner, strict=True)), **places).diff() / x.diff()
        assert slope.min() >= 0.1 - 1e-9
        assert slope.max() <= 1.9 + 1e-9


@pytest.mark.parametrize(("region", "middle"), [*zip(REGIONS, (0.125, 0.375, 0.625, 0.875), strict=True)])
def test_a_slider_moves_its_region_by_a_share_of_its_width_and_not_beyond_its_neighbours(region, middle) -> None:
    settings = {**dict.fromkeys(REGIONS, 0.0), region: 0.5}
    x = plane(np.linspace(-0.2, 1.2, 1401))
    moved = parametric_curve(x, **settings, **SPLITS) - x
    at_middle = parametric_curve(plane([middle]), **settings, **SPLITS).item()
    assert at_middle == pytest.approx(middle + 0.3 * 0.5 * 0.25)
    assert moved.max() == pytest.approx(0.3 * 0.5 * 0.25)
    assert (moved >= 0).all()
    far = ((x - middle).abs() > 0.25) | (x < 0) | (x > 1)
    assert (moved[far] == 0).all()


def test_the_bump_is_the_smoothstep() -> None:
    settings = {**dict.fromkeys(REGIONS, 0.0), "darks": 1.0}
    x = np.linspace(0.125, 0.375, 9)
    t = (x - 0.125) / 0.25
    found = parametric_curve(plane(x), **settings, **SPLITS).numpy().ravel()
    np.testing.assert_allclose(found, x + 0.075 * (3 * t**2 - 2 * t**3), rtol=1e-12)


def test_the_monotone_curve_passes_through_its_points() -> None:
    heights = np.concatenate([[0.0], np.cumsum(RISES.numpy())]) / RISES.sum().item()
    found = monotone_curve(plane(np.linspace(0, 1, 9)), rises=RISES)
    np.testing.assert_allclose(found.numpy().ravel(), heights, rtol=1e-12, atol=1e-15)


def test_the_monotone_curve_agrees_with_the_pchip_of_scipy() -> None:
    """SciPy's differs in the slopes at both ends only: so in the first and in the last step."""
    heights = np.concatenate([[0.0], np.cumsum(RISES.numpy())]) / RISES.sum().item()
    x = np.linspace(0.125, 0.875, 101)
    wanted = scipy.interpolate.PchipInterpolator(np.linspace(0, 1, 9), heights)(x)
    np.testing.assert_allclose(monotone_curve(plane(x), rises=RISES).numpy().ravel(), wanted, rtol=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_the_monotone_curve_rises_smoothly_and_no_steeper_than_stated(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    rises = torch.where(torch.rand(8, generator=generator) < 0.5, 0.02, 1.0).double()
    x = plane(np.linspace(-0.3, 1.3, 8001))
    slope = monotone_curve(x, rises=rises).diff() / x.diff()
    assert slope.min() > 0
    assert slope.max() <= 11
    assert slope.diff().abs().max() < 0.2, "the slope has no jump"


def test_the_monotone_curve_goes_on_in_a_straight_line() -> None:
    outside = monotone_curve(plane([-0.2, -0.1, 0.0, 1.0, 1.1, 1.2]), rises=RISES).ravel()
    first, last = (8 * RISES[k] / RISES.sum() * 0.1 for k in (0, -1))
    wanted = torch.stack([-2 * first, -first, 0 * first, 1 + 0 * first, 1 + last, 1 + 2 * last])
    torch.testing.assert_close(outside, wanted)
