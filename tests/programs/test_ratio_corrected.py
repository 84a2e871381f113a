"""Ratio-corrected demosaicing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ispdsl.programs import demosaic
from ispdsl.programs.mosaics import extend
from ispdsl.programs.ratio_corrected import REACH, colour_plane, directional_green, ratio_corrected
from tests.programs import mosaics
from tests.programs.checks import check_program


@pytest.mark.parametrize("cfa", ["rggb", "gbrg", "linear"])
def test_generic(cfa: str, export: bool) -> None:
    image = mosaics.noise(15, 16, planes=3 if cfa == "linear" else 1)
    check_program(ratio_corrected, [image], static={"cfa": cfa}, radius=REACH, export=export)


def test_what_every_method_owes() -> None:
    mosaics.check_lossless(ratio_corrected)
    mosaics.check_linear_frame(ratio_corrected)
    mosaics.check_flat(ratio_corrected)
    mosaics.check_shift(ratio_corrected, REACH)
    mosaics.check_turns(ratio_corrected)
    mosaics.check_exposure(ratio_corrected)


def test_green_along_a_row_follows_the_ratio_of_the_low_pass() -> None:
    row = mosaics.noise(1, 20)[0, 0].numpy() + 0.1
    low = np.convolve(row, [1 / 8, 3 / 4, 1 / 8], mode="same")
    floor = 0.01
    plane = torch.from_numpy(np.repeat(row[None], 4, 0))[None]
    found = directional_green(plane, 0, 1, torch.full_like(plane, floor))[0, 2].numpy()

    def estimate(x: int, step: int) -> tuple[float, float]:
        beside = row[x + step]
        gradient = abs(beside - row[x - step]) + abs(beside - row[x + 3 * step]) + abs(row[x] - row[x + 2 * step])
        return beside * 2 * low[x] / (low[x] + low[x + 2 * step]), 1 / (gradient + floor)

    for x in range(4, 16):
        (left, one), (right, two) = estimate(x, -1), estimate(x, 1)
        assert found[x] == pytest.approx((left * one + right * two) / (one + two), abs=1e-12)


def test_an_edge_is_interpolated_along_itself() -> None:
    """Across a vertical edge of grey every method that goes along rows would blur or overshoot."""
    edge = torch.where(torch.arange(16) < 8, 0.1, 0.9).double().expand(3, 16, 16)
    for picture in (edge, edge.transpose(-1, -2)):
        found = ratio_corrected(mosaics.sampled(picture), cfa="rggb")
        torch.testing.assert_close(found, picture, rtol=0, atol=2e-3)


@pytest.mark.parametrize("flipped", [False, True])
def test_red_and_blue_go_along_the_smoother_diagonal(flipped: bool) -> None:
    """Colour that is constant along one diagonal, on grey of the same kind: the other diagonal would blur it."""
    steps = mosaics.noise(1, 40, seed=4)[0, 0]
    index = torch.arange(20)[:, None] - torch.arange(20) + 19
    plane = steps[index].flip(-1) if flipped else steps[index]
    picture = torch.stack([plane, torch.full_like(plane, 0.5), 1 - plane])
    sites = extend(mosaics.sampled(picture), "rggb", REACH)
    green = torch.full_like(sites.mosaic, 0.5)
    found = colour_plane(sites, green, green, 1e-6 * green, sites.red)
    wanted = sites.crop(found)[0, 7:13:2, 7:13:2]  # the blue sites
    torch.testing.assert_close(wanted, plane[7:13:2, 7:13:2], rtol=0, atol=1e-3)


def test_stays_between_nothing_and_twice_the_neighbours_on_any_mosaic() -> None:
    image = mosaics.noise(24, 24).pow(4)
    green = ratio_corrected(image, cfa="rggb")[1]
    assert float(green.min()) >= 0
    assert float(green.max()) <= 2


def test_finite_with_finite_gradients_on_zeros_and_impulses() -> None:
    for value in (0.0, 1.0, -0.1, 4.0):
        image = torch.zeros(1, 14, 15)
        image[0, 6, 7] = value
        image.requires_grad_()
        found = ratio_corrected(image, cfa="rggb")
        found.square().sum().backward()
        assert torch.isfinite(found).all()
        assert image.grad is not None
        assert torch.isfinite(image.grad).all()


def test_beats_malvar_on_a_photograph() -> None:
    picture = mosaics.photograph()
    mosaic = mosaics.sampled(picture, "grbg")
    found = mosaics.psnr(ratio_corrected(mosaic, cfa="grbg"), picture)
    assert found > mosaics.psnr(demosaic.malvar(mosaic, cfa="grbg"), picture) + 1


@pytest.mark.realdata
@pytest.mark.parametrize("number", [3, 5, 8, 19])
def test_beats_malvar_on_kodak(data: Path, number: int) -> None:
    picture = mosaics.kodak(data, number)
    mosaic = mosaics.sampled(picture)
    found = mosaics.psnr(ratio_corrected(mosaic, cfa="rggb"), picture)
    assert found > mosaics.psnr(demosaic.malvar(mosaic, cfa="rggb"), picture) + 1
