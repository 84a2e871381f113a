"""White-balance estimators against NumPy and SciPy, and their use."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from ispdsl.programs import awb
from tests.programs.checks import check_program

F64 = torch.float64
LIGHT = torch.tensor([0.6, 1.0, 0.7], dtype=F64)


def picture(height: int = 8, width: int = 9, dtype: torch.dtype = F64) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return (LIGHT[:, None, None] * torch.rand(3, height, width, generator=generator, dtype=F64)).to(dtype)


ESTIMATORS = {
    "grey_world": (awb.grey_world, {}),
    "white_patch": (awb.white_patch, {"percentile": 0.97}),
    "shades_of_grey": (awb.shades_of_grey, {"p": 6.0}),
    "grey_edge": (awb.grey_edge, {"sigma": 1.0, "p": 3.0}),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimators_keep_their_contract(name: str, export: bool) -> None:
    program, free = ESTIMATORS[name]
    check_program(program, [picture()], free=free, export=export)


def test_auto_white_balance_keeps_its_contract() -> None:
    check_program(awb.auto_white_balance, [picture()], free={"white": LIGHT, "strength": 0.7}, radius=0)


def green_one(levels: np.ndarray) -> np.ndarray:
    return levels / levels[1]


@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_grey_world_agrees_with_numpy(dtype: torch.dtype) -> None:
    image = picture(31, 40, dtype)
    wanted = green_one(image.double().numpy().mean((1, 2)))
    np.testing.assert_allclose(awb.grey_world(image).double().numpy(), wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize("percentile", [0.5, 0.973, 1.0])
def test_white_patch_agrees_with_numpy(dtype: torch.dtype, percentile: float) -> None:
    image = picture(31, 40, dtype)
    wanted = green_one(np.quantile(image.double().numpy(), percentile, (1, 2)))
    found = awb.white_patch(image, percentile=percentile)
    np.testing.assert_allclose(found.double().numpy(), wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize("p", [1.0, 6.0, 24.0])
def test_shades_of_grey_agrees_with_numpy(dtype: torch.dtype, p: float) -> None:
    image = 4 * picture(31, 40, dtype) - 0.1
    values = np.maximum(image.double().numpy(), 0)
    wanted = green_one((values**p).mean((1, 2)) ** (1 / p))
    np.testing.assert_allclose(awb.shades_of_grey(image, p=p).double().numpy(), wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize("sigma", [0.5, 1.3, 3.0])
def test_grey_edge_agrees_with_scipy(dtype: torch.dtype, sigma: float) -> None:
    image, p = picture(31, 40, dtype), 5.0
    values, call = image.double().numpy(), {"sigma": sigma, "mode": "mirror", "radius": 9}
    across, down = (
        np.stack([cast(Any, ndimage.gaussian_filter)(plane, order=order, axes=(0, 1), **call) for plane in values])
        for order in ((0, 1), (1, 0))
    )
    wanted = green_one((np.hypot(across, down) ** p).mean((1, 2)) ** (1 / p))
    found = awb.grey_edge(image, sigma=sigma, p=p)
    np.testing.assert_allclose(found.double().numpy(), wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_estimator_finds_the_light_of_a_grey_scene(name: str) -> None:
    program, free = ESTIMATORS[name]
    scene = torch.rand(1, 20, 21, generator=torch.Generator().manual_seed(0), dtype=F64)
    found = program(LIGHT[:, None, None] * scene, **free)
    torch.testing.assert_close(found, LIGHT, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(program(7e-4 * LIGHT[:, None, None] * scene, **free), LIGHT, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("value", [-0.5, 0.0])
def test_without_light_the_estimate_is_white(name: str, value: float) -> None:
    program, free = ESTIMATORS[name]
    image = torch.full((3, 5, 6), value, dtype=F64, requires_grad=True)
    found = program(image, **free)
    assert found.tolist() == [1, 1, 1]
    (gradient,) = torch.autograd.grad(found.sum(), image)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("dtype", [F64, torch.float32])
def test_noise_that_cancels_is_no_light(dtype: torch.dtype) -> None:
    """Ten values whose sum is 0 but for rounding, in any order."""
    image = torch.full((3, 2, 5), -0.1, dtype=dtype)
    image[:, 1, 0] = 0.9
    image[1] *= 0.7
    for moved in (image, image.flip(-1), image.flip(-2)):
        torch.testing.assert_close(awb.grey_world(moved), torch.ones(3, dtype=dtype))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_missing_colour_is_a_thousandth_of_the_strongest(name: str) -> None:
    program, free = ESTIMATORS[name]
    image = picture(20, 21)
    image[2] = 0
    found = program(image, **free)
    assert float(found[2]) == pytest.approx(1e-3 * float(found.max()), rel=1e-9)


def test_flat_planes_have_no_edges() -> None:
    image = (0.1 + 0.2 * LIGHT[:, None, None]).expand(3, 7, 8)
    assert awb.grey_edge(image, sigma=1.7, p=6.0).tolist() == [1, 1, 1]


def test_grey_world_and_balance_make_means_equal() -> None:
    image = picture(20, 21)
    out = awb.auto_white_balance(image, white=awb.grey_world(image), strength=1.0)
    means = out.mean((1, 2))
    torch.testing.assert_close(means, means[1].expand(3))
    assert torch.equal(out[1], image[1])


@pytest.mark.parametrize("dtype", [torch.float32, F64, torch.bfloat16])
def test_strength_runs_in_stops_from_the_identity(dtype: torch.dtype) -> None:
    image = (picture() * 3 - 0.3).to(dtype)
    assert torch.equal(awb.auto_white_balance(image, white=LIGHT, strength=0.0), image)
    half = awb.auto_white_balance(image.double(), white=LIGHT, strength=0.5)
    torch.testing.assert_close(half, image.double() / LIGHT[:, None, None].sqrt())


def test_a_white_of_nothing_is_safe() -> None:
    out = awb.auto_white_balance(picture(), white=torch.tensor([0.0, 1.0, -2.0], dtype=F64), strength=1.0)
    torch.testing.assert_close(out, picture() * torch.tensor([1e4, 1, 1e4], dtype=F64)[:, None, None])
