from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import torch
from torch import Tensor

from ispdsl.programs.geometry import lens_distortion, vignette
from tests.programs.checks import bind, check_gradients, check_program, tensor

STRAIGHT = {"k1": 0.0, "k2": 0.0, "p1": 0.0, "p2": 0.0}
BENT = {"k1": -0.31, "k2": 0.12, "p1": 0.043, "p2": -0.057}


def noise(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(6), dtype=torch.float64) * 0.8 + 0.1


def places(height: int, width: int, k1: float, k2: float, p1: float, p2: float) -> tuple[np.ndarray, np.ndarray]:
    """Where each pixel comes from in px (rows, columns): the equations of Brown 1966 in NumPy."""
    unit = math.hypot(height - 1, width - 1) / 2
    rows, columns = np.mgrid[:height, :width]
    y, x = (rows - (height - 1) / 2) / unit, (columns - (width - 1) / 2) / unit
    r2 = x**2 + y**2
    radial = 1 + k1 * r2 + k2 * r2**2
    there_x = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x**2)
    there_y = y * radial + p1 * (r2 + 2 * y**2) + 2 * p2 * x * y
    return there_y * unit + (height - 1) / 2, there_x * unit + (width - 1) / 2


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_lens_distortion_survives_what_every_program_must(interpolation: str, export: bool) -> None:
    check_program(lens_distortion, [noise(2, 5, 6)], static={"interpolation": interpolation}, free=BENT, export=export)


def test_gradients_of_bicubic_are_true_where_nothing_moves() -> None:
    call = bind(lens_distortion, {"interpolation": "bicubic"})
    check_gradients(call, [noise(2, 5, 4)], {name: tensor(value) for name, value in STRAIGHT.items()})


def test_lens_distortion_samples_where_brown_says() -> None:
    """The reference is SciPy's linear interpolation with mirrored borders."""
    image = noise(3, 14, 17)
    where = places(14, 17, **BENT)
    wanted = np.stack([scipy.ndimage.map_coordinates(plane, where, order=1, mode="mirror") for plane in image.numpy()])
    found = lens_distortion(image, **BENT, interpolation="bilinear")
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-9)


def test_bicubic_reproduces_a_quadratic_surface() -> None:
    """Keys 1981: cubic convolution with a = -1/2 is exact for polynomials of the second degree."""
    rows, columns = torch.meshgrid(torch.arange(20.0).double(), torch.arange(24.0).double(), indexing="ij")

    def surface(y: Tensor, x: Tensor) -> Tensor:
        return 0.3 + 0.02 * x - 0.01 * y + 0.001 * x * y + 0.002 * x**2 - 0.0015 * y**2

    settings: dict[str, Any] = {"k1": -0.1, "k2": 0.05, "p1": 0.01, "p2": -0.02}
    found = lens_distortion(surface(rows, columns)[None], **settings, interpolation="bicubic")[0]
    wanted = surface(*(torch.from_numpy(each) for each in places(20, 24, **settings)))
    torch.testing.assert_close(found[5:-5, 5:-5], wanted[5:-5, 5:-5])


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_lens_distortion_without_coefficients_is_the_identity(interpolation: str) -> None:
    for size in ((2, 2), (2, 7), (9, 6)):
        image = noise(3, *size) * 3 - 0.5
        assert torch.equal(lens_distortion(image, **STRAIGHT, interpolation=interpolation), image)
    assert torch.equal(lens_distortion(image.bfloat16(), **STRAIGHT, interpolation=interpolation), image.bfloat16())


def test_negative_k1_undoes_barrel_distortion() -> None:
    """A barrel draws corners in. Undone, what sat inside the corner is at the corner."""
    image = torch.zeros(1, 41, 41, dtype=torch.float64)
    image[0, 36, 36] = 1.0
    result = lens_distortion(image, **{**STRAIGHT, "k1": -0.2}, interpolation="bilinear")
    assert int(result.argmax()) == 40 * 41 + 40


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_the_extremes_stay_finite_and_turn_with_the_image(interpolation: str) -> None:
    for sign in (-1, 1):
        image = noise(3, 7, 10)
        settings: dict[str, Any] = {**STRAIGHT, "k1": 0.5 * sign, "k2": 0.5 * sign, "interpolation": interpolation}
        result = lens_distortion(image, **settings)
        assert torch.isfinite(result).all()
        torch.testing.assert_close(lens_distortion(image.rot90(1, (-2, -1)), **settings), result.rot90(1, (-2, -1)))


def test_vignette_survives_what_every_program_must() -> None:
    free = {"amount": -1.3, "midpoint": 0.57, "feather": 0.81}
    check_program(vignette, [noise(3, 8, 9)], free=free, radius=0)


def test_vignette_has_hand_computed_gains() -> None:
    """On 3x4 half-diagonal units: a 7x9 image has its corners 5 px from its centre."""
    gains = vignette(torch.ones(3, 7, 9, dtype=torch.float64), amount=-2.0, midpoint=0.6, feather=0.8)
    assert float(gains[0, 3, 4]) == 1.0
    assert float(gains[1, 0, 4]) == pytest.approx(0.5)  # at radius 3/5, the midpoint
    assert float(gains[2, 3, 8]) == pytest.approx(2 ** (-2 * (3 * 0.75**2 - 2 * 0.75**3)))  # at radius 4/5
    assert float(gains[0, 0, 0]) == pytest.approx(0.25)
    torch.testing.assert_close(gains, gains.flip(-1, -2))


def test_vignette_is_undone_by_the_negative_amount_and_zero_is_the_identity() -> None:
    image = noise(3, 8, 9) - 0.4
    dark = vignette(image, amount=-3.1, midpoint=0.3, feather=0.4)
    torch.testing.assert_close(vignette(dark, amount=3.1, midpoint=0.3, feather=0.4), image)
    assert torch.equal(vignette(image, amount=0.0, midpoint=0.3, feather=0.4), image)
    assert torch.isfinite(vignette(noise(3, 2, 2).bfloat16(), amount=4.0, midpoint=0.0, feather=0.05)).all()
