from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ispdsl.programs.detail import WIDEST_SHARPEN, WIDEST_TEXTURE, blur, sharpen, sharpen_kernel, texture
from tests.programs.checks import check_exported, check_program

STAGES = Path(__file__).parents[2] / "stdlib" / "detail.isp"
SPACE = "linear_srgb"


def noise(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 0.8 + 0.1


def step(low: float, high: float, size: int = 48) -> Tensor:
    """A vertical edge in the middle of a grey image."""
    image = torch.full((3, size, size), low, dtype=torch.float64)
    image[..., size // 2 :] = high
    return image


def wave(period: float, size: int = 64) -> Tensor:
    """A grey sine of `period` px and 5 % contrast along the rows."""
    phase = 2 * torch.pi * torch.arange(size, dtype=torch.float64) / period
    return (0.5 + 0.025 * torch.sin(phase)).expand(3, size, size).clone()


def amplitude(image: Tensor) -> float:
    return float(image[0, 0, 16:-16].std())


def limit_of(stage: str, parameter: str) -> float:
    """The hard upper limit, in px, that the stage file declares."""
    body = STAGES.read_text().split(f"stage {stage}(")[1]
    found = re.search(rf"slider {parameter}\s+in \S+\.\.([\d.]+)px", body)
    assert found
    return float(found[1])


def test_texture_survives_what_every_program_must() -> None:
    image, free = noise(3, 5, 6), {"amount": 0.6, "radius": 1.3}
    check_program(texture, [image], static={"space": SPACE}, free=free, radius=3, export=False)


def test_texture_exports_with_the_radius_fixed() -> None:
    check_exported(texture, [noise(3, 5, 6)], static={"space": SPACE, "radius": 1.3}, free={"amount": 0.6})


@pytest.mark.slow
def test_texture_exports_with_a_free_radius() -> None:
    check_exported(texture, [noise(3, 5, 6)], static={"space": SPACE}, free={"amount": 0.6, "radius": 1.3})


def test_texture_stays_within_its_declared_footprint_at_the_widest_radius() -> None:
    image = noise(3, 64, 64)
    free = {"amount": 1.0, "radius": torch.tensor(8.0)}
    touched = image.clone()
    touched[:, 32, 32] += 0.1
    changed = (texture(image, space=SPACE, **free) != texture(touched, space=SPACE, **free)).any(0).nonzero() - 32
    assert changed.abs().max() == 23


def test_texture_at_zero_is_the_identity_and_has_a_gradient() -> None:
    image = noise(3, 16, 16)
    amount = torch.tensor(0.0, dtype=torch.float64, requires_grad=True)
    result = texture(image, amount=amount, radius=2.0, space=SPACE)
    assert torch.equal(result, image)
    (gradient,) = torch.autograd.grad((result * image).sum(), amount)
    assert gradient.abs() > 1e-3


def test_texture_boosts_the_band_around_its_radius_and_little_else() -> None:
    def gain(period: float) -> float:
        image = wave(period)
        return amplitude(texture(image, amount=1.0, radius=2.0, space=SPACE)) / amplitude(image)

    assert gain(10.0) > 1.25
    assert gain(2.5) == pytest.approx(1.0, abs=0.05)
    assert gain(60.0) == pytest.approx(1.0, abs=0.05)


def test_texture_makes_no_halo_at_a_strong_edge() -> None:
    """The overshoot stays far below what the bare band would give, on both sides."""
    image = step(0.05, 0.9)
    bare = (blur(image, 1.0, 1.0) - blur(image, 2.0, 2.0)).max()
    result = texture(image, amount=1.0, radius=2.0, space=SPACE)
    assert 0 <= result.max() - 0.9 < bare / 3
    assert 0 <= 0.05 - result.min() < bare / 3


def test_texture_leaves_colour_differences_alone() -> None:
    image = noise(3, 12, 12)
    result = texture(image, amount=0.8, radius=1.0, space=SPACE)
    torch.testing.assert_close(result[0] - result[1], image[0] - image[1])


def test_sharpen_survives_what_every_program_must(export: bool) -> None:
    free = {"amount": 0.7, "radius": 1.1, "threshold": 0.013}
    check_program(sharpen, [noise(3, 5, 6)], free=free, radius=3, export=export)


def test_sharpen_at_zero_is_the_identity() -> None:
    image = noise(3, 9, 7)
    assert torch.equal(sharpen(image, amount=0.0, radius=1.0, threshold=0.02), image)


def test_sharpen_steepens_an_edge_and_keeps_what_lies_below_the_threshold() -> None:
    edge = sharpen(step(0.3, 0.6), amount=1.0, radius=1.0, threshold=0.05)
    assert edge.max() > 0.62
    assert edge.min() < 0.28
    faint = step(0.30, 0.32)
    assert torch.equal(sharpen(faint, amount=1.0, radius=1.0, threshold=0.05), faint)


def test_sharpen_kernel_survives_what_every_program_must() -> None:
    free = {"strength": 0.8, "kernel": 0.2 * noise(3, 3)}
    check_program(sharpen_kernel, [noise(3, 8, 9)], free=free, radius=1)


def test_sharpen_kernel_starts_as_the_identity_with_ten_gradients() -> None:
    image = noise(3, 16, 16)
    strength = torch.zeros((), dtype=torch.float64, requires_grad=True)
    kernel = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
    result = sharpen_kernel(image, strength=strength, kernel=kernel)
    assert torch.equal(result, image)
    gradients = torch.autograd.grad((result * image).sum(), (strength, kernel))
    assert all(gradient.abs().min() > 1e-3 for gradient in gradients)


def test_sharpen_kernel_is_correlation() -> None:
    """The reference is PyTorch's own convolution of the interior."""
    image, kernel = noise(3, 9, 9), noise(3, 3) - 0.5
    binomial = torch.tensor([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]], dtype=torch.float64) / 16
    both = torch.nn.functional.conv2d(image[:, None], torch.stack([kernel, binomial])[:, None])
    inner = image[:, 1:-1, 1:-1]
    wanted = inner + 0.7 * (inner - both[:, 1]) + both[:, 0]
    torch.testing.assert_close(sharpen_kernel(image, strength=0.7, kernel=kernel)[:, 1:-1, 1:-1], wanted)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.7])
def test_blur_has_the_standard_deviation_it_is_asked_for(sigma: float) -> None:
    impulse = torch.zeros(1, 41, 41, dtype=torch.float64)
    impulse[0, 20, 20] = 1.0
    row = blur(impulse, sigma, sigma)[0].sum(0)
    offset = torch.arange(-20.0, 21.0, dtype=torch.float64)
    assert float(row.sum()) == pytest.approx(1.0)
    assert float((row * offset.square()).sum().sqrt()) == pytest.approx(sigma, rel=0.05)


def test_flat_images_stay_flat() -> None:
    flat = torch.full((3, 10, 10), 0.37, dtype=torch.float64)
    programs: list[Callable[[], Tensor]] = [
        lambda: texture(flat, amount=1.0, radius=3.0, space=SPACE),
        lambda: sharpen(flat, amount=2.0, radius=2.0, threshold=0.0),
        lambda: sharpen_kernel(flat, strength=2.0, kernel=torch.zeros(3, 3)),
    ]
    for program in programs:
        torch.testing.assert_close(program(), flat)


def test_windows_of_free_radii_fit_the_declared_limits() -> None:
    assert limit_of("texture", "radius") == WIDEST_TEXTURE
    assert limit_of("sharpen", "radius") == WIDEST_SHARPEN
