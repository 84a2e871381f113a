"""Clarity and the gains of octaves."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from ispdsl.programs.clarity import clarity, detail_bands, edge_avoiding_blur
from ispdsl.programs.stops import stops
from tests.programs.checks import check_program

SPACE = "linear_srgb"
FREE = {"amount": 0.7, "edge": 1.0, "pivot": 0.18}
TURNS = (lambda x: x.flip(-1), lambda x: x.flip(-2), lambda x: x.mT, lambda x: x.rot90(1, (-2, -1)))


def noise(*shape: int, low: float = -0.1, high: float = 4.0) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64)


def clear(image: Tensor, **free: float | Tensor) -> Tensor:
    return clarity(image, space=SPACE, **FREE | free)


def grey_wave(period: float, tone: float = 0.18, swing: float = 0.2, size: int = 128) -> Tensor:
    """A sine of `swing` stops about a tone along the rows."""
    phase = 2 * torch.pi * torch.arange(size, dtype=torch.float64) / period
    return (tone * torch.exp2(swing * torch.sin(phase))).expand(3, 8, size).clone()


def swing_of(image: Tensor) -> float:
    return float(image[0, 4, 32:-32].log2().std())


def impulse_reach(program) -> int:
    """How far a change of one pixel in the middle of a large image reaches."""
    image = noise(3, 1, 151, low=0.4, high=0.6)
    touched = image.clone()
    touched[..., 75] += 0.05
    return int(((program(image) - program(touched)).abs().amax((0, 1)).nonzero() - 75).abs().max())


def blurred(image: np.ndarray, step: int, edge: float) -> np.ndarray:
    """Dammertz et al. 2010, eq. 5, a pixel and a tap at a time."""
    kernel = np.array([1, 4, 6, 4, 1]) / 16
    reach = 2 * step
    padded = np.pad(image, reach, mode="reflect")
    out = np.empty_like(image)
    for (y, x), centre in np.ndenumerate(image):
        total = weights = 0.0
        for (i, row), (j, column) in itertools.product(enumerate(kernel), repeat=2):
            value = padded[y + reach + (i - 2) * step, x + reach + (j - 2) * step]
            weight = row * column * np.exp(-((value - centre) ** 2) / (2 * edge**2))
            total, weights = total + weight * value, weights + weight
        out[y, x] = total / weights
    return out


def test_clarity_adds_the_middle_bands_of_the_edge_avoiding_transform() -> None:
    image = noise(3, 33, 2, low=0.05, high=0.9).repeat_interleave(20, -1)[:, :, :36]
    light = stops((image * torch.tensor([0.2126, 0.7152, 0.0722])[:, None, None]).sum(0)).numpy()
    levels = [light]
    for level in range(5):
        levels.append(blurred(levels[-1], 2**level, 1.3))
    middle = np.exp(-((levels[5] - np.log2(0.2)) ** 2) / (2 * 2.0**2))
    wanted = image * torch.from_numpy(2 ** (0.6 * middle * (levels[2] - levels[5])))
    torch.testing.assert_close(clear(image, amount=0.6, edge=1.3, pivot=0.2), wanted, rtol=1e-6, atol=1e-7)


def test_clarity_keeps_the_contract_of_programs(export: bool) -> None:
    check_program(
        clarity, [noise(3, 3, 4, low=0.02)], static={"space": SPACE}, free=FREE, sizes=[(2, 2)], export=export
    )


def test_detail_bands_keep_the_contract_of_programs(export: bool) -> None:
    gains = torch.tensor([0.5, 1.5, 2.0, 0.0, 3.0], dtype=torch.float64)
    check_program(detail_bands, [noise(3, 4, 5)], free={"gains": gains}, sizes=[(2, 2), (3, 5)], export=export)


def test_changes_reach_exactly_as_far_as_declared() -> None:
    gains = torch.tensor([1.0, 1.0, 1.0, 1.0, 2.0], dtype=torch.float64)
    assert impulse_reach(lambda image: clear(image, edge=4.0)) == 62
    assert impulse_reach(lambda image: detail_bands(image, gains=gains)) == 62


def test_neutral_settings_are_exactly_the_identity() -> None:
    for size in ((2, 2), (7, 5), (8, 16)):
        for dtype in (torch.float32, torch.float64, torch.bfloat16):
            image = noise(3, *size).to(dtype)
            assert torch.equal(clear(image, amount=0.0), image)
            assert torch.equal(detail_bands(image, gains=torch.ones(5, dtype=dtype)), image)


def test_ratios_stay_and_reflections_commute() -> None:
    gains = torch.tensor([0.5, 1.5, 2.0, 0.0, 3.0], dtype=torch.float64)
    for size in ((8, 8), (7, 10), (2, 3)):
        image = noise(3, *size)
        out = clear(image)
        torch.testing.assert_close(out * image.sum(0), image * out.sum(0), rtol=1e-9, atol=1e-9)
        for turn in TURNS:
            torch.testing.assert_close(clear(turn(image)), turn(out), rtol=1e-9, atol=1e-12)
            bands = detail_bands(image, gains=gains)
            torch.testing.assert_close(detail_bands(turn(image), gains=gains), turn(bands), rtol=1e-9, atol=1e-12)


def test_clarity_lifts_middle_octaves_of_the_midtones_alone() -> None:
    def gain(image: Tensor, amount: float = 1.0) -> float:
        return swing_of(clear(image, amount=amount)) / swing_of(image)

    assert gain(grey_wave(24)) > 1.6
    assert gain(grey_wave(24), -1.0) < 0.4
    assert gain(grey_wave(2.5)) == pytest.approx(1.0, abs=0.05)
    assert gain(grey_wave(24, tone=0.002)) < 1.1
    assert gain(grey_wave(24, tone=8.0)) < 1.1


def test_clarity_leaves_a_strong_edge_without_a_halo() -> None:
    image = torch.full((3, 8, 128), 0.04, dtype=torch.float64)
    image[..., 64:] = 0.8
    assert (clear(image, amount=1.0, edge=0.5) / image - 1).abs().max() < 0.002


def test_the_edge_avoiding_blur_without_edges_is_the_b_spline() -> None:
    impulse = torch.zeros(1, 5, 5, dtype=torch.float64)
    impulse[0, 2, 2] = 1
    kernel = torch.tensor([1, 4, 6, 4, 1], dtype=torch.float64) / 16
    found = edge_avoiding_blur(impulse, 1, torch.tensor(0.0, dtype=torch.float64))[0]
    torch.testing.assert_close(found[1:4, 1:4], torch.outer(kernel, kernel)[1:4, 1:4])


def test_detail_bands_scale_their_octave_and_keep_the_mean() -> None:
    image = noise(3, 9, 14)
    out = detail_bands(image, gains=torch.tensor([3.0, 0.0, 2.0, 4.0, 0.5], dtype=torch.float64))
    torch.testing.assert_close(out.mean((-2, -1)), image.mean((-2, -1)), rtol=1e-12, atol=1e-12)
    powers = torch.eye(5, dtype=torch.float64) + 1
    for band, period in enumerate((4.0, 8.0, 16.0, 32.0, 64.0)):
        wave = grey_wave(period, size=256)
        answers = [float(detail_bands(wave, gains=gains)[0, 4, 64:-64].std()) for gains in powers]
        assert int(np.argmax(answers)) == band


def test_no_gain_leaves_the_residual() -> None:
    image = noise(3, 6, 40)
    kernel = np.array([1, 4, 6, 4, 1]) / 16
    row = np.pad(image[0].numpy(), 70, mode="symmetric")
    for level in range(5):
        spaced = np.zeros(4 * 2**level + 1)
        spaced[:: 2**level] = kernel
        row = np.apply_along_axis(
            np.convolve, 1, np.apply_along_axis(np.convolve, 0, row, spaced, "same"), spaced, "same"
        )
    out = detail_bands(image, gains=torch.zeros(5, dtype=torch.float64))
    torch.testing.assert_close(out[0], torch.from_numpy(row[70:-70, 70:-70].copy()), rtol=1e-12, atol=1e-12)


def test_every_setting_of_clarity_is_finite_with_finite_gradients() -> None:
    image = noise(3, 6, 5).clamp(min=0)
    image[:, 2:4] = 0
    for amount, edge, pivot in itertools.product((-1.0, 1.0), (0.1, 4.0), (0.001, 4.0)):
        point = [image, *(torch.tensor(v, dtype=torch.float64) for v in (amount, edge, pivot))]
        point = [value.clone().requires_grad_() for value in point]
        out = clarity(point[0], amount=point[1], edge=point[2], pivot=point[3], space=SPACE)
        assert torch.isfinite(out).all()
        assert all(torch.isfinite(gradient).all() for gradient in torch.autograd.grad(out.sum(), point))
