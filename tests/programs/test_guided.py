from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter
from torch import Tensor

from ispdsl.programs.denoise import half
from ispdsl.programs.guided import WIDEST_RADIUS, guided_filter, guided_upsample
from tests.programs.checks import check_program

STAGES = Path(__file__).parents[2] / "stdlib" / "denoise.isp"


def uniform(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def edge(planes: int, size: int = 32) -> Tensor:
    """0.2 on the left, 0.8 on the right."""
    image = torch.full((planes, size, size), 0.2, dtype=torch.float64)
    image[..., size // 2 :] = 0.8
    return image


@pytest.mark.parametrize("planes", [1, 3])
def test_guided_filter_of_a_free_radius_survives_what_every_program_must(planes: int, export: bool) -> None:
    free = {"strength": 0.7, "radius": 1.3, "contrast": 0.3}
    check_program(guided_filter, [uniform(planes, 4, 5)], free=free, radius=4, export=export and planes == 3)


def test_guided_filter_of_a_fixed_radius_survives_what_every_program_must(export: bool) -> None:
    free = {"strength": 0.7, "contrast": 0.3}
    check_program(guided_filter, [uniform(3, 5, 6)], static={"radius": 2}, free=free, radius=4, export=export)


def by_definition(image: np.ndarray, radius: int, contrast: float) -> np.ndarray:
    """The published equations for a colour guide, each pixel's 3x3 system solved alone."""
    side, planes = 2 * radius + 1, len(image)

    def mean(plane: np.ndarray) -> np.ndarray:
        return uniform_filter(plane, side, mode="mirror")

    means = np.stack([mean(plane) for plane in image])
    covariance = np.empty((*image.shape[1:], planes, planes))
    for a in range(planes):
        for b in range(planes):
            covariance[..., a, b] = mean(image[a] * image[b]) - means[a] * means[b]
    slope = np.linalg.solve(covariance + contrast**2 * np.eye(planes), covariance)
    offset = means - np.einsum("hwij,jhw->ihw", slope, means)
    smooth = np.array([[mean(slope[..., a, b]) for b in range(planes)] for a in range(planes)])
    return np.einsum("ijhw,jhw->ihw", smooth, image) + np.stack([mean(plane) for plane in offset])


@pytest.mark.parametrize("planes", [1, 3])
@pytest.mark.parametrize("radius", [1, 3])
def test_guided_filter_follows_the_published_equations(planes: int, radius: int) -> None:
    image = uniform(planes, 9, 11)
    wanted = by_definition(image.numpy(), radius, 0.2)
    result = guided_filter(image, strength=1.0, radius=float(radius), contrast=0.2)
    torch.testing.assert_close(result, torch.tensor(wanted))


def test_a_fractional_radius_lies_between_its_neighbours() -> None:
    image = uniform(1, 12, 12)
    one, half_way, two = (guided_filter(image, strength=1.0, radius=r, contrast=1.0) for r in (1.0, 1.5, 2.0))
    torch.testing.assert_close(one, guided_filter(image, strength=1.0, radius=torch.tensor(1.0), contrast=1.0))
    assert one.var() > half_way.var() > two.var()


def test_the_gradient_of_a_whole_radius_is_the_mean_of_the_slopes_to_both_sides() -> None:
    image, whole = uniform(1, 8, 9), torch.tensor(2.0, dtype=torch.float64, requires_grad=True)

    def energy(radius: Tensor) -> Tensor:
        return guided_filter(image, strength=1.0, radius=radius, contrast=0.3).square().sum()

    (gradient,) = torch.autograd.grad(energy(whole), whole)
    ahead, here, behind = (energy(whole.detach() + step) for step in (1e-6, 0.0, -1e-6))
    right, left = (ahead - here) / 1e-6, (here - behind) / 1e-6
    assert (right - left).abs() > 0.05 * left.abs()
    torch.testing.assert_close(gradient, (right + left) / 2, rtol=1e-4, atol=0)


def test_contrast_decides_what_stays() -> None:
    """Noise well below the contrast goes, an edge well above it stays; at strength 0 all bits stay."""
    clean = edge(3)
    noise = 0.02 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    result = guided_filter(clean + noise, strength=1.0, radius=3.0, contrast=0.1)
    assert (result - clean).var() < 0.25 * noise.var()
    assert (result[..., 16] - result[..., 15]).mean() > 0.5
    assert torch.equal(guided_filter(clean + noise, strength=0.0, radius=3.0, contrast=0.1), clean + noise)


def test_grey_stays_grey() -> None:
    grey = uniform(1, 9, 9).expand(3, 9, 9)
    result = guided_filter(grey, strength=1.0, radius=2.0, contrast=0.05)
    torch.testing.assert_close(result[0], result[1])
    torch.testing.assert_close(result[0], result[2])


def test_guided_upsample_survives_what_every_program_must(export: bool) -> None:
    images = [uniform(2, 3, 3), uniform(1, 6, 6)]
    check_program(guided_upsample, images, free={"contrast": 0.2}, sizes=((2, 2), (3, 3)), export=export)


@pytest.mark.parametrize("size", [(2, 2), (7, 10), (13, 5)])
@pytest.mark.parametrize("times", [0, 1, 2])
def test_guided_upsample_reaches_the_size_of_luma(size: tuple[int, int], times: int) -> None:
    guide, chroma = uniform(1, *size), torch.full((2, *size), -0.3, dtype=torch.float64)
    for _ in range(times):
        chroma = half(chroma)
    result = guided_upsample(chroma, guide, contrast=0.1)
    torch.testing.assert_close(result, torch.full((2, *size), -0.3, dtype=torch.float64))


def test_guided_upsample_follows_the_edges_of_luma() -> None:
    """Nearer to the full-size chroma than interpolation without a guide, which a flat luma stands for."""
    guide, chroma = edge(1, 33), 0.5 * edge(2, 33) - 0.2
    small = half(chroma)
    guided = guided_upsample(small, guide, contrast=0.02)
    plain = guided_upsample(small, torch.zeros_like(guide), contrast=0.02)
    assert (guided - chroma).abs().max() < 0.02
    assert (plain - chroma).abs().max() > 0.1


def test_guided_upsample_interpolates_smooth_chroma() -> None:
    ramp = torch.linspace(0.0, 1.0, 32, dtype=torch.float64).expand(2, 32, 32)
    result = guided_upsample(half(ramp), torch.zeros(1, 32, 32, dtype=torch.float64), contrast=0.1)
    torch.testing.assert_close(result[..., 10:-10], ramp[..., 10:-10])


def test_guided_upsample_says_which_sizes_do_not_fit() -> None:
    with pytest.raises(ValueError, match="chroma of 3x5 is not luma of 8x8 halved"):
        guided_upsample(uniform(2, 3, 5), uniform(1, 8, 8), contrast=0.1)


def test_guided_upsample_is_linear_in_chroma() -> None:
    guide, first, second = uniform(1, 8, 8), uniform(2, 4, 4), uniform(2, 4, 4).flip(-1)
    both = guided_upsample(2 * first - second, guide, contrast=0.1)
    apart = 2 * guided_upsample(first, guide, contrast=0.1) - guided_upsample(second, guide, contrast=0.1)
    torch.testing.assert_close(both, apart)


def test_the_window_of_a_free_radius_fits_the_declared_limit() -> None:
    declared = re.findall(
        r"slider radius\s+in \S+\.\.([\d.]+)px[^}]*?program \"ispdsl.programs.guided:", STAGES.read_text()
    )
    assert len(declared) == 2
    assert {float(limit) for limit in declared} == {WIDEST_RADIUS}
