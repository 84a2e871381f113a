"""Lateral chromatic aberration of mosaics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates
from torch import Tensor

from ispdsl.programs.cfa import COLOURS
from ispdsl.programs.raw_ca import keys, raw_ca, reflect
from tests.programs.checks import check_program
from tests.programs.test_raw import BAYER, PHASES, mosaic

CENTRED = {"centre_x": 0.5, "centre_y": 0.5}


@pytest.mark.parametrize("cfa", ["gbrg", "linear"])
def test_raw_ca_generic(cfa: str, export: bool) -> None:
    free = {"red": 0.013, "blue": -0.017, "centre_x": 0.47, "centre_y": 0.55}
    check_program(raw_ca, [mosaic(cfa)], static={"cfa": cfa}, free=free, export=export)


@pytest.mark.parametrize("cfa", PHASES)
@pytest.mark.parametrize("centre", [(0.5, 0.5), (0.3, 0.71)])
def test_nothing_moves_at_no_magnification(cfa: str, centre: tuple[float, float]) -> None:
    image = 4 * mosaic(cfa) - 0.2
    assert torch.equal(raw_ca(image, red=0.0, blue=0.0, centre_x=centre[0], centre_y=centre[1], cfa=cfa), image)


def surfaces(scale: tuple[float, float, float], centre: tuple[float, float], size: tuple[int, int]) -> np.ndarray:
    """A smooth picture whose colours are each magnified about the centre: `scale` reads them farther out."""
    y, x = np.mgrid[: size[0], : size[1]].astype(float)
    middle = (centre[0] * (size[1] - 1), centre[1] * (size[0] - 1))
    planes = []
    for factor, phase in zip(scale, (0.0, 0.7, 1.9), strict=True):
        u, v = (middle[0] + factor * (x - middle[0])), (middle[1] + factor * (y - middle[1]))
        planes.append(0.5 + 0.2 * np.sin(u / 9 + phase) + 0.2 * np.cos(v / 7 - phase))
    return np.stack(planes)


def sampled(planes: np.ndarray, cfa: str) -> Tensor:
    if cfa == "linear":
        return torch.from_numpy(planes)
    height, width = planes.shape[1:]
    sites = np.tile(np.array(COLOURS[cfa]).reshape(2, 2), (height, width))[:height, :width]
    return torch.from_numpy(np.take_along_axis(planes, sites[None], 0))


@pytest.mark.parametrize("cfa", PHASES)
def test_colours_that_were_magnified_come_back_in_register(cfa: str) -> None:
    """The lens drew red 1.5 % larger and blue 1 % smaller: read red farther out, blue farther in."""
    size, centre = (60, 75), (0.45, 0.6)
    true = sampled(surfaces((1, 1, 1), centre, size), cfa)
    aberrant = sampled(surfaces((1 / 1.015, 1, 1 / 0.99), centre, size), cfa)
    found = raw_ca(aberrant, red=0.015, blue=-0.01, centre_x=centre[0], centre_y=centre[1], cfa=cfa)
    inner = (slice(None), slice(6, -6), slice(6, -6))
    assert (aberrant - true)[inner].abs().max() > 0.015
    assert (found - true)[inner].abs().max() < 3e-4


@pytest.mark.parametrize("cfa", BAYER)
def test_green_stays_and_flat_colours_stay(cfa: str) -> None:
    image = mosaic(cfa, 12, 15)
    sites = np.tile(np.array(COLOURS[cfa]).reshape(2, 2), (6, 8))[:, :15]
    moved = raw_ca(image, red=0.02, blue=0.02, **CENTRED, cfa=cfa)
    assert torch.equal(moved[0][sites == 1], image[0][sites == 1])
    assert (moved[0][sites != 1] != image[0][sites != 1]).float().mean() > 0.9
    flat = torch.from_numpy(np.array([0.2, 0.5, 0.9])[sites])[None]
    assert torch.allclose(raw_ca(flat, red=0.02, blue=-0.02, **CENTRED, cfa=cfa), flat, atol=1e-14)


def test_red_moves_by_its_own_slider_alone() -> None:
    image = mosaic("linear", 12, 15)
    moved = raw_ca(image, red=0.02, blue=0.0, **CENTRED, cfa="linear")
    assert (moved[0] != image[0]).any()
    assert torch.equal(moved[1:], image[1:])


def test_keys_weights_are_catmull_and_roms_and_reproduce_quadratics() -> None:
    part = torch.linspace(0, 1, 11, dtype=torch.float64)
    for power in range(3):
        sample = sum(w * float(tap) ** power for tap, w in zip(range(-1, 3), keys(part), strict=True))
        assert torch.allclose(torch.as_tensor(sample), part**power, atol=1e-14)


def test_reflect_is_numpys_reflect() -> None:
    found = reflect(torch.arange(-12, 17), 5).tolist()
    assert found == np.pad(np.arange(5), (12, 12), mode="reflect").tolist()


def test_a_linear_frame_agrees_with_scipy_on_a_cubic_surface() -> None:
    """A spline of third order and cubic convolution both reproduce a quadratic away from the border."""
    y, x = np.mgrid[:31, :41].astype(float)
    plane = 0.01 * x + 0.02 * y + 0.001 * x * x - 0.002 * x * y
    found = raw_ca(torch.from_numpy(np.stack([plane] * 3)), red=0.02, blue=0.0, **CENTRED, cfa="linear")[0].numpy()
    expected = map_coordinates(plane, [15 + 1.02 * (y - 15), 20 + 1.02 * (x - 20)], order=3, mode="mirror")
    assert np.abs(found - expected)[8:-8, 8:-8].max() < 1e-4


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays(dtype: torch.dtype) -> None:
    result = raw_ca(mosaic("rggb").to(dtype), red=0.01, blue=0.01, **CENTRED, cfa="rggb")
    assert result.dtype == dtype
    assert result.isfinite().all()
