"""Pyramids: inverse, symmetric, exact at every size, and what a dense matrix gives."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ispdsl.programs.pyramid import (
    a_trous,
    collapse,
    depth,
    expand,
    gaussian_pyramid,
    laplacian_pyramid,
    reduce,
)
from tests.programs import pyramids
from tests.programs.checks import check_program

SIZES = [(2, 2), (2, 7), (3, 5), (8, 9), (13, 6), (1, 4), (32, 17)]


def noise(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64) * 4 - 0.1


@pytest.mark.parametrize("size", SIZES)
def test_collapsing_undoes_building(size: tuple[int, int]) -> None:
    image = noise(2, 3, *size)
    for count in range(depth(*size) + 1):
        torch.testing.assert_close(collapse(laplacian_pyramid(image, count)), image, rtol=1e-14, atol=1e-14)
    torch.testing.assert_close(sum(a_trous(image, 4)), image, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("size", SIZES)
def test_levels_agree_with_dense_matrices(size: tuple[int, int]) -> None:
    image = noise(*size)
    count = depth(max(size), max(size))
    for ours, oracle in [
        (gaussian_pyramid(image, count), pyramids.gaussian(image.numpy(), count)),
        (laplacian_pyramid(image, count), pyramids.laplacian(image.numpy(), count)),
    ]:
        for found, wanted in zip(ours, oracle, strict=True):
            torch.testing.assert_close(found, torch.from_numpy(wanted), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", SIZES)
def test_every_level_commutes_with_reflections_and_transposition(size: tuple[int, int]) -> None:
    image = noise(*size)
    for turn in (lambda x: x.flip(-1), lambda x: x.flip(-2), lambda x: x.mT, lambda x: x.rot90()):
        for build in (laplacian_pyramid, a_trous):
            for turned, level in zip(build(turn(image), 3), build(image, 3), strict=True):
                torch.testing.assert_close(turned, turn(level), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", SIZES)
def test_flat_images_have_no_bands(size: tuple[int, int]) -> None:
    flat = torch.full(size, 0.7, dtype=torch.float64)
    for bands in (laplacian_pyramid(flat, 3), a_trous(flat, 3)):
        assert all(band.abs().max() < 1e-15 for band in bands[:-1])
        torch.testing.assert_close(bands[-1], torch.full_like(bands[-1], 0.7))


def test_depth_halves_the_shorter_side_to_one() -> None:
    assert [depth(side, 100) for side in (1, 2, 3, 4, 5, 8, 9, 16, 17)] == [0, 1, 2, 2, 3, 3, 4, 4, 5]
    assert depth(4000, 3000, most=6) == 6
    assert gaussian_pyramid(noise(9, 30), depth(9, 30))[-1].shape == (1, 2)


def test_ramps_survive_reduction_and_expansion_inside() -> None:
    for size in (16, 17):
        ramp = torch.arange(size, dtype=torch.float64).expand(size, size)
        torch.testing.assert_close(expand(reduce(ramp), size, size)[:, 4:-4], ramp[:, 4:-4])


def test_bands_of_the_a_trous_transform_have_mean_zero_and_their_reach() -> None:
    image = noise(11, 6)
    bands = a_trous(image, 5)
    assert all(abs(band.mean()) < 1e-14 for band in bands[:-1])
    impulse = torch.zeros(41, 41, dtype=torch.float64)
    impulse[20, 20] = 1
    for count, reach in ((1, 2), (2, 6), (3, 14)):
        assert (a_trous(impulse, count)[-1].nonzero() - 20).abs().max() == reach


def test_an_impulse_under_the_b_spline() -> None:
    impulse = torch.zeros(5, 5, dtype=torch.float64)
    impulse[2, 2] = 1
    kernel = torch.tensor([1, 4, 6, 4, 1], dtype=torch.float64) / 16
    torch.testing.assert_close(a_trous(impulse, 1)[-1], torch.outer(kernel, kernel))


@pytest.mark.parametrize("build", [laplacian_pyramid, a_trous, gaussian_pyramid])
def test_pyramids_keep_the_contract_of_programs(build) -> None:
    check_program(lambda image: tuple(build(image, 2)), [noise(3, 8, 9)])
