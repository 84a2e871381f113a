"""Tone programs: contracts, identities, monotony."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ispdsl.programs import tone
from ispdsl.programs.exposure_control import auto_exposure
from tests.programs.checks import check_program

SPACE = {"space": "linear_srgb"}


def picture(low: float = 0.02, high: float = 1.6) -> Tensor:
    """Colours of every kind, some above white."""
    generator = torch.Generator().manual_seed(3)
    return low + (high - low) * torch.rand(3, 8, 9, generator=generator, dtype=torch.float64) ** 2


def histogram(peak: float = 40.0) -> Tensor:
    """A scene with most of its light in the dark third."""
    bins = torch.arange(256, dtype=torch.float64)
    return torch.exp(-0.5 * ((bins - peak) / 30) ** 2) + 0.02


def ramp(end: float = 8.0) -> Tensor:
    """A grey ramp ``(3, 1, 2000)`` from 0 to far above white."""
    return (torch.linspace(0, 1, 2000, dtype=torch.float64) ** 3 * end).expand(3, 1, 2000)


CURVE = torch.linspace(0, 1, 16, dtype=torch.float64) ** 0.8


@pytest.mark.parametrize(
    ("program", "static", "free"),
    [
        (tone.exposure, {}, {"ev": 0.3, "bias": -0.2}),
        (tone.tone_map, SPACE, {"hist": histogram(), "highlights": -0.4, "shadows": 0.3}),
        (tone.tone_map, SPACE, {"hist": histogram(), "highlights": 0.0, "shadows": 0.0}),
        (tone.contrast, {}, {"amount": 0.4, "pivot": 0.2}),
        (tone.tone_curve, {}, {"points": CURVE}),
        (tone.gamma, {}, {"gamma": 0.6}),
    ],
)
def test_every_program_keeps_its_contract(program, static, free) -> None:
    check_program(program, [picture()], static=static, free=free, radius=0)


@pytest.mark.parametrize(
    ("program", "settings"),
    [
        (tone.exposure, {"ev": 0.3, "bias": -0.2}),
        (tone.tone_map, {"hist": histogram(), "highlights": -0.4, "shadows": 0.3, **SPACE}),
        (tone.contrast, {"amount": -1.0, "pivot": 0.01}),
        (tone.tone_curve, {"points": CURVE}),
        (tone.gamma, {"gamma": 0.6}),
        (auto_exposure, {"mean": 0.3, "target": 0.18, "strength": 0.7, "limit": 4.0}),
    ],
)
def test_half_precision_stays_half_and_is_computed_in_single(program, settings) -> None:
    found = program(picture().bfloat16(), **settings)
    assert found.dtype == torch.bfloat16
    wanted = program(picture().bfloat16().double(), **settings)
    torch.testing.assert_close(found.double(), wanted, rtol=2**-8, atol=1e-6)


def test_auto_exposure_brings_the_mean_to_its_target_within_its_limit() -> None:
    image = picture()
    settings = {"mean": 0.09, "target": 0.18, "strength": 1.0, "limit": 12.0}
    check_program(auto_exposure, [image], free=settings, radius=0)
    torch.testing.assert_close(auto_exposure(image, **settings), 2 * image, rtol=5e-3, atol=0)
    assert torch.equal(auto_exposure(image, **{**settings, "strength": 0.0}), image)
    dark = auto_exposure(image, **{**settings, "mean": 1e-5, "limit": 2.0}) / image
    assert 3.9 < float(dark.mean()) <= 4.0


def test_clip_keeps_its_contract_and_limits() -> None:
    check_program(tone.clip, [picture(-0.3, 1.6)], radius=0)
    assert torch.equal(tone.clip(torch.tensor([-0.5, 0.25, 3.0])), torch.tensor([0.0, 0.25, 1.0]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_identity_points_are_exact(dtype: torch.dtype) -> None:
    image = picture(-0.5, 6).to(dtype)
    hist = histogram().to(dtype)
    assert torch.equal(tone.exposure(image, ev=0.5, bias=-0.5), image)
    assert torch.equal(tone.tone_map(image, hist=hist, highlights=0.0, shadows=0.0, **SPACE), image)
    assert torch.equal(tone.contrast(image, amount=0.0, pivot=0.18), image)
    assert torch.equal(tone.gamma(image, gamma=1.0), image)
    identity = torch.linspace(0, 1, 16, dtype=dtype)
    torch.testing.assert_close(tone.tone_curve(image, points=identity), image, rtol=1e-6, atol=1e-6)


def test_a_stop_is_a_factor_of_two() -> None:
    image = picture()
    torch.testing.assert_close(tone.exposure(image, ev=1.5, bias=0.5), 4 * image)


@pytest.mark.parametrize("highlights", [-1.0, -0.5, 0.0, 1.0])
@pytest.mark.parametrize("shadows", [-1.0, 0.0, 1.0])
@pytest.mark.parametrize("peak", [2.0, 120.0, 255.0])
def test_tone_map_never_turns_tones_round(highlights: float, shadows: float, peak: float) -> None:
    out = tone.tone_map(ramp(), hist=histogram(peak), highlights=highlights, shadows=shadows, **SPACE)
    assert (out.diff(dim=-1) > 0).all()


def test_tone_map_sliders_move_their_own_end_of_the_scale() -> None:
    tones = torch.tensor([0.002, 0.18, 1.0, 4.0], dtype=torch.float64).expand(3, 1, 4)
    hist = histogram()
    lifted = (tone.tone_map(tones, hist=hist, highlights=0.0, shadows=1.0, **SPACE) / tones)[0, 0].log2()
    held = (tone.tone_map(tones, hist=hist, highlights=-1.0, shadows=0.0, **SPACE) / tones)[0, 0].log2()
    assert lifted[0] > 1.0
    assert (lifted[2:] < 0.15).all()
    assert held[0] > -0.05
    assert held[2] < -0.3
    assert held[3] < -1.2
    assert held[2] - held[3] > 0.6, "light above white is bent towards it"


def test_tone_map_keeps_chromaticity() -> None:
    image = picture()
    out = tone.tone_map(image, hist=histogram(), highlights=-0.8, shadows=0.6, **SPACE)
    torch.testing.assert_close(out / out.sum(0), image / image.sum(0))


def test_tone_map_follows_the_scene() -> None:
    image = picture()
    dark, bright = (
        tone.tone_map(image, hist=histogram(peak), highlights=0.0, shadows=0.5, **SPACE) for peak in (10.0, 200.0)
    )
    assert (bright > dark).all(), "a tone counts as shadow rather in a bright scene than in a dark one"


def test_tone_map_reads_any_scale_of_counts() -> None:
    image = picture()
    results = [
        tone.tone_map(image, hist=histogram() * scale, highlights=-0.5, shadows=0.5, **SPACE) for scale in (1.0, 1e6)
    ]
    torch.testing.assert_close(*results)
    empty = tone.tone_map(image, hist=torch.zeros(256), highlights=-0.5, shadows=0.5, **SPACE)
    assert torch.isfinite(empty).all()


def test_sliders_have_gradients_at_zero() -> None:
    sliders = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    out = tone.tone_map(picture(), hist=histogram(), highlights=sliders[0], shadows=sliders[1], **SPACE)
    (gradient,) = torch.autograd.grad(out.sum(), sliders)
    assert (gradient > 1).all()


def test_soft_quantile_agrees_with_the_quantile_of_samples() -> None:
    samples = torch.rand(20000, generator=torch.Generator().manual_seed(0), dtype=torch.float64) ** 2
    hist = torch.histc(samples, 256, 0, 1)
    for probability in (0.25, 0.5, 0.9):
        found = tone.soft_quantile(hist, probability)
        assert abs(found - torch.quantile(samples, probability)) < 0.01


def test_soft_quantile_is_where_a_single_bin_is() -> None:
    hist = torch.zeros(256, dtype=torch.float64)
    hist[100] = 7.0
    assert abs(tone.soft_quantile(hist, 0.25) - 100.5 / 256) < 0.01
    assert abs(tone.soft_quantile(hist, 0.9) - 100.5 / 256) < 0.01


@pytest.mark.parametrize("amount", [-1.0, -0.3, 0.5, 1.0])
@pytest.mark.parametrize("pivot", [0.01, 0.18, 1.0])
def test_contrast_rises_through_its_pivot(amount: float, pivot: float) -> None:
    out = tone.contrast(ramp(), amount=amount, pivot=pivot)
    assert (out.diff(dim=-1) > 0).all()
    at_pivot = torch.tensor([[[pivot]]], dtype=torch.float64)
    torch.testing.assert_close(tone.contrast(at_pivot, amount=amount, pivot=pivot), at_pivot)


def test_contrast_slope_at_the_pivot_and_white_stays_near_white() -> None:
    near = torch.tensor([[[0.18 / 1.001, 0.18 * 1.001]]], dtype=torch.float64)
    slope = tone.contrast(near, amount=1.0, pivot=0.18).log().diff() / near.log().diff()
    assert abs(slope.item() - 1.6) < 1e-3
    white = tone.contrast(torch.ones(1, 1, 1, dtype=torch.float64), amount=0.15, pivot=0.18).item()
    assert 1.0 < white < 1.05


def test_contrast_leaves_zero_and_negative_values_with_finite_gradients() -> None:
    image = torch.tensor([[[-2.0, -1e-6, 0.0, 1e-12]]], requires_grad=True)
    out = tone.contrast(image, amount=-1.0, pivot=0.18)
    torch.testing.assert_close(out, image)
    (gradient,) = torch.autograd.grad(out.sum(), image)
    torch.testing.assert_close(gradient, torch.ones_like(gradient))


def test_contrast_of_what_is_no_number_leaves_settings_their_gradients() -> None:
    image = torch.tensor([[[0.5, float("nan")]]])
    amount, pivot = (torch.tensor(value, requires_grad=True) for value in (0.5, 0.18))
    out = tone.contrast(image, amount=amount, pivot=pivot)
    assert out.isnan().tolist() == image.isnan().tolist()
    gradients = torch.autograd.grad(torch.where(image.isnan(), 0, out).sum(), (amount, pivot))
    assert all(each.isfinite() and each != 0 for each in gradients)


def test_tone_curve_interpolates_and_goes_on_outside() -> None:
    points = torch.tensor([0.1, 0.4, 0.5], dtype=torch.float64)
    image = torch.tensor([[[-0.5, 0.0, 0.25, 0.5, 1.0, 2.0]]], dtype=torch.float64)
    wanted = torch.tensor([[[-0.2, 0.1, 0.25, 0.4, 0.5, 0.7]]], dtype=torch.float64)
    torch.testing.assert_close(tone.tone_curve(image, points=points), wanted)


@pytest.mark.parametrize("gamma", [0.2, 0.5, 2.0, 5.0])
def test_gamma_is_the_power_law_odd_rising_and_of_finite_slope(gamma: float) -> None:
    x = torch.linspace(0.02, 3, 50, dtype=torch.float64).reshape(1, 1, 50)
    torch.testing.assert_close(tone.gamma(x, gamma=gamma), x**gamma, rtol=1e-4, atol=0)
    torch.testing.assert_close(tone.gamma(-x, gamma=gamma), -tone.gamma(x, gamma=gamma))
    assert (tone.gamma(ramp(), gamma=gamma).diff(dim=-1) > 0).all()
    zero = torch.zeros(1, 1, 1, requires_grad=True)
    (gradient,) = torch.autograd.grad(tone.gamma(zero, gamma=gamma).sum(), zero)
    assert torch.isfinite(gradient).all()
