from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.restoration import denoise_tv_chambolle
from torch import Tensor

from ispdsl.programs.diffusion import anisotropic_diffusion, total_variation
from tests.programs.checks import check_program


def uniform(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


@pytest.mark.parametrize("edge", ["exponential", "rational"])
def test_anisotropic_diffusion_survives_what_every_program_must(edge: str) -> None:
    free = {"rate": 0.17, "contrast": 0.3}
    static = {"edge": edge, "iterations": "i5"}
    check_program(anisotropic_diffusion, [uniform(3, 5, 6)], static=static, free=free, radius=5)


def test_total_variation_survives_what_every_program_must() -> None:
    check_program(total_variation, [uniform(3, 5, 6)], static={"iterations": "i5"}, free={"weight": 0.1}, radius=6)


@pytest.mark.parametrize("edge", ["exponential", "rational"])
def test_anisotropic_diffusion_follows_the_published_scheme(edge: str) -> None:
    """Four neighbours with replicated borders, in numpy, five times."""
    image = uniform(2, 7, 6)
    wanted = image.numpy()
    for _ in range(5):
        total = np.zeros_like(wanted)
        for down, right in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            padded = np.pad(wanted, ((0, 0), (1, 1), (1, 1)), mode="edge")
            change = padded[:, 1 + down : 8 + down, 1 + right : 7 + right] - wanted
            ratio = np.square(change).sum(0) / 0.3**2
            total += change * (np.exp(-ratio) if edge == "exponential" else 1 / (1 + ratio))
        wanted = wanted + 0.2 * total
    result = anisotropic_diffusion(image, rate=0.2, contrast=0.3, edge=edge, iterations="i5")
    torch.testing.assert_close(result, torch.tensor(wanted))


def test_total_variation_is_that_of_scikit_image() -> None:
    image = uniform(1, 12, 12) * 0.3
    image[..., 6:] += 0.5
    wanted = denoise_tv_chambolle(image[0].numpy(), weight=0.05, eps=1e-9, max_num_iter=2000)
    found = total_variation(image, weight=0.05, iterations="i40")[0].numpy()
    np.testing.assert_allclose(found, wanted, atol=0.01)


def test_a_step_falls_by_weight_times_border_over_area() -> None:
    """The exact minimum for two flat regions of two columns each: they approach by weight / 2."""
    image = torch.zeros(1, 6, 4, dtype=torch.float64)
    image[..., 2:] = 0.6
    result = total_variation(image, weight=0.1, iterations="i20")
    torch.testing.assert_close(result[..., 0], torch.full((1, 6), 0.05, dtype=torch.float64), rtol=0, atol=2e-3)
    torch.testing.assert_close(result[..., 3], torch.full((1, 6), 0.55, dtype=torch.float64), rtol=0, atol=2e-3)


def test_the_mean_stays() -> None:
    image = uniform(3, 9, 11)
    flowed = anisotropic_diffusion(image, rate=0.25, contrast=0.5, edge="rational", iterations="i20")
    flattened = total_variation(image, weight=0.3, iterations="i20")
    for result in (flowed, flattened):
        torch.testing.assert_close(result.mean((-2, -1)), image.mean((-2, -1)))
        assert (result - image).abs().max() > 0.1


def test_total_variation_at_weight_zero_is_the_identity_and_finite_to_the_first_derivative() -> None:
    image = torch.cat([uniform(1, 8, 4), torch.full((1, 8, 4), 0.5, dtype=torch.float64)], -1).requires_grad_()
    weight = torch.zeros((), dtype=torch.float64, requires_grad=True)
    result = total_variation(image, weight=weight, iterations="i5")
    assert torch.equal(result, image)
    gradients = torch.autograd.grad((result * image).sum(), (image, weight))
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
