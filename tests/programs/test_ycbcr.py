"""YCbCr of three standards against colour-science, chroma at lower resolution, chroma denoising."""

from __future__ import annotations

import colour
import numpy as np
import pytest
import torch
from torch import Tensor

from ispdsl.programs import ycbcr
from tests.programs.checks import bind, check_gradients, check_program, tensor

F64 = torch.float64
STANDARDS = {"bt601": "ITU-R BT.601", "bt709": "ITU-R BT.709", "bt2020": "ITU-R BT.2020"}
SITINGS = ("left", "centre", "top_left")
DENOISE = {"amount": 0.7, "radius": 3.0, "edge": 0.2}


def picture(height: int = 8, width: int = 9, seed: int = 5) -> Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed), dtype=F64)


@pytest.mark.parametrize("standard", STANDARDS)
def test_conversions_keep_their_contract(standard: str) -> None:
    image = picture()
    check_program(ycbcr.ycbcr, [image], static={"standard": standard})
    check_program(ycbcr.rgb_from_ycbcr, [image[:1], image[1:] - 0.5], static={"standard": standard}, radius=0)


@pytest.mark.parametrize("siting", SITINGS)
def test_changes_of_resolution_keep_their_contract(siting: str) -> None:
    image, static = picture(), {"format": "yuv420", "siting": siting}
    check_program(ycbcr.chroma_subsample, [image[1:]], static=static)
    check_program(ycbcr.chroma_upsample, [image[1:], image[:1]], static=static)


def test_chroma_denoise_keeps_its_contract(export: bool) -> None:
    image, free = picture(7, 10), {**DENOISE, "radius": 4.6}
    check_program(
        ycbcr.chroma_denoise, [image[1:] - 0.5, image[:1]], free=free, radius=4, gradients=False, export=export
    )
    call = bind(ycbcr.chroma_denoise, {})
    check_gradients(call, [image[1:, :3, :3] - 0.5, image[:1, :3, :3]], {k: tensor(v) for k, v in free.items()})


@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize("standard", STANDARDS)
def test_ycbcr_agrees_with_colour_science_both_ways(standard: str, dtype: torch.dtype) -> None:
    image = picture(20, 21).to(dtype)
    legal = {f"{side}_{name}": False for side in ("in", "out") for name in ("legal", "int")}
    weights = colour.WEIGHTS_YCBCR[STANDARDS[standard]]
    wanted = colour.RGB_to_YCbCr(image.double().movedim(0, -1).numpy(), K=weights, **legal)
    found = torch.cat(ycbcr.ycbcr(image, standard=standard))
    np.testing.assert_allclose(found.double().movedim(0, -1).numpy(), wanted, rtol=0, atol=1e-5)
    back = colour.YCbCr_to_RGB(found.double().movedim(0, -1).numpy(), K=weights, **legal)
    restored = ycbcr.rgb_from_ycbcr(found[:1], found[1:], standard=standard)
    np.testing.assert_allclose(restored.double().movedim(0, -1).numpy(), back, rtol=0, atol=1e-5)
    torch.testing.assert_close(restored, image)


def test_primaries_reach_the_ends_of_chroma() -> None:
    blue_red = torch.tensor([[0.0, 1.0], [0.0, 0.0], [1.0, 0.0]], dtype=F64)[:, None]
    for standard in STANDARDS:
        _, chroma = ycbcr.ycbcr(blue_red, standard=standard)
        assert chroma[0, 0, 0] == pytest.approx(0.5)
        assert chroma[1, 0, 1] == pytest.approx(0.5)


def test_subsampling_by_hand() -> None:
    row = torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0], dtype=F64).expand(2, 3, -1)

    def halved(planes: Tensor, format: str, siting: str) -> list[float]:
        return ycbcr.chroma_subsample(planes, format=format, siting=siting)[0, 0].tolist()

    assert halved(row, "yuv422", "centre") == [1.5, 6.0, 12.0]  # the last cell: 16 and its mirror image 8
    assert halved(row, "yuv422", "left") == [1.5, 4.5, 12.0]  # 1 2 1 about 1, 4 and 16, mirrored
    assert halved(row, "yuv420", "top_left") == halved(row, "yuv420", "left") == [1.5, 4.5, 12.0]
    column = row.mT.contiguous()
    assert ycbcr.chroma_subsample(column, format="yuv420", siting="left")[0, :, 0].tolist() == [1.5, 6.0, 12.0]
    assert ycbcr.chroma_subsample(column, format="yuv420", siting="top_left")[0, :, 0].tolist() == [1.5, 4.5, 12.0]
    assert torch.equal(ycbcr.chroma_subsample(row, format="yuv444", siting="left"), row)


def test_upsampling_by_hand() -> None:
    row, luma = torch.tensor([0.0, 8.0, 4.0], dtype=F64).expand(2, 1, -1), torch.zeros(1, 1, 6, dtype=F64)
    left = ycbcr.chroma_upsample(row, luma, format="yuv422", siting="left")
    assert left[0, 0].tolist() == [0, 4, 8, 6, 4, 6]
    centre = ycbcr.chroma_upsample(row, luma, format="yuv422", siting="centre")
    assert centre[0, 0].tolist() == [2, 2, 6, 7, 5, 5]


@pytest.mark.parametrize("siting", SITINGS)
@pytest.mark.parametrize(("height", "width"), [(2, 2), (3, 5), (10, 11)])
def test_a_ramp_comes_back_in_place(siting: str, height: int, width: int) -> None:
    """A linear ramp shows any shift: away from the borders it survives both ways exactly."""
    y, x = torch.meshgrid(torch.arange(height, dtype=F64), torch.arange(width, dtype=F64), indexing="ij")
    ramp, luma = torch.stack([x, 3 * y]), torch.zeros(1, height, width, dtype=F64)
    small = ycbcr.chroma_subsample(ramp, format="yuv420", siting=siting)
    assert small.shape == (2, (height + 1) // 2, (width + 1) // 2)
    back = ycbcr.chroma_upsample(small, luma, format="yuv420", siting=siting)
    assert back.shape == ramp.shape
    torch.testing.assert_close(back[:, 3:-3, 3:-3], ramp[:, 3:-3, 3:-3])
    flat = torch.full_like(ramp, 0.3)
    small = ycbcr.chroma_subsample(flat, format="yuv420", siting=siting)
    torch.testing.assert_close(ycbcr.chroma_upsample(small, luma, format="yuv420", siting=siting), flat)


def test_chroma_denoise_is_the_weighted_mean() -> None:
    image = picture(7, 8)
    chroma, luma = image[1:] - 0.5, image[:1]
    found = ycbcr.chroma_denoise(chroma, luma, **DENOISE)
    row, column, guide, planes = 3, 4, luma[0].numpy(), chroma.numpy()
    total, weights = np.zeros(2), 0.0
    for down in range(-2, 3):
        for right in range(-2, 3):
            near = (1 - (down / 3) ** 2) ** 3 * (1 - (right / 3) ** 2) ** 3
            step = guide[row + down, column + right] - guide[row, column]
            weight = near * np.exp(-(step**2) / (2 * 0.2**2))
            total, weights = total + weight * planes[:, row + down, column + right], weights + weight
    wanted = 0.3 * planes[:, row, column] + 0.7 * total / weights
    np.testing.assert_allclose(found[:, row, column].numpy(), wanted, atol=1e-12)


def test_chroma_denoise_removes_noise_and_keeps_edges_that_luma_shows() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = 0.02 * torch.randn(3, 48, 48, generator=generator, dtype=F64)
    side = (torch.arange(48) >= 24).to(F64).expand(48, 48)
    chroma, luma = 0.5 * side + noise[1:], 0.5 * side[None] + noise[:1]
    out = ycbcr.chroma_denoise(chroma, luma, amount=1.0, radius=3.0, edge=0.1)
    assert out[..., 10:20].var() < 0.15 * chroma[..., 10:20].var()
    assert float((out[..., 24] - out[..., 23]).mean()) > 0.48


@pytest.mark.parametrize("dtype", [torch.float32, F64, torch.bfloat16])
def test_amount_0_is_the_identity(dtype: torch.dtype) -> None:
    image = (picture() * 4 - 1).to(dtype)
    assert torch.equal(ycbcr.chroma_denoise(image[1:], image[:1], amount=0.0, radius=5.0, edge=0.01), image[1:])
