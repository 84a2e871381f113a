from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from ispdsl.programs.resample import BORDERS, KERNELS, SCALES, crop_border, resize
from tests.programs.checks import check_program

PILLOW = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "area": Image.Resampling.BOX,
}
EVERY = [*KERNELS, "area"]


def noise(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64) * 0.8 + 0.1


@pytest.mark.parametrize(("scale", "kernel"), [("third", "lanczos"), ("three_halves", "bicubic"), ("half", "area")])
def test_resize_survives_what_every_program_must(scale: str, kernel: str, export: bool) -> None:
    check_program(resize, [noise(3, 8, 9)], static={"scale": scale, "kernel": kernel}, export=export)


@pytest.mark.parametrize("kernel", EVERY)
@pytest.mark.parametrize("scale", ["quarter", "half", "double"])
def test_resize_is_that_of_pillow_away_from_the_border(scale: str, kernel: str) -> None:
    """Pillow has the same kernels and the same widening; at the border it leaves samples out where this one mirrors."""
    image = noise(3, 48, 60)
    rows, columns = (int(SCALES[scale] * count) for count in (48, 60))
    found = resize(image, scale=scale, kernel=kernel)
    assert found.shape == (3, rows, columns)
    rim = int(3 * max(SCALES[scale], 1)) + 1
    for plane, mine in zip(image.numpy(), found.numpy(), strict=True):
        wanted = Image.fromarray(plane.astype(np.float32)).resize((columns, rows), PILLOW[kernel])
        np.testing.assert_allclose(mine[rim:-rim, rim:-rim], np.asarray(wanted)[rim:-rim, rim:-rim], atol=2e-6)


@pytest.mark.parametrize("scale", SCALES)
def test_area_is_the_mean_of_what_is_covered(scale: str) -> None:
    """The reference repeats each sample until both sizes divide, and averages."""
    image = noise(1, 7, 10)
    found = resize(image, scale=scale, kernel="area")
    rows, columns = found.shape[-2:]
    fine = image[0].numpy().repeat(rows, 0).repeat(columns, 1)
    wanted = fine.reshape(rows, 7, columns, 10).mean((1, 3))
    np.testing.assert_allclose(found[0].numpy(), wanted, atol=1e-12)
    assert float(found.mean()) == pytest.approx(float(image.mean()), abs=1e-12)


@pytest.mark.parametrize("kernel", EVERY)
def test_flat_stays_flat_and_flips_commute_at_every_scale_and_size(kernel: str) -> None:
    for scale in SCALES:
        for rows, columns in ((2, 2), (3, 5), (9, 4)):
            image = noise(2, rows, columns)
            result = resize(image, scale=scale, kernel=kernel)
            flipped = resize(image.flip(-1, -2), scale=scale, kernel=kernel)
            torch.testing.assert_close(flipped, result.flip(-1, -2))
            turned = resize(image.transpose(-1, -2), scale=scale, kernel=kernel)
            torch.testing.assert_close(turned, result.transpose(-1, -2))
            flat = resize(torch.full_like(image, 0.4), scale=scale, kernel=kernel)
            torch.testing.assert_close(flat, torch.full_like(flat, 0.4))


@pytest.mark.parametrize("kernel", EVERY)
def test_the_same_size_is_the_identity_and_dtypes_stay(kernel: str) -> None:
    image = noise(3, 6, 7)
    assert torch.equal(resize(image, scale="same", kernel=kernel), image)
    assert resize(image.bfloat16(), scale="two_thirds", kernel=kernel).dtype == torch.bfloat16


@pytest.mark.parametrize("kernel", ["bicubic", "lanczos"])
def test_enlarging_keeps_the_middle_of_three_samples(kernel: str) -> None:
    """At three times the size every middle sample sits where an old one sat, and the kernels interpolate."""
    image = noise(3, 6, 7)
    torch.testing.assert_close(resize(image, scale="triple", kernel=kernel)[:, 1::3, 1::3], image)


def test_making_smaller_removes_what_would_alias() -> None:
    stripes = torch.tensor([0.0, 1.0, 1.0, 0.0], dtype=torch.float64).repeat(32).expand(3, 8, 128)
    for kernel in EVERY:
        rest = resize(stripes, scale="third", kernel=kernel)[:, :, 4:-4] - 0.5
        assert rest.abs().max() < (0.08 if kernel == "lanczos" else 0.35)


def test_crop_border_survives_what_every_program_must() -> None:
    check_program(crop_border, [noise(3, 8, 9)], static={"border": "two"})


@pytest.mark.parametrize("border", BORDERS)
def test_crop_border_takes_from_all_sides_and_leaves_the_centre(border: str) -> None:
    image, count = noise(3, 40, 41), BORDERS[border]
    assert torch.equal(crop_border(image, border=border), image[:, count : 40 - count, count : 41 - count])
    for size, left in ((2, 2), (3, 1), (4, 2), (5, 1)):
        small = noise(1, size, size)
        kept = crop_border(small, border="sixteen")
        assert kept.shape == (1, left, left)
        assert torch.equal(crop_border(small.flip(-1), border="sixteen"), kept.flip(-1))
