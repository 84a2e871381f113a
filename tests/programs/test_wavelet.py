from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve1d
from torch import Tensor

from ispdsl.programs.ops import luma as luma_of
from ispdsl.programs.wavelet import SPREAD, wavelet_denoise, wavelet_threshold
from tests.programs.checks import check_program


def uniform(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def test_wavelet_denoise_survives_what_every_program_must(export: bool) -> None:
    static = {"levels": "l2", "space": "linear_srgb"}
    free = {"luma": 0.7, "chroma": 1.3, "noise": 0.11}
    check_program(wavelet_denoise, [uniform(3, 8, 9)], static=static, free=free, radius=6, export=export)


def test_wavelet_threshold_survives_what_every_program_must() -> None:
    free = {"threshold": 0.7, "noise": 0.11}
    check_program(wavelet_threshold, [uniform(1, 8, 9)], static={"levels": "l2"}, free=free, radius=6)


def scales(image: np.ndarray, levels: int) -> tuple[list[np.ndarray], np.ndarray]:
    """The a trous transform with scipy: details from fine to coarse, and the rest."""
    details: list[np.ndarray] = []
    for level in range(levels):
        kernel = np.zeros(4 * 2**level + 1)
        kernel[:: 2**level] = np.array([1, 4, 6, 4, 1]) / 16
        smooth = convolve1d(convolve1d(image, kernel, 0, mode="mirror"), kernel, 1, mode="mirror")
        details.append(image - smooth)
        image = smooth
    return details, image


def test_spread_is_the_norm_of_the_wavelets() -> None:
    impulse = np.zeros((101, 101))
    impulse[50, 50] = 1
    norms = [np.linalg.norm(detail) for detail in scales(impulse, 4)[0]]
    np.testing.assert_allclose(norms, SPREAD, atol=1e-4)


@pytest.mark.parametrize("levels", [1, 3, 4])
def test_soft_thresholds_shrink_every_scale(levels: int) -> None:
    image = uniform(1, 17, 14)
    details, rest = scales(image[0].numpy(), levels)
    for detail, spread in zip(details, SPREAD, strict=False):
        rest = rest + np.sign(detail) * np.maximum(np.abs(detail) - 1.5 * 0.1 * spread, 0)
    result = wavelet_threshold(image, threshold=1.5, noise=0.1, levels=f"l{levels}")
    torch.testing.assert_close(result[0], torch.tensor(rest))


def test_thresholds_are_in_units_of_what_the_noise_has_in_luma_and_in_differences() -> None:
    """A coefficient of noise lies within one sigma 68 % of the time: a threshold of 1 takes that share to 0."""
    noise = 0.1 * torch.randn(3, 96, 96, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    result = wavelet_denoise(noise, luma=1.0, chroma=1.0, noise=0.1, levels="l1", space="linear_srgb")
    kept, whole = (
        image - torch.tensor(scales(image.numpy(), 1)[1])
        for image in (luma_of(i, "linear_srgb")[0] for i in (result, noise))
    )
    share = float(((kept - 0.0).abs() < whole.abs()).double().mean())
    assert share > 0.9
    within = float((whole.abs() < 0.1 * SPREAD[0] * math.sqrt(0.2126**2 + 0.7152**2 + 0.0722**2)).double().mean())
    assert abs(within - 0.683) < 0.02


def test_luma_and_chroma_are_thresholded_apart() -> None:
    image = uniform(3, 12, 12)

    def run(luma: float, chroma: float) -> Tensor:
        return wavelet_denoise(image, luma=luma, chroma=chroma, noise=0.1, levels="l3", space="linear_srgb")

    assert torch.equal(run(0.0, 0.0), image)
    colour, light = run(0.0, 2.0), run(2.0, 0.0)
    torch.testing.assert_close(luma_of(colour, "linear_srgb"), luma_of(image, "linear_srgb"))
    torch.testing.assert_close(light[0] - light[2], image[0] - image[2])
    assert (colour - image).abs().max() > 0.05
    assert (light - image).abs().max() > 0.05


def test_thresholds_at_zero_have_a_gradient() -> None:
    image = uniform(3, 9, 9)
    luma = torch.zeros((), dtype=torch.float64, requires_grad=True)
    result = wavelet_denoise(image, luma=luma, chroma=0.0, noise=0.1, levels="l3", space="srgb")
    (gradient,) = torch.autograd.grad((result * image).sum(), luma)
    assert gradient.abs() > 1e-2
