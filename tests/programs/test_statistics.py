"""Histogram, means, quantiles and saturated share, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ispdsl.programs import statistics
from ispdsl.programs.ops import LUMA_WEIGHTS
from tests.programs.checks import check_program

SPACE = "linear_srgb"
CHANNELS = ("luma", "red", "green", "blue")


def picture(height: int = 8, width: int = 9, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(3, height, width, generator=generator, dtype=torch.float64)


def plane(image: Tensor, channel: str) -> np.ndarray:
    """One channel, by NumPy."""
    values = image.double().numpy()
    if channel == "luma":
        return np.tensordot(LUMA_WEIGHTS[SPACE], values, 1)
    return values.max(0) if channel == "any" else values[CHANNELS.index(channel) - 1]


@pytest.mark.parametrize("channel", CHANNELS)
def test_mean_generic(channel: str) -> None:
    check_program(statistics.mean, [picture()], static={"channel": channel, "space": SPACE})


@pytest.mark.parametrize("channel", CHANNELS)
def test_log_average_generic(channel: str) -> None:
    check_program(statistics.log_average, [picture()], static={"channel": channel, "space": SPACE}, free={"floor": 0.1})


@pytest.mark.parametrize("channel", [*CHANNELS, "any"])
def test_saturated_count_generic(channel: str) -> None:
    free = {"threshold": 0.8, "softness": 0.1}
    check_program(statistics.saturated_count, [picture()], static={"channel": channel, "space": SPACE}, free=free)


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("bins", [2, 7])
def test_histogram_generic(channel: str, bins: int) -> None:
    static = {"channel": channel, "space": SPACE, "bins": bins}
    check_program(statistics.histogram, [picture()], static=static, free={"low": 0.05, "high": 0.9})


@pytest.mark.parametrize("sampling", ["full", "half", "eighth"])
@pytest.mark.parametrize("channel", [*CHANNELS, "any"])
def test_quantiles_generic(channel: str, sampling: str) -> None:
    static = {"channel": channel, "space": SPACE, "sampling": sampling}
    levels = torch.tensor([0.012, 0.26, 0.51, 0.77], dtype=torch.float64)
    check_program(statistics.quantiles, [picture()], static=static, free={"levels": levels})


def test_shapes() -> None:
    """A real statistic broadcasts against its images; a vector has the dimensions of the batch."""
    image = picture()
    call: dict[str, Any] = {"channel": "luma", "space": SPACE}
    assert statistics.mean(image, **call).shape == ()
    assert statistics.mean(image[None].repeat(2, 1, 1, 1), **call).shape == (2, 1, 1, 1)
    histogram: dict[str, Any] = {**call, "bins": 16, "low": 0.0, "high": 1.0}
    assert statistics.histogram(image, **histogram).shape == (16,)
    assert statistics.histogram(image[None], **histogram).shape == (1, 16)
    levels: dict[str, Any] = {**call, "levels": torch.tensor([0.1, 0.5]), "sampling": "full"}
    assert statistics.quantiles(image, **levels).shape == (2,)
    assert statistics.quantiles(image[None], **levels).shape == (1, 2)


@pytest.mark.parametrize("channel", CHANNELS)
def test_means_agree_with_numpy(channel: str) -> None:
    image = picture(31, 40)
    expected = plane(image, channel)
    call = {"channel": channel, "space": SPACE}
    assert float(statistics.mean(image, **call)) == pytest.approx(expected.mean(), abs=1e-12)
    geometric = np.exp(np.log(np.maximum(expected, 0.05)).mean())
    assert float(statistics.log_average(image, floor=0.05, **call)) == pytest.approx(geometric, abs=1e-12)


@pytest.mark.parametrize("channel", [*CHANNELS, "any"])
def test_saturated_count_agrees_with_numpy(channel: str) -> None:
    image = picture(31, 40)
    found = statistics.saturated_count(image, threshold=0.8, softness=1e-6, channel=channel, space=SPACE)
    assert float(found) == pytest.approx((plane(image, channel) > 0.8).mean(), abs=1e-4)


@pytest.mark.parametrize("channel", [*CHANNELS, "any"])
def test_quantiles_agree_with_numpy(channel: str) -> None:
    image, levels = picture(31, 40), np.array([0, 0.01, 0.3, 0.5, 0.999, 1])
    for sampling, stride in statistics.STRIDES.items():
        found = statistics.quantiles(
            image, levels=torch.from_numpy(levels), channel=channel, sampling=sampling, space=SPACE
        )
        expected = np.quantile(plane(image, channel)[::stride, ::stride], levels)
        np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-12)


def test_histogram_at_bin_centres_agrees_with_numpy() -> None:
    """Values in the middle of a bin are shared with no other."""
    generator = np.random.default_rng(0)
    values = (generator.integers(0, 32, (3, 20, 21)) + 0.5) / 32
    found = statistics.histogram(torch.from_numpy(values), bins=32, channel="green", low=0.0, high=1.0, space=SPACE)
    expected = np.histogram(values[1], 32, (0, 1))[0] / values[1].size
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-12)


def test_histogram_is_a_sum_of_hats() -> None:
    """Every bin is the sum of a triangular window about its centre, by NumPy, the ends flat."""
    image = picture(20, 21) * 1.6 - 0.3
    bins, low, high = 11, -0.1, 1.2
    found = statistics.histogram(image, bins=bins, channel="red", low=low, high=high, space=SPACE)
    position = np.clip((image[0].numpy() - low) / (high - low) * bins - 0.5, 0, bins - 1)
    hats = np.maximum(0, 1 - np.abs(position[..., None] - np.arange(bins)))
    np.testing.assert_allclose(found.numpy(), hats.mean((0, 1)), rtol=0, atol=1e-12)
    assert float(found.sum()) == pytest.approx(1, abs=1e-12)


def test_histogram_moves_with_exposure() -> None:
    image = picture(20, 21)
    gain = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    found = statistics.histogram(image * gain, bins=64, channel="luma", low=0.0, high=1.0, space=SPACE)
    centres = (torch.arange(64, dtype=torch.float64) + 0.5) / 64
    (gradient,) = torch.autograd.grad((found * centres).sum(), gain)
    luma = plane(image, "luma").mean()
    assert float((found * centres).sum().detach()) == pytest.approx(0.5 * luma, abs=1e-3)
    assert float(gradient) == pytest.approx(luma, rel=2e-2)


def test_float32_statistics_of_many_pixels_are_exact() -> None:
    """Four million float32 pixels, all but alike: sums in float32 would lose the last bits."""
    image = (0.2 + 1e-4 * torch.rand(1, 2048, 2048, generator=torch.Generator().manual_seed(0))).expand(3, -1, -1)
    values = plane(image, "red")
    call = {"channel": "red", "space": SPACE}
    assert float(statistics.mean(image, **call)) == pytest.approx(values.mean(), rel=1e-7)
    found = statistics.histogram(image, bins=4, low=0.0, high=1.0, **call)
    hats = np.maximum(0, 1 - np.abs(np.maximum(values * 4 - 0.5, 0)[..., None] - np.arange(4)))
    np.testing.assert_allclose(found.numpy(), hats.mean((0, 1)), rtol=0, atol=1e-7)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("channel", CHANNELS)
def test_statistics_of_random_light_agree_with_numpy(channel: str, dtype: torch.dtype) -> None:
    """Light beyond white and noise below black, in both precisions."""
    image = (4.1 * picture(33, 47, seed=2) - 0.1).to(dtype)
    values, call = plane(image, channel), {"channel": channel, "space": SPACE}
    levels = np.array([0.01, 0.25, 0.5, 0.99])
    position = np.clip(values / 4 * 64 - 0.5, 0, 63)
    pairs = {
        "mean": (statistics.mean(image, **call), values.mean()),
        "log average": (
            statistics.log_average(image, floor=0.01, **call),
            np.exp(np.log(np.maximum(values, 0.01)).mean()),
        ),
        "quantiles": (
            statistics.quantiles(image, levels=torch.from_numpy(levels), sampling="full", **call),
            np.quantile(values, levels),
        ),
        "saturated": (
            statistics.saturated_count(image, threshold=0.9, softness=0.02, **call),
            (0.5 + 0.5 * np.tanh((values - 0.9) / 0.04)).mean(),
        ),
        "histogram": (
            statistics.histogram(image, bins=64, low=0.0, high=4.0, **call),
            np.maximum(0, 1 - np.abs(position[..., None] - np.arange(64))).mean((0, 1)),
        ),
    }
    for name, (found, expected) in pairs.items():
        np.testing.assert_allclose(found.double().numpy(), expected, rtol=0, atol=1e-6, err_msg=name)
