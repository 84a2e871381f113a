from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from scipy.ndimage import median_filter
from torch import Tensor

from ispdsl.programs.denoise import WIDEST_RADIUS, bilateral, denoise, half, median
from ispdsl.programs.ops import luma
from tests.programs.checks import check_exported, check_program

STAGES = Path(__file__).parents[2] / "stdlib" / "denoise.isp"
FREE_RADIUS = {"strength": 0.7, "radius": 1.3, "contrast": 0.3}


def uniform(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def normal(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def edge(planes: int, size: int = 32) -> Tensor:
    """0.2 on the left, 0.8 on the right."""
    image = torch.full((planes, size, size), 0.2, dtype=torch.float64)
    image[..., size // 2 :] = 0.8
    return image


def test_bilateral_of_a_free_radius_survives_what_every_program_must() -> None:
    check_program(bilateral, [uniform(1, 4, 5)], free=FREE_RADIUS, radius=2, export=False)


@pytest.mark.slow
def test_bilateral_of_a_free_radius_exports() -> None:
    """In all its 225 shifts."""
    check_exported(bilateral, [uniform(1, 4, 5)], free=FREE_RADIUS)


def test_bilateral_of_a_fixed_radius_survives_what_every_program_must(export: bool) -> None:
    free = {"strength": 0.7, "contrast": 0.3}
    check_program(bilateral, [uniform(2, 6, 7)], static={"radius": 2}, free=free, radius=2, export=export)


def test_bilateral_at_strength_zero_is_the_identity_and_has_a_gradient() -> None:
    image = uniform(1, 12, 12)
    strength = torch.zeros((), dtype=torch.float64, requires_grad=True)
    result = bilateral(image, strength=strength, radius=2, contrast=0.2)
    assert torch.equal(result, image)
    (gradient,) = torch.autograd.grad((result * image).sum(), strength)
    assert gradient.abs() > 1e-2


def test_bilateral_is_the_weighted_mean_of_its_window() -> None:
    """One pixel of the published formula, written out."""
    image, row, column = uniform(2, 7, 7), 3, 3
    total, weights = torch.zeros(2, dtype=torch.float64), 0.0
    for y in range(1, 6):
        for x in range(1, 6):
            near = (1 - ((y - row) / 3) ** 2) ** 3 * (1 - ((x - column) / 3) ** 2) ** 3
            apart = (image[:, y, x] - image[:, row, column]).square().sum()
            weight = near * torch.exp(-apart / (2 * 0.25**2)) * (0.6 if (y, x) != (row, column) else 1.0)
            total, weights = total + weight * image[:, y, x], weights + weight
    result = bilateral(image, strength=0.6, radius=2, contrast=0.25)
    torch.testing.assert_close(result[:, row, column], total / weights)


@pytest.mark.parametrize("planes", [1, 2, 3])
def test_bilateral_removes_noise_and_keeps_an_edge(planes: int) -> None:
    clean = edge(planes)
    noisy = clean + 0.03 * normal(planes, 32, 32)
    result = bilateral(noisy, strength=1.0, radius=3, contrast=0.15)
    assert (result - clean).var() < 0.2 * (noisy - clean).var()
    across = result[..., 16].mean() - result[..., 15].mean()
    assert across > 0.57


def test_denoise_survives_what_every_program_must(export: bool) -> None:
    free = {"luma": 0.4, "chroma": 0.8, "contrast": 0.3}
    check_program(
        denoise, [uniform(3, 5, 6)], static={"space": "linear_srgb", "radius": 1}, free=free, radius=1, export=export
    )


def test_denoise_treats_luma_and_colour_apart() -> None:
    image = uniform(3, 12, 12)

    def run(luma: float, chroma: float) -> Tensor:
        return denoise(image, luma=luma, chroma=chroma, radius=2.0, contrast=0.3, space="linear_srgb")

    assert torch.equal(run(0.0, 0.0), image)
    colour = run(0.0, 1.0)
    torch.testing.assert_close(luma(colour, "linear_srgb"), luma(image, "linear_srgb"))
    assert (colour - image).abs().max() > 0.05
    light = run(1.0, 0.0)
    torch.testing.assert_close(light[0] - light[2], image[0] - image[2])
    assert (light - image).abs().max() > 0.05


def test_half_survives_what_every_program_must() -> None:
    check_program(half, [uniform(2, 8, 9)], sizes=((1, 1), (2, 2), (3, 5)))


def test_half_takes_means_of_cells_and_mirrors_odd_ends() -> None:
    image = torch.arange(15.0).reshape(1, 3, 5)
    wanted = torch.tensor([[[3.0, 5.0, 6.0], [8.0, 10.0, 11.0]]])
    assert torch.equal(half(image), wanted)


def test_median_survives_what_every_program_must() -> None:
    check_program(median, [uniform(2, 8, 9)], free={"strength": 0.7}, radius=1)


@pytest.mark.parametrize("size", [(2, 2), (5, 3), (9, 8)])
def test_median_is_that_of_scipy(size: tuple[int, int]) -> None:
    image = normal(1, *size)
    wanted = median_filter(image[0].numpy(), size=3, mode="mirror")
    torch.testing.assert_close(median(image, strength=1.0)[0], torch.tensor(wanted))


def test_median_takes_impulses_away_and_leaves_edges() -> None:
    clean = edge(3, 12)
    hit = clean.clone()
    hit[:, 3, 3], hit[:, 8, 9] = 4.0, -0.1
    torch.testing.assert_close(median(hit, strength=1.0), clean)
    assert torch.equal(median(hit, strength=0.0), hit)


@pytest.mark.parametrize(
    "program", [partial(bilateral, strength=1.0, radius=2, contrast=0.2), partial(median, strength=1.0)]
)
def test_half_precision_loses_no_more_than_its_own_rounding(program: Callable[[Tensor], Tensor]) -> None:
    image = uniform(3, 12, 12).bfloat16()
    result = program(image)
    assert result.dtype == torch.bfloat16
    torch.testing.assert_close(result.double(), program(image.double()), rtol=2**-8, atol=2**-9)


def test_the_window_of_a_free_radius_fits_the_declared_limit() -> None:
    declared = re.findall(
        r"slider radius\s+in \S+\.\.([\d.]+)px[^}]*?program \"ispdsl.programs.denoise:", STAGES.read_text()
    )
    assert len(declared) == 4
    assert {float(limit) for limit in declared} == {WIDEST_RADIUS}
