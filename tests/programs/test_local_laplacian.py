"""The local Laplacian filter against the brute-force algorithm, and the bilateral compression of range."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from ispdsl.programs.hdr_compress import bilateral_base, hdr_compress, wide_blur
from ispdsl.programs.local_laplacian import displacement, local_laplacian
from ispdsl.programs.stops import Grid, stops
from tests.programs import pyramids
from tests.programs.checks import check_program

SPACE = "linear_srgb"
NEUTRAL = {"alpha": 1.0, "beta": 1.0, "sigma": 1.3, "epsilon": 0.25}
COMPRESS = {"compression": 0.5, "edge": 1.33, "pivot": 0.18}


def noise(*shape: int, low: float = -0.1, high: float = 4.0) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)


def scene(size: int = 16) -> Tensor:
    """A grey window of 5 stops beside a dark wall, with texture of half a stop on both."""
    y, x = torch.meshgrid(*2 * [torch.arange(size, dtype=torch.float64)], indexing="ij")
    texture = 0.25 * torch.sin(1.9 * x + 0.4 * y) + 0.25 * torch.cos(0.7 * x - 1.3 * y)
    return torch.exp2(torch.where(x < size // 2 + 1, -5.3, -0.4) + texture).expand(3, size, size).clone()


def filtered(image: Tensor, sampling: str = "medium", **free: float | Tensor) -> Tensor:
    return local_laplacian(image, sampling=sampling, space=SPACE, **NEUTRAL | free)


def brute_force(light: np.ndarray, alpha: float, beta: float, sigma: float, epsilon: float) -> np.ndarray:
    """Algorithm 1 of Paris, Hasinoff and Kautz 2011: for each coefficient a remapped copy and its whole pyramid."""
    count = int(np.log2(len(light)))
    guides = pyramids.gaussian(light, count)
    bands = [np.empty_like(guide) for guide in guides[:-1]]
    for level, band in enumerate(bands):
        for place, centre in np.ndenumerate(guides[level]):
            d = light - centre
            power = np.sqrt((d**2 + epsilon**2) / (sigma**2 + epsilon**2)) ** (alpha - 1)
            remapped = centre + np.where(abs(d) <= sigma, d * power, np.sign(d) * (beta * (abs(d) - sigma) + sigma))
            band[place] = pyramids.laplacian(remapped, level + 1)[level][place]
    return pyramids.collapsed([*bands, guides[-1]])


@pytest.mark.parametrize("free", [{"alpha": 0.4}, {"alpha": 2.5}, {"beta": 0.3}, {"alpha": 0.5, "beta": 0.2}])
def test_sampled_copies_approach_one_copy_for_each_coefficient(free: dict[str, float]) -> None:
    image = scene()
    light = stops(image[:1])[0].numpy()
    wanted = torch.from_numpy(brute_force(light, **NEUTRAL | free))
    coarse, medium, fine = (
        float((filtered(image, sampling, **free)[0].log2() - wanted).square().mean().sqrt())
        for sampling in ("coarse", "medium", "fine")
    )
    change = float((wanted - torch.from_numpy(light)).square().mean().sqrt())
    assert fine < 0.01, "root mean square error in stops"
    assert medium < 0.04
    assert fine < medium < coarse < 0.6 * change


@pytest.mark.parametrize("sampling", ["coarse", "medium", "fine"])
@pytest.mark.parametrize("free", [{"sigma": 0.25, "epsilon": 2.0}, {"sigma": 4.0, "epsilon": 0.05}])
def test_alpha_and_beta_of_one_are_exactly_the_identity(sampling: str, free: dict[str, float]) -> None:
    for size in ((2, 2), (7, 5), (8, 16)):
        for dtype in (torch.float32, torch.float64, torch.bfloat16):
            image = noise(3, *size).to(dtype)
            assert torch.equal(filtered(image, sampling, **free), image)


def test_local_laplacian_keeps_the_contract_of_programs(export: bool) -> None:
    static, free = {"sampling": "coarse", "space": SPACE}, NEUTRAL | {"alpha": 0.6, "beta": 0.5}
    check_program(
        local_laplacian, [noise(3, 4, 5, low=0.02)], static=static, free=free, sizes=[(2, 2), (3, 5)], export=export
    )


@pytest.mark.parametrize(("program", "free"), [(filtered, {"alpha": 0.5, "beta": 0.4}), (hdr_compress, COMPRESS)])
def test_ratios_of_planes_stay_and_reflections_commute(program, free) -> None:
    free = free if program is filtered else {**free, "space": SPACE}
    for size in ((8, 8), (7, 10), (2, 3)):
        image = noise(3, *size)
        out = program(image, **free)
        torch.testing.assert_close(out * image.sum(0), image * out.sum(0), rtol=1e-9, atol=1e-9)
        for turn in (lambda x: x.flip(-1), lambda x: x.flip(-2), lambda x: x.mT, lambda x: x.rot90(1, (-2, -1))):
            torch.testing.assert_close(program(turn(image), **free), turn(out), rtol=1e-9, atol=1e-12)


def test_detail_grows_below_an_alpha_of_one_and_edges_stay() -> None:
    image = scene(32)
    light = image[0].log2()

    def parts(light: Tensor) -> tuple[float, float]:
        return float(light[:, 4:12].std()), float(light[:, 20:].mean() - light[:, :12].mean())

    detail, edge = parts(light)
    boosted, _ = parts(filtered(image, alpha=0.5)[0].log2())
    smoothed, kept = parts(filtered(image, alpha=2.0)[0].log2())
    squeezed, compressed = parts(filtered(image, beta=0.3)[0].log2())
    assert boosted > 1.3 * detail
    assert smoothed < 0.7 * detail
    assert abs(kept - edge) < 0.15 * edge
    assert compressed < 0.75 * edge
    assert abs(squeezed - detail) < 0.1 * detail


def test_displacement_is_the_papers_remapping_above_the_noise() -> None:
    d = torch.tensor([-3.0, -1.3, -0.6, 0.0, 0.4, 1.3, 2.0], dtype=torch.float64)
    alpha, beta, sigma, epsilon = (torch.tensor(value, dtype=torch.float64) for value in (0.5, 0.3, 1.3, 1e-6))
    detail, edge = d.sign() * sigma * (d.abs() / sigma) ** alpha, d.sign() * (beta * (d.abs() - sigma) + sigma)
    wanted = torch.where(d.abs() <= sigma, detail, edge) - d
    torch.testing.assert_close(displacement(d, alpha, beta, sigma, epsilon), wanted, rtol=1e-6, atol=1e-6)


def test_every_setting_of_the_filter_is_finite_with_finite_gradients() -> None:
    image = noise(3, 6, 5).clamp(min=0)
    image[:, 2:4] = 0
    for alpha, beta, sigma, epsilon in itertools.product((0.1, 4.0), (0.0, 2.0), (0.25, 4.0), (0.05, 2.0)):
        point = [image, *(torch.tensor(v, dtype=torch.float64) for v in (alpha, beta, sigma, epsilon))]
        point = [value.clone().requires_grad_() for value in point]
        out = local_laplacian(
            point[0], alpha=point[1], beta=point[2], sigma=point[3], epsilon=point[4], sampling="coarse", space=SPACE
        )
        assert torch.isfinite(out).all()
        assert all(torch.isfinite(gradient).all() for gradient in torch.autograd.grad(out.sum(), point))


def test_weights_of_a_grid_interpolate_linearly_and_hold_beyond_it() -> None:
    grid = Grid(-2, 0.5, 9)
    value = torch.tensor([-7.0, -2.0, -1.3, 0.0, 1.9, 2.0, 5.0], dtype=torch.float64, requires_grad=True)
    samples = grid.samples(value.expand(1, 3, 7))[0][:, 0]
    assert samples.shape == (9, 1)
    mean = (grid.weight(value, samples) * samples.square()).sum(0)
    knots = samples[:, 0].numpy()
    torch.testing.assert_close(mean.detach(), torch.from_numpy(np.interp(value.detach().numpy(), knots, knots**2)))
    (slope,) = torch.autograd.grad(mean.sum(), value)
    torch.testing.assert_close(slope[[0, 2, 3, 4, 6]], torch.tensor([0, -2.5, 0.5, 3.5, 0], dtype=torch.float64))


def test_samples_meet_large_images_a_few_at_a_time() -> None:
    image = torch.zeros(1, 6, 7)
    parts = Grid(-2, 0.5, 9).samples(image, together=130)
    assert [len(part) for part in parts] == [3, 3, 3]
    assert torch.equal(torch.cat(parts).flatten(), torch.linspace(-2, 2, 9))
    assert len(Grid(-2, 0.5, 9).samples(image, together=1)) == 9


def dense_bilateral(light: np.ndarray, sigma: float, edge: float) -> np.ndarray:
    """The bilateral filter by its definition, on an image mirrored beyond its borders."""
    reach = int(np.ceil(3 * sigma))
    padded = np.pad(light, reach, mode="reflect")
    total, weights = np.zeros_like(light), np.zeros_like(light)
    for down, right in itertools.product(range(2 * reach + 1), repeat=2):
        neighbour = padded[down:, right:][: len(light), : light.shape[1]]
        distance = (down - reach) ** 2 + (right - reach) ** 2
        weight = np.exp(-0.5 * distance / sigma**2 - 0.5 * ((neighbour - light) / edge) ** 2)
        total, weights = total + weight * neighbour, weights + weight
    return total / weights


def test_the_base_is_nearly_the_bilateral_filter_by_its_definition() -> None:
    light = stops(scene(24)[:1])
    base = bilateral_base(light, torch.tensor(1.33, dtype=torch.float64))[0]
    wanted = torch.from_numpy(dense_bilateral(light[0].numpy(), 1.0, 1.33))
    assert (base - wanted).abs().max() < 0.05
    assert (base - light[0]).abs().max() > 0.1


def test_the_wide_blur_on_a_reduced_image_is_nearly_the_gaussian() -> None:
    impulse = torch.zeros(1, 401, 401, dtype=torch.float64)
    impulse[0, 200, 200] = 1
    found = wide_blur(impulse)
    offset = torch.arange(401, dtype=torch.float64) - 200
    deviation = float((found[0].sum(0) * offset.square()).sum().sqrt())
    assert float(found.sum()) == pytest.approx(1, abs=1e-9)
    assert deviation == pytest.approx(0.02 * 401, rel=0.1)


def test_hdr_compress_keeps_the_contract_of_programs(export: bool) -> None:
    check_program(hdr_compress, [noise(3, 4, 5, low=0.02)], static={"space": SPACE}, free=COMPRESS, export=export)


def test_hdr_compress_scales_the_base_about_the_pivot_and_keeps_detail() -> None:
    image = scene(32)
    out = hdr_compress(image, **COMPRESS, space=SPACE)[0].log2()
    light = image[0].log2()
    step, wanted = (float(x[:, 22:].mean() - x[:, :12].mean()) for x in (out, light))
    assert step == pytest.approx(0.5 * wanted, rel=0.05)
    assert float(out[:, 4:12].std()) > 0.65 * float(light[:, 4:12].std())
    for tone in (0.18, 4.0):
        flat = torch.full((3, 4, 5), tone, dtype=torch.float64)
        wanted_tone = 0.18 * (tone / 0.18) ** 0.5
        torch.testing.assert_close(
            hdr_compress(flat, **COMPRESS, space=SPACE), torch.full_like(flat, wanted_tone), rtol=1e-6, atol=0
        )


def test_a_compression_of_one_is_exactly_the_identity() -> None:
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        image = noise(3, 7, 6).to(dtype)
        assert torch.equal(hdr_compress(image, **COMPRESS | {"compression": 1.0}, space=SPACE), image)


def test_every_setting_of_the_compression_is_finite_with_finite_gradients() -> None:
    image = noise(3, 6, 5).clamp(min=0)
    image[:, 2:4] = 0
    for compression, edge, pivot in itertools.product((0.1, 1.0), (0.5, 8.0), (0.001, 16.0)):
        point = [image, *(torch.tensor(v, dtype=torch.float64) for v in (compression, edge, pivot))]
        point = [value.clone().requires_grad_() for value in point]
        out = hdr_compress(point[0], compression=point[1], edge=point[2], pivot=point[3], space=SPACE)
        assert torch.isfinite(out).all()
        assert all(torch.isfinite(gradient).all() for gradient in torch.autograd.grad(out.sum(), point))
