"""The noise of a sensor: its stabilising transform, unbiased inverse, estimate, and reduction on the mosaic."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ispdsl.programs.noise_model import anscombe, anscombe_inverse
from ispdsl.programs.raw_denoise import raw_denoise
from ispdsl.programs.raw_statistics import noise_estimate
from tests.programs.checks import Program, bind, check_footprint, check_program
from tests.programs.test_raw import PHASES, mosaic, vector

SENSOR = vector(0.0897 / 963, 0.2547 / 963**2)
"""A 10-bit sensor, black 60, white 1023, whose variance in codes was fitted as 0.0897 (x - 60) + 0.2547."""

GRAINY = vector(0.0008, 0.00001)
FEW_ELECTRONS = vector(0.05, 0.0004)
PROFILES = (SENSOR, GRAINY, FEW_ELECTRONS, vector(0.0, 0.0004), vector(0.001, 0.0), vector(0.0, 0.0), vector(-1, -1))


def noisy(mean: float | np.ndarray, profile: Tensor, shape: tuple[int, ...] = (200_000,), seed: int = 0) -> Tensor:
    """Samples with Poisson noise of electrons that are s of white each, and Gaussian noise of variance o."""
    slope, offset = (float(value) for value in profile)
    generator = np.random.default_rng(seed)
    electrons = generator.poisson(np.broadcast_to(mean, shape) / slope)
    return torch.from_numpy(slope * electrons + np.sqrt(offset) * generator.standard_normal(shape))


@pytest.mark.parametrize("program", [anscombe, anscombe_inverse])
def test_transforms_generic(program: Program) -> None:
    image = mosaic("rggb") - 0.1
    check_program(program, [image], free={"noise_profile": vector(0.05, 0.01)}, radius=0)


def test_unbiased_inverse_generic() -> None:
    image = 10 * mosaic("rggb") - 0.1
    check_program(
        anscombe_inverse, [image], static={"form": "unbiased"}, free={"noise_profile": vector(0.05, 0.01)}, radius=0
    )


def test_raw_denoise_generic(export: bool) -> None:
    free = {"noise_profile": vector(0.05, 0.01), "noise": 1.3, "strength": 0.7}
    check_program(
        raw_denoise, [mosaic("gbrg", 4, 5)], static={"cfa": "gbrg"}, free=free, sizes=((2, 2),), export=export
    )


@pytest.mark.parametrize(("cfa", "radius"), [("gbrg", 8), ("linear", 4)])
def test_raw_denoise_is_local(cfa: str, radius: int) -> None:
    call = bind(raw_denoise, {"cfa": cfa, "noise_profile": GRAINY, "noise": 4.0, "strength": 1.0})
    check_footprint(call, [mosaic(cfa, 23, 24)], {}, radius)


def test_anscombe_is_the_formula_of_the_paper_less_its_value_at_black() -> None:
    slope, offset = (float(value) for value in GRAINY)
    x = torch.linspace(0, 4, 100, dtype=torch.float64).reshape(1, 10, 10)
    paper = 2 / slope * (slope * x + 3 / 8 * slope**2 + offset).sqrt()
    black = 2 / slope * (3 / 8 * slope**2 + offset) ** 0.5
    assert torch.allclose(anscombe(x, noise_profile=GRAINY), paper - black, atol=1e-9)


@pytest.mark.parametrize("profile", [SENSOR, GRAINY])
@pytest.mark.parametrize("mean", [0.0, 0.002, 0.02, 0.2, 0.9])
def test_anscombe_makes_noise_of_variance_one(profile: Tensor, mean: float) -> None:
    stable = anscombe(noisy(mean, profile).reshape(1, 400, 500), noise_profile=profile)
    assert float(stable.var()) == pytest.approx(1, abs=0.06 if mean else 0.2)


@pytest.mark.parametrize("mean", [0.25, 1.0, 3.0])
def test_the_unbiased_inverse_brings_means_back_where_electrons_are_few(mean: float) -> None:
    """5, 20 and 60 electrons; the algebraic inverse of the mean is a quarter of an electron low."""
    stable = anscombe(noisy(mean, FEW_ELECTRONS, (2_000_000,)).reshape(1, 1000, 2000), noise_profile=FEW_ELECTRONS)
    middle = stable.mean(dim=(-2, -1), keepdim=True)
    electron = float(FEW_ELECTRONS[0])
    plain, right = (
        float(anscombe_inverse(middle, noise_profile=FEW_ELECTRONS, form=form)) for form in ("algebraic", "unbiased")
    )
    assert plain - mean < -0.18 * electron
    assert abs(right - mean) < 0.03 * electron


@pytest.mark.parametrize("profile", PROFILES)
def test_the_algebraic_inverse_is_exact_everywhere(profile: Tensor) -> None:
    x = torch.linspace(-0.3, 4, 200, dtype=torch.float64).reshape(1, 10, 20)
    stable = anscombe(x, noise_profile=profile)
    assert stable.isfinite().all()
    assert (stable.diff() > 0).all()
    assert torch.allclose(anscombe_inverse(stable, noise_profile=profile), x, rtol=1e-9, atol=1e-9)
    v = torch.linspace(-5, 20, 200, dtype=torch.float64).reshape(1, 10, 20)
    back = anscombe(anscombe_inverse(v, noise_profile=profile), noise_profile=profile)
    assert torch.allclose(back, v, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("profile", PROFILES)
def test_the_unbiased_inverse_rises_and_never_falls_below_the_algebraic(profile: Tensor) -> None:
    v = torch.linspace(-30, 60, 2000, dtype=torch.float64).reshape(1, 1, 2000)
    unbiased = anscombe_inverse(v, noise_profile=profile, form="unbiased")
    assert unbiased.isfinite().all()
    assert (unbiased.diff() >= 0).all()
    assert (unbiased - anscombe_inverse(v, noise_profile=profile) >= -1e-9).all()


def test_read_noise_alone_is_scaled_by_its_deviation() -> None:
    x = mosaic("rggb") - 0.3
    assert torch.allclose(anscombe(x, noise_profile=vector(0, 0.0004)), x / 0.02, rtol=1e-5)


@pytest.mark.parametrize("profile", PROFILES)
def test_gradients_stay_finite(profile: Tensor) -> None:
    x = torch.tensor([[[-1.0, -0.1, 0.0], [1e-6, 0.5, 4.0]]], dtype=torch.float64, requires_grad=True)
    profile = profile.clone().requires_grad_()
    for program in (anscombe, anscombe_inverse):
        gradients = torch.autograd.grad(program(x, noise_profile=profile).sum(), (x, profile))
        assert all(gradient.isfinite().all() for gradient in gradients)
        assert (gradients[0] > 0).all()


@pytest.mark.parametrize("cfa", PHASES)
def test_raw_denoise_is_the_identity_at_no_strength(cfa: str) -> None:
    image = 4 * mosaic(cfa) - 0.1
    assert torch.equal(raw_denoise(image, noise_profile=GRAINY, noise=1.0, strength=0.0, cfa=cfa), image)


def scene(cfa: str, size: int = 64) -> np.ndarray:
    """A step in each colour of its own height, the noise-free mosaic."""
    planes = np.empty((3, size, size))
    for plane, (dark, bright) in zip(planes, ((0.1, 0.5), (0.3, 0.7), (0.05, 0.2)), strict=True):
        plane[:, : size // 2], plane[:, size // 2 :] = dark, bright
    if cfa == "linear":
        return planes
    sites = ["rgb".index(letter) for letter in cfa]
    return np.stack([planes[sites[2 * (y % 2) + x % 2], y, :] for y in range(size) for x in range(2)]).reshape(
        size, 2, size
    )[:, np.arange(size) % 2, np.arange(size)][None]


@pytest.mark.parametrize("cfa", PHASES)
@pytest.mark.parametrize("profile", [SENSOR, GRAINY])
def test_raw_denoise_cleans_both_sides_of_an_edge_and_keeps_it(cfa: str, profile: Tensor) -> None:
    clean = torch.from_numpy(scene(cfa))
    image = noisy(clean.numpy(), profile, clean.shape)
    result = raw_denoise(image, noise_profile=profile, noise=1.0, strength=1.0, cfa=cfa)
    before, after = (image - clean).square().mean(), (result - clean).square().mean()
    assert after < 0.15 * before
    near = slice(26, 38)
    assert (result - clean)[..., near].square().mean() < 0.3 * before


def test_raw_denoise_keeps_means_where_electrons_are_few() -> None:
    image = noisy(0.5, FEW_ELECTRONS, (1, 96, 96))
    result = raw_denoise(image, noise_profile=FEW_ELECTRONS, noise=1.0, strength=1.0, cfa="rggb")
    assert float(result.mean()) == pytest.approx(float(image.mean()), abs=0.006)
    assert float(result.var()) < 0.2 * float(image.var())


@pytest.mark.parametrize("cfa", PHASES)
def test_noise_estimate_generic(cfa: str, export: bool) -> None:
    check_program(noise_estimate, [mosaic(cfa)], static={"cfa": cfa}, gradients=False, export=export)


@pytest.mark.parametrize("cfa", PHASES)
def test_noise_estimate_finds_the_noise_of_each_colour_under_slopes(cfa: str) -> None:
    generator = np.random.default_rng(4)
    size = 128
    y, x = np.mgrid[:size, :size] / size
    sigmas = np.array([0.01, 0.02, 0.04])
    noise = generator.standard_normal((3, size, size)) * sigmas[:, None, None] + (0.4 * x + 0.2 * y)
    if cfa == "linear":
        image = noise
    else:
        sites = np.array(["rgb".index(letter) for letter in cfa]).reshape(2, 2)
        image = np.take_along_axis(noise, np.tile(sites, (size // 2, size // 2))[None], 0)
    found = noise_estimate(torch.from_numpy(image), cfa=cfa)
    assert found.tolist() == pytest.approx(list(sigmas), rel=0.05)


@pytest.mark.realdata
def test_anscombe_stabilises_a_real_sensor(data: Path) -> None:
    """Variance over 30 frames of a static scene, in 8 classes of brightness."""
    frames = next(iter(np.load(data / "raw" / "burst_imx296" / "burst_A_30frames_crop.npz").values()))
    stack = torch.from_numpy((frames[:, ::4, ::4].astype(np.float64) - 60) / 963)[:, None]
    level = stack.mean(0)
    variance = anscombe(stack, noise_profile=SENSOR).var(0)
    edges = torch.quantile(level, torch.linspace(0, 1, 9, dtype=torch.float64))
    means = [float(variance[(level >= low) & (level <= high)].mean()) for low, high in pairwise(edges)]
    assert max(means) < 1.3
    assert min(means) > 0.75


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays(dtype: torch.dtype) -> None:
    image = mosaic("rggb").to(dtype)
    stable = anscombe(image, noise_profile=GRAINY)
    results = (
        stable,
        anscombe_inverse(stable, noise_profile=GRAINY, form="unbiased"),
        raw_denoise(image, noise_profile=GRAINY, noise=1.0, strength=0.5, cfa="rggb"),
        noise_estimate(image, cfa="rggb"),
    )
    for result in results:
        assert result.dtype == dtype
        assert result.isfinite().all()
