"""Contrast limited adaptive histogram equalisation against NumPy, and what its mappings promise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from ispdsl.programs.clahe import BINS, TILES, blended, clahe, histograms, mappings
from tests.programs.checks import check_program

COUNTS = ("one", "two", "four", "eight")


def noise(*shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=torch.Generator().manual_seed(6), dtype=torch.float64)


def tile_curve(values: np.ndarray, limit: float) -> np.ndarray:
    """The mapping of one tile from its values, at the edges of the bins."""
    counts = np.zeros(BINS)
    for value in values.ravel():
        position = np.clip(value * BINS - 0.5, 0, BINS - 1)
        left = min(int(position), BINS - 2)
        counts[left] += 1 - (position - left)
        counts[left + 1] += position - left
    share = counts / counts.sum()
    cut = np.minimum(share, limit / BINS)
    return np.concatenate([[0], np.cumsum(cut + (share - cut).sum() / BINS)])


def oracle(image: np.ndarray, limit: float, tiles: int) -> np.ndarray:
    """Zuiderveld's method on an image whose sides are multiples of the number of tiles, a pixel at a time."""
    high, wide = image.shape[0] // tiles, image.shape[1] // tiles
    knots = np.arange(BINS + 1) / BINS
    curves = {
        (r, c): tile_curve(image[r * high : (r + 1) * high, c * wide : (c + 1) * wide], limit)
        for r in range(tiles)
        for c in range(tiles)
    }
    out = np.empty_like(image)
    for (y, x), value in np.ndenumerate(image):
        v, u = np.clip((y + 0.5) / high - 0.5, 0, tiles - 1), np.clip((x + 0.5) / wide - 0.5, 0, tiles - 1)
        r, c = min(int(v), max(tiles - 2, 0)), min(int(u), max(tiles - 2, 0))
        rows = [
            sum(
                weight * np.interp(value, knots, curves[row, min(column, tiles - 1)])
                for column, weight in ((c, 1 - (u - c)), (c + 1, u - c))
            )
            for row in (r, min(r + 1, tiles - 1))
        ]
        out[y, x] = (1 - (v - r)) * rows[0] + (v - r) * rows[1]
    return out


@pytest.mark.parametrize("tiles", COUNTS)
@pytest.mark.parametrize("limit", [1.0, 3.0, 40.0])
def test_equalisation_is_zuidervelds(tiles: str, limit: float) -> None:
    image = noise(1, 16, 24) ** 2
    wanted = oracle(image[0].numpy(), limit, TILES[tiles])
    found = clahe(image, amount=1.0, limit=limit, tiles=tiles)
    torch.testing.assert_close(found[0], torch.from_numpy(wanted), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("tiles", "limit"), [("one", 3.0), ("four", 1.7)])
def test_clahe_keeps_the_contract_of_programs(tiles: str, limit: float, export: bool) -> None:
    image = noise(1, 8, 9, low=0.05, high=0.95)
    image[:, 3:5, 3:6] = 0.4 + 0.001 * image[:, 3:5, 3:6]  # a bin above the limit
    check_program(clahe, [image], static={"tiles": tiles}, free={"amount": 0.7, "limit": limit}, export=export)


@pytest.mark.parametrize("tiles", COUNTS)
def test_no_amount_is_exactly_the_identity_and_what_lies_outside_stays(tiles: str) -> None:
    for size in ((2, 2), (7, 5), (8, 16)):
        for dtype in (torch.float32, torch.float64, torch.bfloat16):
            image = noise(1, *size, low=-0.1, high=4.0).to(dtype)
            assert torch.equal(clahe(image, amount=0.0, limit=3.0, tiles=tiles), image)
        image = noise(1, *size, low=-0.5, high=1.5)
        out = clahe(image, amount=1.0, limit=3.0, tiles=tiles)
        outside = (image <= 0) | (image >= 1)
        torch.testing.assert_close(out[outside], image[outside], rtol=0, atol=1e-12)
        assert ((out >= -1e-12) & (out <= 1 + 1e-12))[~outside].all()


@pytest.mark.parametrize("tiles", COUNTS)
def test_reflections_commute_at_every_size(tiles: str) -> None:
    for size in ((8, 8), (7, 10), (2, 3), (13, 5)):
        image = noise(1, *size)
        out = clahe(image, amount=1.0, limit=3.0, tiles=tiles)
        for turn in (lambda x: x.flip(-1), lambda x: x.flip(-2), lambda x: x.mT, lambda x: x.rot90(1, (-2, -1))):
            turned = clahe(turn(image), amount=1.0, limit=3.0, tiles=tiles)
            torch.testing.assert_close(turned, turn(out), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("limit", [1.0, 3.0, 40.0])
def test_mappings_rise_from_black_to_white_no_steeper_than_the_limit(limit: float) -> None:
    image = noise(2, 1, 9, 12) ** 3
    histogram = histograms(image, 4)
    torch.testing.assert_close(histogram.mean(-1), torch.ones(2, 4, 4, dtype=torch.float64))
    curves = mappings(histogram, torch.tensor(limit))
    slopes = curves.diff(dim=-1) * BINS
    assert (curves[..., 0] == 0).all()
    torch.testing.assert_close(curves[..., -1], torch.ones(2, 4, 4, dtype=torch.float64))
    assert (slopes >= 0).all()
    assert (slopes <= limit + 1).all()
    ramp = torch.linspace(0, 1, 500, dtype=torch.float64)
    tones = torch.stack([blended(curves, tone.expand(2, 1, 9, 12)) for tone in ramp])
    assert (tones.diff(dim=0) >= -1e-12).all(), "a brighter value never comes out darker at the same place"


def test_one_tile_without_a_limit_makes_the_histogram_flat() -> None:
    image = noise(1, 64, 64) ** 2
    out = clahe(image, amount=1.0, limit=40.0, tiles="one")
    counts = torch.histc(out, 8, 0, 1)
    assert (counts / 512 - 1).abs().max() < 0.05


def test_tiles_make_contrast_local() -> None:
    image = 0.2 + 0.02 * noise(1, 64, 64)
    image[..., 32:] += 0.5
    spread = [float(clahe(image, amount=1.0, limit=40.0, tiles=t)[..., :24].std()) for t in ("one", "eight")]
    assert spread[1] > 1.5 * spread[0] > 1.5 * float(image[..., :24].std())


def test_gradients_reach_the_image_through_the_histogram_and_the_limit() -> None:
    image = noise(1, 8, 8).requires_grad_()
    limit = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
    out = clahe(image, amount=1.0, limit=limit, tiles="one")
    by_image, by_limit = torch.autograd.grad(out[0, 0, 0], (image, limit))
    assert by_limit.abs() > 1e-4
    assert (by_image.flatten()[1:] != 0).any(), "other pixels move the mapping"


def test_empty_bins_flat_images_and_the_hard_limits_are_finite() -> None:
    for value in (-0.3, 0.0, 0.5, 1.0, 4.0):
        for limit in (1.0, 40.0):
            image = torch.full((1, 5, 4), value, dtype=torch.float64, requires_grad=True)
            bound = torch.tensor(limit, dtype=torch.float64, requires_grad=True)
            out = clahe(image, amount=1.0, limit=bound, tiles="eight")
            assert torch.isfinite(out).all()
            assert all(torch.isfinite(g).all() for g in torch.autograd.grad(out.sum(), (image, bound)))
