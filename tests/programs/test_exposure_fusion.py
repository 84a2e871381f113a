"""Exposure fusion against the paper's equations in NumPy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from ispdsl.programs.exposure_fusion import exposure_fusion
from tests.programs import pyramids
from tests.programs.checks import check_program

SPACE = "linear_srgb"
WEIGHTS = {"contrast": 1.0, "saturation": 1.0, "exposedness": 1.0}
FREE = {"amount": 1.0, "spread": 1.7, **WEIGHTS}


def noise(*shape: int, low: float = -0.1, high: float = 4.0) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


def fused(image: Tensor, frames: str = "three", **free: float | Tensor) -> Tensor:
    return exposure_fusion(image, frames=frames, space=SPACE, **FREE | free)


def encode(x: np.ndarray) -> np.ndarray:
    return np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.maximum(x, 0.0031308) ** (1 / 2.4) - 0.055)


def decode(x: np.ndarray) -> np.ndarray:
    return np.where(x <= 0.04045, x / 12.92, ((np.maximum(x, 0.04045) + 0.055) / 1.055) ** 2.4)


def weight(frame: np.ndarray, powers: tuple[float, float, float]) -> np.ndarray:
    """Equation 1 of the paper: a product of powers of contrast, saturation and well-exposedness."""
    grey = np.tensordot([0.2126, 0.7152, 0.0722], frame, 1)
    p = np.pad(grey, 1, mode="reflect")
    laplacian = p[:-2, 1:-1] + p[2:, 1:-1] + p[1:-1, :-2] + p[1:-1, 2:] - 4 * grey
    contrast = np.hypot(laplacian, 1 / 255)
    saturation = np.hypot(frame.std(0), 1 / 255)
    exposedness = np.exp(-((frame - 0.5) ** 2) / (2 * 0.2**2)).prod(0)
    return contrast ** powers[0] * saturation ** powers[1] * exposedness ** powers[2]


def oracle(image: np.ndarray, offsets: tuple[float, ...], powers: tuple[float, float, float]) -> np.ndarray:
    """Equations 2 to 6 of the paper."""
    bracket = [encode(np.clip(image * 2**ev, 0, 1)) for ev in offsets]
    weights = np.stack([weight(frame, powers) for frame in bracket])
    weights = weights / weights.sum(0)
    count = int(np.ceil(np.log2(min(image.shape[1:]))))
    planes = []
    for plane in range(3):
        parts = [
            [w * band for w, band in zip(pyramids.gaussian(w, count), pyramids.laplacian(f[plane], count), strict=True)]
            for f, w in zip(bracket, weights, strict=True)
        ]
        planes.append(pyramids.collapsed([np.sum(bands, 0) for bands in zip(*parts, strict=True)]))
    return decode(np.stack(planes))


@pytest.mark.parametrize("powers", [(1.0, 1.0, 1.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)])
@pytest.mark.parametrize(("frames", "steps"), [("three", (-1, 0, 1)), ("five", (-2, -1, 0, 1, 2))])
def test_fusion_is_the_papers(powers: tuple[float, float, float], frames: str, steps: tuple[int, ...]) -> None:
    image = noise(3, 12, 9, low=0.01, high=1.2)
    wanted = oracle(image.numpy(), tuple(1.2 * step for step in steps), powers)
    settings = dict(zip(WEIGHTS, powers, strict=True))
    found = fused(image, frames, spread=1.2, **settings)
    torch.testing.assert_close(found, torch.from_numpy(wanted), rtol=1e-9, atol=1e-9)


def test_fusion_keeps_the_contract_of_programs(export: bool) -> None:
    image = noise(3, 3, 4, low=0.01, high=1.5)
    check_program(
        exposure_fusion,
        [image],
        static={"frames": "three", "space": SPACE},
        free=FREE | {"amount": 0.8},
        sizes=[(2, 2), (3, 5)],
        export=export,
    )


@pytest.mark.parametrize("frames", ["three", "five"])
def test_no_amount_and_no_spread_are_the_identity(frames: str) -> None:
    for size in ((2, 2), (7, 5), (8, 16)):
        for dtype in (torch.float32, torch.float64, torch.bfloat16):
            image = noise(3, *size).to(dtype)
            assert torch.equal(fused(image, frames, amount=0.0), image)
        image = noise(3, *size, low=0.0, high=1.0)
        torch.testing.assert_close(fused(image, frames, spread=0.0), image, rtol=1e-8, atol=1e-8)


def test_fusion_lifts_dark_scenes_holds_bright_ones_and_narrows_the_range() -> None:
    dark, bright = (torch.full((3, 32, 32), tone, dtype=torch.float64) for tone in (0.01, 2.0))
    assert (fused(dark, spread=2.0) > 0.025).all()
    assert (fused(bright, spread=2.0) < 0.7).all()
    both = torch.cat([dark[..., :16], bright[..., 16:]], -1)
    out = fused(both, spread=2.0)
    assert out[..., 24:].min() < 1.2
    assert out[..., 24:].mean() / out[..., :8].mean() < 0.6 * 200


def test_greys_stay_grey_and_reflections_commute() -> None:
    for size in ((8, 8), (7, 10), (2, 3)):
        image = noise(3, *size)
        grey = fused(image[:1].expand(3, -1, -1))
        torch.testing.assert_close(grey[0], grey[1], rtol=1e-12, atol=1e-12)
        for turn in (lambda x: x.flip(-1), lambda x: x.flip(-2), lambda x: x.mT, lambda x: x.rot90(1, (-2, -1))):
            torch.testing.assert_close(fused(turn(image)), turn(fused(image)), rtol=1e-9, atol=1e-12)


def test_every_setting_is_finite_with_finite_gradients() -> None:
    image = noise(3, 6, 5).clamp(min=0)
    image[:, 2:4] = 0
    for spread, power in itertools.product((0.0, 3.0), (0.0, 2.0)):
        point = [image, *(torch.tensor(v, dtype=torch.float64) for v in (spread, power))]
        point = [value.clone().requires_grad_() for value in point]
        settings = {"contrast": point[2], "saturation": point[2], "exposedness": point[2]}
        out = fused(point[0], "five", spread=point[1], **settings)
        assert torch.isfinite(out).all()
        assert all(torch.isfinite(gradient).all() for gradient in torch.autograd.grad(out.sum(), point))
