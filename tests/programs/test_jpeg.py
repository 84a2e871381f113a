from __future__ import annotations

import io
from functools import partial
from typing import Any

import numpy as np
import pytest
import scipy.fft
import torch
from PIL import Image
from torch import Tensor

from ispdsl.programs.jpeg import (
    CHROMA_TABLE,
    DCT,
    LUMA_TABLE,
    _scaled,
    jpeg,
    round_away,
    round_cubic,
    round_smooth,
)
from tests.programs.checks import check_program


def picture(height: int = 96, width: int = 120) -> Tensor:
    """Smooth colour, an edge, fine stripes and some noise, on the 8-bit grid."""
    rows, columns = np.mgrid[:height, :width]
    planes = [
        0.5 + 0.3 * np.sin(columns / 17) * np.cos(rows / 23),
        0.4 + 0.3 * np.cos(columns / 29 + rows / 13),
        0.5 + 0.25 * np.sin(rows / 19),
    ]
    image = np.stack(planes)
    image[:, 20:60, 30:70] += 0.2
    image[:, 64:, 80:] += 0.1 * np.sin(rows[64:, 80:] * 1.3)
    image += np.random.default_rng(0).normal(0, 0.01, image.shape)
    return torch.from_numpy(np.round(image.clip(0, 1) * 255) / 255)


def pillow(image: Tensor, quality: int, subsampling: int) -> np.ndarray:
    pixels = np.round(image.numpy().transpose(1, 2, 0) * 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(file)).transpose(2, 0, 1) / 255


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean((one - other) ** 2)))


@pytest.mark.parametrize("quality", [50, 75, 95, 100])
@pytest.mark.parametrize(("subsampling", "code", "least"), [("s444", 0, 50.0), ("s420", 2, 46.5)])
@pytest.mark.parametrize("size", [(96, 120), (41, 53)])
def test_exact_rounding_gives_what_a_codec_gives(
    quality: int, subsampling: str, code: int, least: float, size: tuple[int, int]
) -> None:
    """The reference is Pillow's file, written and read; what differs are its integer transform and ties in chroma."""
    image = picture(*size)
    found = jpeg(image, quality=float(quality), subsampling=subsampling, rounding="exact", amount=1.0).numpy()
    theirs = pillow(image, quality, code)
    assert psnr(found, theirs) > least
    assert psnr(found, image.numpy()) == pytest.approx(psnr(theirs, image.numpy()), abs=0.5)


@pytest.mark.parametrize("quality", [1, 20, 49, 50, 75, 93, 100])
def test_steps_are_those_of_the_codec(quality: int) -> None:
    """An image of one coefficient comes back as a multiple of its step; the steps are read from Pillow's file."""
    file = io.BytesIO()
    Image.new("L", (8, 8)).save(file, "JPEG", quality=quality)
    file.seek(0)
    opened: Any = Image.open(file)
    steps = np.array(opened.quantization[0]).reshape(8, 8)
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    np.testing.assert_array_equal(np.clip((np.array(LUMA_TABLE) * percent + 50) // 100, 1, 255), steps)
    mine = _scaled(torch.tensor(LUMA_TABLE).double(), torch.tensor(float(quality)).double(), exact=True)
    np.testing.assert_array_equal(mine[:, 0].numpy(), steps)


def test_the_transform_is_the_orthonormal_cosine_transform() -> None:
    block = np.random.default_rng(1).normal(size=(8, 8))
    transform = np.array(DCT)
    wanted = np.asarray(scipy.fft.dctn(block, norm="ortho"))
    np.testing.assert_allclose(transform @ block @ transform.T, wanted, atol=1e-12)
    assert np.array(CHROMA_TABLE).shape == np.array(LUMA_TABLE).shape == (8, 8)


@pytest.mark.parametrize(("rounding", "subsampling"), [("smooth", "s420"), ("cubic", "s444")])
def test_jpeg_survives_what_every_program_must(rounding: str, subsampling: str, export: bool) -> None:
    static, free = {"rounding": rounding, "subsampling": subsampling}, {"quality": 61.3, "amount": 0.8}
    check_program(jpeg, [picture()[:, 40:46, 60:67] * 0.9 + 0.031], static=static, free=free, export=export)


def test_exact_jpeg_survives_what_every_program_must_but_true_gradients(export: bool) -> None:
    """The tables of two images are rounded, so the batch of settings is checked at whole qualities elsewhere."""
    static = {"rounding": "exact", "subsampling": "s420"}
    image = picture()[:, 40:46, 60:67]
    check_program(
        partial(jpeg, quality=61.0), [image], static=static, free={"amount": 0.8}, gradients=False, export=export
    )


def test_gradients_reach_the_image_and_the_quality_whatever_the_rounding() -> None:
    for rounding in ("exact", "cubic", "smooth"):
        image = picture(24, 24).requires_grad_()
        quality = torch.tensor(40.0, dtype=torch.float64, requires_grad=True)
        result = jpeg(image, quality=quality, subsampling="s420", rounding=rounding, amount=1.0)
        error = (result - image.detach()).square().sum()
        to_image, to_quality = torch.autograd.grad(error, (image, quality))
        assert to_image.abs().mean() > 1e-4
        assert torch.isfinite(to_image).all()
        assert to_quality < 0  # a higher quality is nearer to the image


def test_a_higher_quality_is_nearer_to_the_image() -> None:
    image = picture()
    settings: dict[str, Any] = {"subsampling": "s444", "amount": 1.0}
    for rounding in ("exact", "cubic", "smooth"):
        errors = [
            psnr(jpeg(image, quality=quality, rounding=rounding, **settings).numpy(), image.numpy())
            for quality in (5.0, 25.0, 50.0, 75.0, 95.0, 100.0)
        ]
        assert errors == sorted(errors)


def test_a_flat_grey_at_a_tie_is_the_same_in_every_precision() -> None:
    """At quality 50 the mean of a block counts half steps of its grey: rounding errors must not decide."""
    for code in range(100, 156):
        image = torch.full((3, 8, 8), code / 255, dtype=torch.float64)
        settings: dict[str, Any] = {"quality": 50.0, "subsampling": "s420", "rounding": "exact", "amount": 1.0}
        torch.testing.assert_close(jpeg(image.float(), **settings).double(), jpeg(image, **settings), atol=1e-5, rtol=0)


def test_rounding_functions_at_known_values() -> None:
    x = torch.tensor([-1.5, -1.2, 0.0, 0.25, 0.5, 2.0, 2.6], dtype=torch.float64)
    torch.testing.assert_close(round_away(x), torch.tensor([-2.0, -1.0, 0.0, 0.0, 1.0, 2.0, 3.0]).double())
    wanted = [-1.125, -1.008, 0.0, 0.015625, 0.875, 2.0, 2.936]
    torch.testing.assert_close(round_cubic(x), torch.tensor(wanted).double())
    half = 1 / (2 * np.pi)
    torch.testing.assert_close(round_smooth(x)[[2, 3, 4, 5]], torch.tensor([0.0, 0.25 - half, 0.5, 2.0]).double())


@pytest.mark.parametrize("size", [(2, 2), (3, 9), (16, 17)])
@pytest.mark.parametrize("rounding", ["exact", "cubic", "smooth"])
def test_greys_stay_grey_and_the_result_lies_within_limits(size: tuple[int, int], rounding: str) -> None:
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(1, *size, generator=generator, dtype=torch.float64).round().expand(3, -1, -1)
    for quality in (1.0, 50.0, 100.0):
        result = jpeg(image, quality=quality, subsampling="s420", rounding=rounding, amount=1.0)
        assert result.shape == image.shape
        assert (result.amax(0) - result.amin(0)).max() < 1e-9
        assert result.min() >= 0
        assert result.max() <= 1
    assert torch.equal(jpeg(image, quality=1.0, subsampling="s420", rounding=rounding, amount=0.0), image)
    low = jpeg(image.bfloat16(), quality=50.0, subsampling="s420", rounding=rounding, amount=1.0)
    assert low.dtype == torch.bfloat16
