from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import skimage.filters
import torch
from torch import Tensor

from ispdsl.programs.detail import blur, sharpen
from ispdsl.programs.ops import luma
from ispdsl.programs.sharpening import WIDEST, high_pass, laplacian_sharpen, unsharp_mask
from tests.programs.checks import check_program
from tests.programs.test_detail import limit_of

SPACE = "linear_srgb"
MASKS = {
    "four": np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]]) / 4,
    "eight": np.array([[1, 1, 1], [1, -8, 1], [1, 1, 1]]) / 8,
}


def noise(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64) * 0.8 + 0.1


def test_unsharp_mask_survives_what_every_program_must(export: bool) -> None:
    free = {"radius": 0.9, "amount": 1.2, "threshold": 0.013}
    check_program(unsharp_mask, [noise(3, 4, 5)], static={"space": SPACE}, free=free, radius=2, export=export)


def test_unsharp_mask_adds_to_each_plane_what_sharpening_luma_adds() -> None:
    image = noise(3, 16, 17)
    light = luma(image, SPACE)
    wanted = sharpen(light, amount=1.5, radius=2.0, threshold=0.02) - light
    found = unsharp_mask(image, amount=1.5, radius=2.0, threshold=0.02, space=SPACE) - image
    torch.testing.assert_close(found, wanted.expand(3, -1, -1))


def test_unsharp_mask_is_nearly_that_of_a_gaussian() -> None:
    """The reference is scikit-image, whose Gaussian is cut off at four standard deviations."""
    grey = blur(noise(1, 40, 40), 1.0, 1.0)
    wanted = skimage.filters.unsharp_mask(grey[0].numpy(), radius=2.0, amount=1.0, preserve_range=True)
    found = unsharp_mask(grey.expand(3, -1, -1), radius=2.0, amount=1.0, threshold=0.0, space="camera")[0].numpy()
    change = np.abs(wanted - grey[0].numpy()).max()
    assert np.abs(found - wanted)[8:-8, 8:-8].max() < 0.05 * change


def test_high_pass_survives_what_every_program_must(export: bool) -> None:
    check_program(high_pass, [noise(3, 4, 5)], free={"strength": 0.7, "radius": 0.9}, radius=2, export=export)


def test_high_pass_takes_the_blur_away() -> None:
    image = noise(3, 20, 21)
    torch.testing.assert_close(high_pass(image, strength=0.4, radius=2.5), image - 0.4 * blur(image, 2.5, 2.5))
    flat = torch.full((3, 9, 9), 0.6, dtype=torch.float64)
    assert high_pass(flat, strength=1.0, radius=3.0).abs().max() < 1e-12
    assert torch.equal(high_pass(image, strength=0.0, radius=3.0), image)


@pytest.mark.parametrize("neighbours", MASKS)
def test_laplacian_sharpen_survives_what_every_program_must(neighbours: str) -> None:
    check_program(
        laplacian_sharpen, [noise(3, 8, 9)], static={"neighbours": neighbours}, free={"amount": 1.3}, radius=1
    )


@pytest.mark.parametrize("neighbours", MASKS)
def test_laplacian_sharpen_subtracts_the_laplacian(neighbours: str) -> None:
    """The reference is SciPy's correlation with the mask of the book, over the number of neighbours."""
    image = noise(3, 11, 12)
    laplacian = np.stack([scipy.ndimage.correlate(plane, MASKS[neighbours], mode="mirror") for plane in image.numpy()])
    found = laplacian_sharpen(image, amount=1.7, neighbours=neighbours)
    np.testing.assert_allclose(found.numpy(), image.numpy() - 1.7 * laplacian, atol=1e-12)


def test_windows_of_free_radii_fit_the_declared_limits() -> None:
    assert limit_of("unsharp_mask", "radius") == limit_of("high_pass", "radius") == WIDEST


def test_windows_of_free_radii_give_what_fixed_radii_give() -> None:
    image = noise(3, 30, 30)
    for radius in (0.3, 2.2, 5.0):
        fixed = unsharp_mask(image, radius=radius, amount=5.0, threshold=0.0, space=SPACE)
        free = unsharp_mask(image, radius=torch.tensor(radius).double(), amount=5.0, threshold=0.0, space=SPACE)
        torch.testing.assert_close(fixed, free)


def test_bfloat16_comes_back_as_itself_and_near() -> None:
    image = noise(3, 12, 12)
    for call in (
        lambda x: unsharp_mask(x, radius=2.0, amount=1.0, threshold=0.01, space=SPACE),
        lambda x: high_pass(x, strength=1.0, radius=2.0),
        lambda x: laplacian_sharpen(x, amount=1.0, neighbours="eight"),
    ):
        low = call(image.bfloat16())
        assert low.dtype == torch.bfloat16
        torch.testing.assert_close(low.double(), call(image.bfloat16().double()), rtol=2**-7, atol=2**-7)
