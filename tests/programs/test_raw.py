"""Black and white level, defective pixels, lens shading, white balance and clipping of mosaics."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ispdsl.programs import raw
from ispdsl.programs.cfa import COLOURS
from tests.programs.checks import check_program

BAYER = ("rggb", "bggr", "grbg", "gbrg")
PHASES = (*BAYER, "linear")


def mosaic(cfa: str, height: int = 8, width: int = 9, seed: int = 0) -> Tensor:
    """A random mosaic of the right number of planes."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(3 if cfa == "linear" else 1, height, width, generator=generator, dtype=torch.float64)


def vector(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


BLACK = vector(0.1, 0.05, 0.07, 0.02)
NEUTRAL = vector(0.6, 1.0, 0.8)


@pytest.mark.parametrize("cfa", PHASES)
def test_black_white_generic(cfa: str) -> None:
    free = {"black_level": BLACK, "white_level": 1.2, "offset": 0.02}
    check_program(raw.black_white, [mosaic(cfa)], static={"cfa": cfa}, free=free, radius=0)


@pytest.mark.parametrize("cfa", PHASES)
def test_defect_pixels_generic(cfa: str) -> None:
    free = {"threshold": 0.2, "strength": 0.7}
    check_program(raw.defect_pixels, [mosaic(cfa)], static={"cfa": cfa}, free=free, radius=2)


@pytest.mark.parametrize("cfa", PHASES)
def test_lens_shading_generic(cfa: str) -> None:
    gain = 1 + torch.rand(4, 3, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    free = {"gain_map": gain, "strength": 0.6}
    check_program(raw.lens_shading, [mosaic(cfa)], static={"cfa": cfa}, free=free, radius=0)


@pytest.mark.parametrize("cfa", PHASES)
def test_white_balance_generic(cfa: str) -> None:
    free = {"neutral": NEUTRAL, "red": 1.1, "blue": 0.9}
    check_program(raw.white_balance, [mosaic(cfa)], static={"cfa": cfa}, free=free, radius=0)


def test_clip_white_generic() -> None:
    check_program(raw.clip_white, [mosaic("rggb") * 1.4 - 0.2], free={"level": 0.9}, radius=0)


@pytest.mark.parametrize("cfa", BAYER)
def test_black_white_takes_each_site_its_own_black(cfa: str) -> None:
    codes = torch.arange(20, dtype=torch.float64).reshape(1, 4, 5) * 100
    levels = vector(10, 20, 30, 40)
    result = raw.black_white(codes, black_level=levels, white_level=1000.0, cfa=cfa)
    for y, x in product(range(4), range(5)):
        black = levels[2 * (y % 2) + x % 2]
        assert result[0, y, x] == (codes[0, y, x] - black) / (1000 - black)


def test_black_white_keeps_what_lies_outside() -> None:
    codes = torch.tensor([[[0.0, 64.0], [1023.0, 2000.0]]])
    result = raw.black_white(codes, black_level=torch.full((4,), 64.0), white_level=1023.0, cfa="rggb")
    assert result[0, 0, 0] < 0
    assert result[0, 0, 1] == 0
    assert result[0, 1, 0] == 1
    assert result[0, 1, 1] > 1


def test_black_white_offset_moves_black_and_not_white() -> None:
    codes = torch.tensor([[[100.0, 150.0], [600.0, 1100.0]]], dtype=torch.float64)
    result = raw.black_white(codes, black_level=vector(100, 100, 100, 100), white_level=1100.0, offset=0.05, cfa="rggb")
    assert result[0, 0, 1] == pytest.approx(0)
    assert result[0, 1, 1] == 1


def test_linear_frames_have_a_black_for_each_plane() -> None:
    frame = torch.full((3, 2, 2), 0.5, dtype=torch.float64)
    result = raw.black_white(frame, black_level=BLACK, white_level=1.0, cfa="linear")
    for plane in range(3):
        assert torch.allclose(result[plane], (0.5 - BLACK[plane]) / (1 - BLACK[plane]))


def test_sort_sorts_every_pattern_of_zeros_and_ones() -> None:
    """Knuth's 0-1 principle: a network that sorts these sorts everything."""
    patterns = torch.tensor(list(product((0.0, 1.0), repeat=8))).T
    assert torch.equal(torch.stack(raw.sort(list(patterns))), patterns.sort(0).values)


@pytest.mark.parametrize("cfa", PHASES)
def test_defect_pixels_is_the_identity_at_no_strength(cfa: str) -> None:
    image = mosaic(cfa)
    assert torch.equal(raw.defect_pixels(image, threshold=0.1, strength=0.0, cfa=cfa), image)


@pytest.mark.parametrize("cfa", PHASES)
@pytest.mark.parametrize("defect", [0.0, 1.0])
def test_defect_pixels_removes_a_defect(cfa: str, defect: float) -> None:
    flat = 0.5 + 0.02 * mosaic(cfa, 12, 13)
    broken = flat.clone()
    broken[0, 5, 6] = defect
    mended = raw.defect_pixels(broken, threshold=0.1, strength=1.0, cfa=cfa)
    assert (mended[0, 5, 6] - flat[0, 5, 6]).abs() < 0.02
    assert (mended - flat).abs().max() < 0.02


def test_defect_pixels_removes_two_defects_beside_each_other() -> None:
    flat = torch.full((1, 12, 12), 0.4, dtype=torch.float64)
    broken = flat.clone()
    broken[0, 4, 4] = broken[0, 4, 6] = 1.0
    mended = raw.defect_pixels(broken, threshold=0.1, strength=1.0, cfa="rggb")
    assert (mended - flat).abs().max() < 0.01


def test_defect_pixels_compares_with_the_same_colour() -> None:
    """A saturated colour, in which green and red differ by everything, is no defect."""
    colour = torch.zeros(1, 12, 12, dtype=torch.float64)
    colour[:, ::2, ::2] = 1
    assert torch.equal(raw.defect_pixels(colour, threshold=0.1, strength=1.0, cfa="rggb"), colour)


def test_defect_pixels_spares_edges_and_lines() -> None:
    edge = torch.zeros(1, 16, 16, dtype=torch.float64)
    edge[..., 8:] = 1
    line = torch.zeros(1, 16, 16, dtype=torch.float64)
    line[..., 8] = 1
    for image in (edge, line):
        assert (raw.defect_pixels(image, threshold=0.1, strength=1.0, cfa="rggb") - image).abs().max() < 1e-6


@pytest.mark.realdata
def test_defect_pixels_removes_planted_defects(data: Path) -> None:
    clean, planted = (rose(data, name) for name in ("rggb", "rggb_bpctest"))
    threshold = torch.tensor(0.1, requires_grad=True)
    mended, harmed = (
        raw.defect_pixels(frame, threshold=threshold, strength=1.0, cfa="rggb") for frame in (planted, clean)
    )
    assert rms(planted - clean) > 0.09
    assert rms(mended - clean) < 0.004
    assert rms(harmed - clean) < 0.003
    (gradient,) = torch.autograd.grad(harmed.square().sum(), threshold)
    assert gradient.isfinite()
    assert gradient != 0


def rose(data: Path, name: str) -> Tensor:
    """One of the frames of a rose, 768x512, black 600, white 15520."""
    codes = np.fromfile(data / "raw" / "frames" / f"dsc1339_rose_768x512_{name}_u16le14.raw", "<u2")
    image = torch.from_numpy(codes.reshape(1, 512, 768).astype(np.float32))
    return raw.black_white(image, black_level=torch.full((4,), 600.0), white_level=15520.0, cfa="rggb")


def rms(difference: Tensor) -> float:
    return float(difference.detach().square().mean().sqrt())


@pytest.mark.parametrize("cfa", BAYER)
@pytest.mark.parametrize("size", [(2, 2), (7, 10), (31, 24)])
def test_lens_shading_interpolates_each_sites_plane(cfa: str, size: tuple[int, int]) -> None:
    height, width = size
    gain = 1 + torch.rand(4, 5, 7, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    result = raw.lens_shading(torch.ones(1, height, width, dtype=torch.float64), gain_map=gain, strength=1.0, cfa=cfa)
    rows, columns = np.linspace(0, 4, height), np.linspace(0, 6, width)
    for y, x in product(range(height), range(width)):
        plane = gain[2 * (y % 2) + x % 2].numpy()
        along = [np.interp(columns[x], range(7), line) for line in plane]
        assert float(result[0, y, x]) == pytest.approx(np.interp(rows[y], range(5), along), abs=1e-12)


def test_lens_shading_of_a_linear_frame_uses_the_first_three_planes() -> None:
    gain = vector(1, 2, 3, 9)[:, None, None].expand(4, 2, 2)
    result = raw.lens_shading(torch.ones(3, 4, 4, dtype=torch.float64), gain_map=gain, strength=1.0, cfa="linear")
    assert torch.allclose(result[:, 0, 0], vector(1, 2, 3))


@pytest.mark.parametrize("gain", [1.0, 2.0, torch.tensor(2.0), torch.full((1, 3, 3), 2.0)])
def test_lens_shading_takes_a_uniform_gain(gain: Tensor | float) -> None:
    image = mosaic("rggb")
    expected = image * (gain if isinstance(gain, float) else 2.0)
    assert torch.allclose(raw.lens_shading(image, gain_map=gain, strength=1.0, cfa="rggb"), expected)


def test_lens_shading_strength() -> None:
    image, gain = mosaic("rggb"), 1 + torch.rand(4, 3, 3, dtype=torch.float64)
    assert torch.equal(raw.lens_shading(image, gain_map=gain, strength=0.0, cfa="rggb"), image)
    shaded = raw.lens_shading(image, gain_map=gain, strength=-0.7, cfa="rggb")
    assert torch.allclose(raw.lens_shading(shaded, gain_map=gain, strength=0.7, cfa="rggb"), image, atol=1e-12)


@pytest.mark.parametrize("cfa", PHASES)
def test_white_balance_makes_the_neutral_grey(cfa: str) -> None:
    sites = [NEUTRAL[colour] for colour in COLOURS[cfa]]
    if cfa == "linear":
        grey = NEUTRAL[:, None, None].expand(3, 4, 6)
    else:
        grey = torch.stack(sites).reshape(1, 2, 2).repeat(1, 2, 3)
    result = raw.white_balance(grey, neutral=NEUTRAL, cfa=cfa)
    assert torch.allclose(result, torch.ones_like(result))


def test_white_balance_leaves_no_clipped_site_below_white() -> None:
    for neutral in (NEUTRAL, vector(1.3, 1.0, 0.4), vector(0.2, 1.0, 2.5)):
        result = raw.white_balance(torch.ones(1, 2, 2, dtype=torch.float64), neutral=neutral, cfa="rggb")
        assert result.min() == 1


def test_white_balance_sliders_multiply_their_colour() -> None:
    image = torch.ones(1, 2, 2, dtype=torch.float64)
    result = raw.white_balance(image, neutral=vector(1, 1, 1), red=2.0, blue=0.5, cfa="gbrg")
    assert result[0].tolist() == [[1, 0.5], [2, 1]]


def test_white_balance_without_a_cast_is_the_identity() -> None:
    image = mosaic("bggr")
    assert torch.equal(raw.white_balance(image, neutral=vector(1, 1, 1), cfa="bggr"), image)


def test_clip_white_makes_clipped_highlights_neutral() -> None:
    balanced = raw.white_balance(torch.ones(1, 4, 4), neutral=torch.tensor([0.5, 1.0, 0.7]), cfa="rggb")
    assert torch.equal(raw.clip_white(balanced), torch.ones(1, 4, 4))
    assert raw.clip_white(torch.tensor([[[-0.5, 0.4, 0.8]]]), level=0.8).tolist() == [[[0.0, 0.5, 1.0]]]
