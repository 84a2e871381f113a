from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import torch
from torch import Tensor

from ispdsl.programs.deconvolution import DARKEST, ITERATIONS, WIDEST_PSF, capture_sharpen
from ispdsl.programs.detail import blur
from ispdsl.programs.ops import LUMA_WEIGHTS
from tests.programs.checks import check_program
from tests.programs.test_detail import limit_of

SPACE = "linear_srgb"


def noise(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64) * 0.8 + 0.1


def test_capture_sharpen_survives_what_every_program_must(export: bool) -> None:
    static = {"iterations": "three", "space": SPACE}
    check_program(
        capture_sharpen, [noise(3, 4, 5)], static=static, free={"radius": 0.6, "strength": 0.7}, radius=6, export=export
    )


def test_capture_sharpen_is_richardson_lucy() -> None:
    """The reference is the recursion of Lucy 1974 in NumPy, with the point spread as explicit weights."""
    image, sigma = noise(3, 13, 14), 1.2
    offsets = np.arange(-4, 5)
    weights = np.clip(1 - (offsets / (3 * sigma)) ** 2, 0, None) ** 3
    weights /= weights.sum()

    def spread(plane: np.ndarray) -> np.ndarray:
        rows = scipy.ndimage.correlate1d(plane, weights, axis=0, mode="mirror")
        return scipy.ndimage.correlate1d(rows, weights, axis=1, mode="mirror")

    light = np.tensordot(LUMA_WEIGHTS[SPACE], image.numpy(), 1)
    estimate = light.copy()
    for _ in range(ITERATIONS["six"]):
        estimate = estimate * spread(light / spread(estimate))
    found = capture_sharpen(image, radius=sigma, strength=0.6, iterations="six", space=SPACE)
    np.testing.assert_allclose(found.numpy(), image.numpy() + 0.6 * (estimate - light), rtol=1e-9)


def test_capture_sharpen_brings_a_blurred_picture_nearer_to_the_sharp_one_by_each_iteration() -> None:
    sharp = torch.full((3, 32, 32), 0.1, dtype=torch.float64)
    sharp[:, 8:24, 8:14] = 0.8
    sharp[:, 10, 18:26] = 0.5
    soft = blur(sharp, 1.0, 1.0)
    settings: dict[str, Any] = {"radius": 1.0, "strength": 1.0, "space": SPACE}
    results = [capture_sharpen(soft, **settings, iterations=name) for name in ITERATIONS]
    errors = [float((result - sharp).square().mean()) for result in results]
    assert errors[2] < errors[1] < errors[0] < 0.8 * float((soft - sharp).square().mean())


def test_capture_sharpen_at_zero_is_the_identity_with_a_gradient() -> None:
    image = noise(3, 9, 9) - 0.3
    strength = torch.zeros((), dtype=torch.float64, requires_grad=True)
    result = capture_sharpen(image, radius=0.8, strength=strength, iterations="three", space=SPACE)
    assert torch.equal(result, image)
    (gradient,) = torch.autograd.grad((result * image).sum(), strength)
    assert gradient.abs() > 1e-3


@pytest.mark.parametrize("iterations", ITERATIONS)
def test_capture_sharpen_keeps_flat_areas_and_colour_differences_and_survives_black(iterations: str) -> None:
    settings: dict[str, Any] = {"radius": WIDEST_PSF, "strength": 1.0, "iterations": iterations, "space": SPACE}
    flat = torch.full((3, 9, 9), 0.37, dtype=torch.float64)
    torch.testing.assert_close(capture_sharpen(flat, **settings), flat)
    image = noise(3, 9, 9) - 0.3
    result = capture_sharpen(image, **settings)
    torch.testing.assert_close(result[0] - result[2], image[0] - image[2])
    star = torch.zeros(3, 9, 9, dtype=torch.float64)
    star[:, 4, 4] = 4.0
    assert torch.isfinite(capture_sharpen(star, **settings)).all()
    assert torch.isfinite(capture_sharpen(star.bfloat16(), **settings)).all()


def test_luma_below_the_floor_is_left_alone() -> None:
    dark = noise(3, 9, 9) * DARKEST
    assert torch.equal(capture_sharpen(dark, radius=1.0, strength=1.0, iterations="six", space=SPACE), dark)


def test_the_window_of_a_free_radius_fits_the_declared_limit() -> None:
    assert limit_of("capture_sharpen", "radius") == WIDEST_PSF
