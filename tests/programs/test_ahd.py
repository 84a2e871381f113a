"""Adaptive homogeneity-directed demosaicing against an implementation in numpy and SciPy, and its properties."""

from __future__ import annotations

from pathlib import Path

import colour
import numpy as np
import pytest
import torch
from scipy.ndimage import convolve, median_filter

from ispdsl.programs import demosaic
from ispdsl.programs.ahd import PASSES, REACH, SAME, XYZ_OF_WHITE, ahd
from ispdsl.programs.cfa import COLOURS
from tests.programs import mosaics
from tests.programs.checks import check_program

Floats = np.ndarray


@pytest.mark.parametrize(("cfa", "removal"), [("rggb", "none"), ("gbrg", "one"), ("linear", "two")])
def test_generic(cfa: str, removal: str, export: bool) -> None:
    """The decision at its own reach: two sites less for each pass of medians that is left out."""
    image = mosaics.noise(15, 16, planes=3 if cfa == "linear" else 1)
    radius = REACH - 2 * (3 - PASSES[removal])
    check_program(ahd, [image], static={"cfa": cfa, "artefact_removal": removal}, radius=radius, export=export)


def test_what_every_method_owes() -> None:
    mosaics.check_lossless(ahd)
    mosaics.check_linear_frame(ahd)
    mosaics.check_flat(ahd)
    mosaics.check_shift(ahd, REACH)
    mosaics.check_turns(ahd)
    mosaics.check_exposure(ahd)


def oracle(mosaic: Floats, cfa: str, passes: int) -> Floats:
    """The paper's steps on masked planes; right away from the border."""
    masks = [np.zeros(mosaic.shape, bool) for _ in range(3)]
    for site, plane in enumerate(COLOURS[cfa]):
        row, column = divmod(site, 2)
        masks[plane][row::2, column::2] = True
    line = np.array([[-0.25, 0.5, 0.5, 0.5, -0.25]])
    full = []
    for kernel in (line, line.T):
        green = np.where(masks[1], mosaic, convolve(mosaic, kernel))
        bilinear = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 4
        red, blue = (green + convolve(np.where(masks[c], mosaic - green, 0), bilinear) for c in (0, 2))
        full.append(np.stack([red, green, blue]))
    counts = homogeneity(*(lab(image) for image in full))
    rows, columns = (convolve(count, np.ones((3, 3), int)) for count in counts)
    image = np.where(rows > columns, full[0], np.where(rows < columns, full[1], (full[0] + full[1]) / 2))
    red, green, blue = np.where(np.stack(masks), mosaic, image)
    for _ in range(passes):
        red = np.where(masks[0], mosaic, green + median_filter(red - green, 3))
        blue = np.where(masks[2], mosaic, green + median_filter(blue - green, 3))
        correction = (median_filter(green - red, 3) + red + median_filter(green - blue, 3) + blue) / 2
        green = np.where(masks[1], mosaic, correction)
    return np.stack([red, green, blue])


def lab(image: Floats) -> Floats:
    """CIELAB of linear sRGB by its definition, with the cube root everywhere."""
    x, y, z = np.cbrt(np.einsum("ij,jhw->ihw", np.array(XYZ_OF_WHITE), image))
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def homogeneity(across: Floats, down: Floats) -> list[Floats]:
    """Neighbours within both adaptive tolerances, for each candidate."""
    steps = [(0, 1), (0, -1), (1, 0), (-1, 0)]
    light = [[np.abs(np.roll(i[0], s, (0, 1)) - i[0]) for s in steps] for i in (across, down)]
    chroma = [[np.hypot(*(np.roll(i[1:], s, (1, 2)) - i[1:])) for s in steps] for i in (across, down)]
    tolerances = [
        np.minimum(np.maximum(*part[0][:2]), np.maximum(*part[1][2:])) * (1 + SAME) for part in (light, chroma)
    ]
    alike = [
        [(one <= tolerances[0]) & (two <= tolerances[1]) for one, two in zip(light[k], chroma[k], strict=True)]
        for k in range(2)
    ]
    return [np.sum(candidate, axis=0) for candidate in alike]


@pytest.mark.parametrize("removal", PASSES)
@pytest.mark.parametrize("cfa", mosaics.BAYER)
def test_agrees_with_the_paper_step_by_step(cfa: str, removal: str) -> None:
    mosaic = mosaics.sampled(mosaics.photograph(size=90), cfa)
    found = ahd(mosaic, artefact_removal=removal, cfa=cfa).numpy()
    wanted = oracle(mosaic[0].numpy(), cfa, PASSES[removal])
    inside = (slice(None), slice(12, -12), slice(12, -12))
    other = np.abs(found - wanted)[inside] > 1e-9
    assert other.mean() < 1e-3  # where nothing but the tolerance for rounding decides


def test_the_matrix_of_the_decision_is_that_of_srgb() -> None:
    matrix = colour.RGB_COLOURSPACES["sRGB"].matrix_RGB_to_XYZ
    np.testing.assert_allclose(XYZ_OF_WHITE, matrix / matrix.sum(1, keepdims=True), rtol=0, atol=5.1e-5)
    assert [sum(row) for row in XYZ_OF_WHITE] == pytest.approx([1, 1, 1], abs=1e-12)


def test_a_ramp_of_light_comes_out_as_it_went_in() -> None:
    """Second differences vanish, so that every candidate is exact away from the border."""
    rows, columns = torch.arange(40.0)[:, None].double(), torch.arange(42.0).double()
    picture = torch.stack([0.1 + 0.004 * rows + 0.003 * columns + offset for offset in (0.0, 0.1, 0.2)])
    found = ahd(mosaics.sampled(picture, "bggr"), cfa="bggr")
    torch.testing.assert_close(found[:, 12:-12, 12:-12], picture[:, 12:-12, 12:-12], rtol=0, atol=1e-12)


def test_interpolates_along_an_edge_and_not_across() -> None:
    edge = torch.where(torch.arange(24) < 12, 0.1, 0.9).double().expand(3, 24, 24)
    for picture in (edge, edge.transpose(-1, -2)):
        found = ahd(mosaics.sampled(picture), artefact_removal="none", cfa="rggb")
        torch.testing.assert_close(found, picture, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["cat", "coffee"])
def test_beats_bilinear_on_photographs(name: str) -> None:
    picture = mosaics.photograph(name)
    mosaic = mosaics.sampled(picture, "gbrg")
    plain = mosaics.psnr(demosaic.bilinear(mosaic, cfa="gbrg"), picture)
    scores = [mosaics.psnr(ahd(mosaic, artefact_removal=removal, cfa="gbrg"), picture) for removal in PASSES]
    assert scores[0] > plain + 3
    assert scores[2] > scores[0]


@pytest.mark.realdata
@pytest.mark.parametrize("number", [1, 3, 5, 8, 19])
def test_beats_bilinear_and_malvar_on_kodak(data: Path, number: int) -> None:
    picture = mosaics.kodak(data, number)
    mosaic = mosaics.sampled(picture)
    plain, malvar = (
        mosaics.psnr(method(mosaic, cfa="rggb"), picture) for method in (demosaic.bilinear, demosaic.malvar)
    )
    found = mosaics.psnr(ahd(mosaic, cfa="rggb"), picture)
    assert found > plain + 3
    assert found > malvar + 1


def test_rounding_decides_nothing() -> None:
    """Around a single bright sample many differences are equal but for their last bits."""
    mosaic = torch.full((1, 8, 9), 0.15061642402352393, dtype=torch.float64)
    mosaic[0, 0, 6] = 0.6348606582851885
    found = ahd(mosaic, artefact_removal="none", cfa="rggb")
    dimmed = ahd(0.37 * mosaic, artefact_removal="none", cfa="rggb")
    mirrored = ahd(mosaic.flip(-1), artefact_removal="none", cfa="rggb")  # of nine columns: the same phase
    torch.testing.assert_close(dimmed, 0.37 * found, rtol=0, atol=1e-12)
    torch.testing.assert_close(mirrored, found.flip(-1), rtol=0, atol=1e-12)
