"""The tone equaliser and the guided filter that makes its mask."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import torch
from torch import Tensor

from ispdsl.programs.joint_guided import joint_guided, smooth
from ispdsl.programs.tone_equaliser import tone_equaliser
from tests.programs.checks import check_program

BANDS = torch.tensor([0.5, -0.3, 0.8, 0.0, 1.2, -0.6, 0.4, 0.1, -1.0], dtype=torch.float64)
SETTINGS: dict[str, Any] = {"edges": 1.0, "objects": "small"}
SPACE: dict[str, Any] = {"space": "linear_srgb"}


def picture(height: int = 8, width: int = 9) -> Tensor:
    generator = torch.Generator().manual_seed(9)
    return 0.002 + 1.5 * torch.rand(3, height, width, generator=generator, dtype=torch.float64) ** 4


def test_the_program_keeps_its_contract(export: bool) -> None:
    check_program(
        tone_equaliser,
        [picture(4, 5)],
        static={**SPACE, "objects": "small"},
        free={"bands": BANDS, "edges": 1.0},
        export=export,
    )
    half = tone_equaliser(picture().bfloat16(), bands=BANDS, **SETTINGS, **SPACE)
    assert half.dtype == torch.bfloat16


@pytest.mark.parametrize(("objects", "reach"), [("small", 28), ("medium", 60), ("large", 124)])
def test_it_reads_no_farther_than_its_windows(objects: str, reach: int) -> None:
    image = picture(3, 2 * reach + 21)
    touched = image.clone()
    touched[:, 1, reach + 10] = 3.0
    settings = {"bands": BANDS, "edges": 1.0, "objects": objects}
    before, after = (tone_equaliser(each, **settings, **SPACE) for each in (image, touched))
    changed = (before != after).any(0).any(0).nonzero().ravel()
    assert changed.min() >= 10
    assert changed.max() <= 2 * reach + 10
    assert changed.max() - changed.min() > reach, "the windows are as wide as they say"


def test_no_gain_is_the_identity_and_equal_gains_are_exposure() -> None:
    image = picture() - 0.1
    assert torch.equal(tone_equaliser(image, bands=torch.zeros(9), **SETTINGS, **SPACE), image)
    same = tone_equaliser(image, bands=torch.full((9,), 1.5), **SETTINGS, **SPACE)
    torch.testing.assert_close(same, image * 2**1.5)


@pytest.mark.parametrize("stops", [-12.0, -8.0, -5.3, -1.0, 0.0, 2.0])
def test_a_flat_field_gets_the_gaussian_mean_of_the_bands(stops: float) -> None:
    flat = torch.full((3, 5, 6), 2.0**stops, dtype=torch.float64)
    zone = 0.5 * np.log2(4.0**stops + 2.0**-28)
    weights = np.exp(-0.5 * (zone - np.arange(-8, 1)) ** 2)
    wanted = (weights * BANDS.numpy()).sum() / weights.sum()
    gain = (tone_equaliser(flat, bands=BANDS, **SETTINGS, **SPACE) / flat).log2()
    np.testing.assert_allclose(gain, wanted, rtol=1e-9)


def test_it_keeps_chromaticity_and_the_contrast_within_objects() -> None:
    generator = torch.Generator().manual_seed(1)
    texture = 1 + 0.05 * torch.rand(1, 24, 48, generator=generator, dtype=torch.float64)
    scene = texture * torch.where(torch.arange(48) < 24, 0.01, 0.8) * torch.tensor([1.0, 0.8, 0.5])[:, None, None]
    bands = torch.linspace(4, 0, 9, dtype=torch.float64)
    shown = tone_equaliser(scene, bands=bands, edges=0.5, objects="small", **SPACE)
    torch.testing.assert_close(shown / shown.sum(0), scene / scene.sum(0))
    gain = (shown / scene)[0].log2()
    assert gain[:, :20].std() < 0.03, "texture gets one gain"
    assert gain[:, 28:].std() < 0.03
    assert gain[:, :20].mean() - gain[:, 28:].mean() > 2.5, "the dark half is lifted"
    assert (gain[:, 22] - gain[:, 25]).mean() > 2.0, "and the step between the halves stays sharp in the mask"


def test_each_band_lifts_its_own_zone_most() -> None:
    for index in range(9):
        bands = torch.zeros(9, dtype=torch.float64)
        bands[index] = 1.0
        flats = [torch.full((3, 2, 2), 2.0**stops, dtype=torch.float64) for stops in range(-8, 1)]
        gains = [float((tone_equaliser(flat, bands=bands, **SETTINGS, **SPACE) / flat).mean()) for flat in flats]
        assert int(np.argmax(gains)) == index


def test_the_joint_filter_copies_edges_of_its_guide_and_averages_the_rest() -> None:
    generator = torch.Generator().manual_seed(2)
    guide = torch.where(torch.arange(40) < 20, 0.1, 0.9).double().expand(1, 30, 40)
    noise = 0.05 * torch.randn(1, 30, 40, generator=generator, dtype=torch.float64)
    clean = joint_guided(2 * guide + noise, guide, levels=3, contrast=0.05)
    assert (clean - 2 * guide).std() < 0.4 * noise.std()
    exact = joint_guided(3 * guide + 1, guide, levels=3, contrast=1e-6)
    torch.testing.assert_close(exact, 3 * guide + 1, rtol=1e-6, atol=1e-6)
    blind = joint_guided(guide, torch.full_like(guide, 0.5), levels=3, contrast=0.1)
    assert 0.4 < float(blind[0, 15, 19] + blind[0, 15, 20]) / 2 < 0.6, "a flat guide leaves a blur"


def test_the_joint_filter_is_the_local_linear_model_of_the_paper() -> None:
    generator = torch.Generator().manual_seed(3)
    image, guide = torch.rand(2, 1, 12, 14, generator=generator, dtype=torch.float64)
    spline, holes = np.array([1, 4, 6, 4, 1]) / 16, np.zeros(9)
    holes[::2] = spline
    kernel = np.convolve(spline, holes)

    def blur(plane: np.ndarray) -> np.ndarray:
        rows = scipy.ndimage.convolve1d(plane, kernel, axis=0, mode="mirror")
        return scipy.ndimage.convolve1d(rows, kernel, axis=1, mode="mirror")

    p, i = image[0].numpy(), guide[0].numpy()
    a = (blur(i * p) - blur(i) * blur(p)) / (blur(i * i) - blur(i) ** 2 + 0.1**2)
    wanted = blur(a) * i + blur(blur(p) - a * blur(i))
    np.testing.assert_allclose(joint_guided(image, guide, levels=2, contrast=0.1)[0], wanted, rtol=1e-9)


@pytest.mark.parametrize("levels", [1, 3, 5])
def test_the_smoothing_has_the_width_stated(levels: int) -> None:
    impulse = torch.zeros(1, 1, 401, dtype=torch.float64)
    impulse[..., 200] = 1.0
    shape = smooth(impulse, levels).ravel().numpy()
    offsets = np.arange(401) - 200
    assert shape.sum() == pytest.approx(1)
    assert np.sqrt((shape * offsets**2).sum()) == pytest.approx(np.sqrt((4**levels - 1) / 3))
    assert np.abs(offsets[shape > 0]).max() == 2 * (2**levels - 1)
