from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from ispdsl.programs.dither import Table, bayer, dither, void_and_cluster
from ispdsl.programs.quantisation import quantise
from tests.programs.checks import check_program

PATTERNS = {"bayer": bayer, "void_and_cluster": void_and_cluster}


def noise(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(8), dtype=torch.float64) * 0.8 + 0.1


@pytest.mark.parametrize("pattern", PATTERNS)
def test_dither_survives_what_every_program_must(pattern: str) -> None:
    check_program(dither, [noise(3, 8, 9)], static={"pattern": pattern}, free={"amount": 0.9, "bits": 4.3}, radius=0)


def test_bayer_is_the_published_matrix() -> None:
    """The upper left quarter as printed in Bayer 1973 and every text since, and each rank once."""
    table = np.array(bayer())
    np.testing.assert_array_equal(table[:4, :4], [[0, 32, 8, 40], [48, 16, 56, 24], [12, 44, 4, 36], [60, 28, 52, 20]])
    np.testing.assert_array_equal(np.sort(table, axis=None), np.arange(64))


def low_frequencies(table: Table | np.ndarray) -> float:
    """Share of the power of a 16x16 table below a quarter of the sampling frequency."""
    power = np.abs(np.fft.fft2(np.asarray(table) - np.mean(table))) ** 2
    rows, columns = np.meshgrid(np.fft.fftfreq(16), np.fft.fftfreq(16), indexing="ij")
    return float(power[np.hypot(rows, columns) < 0.25].sum() / power.sum())


def test_void_and_cluster_is_blue_and_has_each_rank_once() -> None:
    table = np.array(void_and_cluster())
    np.testing.assert_array_equal(np.sort(table, axis=None), np.arange(256))
    white = np.random.default_rng(0).permutation(256).reshape(16, 16)
    assert low_frequencies(table) < 0.05 < low_frequencies(white)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_void_and_cluster_keeps_dots_apart_at_every_level(share: float) -> None:
    """The Gaussian about the dots of a share varies less, on the torus, than about dots chosen at random."""
    table = np.array(void_and_cluster())
    rows, columns = (np.minimum(np.arange(16), 16 - np.arange(16)) for _ in range(2))
    response = np.fft.fft2(np.exp(-(rows[:, None] ** 2 + columns**2) / (2 * 1.5**2)))

    def unevenness(ranks: np.ndarray) -> float:
        return float(np.fft.ifft2(np.fft.fft2(ranks < share * 256) * response).real.std())

    random = np.random.default_rng(1).permutation(256).reshape(16, 16)
    assert unevenness(table) < 0.4 * unevenness(random)


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("bits", [2, 8])
def test_rounding_a_dithered_flat_keeps_its_mean(pattern: str, bits: int) -> None:
    size, step = len(PATTERNS[pattern]()), 1 / (2**bits - 1)
    for level in (0.3, 0.5, 0.71):
        flat = torch.full((3, size, size), level, dtype=torch.float64)
        result = quantise(dither(flat, amount=1.0, bits=float(bits), pattern=pattern), bits=float(bits))
        assert abs(float(result.mean()) - level) <= 0.51 * step / size**2
        assert len(result.unique()) <= 2


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_pattern_repeats_has_no_mean_and_treats_planes_alike(pattern: str) -> None:
    added = dither(torch.zeros(3, 37, 33, dtype=torch.float64), amount=1.0, bits=8.0, pattern=pattern) * 255
    size = len(PATTERNS[pattern]())
    torch.testing.assert_close(added[:, size:], added[:, :-size])
    torch.testing.assert_close(added[..., size:], added[..., :-size])
    assert torch.equal(added[0], added[1])
    assert torch.equal(added[0], added[2])
    assert abs(float(added[0, :size, :size].mean())) < 1e-15
    assert float(added.max()) == pytest.approx(0.5 - 0.5 / size**2)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_no_dither_is_the_identity(pattern: str) -> None:
    image = noise(3, 9, 17) * 3 - 0.4
    assert torch.equal(dither(image, amount=0.0, bits=1.0, pattern=pattern), image)
    assert dither(image.bfloat16(), amount=1.0, bits=4.0, pattern=pattern).dtype == torch.bfloat16
