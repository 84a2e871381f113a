"""Suppression of false colour, and the median under it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import median_filter

from ispdsl.programs import demosaic
from ispdsl.programs.false_colour import PASSES, false_colour
from ispdsl.programs.median import median3x3
from tests.programs import mosaics
from tests.programs.checks import check_program


def picture() -> torch.Tensor:
    return mosaics.noise(8, 9, planes=3) * 3 - 0.5


@pytest.mark.parametrize(("passes", "strength"), [("one", 0.7), ("three", 1.0), ("two", 0.0)])
def test_generic(passes: str, strength: float) -> None:
    check_program(
        false_colour, [picture()], static={"passes": passes}, free={"strength": strength}, radius=PASSES[passes]
    )


def test_the_median_is_that_of_scipy() -> None:
    for height, width in ((8, 9), (2, 2), (1, 5)):
        image = mosaics.noise(height, width)
        wanted = median_filter(image[0].numpy(), 3, mode="mirror")
        np.testing.assert_array_equal(median3x3(image)[0].numpy(), wanted)


@pytest.mark.parametrize("passes", PASSES)
def test_red_and_blue_are_green_plus_the_median_of_their_difference(passes: str) -> None:
    image = picture()
    found = false_colour(image, strength=0.25, passes=passes)
    assert torch.equal(found[1], image[1])
    for plane in (0, 2):
        difference = (image[plane] - image[1]).numpy()
        for _ in range(PASSES[passes]):
            difference = median_filter(difference, 3, mode="mirror")
        wanted = 0.75 * image[plane].numpy() + 0.25 * (image[1].numpy() + difference)
        np.testing.assert_allclose(found[plane].numpy(), wanted, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_no_strength_is_the_identity(dtype: torch.dtype) -> None:
    image = picture().to(dtype)
    found = false_colour(image, strength=0.0, passes="two")
    assert found.dtype == dtype
    assert torch.equal(found, image)


def test_a_single_site_of_wrong_colour_goes_and_an_edge_of_colour_stays() -> None:
    image = torch.full((3, 10, 12), 0.4, dtype=torch.float64)
    image[0, :, 6:] = 0.9
    spoilt = image.clone()
    spoilt[0, 4, 2] = 0.8
    spoilt[2, 7, 9] = 0.0
    assert torch.allclose(false_colour(spoilt, strength=1.0, passes="one"), image, atol=1e-12)


def test_keeps_grey_and_improves_a_demosaic() -> None:
    grey = mosaics.noise(8, 9).expand(3, 8, 9)
    torch.testing.assert_close(false_colour(grey, strength=1.0, passes="three"), grey, rtol=0, atol=1e-15)
    photo = mosaics.photograph("astronaut")
    rough = demosaic.malvar(mosaics.sampled(photo), cfa="rggb")
    assert mosaics.psnr(false_colour(rough, strength=1.0, passes="one"), photo) > mosaics.psnr(rough, photo)
