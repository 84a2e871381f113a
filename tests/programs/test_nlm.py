from __future__ import annotations

import numpy as np
import torch
from skimage.restoration import denoise_nl_means
from torch import Tensor

from ispdsl.programs.nlm import box_sum, nl_means
from tests.programs.checks import check_program


def uniform(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def test_nl_means_survives_what_every_program_must(export: bool) -> None:
    free = {"strength": 0.7, "noise": 0.2, "filtering": 0.9}
    static = {"patch": "p3", "search": "s7"}
    check_program(nl_means, [uniform(2, 4, 5)], static=static, free=free, radius=4, export=export)


def test_nl_means_is_the_weighted_mean_of_its_window() -> None:
    """One pixel of the published formula, written out."""
    image, row, column = uniform(3, 15, 15), 7, 7
    noise, decay = 0.25, 0.8 * 0.25
    total, weights = torch.zeros(3, dtype=torch.float64), 0.0
    here = image[:, row - 2 : row + 3, column - 2 : column + 3]
    for y in range(row - 5, row + 6):
        for x in range(column - 5, column + 6):
            there = image[:, y - 2 : y + 3, x - 2 : x + 3]
            apart = float((here - there).square().mean())
            weight = np.exp(-max(apart - 2 * noise**2, 0) / decay**2)
            weight *= 0.6 if (y, x) != (row, column) else 1.0
            total, weights = total + weight * image[:, y, x], weights + weight
    result = nl_means(image, strength=0.6, noise=noise, filtering=0.8, patch="p5", search="s11")
    torch.testing.assert_close(result[:, row, column], total / weights)


def test_nl_means_does_as_well_as_that_of_scikit_image() -> None:
    """Whose patches are weighted, so that the pictures differ by less than the noise and not by nothing."""
    clean = np.zeros((32, 32))
    clean[:, 16:], clean[10:20, 5:12] = 0.6, 0.3
    noisy = clean + 0.05 * np.random.default_rng(1).standard_normal(clean.shape)
    wanted = denoise_nl_means(noisy, patch_size=5, patch_distance=5, h=0.035, sigma=0.05, fast_mode=False)
    static = {"patch": "p5", "search": "s11"}
    found = nl_means(torch.tensor(noisy)[None], strength=1.0, noise=0.05, filtering=0.7, **static)[0].numpy()
    assert np.abs(found - wanted).mean() < 0.35 * np.abs(noisy - clean).mean()
    assert np.square(found - clean).mean() < 1.1 * np.square(wanted - clean).mean()


def test_strength_zero_is_the_identity_and_has_a_gradient() -> None:
    image = uniform(1, 9, 9)
    strength = torch.zeros((), dtype=torch.float64, requires_grad=True)
    result = nl_means(image, strength=strength, noise=0.2, filtering=0.7, patch="p3", search="s7")
    assert torch.equal(result, image)
    (gradient,) = torch.autograd.grad((result * image).sum(), strength)
    assert gradient.abs() > 1e-2


def test_a_repeated_texture_keeps_its_contrast_where_a_mean_would_lose_it() -> None:
    stripes = torch.zeros(1, 24, 24, dtype=torch.float64)
    stripes[..., ::2] = 0.5
    noisy = stripes + 0.05 * torch.randn(1, 24, 24, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    result = nl_means(noisy, strength=1.0, noise=0.05, filtering=0.7, patch="p5", search="s15")
    assert (result - stripes).square().mean() < 0.1 * (noisy - stripes).square().mean()


def test_box_sum_adds_every_square_that_fits() -> None:
    image = uniform(2, 5, 6)
    wanted = image.unfold(-2, 3, 1).unfold(-2, 3, 1).sum((-2, -1))
    torch.testing.assert_close(box_sum(image, 3), wanted)
