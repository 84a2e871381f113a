"""Linearisation, gains, frames of dark and of even light, and the balance of the greens."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ispdsl.programs import raw_correction as raw
from tests.programs.checks import check_program
from tests.programs.test_raw import BAYER, PHASES, mosaic, vector

CENTRED: dict[str, Any] = {"centre_x": 0.5, "centre_y": 0.5, "strength": 1.0}
FALL_OFF: dict[str, Any] = {"k0": 0.4, "k1": -0.3, "k2": 0.2, "k3": 0.1, "k4": -0.05}
NO_FALL_OFF: dict[str, Any] = dict.fromkeys(FALL_OFF, 0.0)


def _strength(strength: float) -> dict[str, Any]:
    return CENTRED | {"strength": strength}


def test_linearise_generic() -> None:
    codes = mosaic("rggb") * 60000
    table = torch.linspace(0, 1, 257, dtype=torch.float64) ** 2
    check_program(raw.linearise, [codes], free={"table": table, "stored": 50000.0}, radius=0, gradients=False)


def test_linearise_has_gradients() -> None:
    codes = (mosaic("rggb", 3, 4) * 60000).requires_grad_()
    table = (torch.linspace(0, 1, 257, dtype=torch.float64) ** 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda c, t: raw.linearise(c, table=t) / 65535, (codes, table), eps=1e-4, atol=1e-6)


def test_digital_gain_generic() -> None:
    check_program(raw.digital_gain, [mosaic("rggb")], free={"gain": 3.0}, radius=0)


def test_lens_shading_radial_generic() -> None:
    free = FALL_OFF | {"centre_x": 0.47, "centre_y": 0.55, "strength": 0.6}
    check_program(raw.lens_shading_radial, [mosaic("rggb")], free=free, radius=0)


@pytest.mark.parametrize("cfa", ["rggb", "linear"])
def test_frames_generic(cfa: str) -> None:
    pair = [mosaic(cfa), 0.2 + 0.7 * mosaic(cfa, seed=1)]
    check_program(raw.dark_frame, pair, free={"amount": 0.6}, radius=0)
    check_program(raw.flat_field, pair, free={"strength": 0.6}, radius=0)


@pytest.mark.parametrize("cfa", PHASES)
def test_green_equalise_generic(cfa: str) -> None:
    free = {"threshold": 0.3, "strength": 0.7}
    check_program(raw.green_equalise, [mosaic(cfa)], static={"cfa": cfa}, free=free, radius=2)


def test_linearise_looks_up_as_a_table_of_all_codes_does() -> None:
    """Light coded in 10 bits by its square root: the table has an entry for every stored code."""
    table = np.round((np.arange(1024) / 1023) ** 2 * 65535)
    knots = np.interp(np.linspace(0, 1023, 257), np.arange(1024), table) / 65535
    stored = torch.arange(1024, dtype=torch.float64).reshape(1, 32, 32)
    found = raw.linearise(stored, table=torch.from_numpy(knots), stored=1023.0)
    assert np.abs(found.flatten().numpy() - table).max() < 1.1


def test_linearise_takes_codes_above_the_last_as_the_last() -> None:
    codes = torch.tensor([[[0.0, 4095.0, 4096.0, 65535.0]]], dtype=torch.float64)
    found = raw.linearise(codes, table=vector(0.25, 0.5, 0.75), stored=4095.0)
    assert torch.allclose(found, 65535 * vector(0.25, 0.75, 0.75, 0.75))


def test_linearise_by_the_identity_changes_nothing() -> None:
    codes = torch.arange(65536, dtype=torch.float64).reshape(1, 256, 256)
    assert (raw.linearise(codes, table=torch.linspace(0, 1, 257, dtype=torch.float64)) - codes).abs().max() < 1e-9


@pytest.mark.parametrize(("gain", "factor"), [(0.0, 1.0), (20.0, 10.0), (-20.0, 0.1), (6.0, 1.99526231496888)])
def test_digital_gain_is_in_decibels_of_a_field_quantity(gain: float, factor: float) -> None:
    image = mosaic("rggb") - 0.2
    assert torch.allclose(raw.digital_gain(image, gain=gain), factor * image, rtol=1e-14)


@pytest.mark.parametrize(("size", "centre"), [((5, 8), (0.5, 0.5)), ((4, 7), (0.3, 0.6)), ((2, 2), (0.0, 1.0))])
def test_lens_shading_radial_is_the_polynomial_of_the_standard(
    size: tuple[int, int], centre: tuple[float, float]
) -> None:
    height, width = size
    image = torch.ones(1, height, width, dtype=torch.float64)
    settings: dict[str, Any] = {**FALL_OFF, "centre_x": centre[0], "centre_y": centre[1], "strength": 1.0}
    found = raw.lens_shading_radial(image, **settings)
    middle = (centre[0] * (width - 1), centre[1] * (height - 1))
    corners = [
        math.dist(middle, corner) for corner in ((0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1))
    ]
    for y in range(height):
        for x in range(width):
            r = math.dist(middle, (x, y)) / max(corners)
            expected = 1 + sum(FALL_OFF[f"k{n}"] * r ** (2 * n + 2) for n in range(5))
            assert float(found[0, y, x]) == pytest.approx(expected, abs=1e-12)


def test_lens_shading_radial_strength_and_identities() -> None:
    image = mosaic("linear") - 0.2
    assert torch.equal(raw.lens_shading_radial(image, **NO_FALL_OFF, **CENTRED), image)
    assert torch.equal(raw.lens_shading_radial(image, **FALL_OFF, **_strength(0.0)), image)
    deep: dict[str, Any] = {**NO_FALL_OFF, "k0": -4.0}
    tried: list[dict[str, Any]] = [FALL_OFF, deep]
    for coefficients in tried:
        shaded = raw.lens_shading_radial(image, **coefficients, **_strength(-2.0))
        back = raw.lens_shading_radial(shaded, **coefficients, **_strength(2.0))
        assert torch.allclose(back, image, atol=1e-12)


def test_dark_and_flat_frames_take_a_fixed_pattern_off() -> None:
    scene, dark, flat = 0.5 * mosaic("rggb"), 0.1 * mosaic("rggb", seed=1), 0.3 + 0.7 * mosaic("rggb", seed=2)
    seen = scene * flat + 2 * dark
    found = raw.flat_field(raw.dark_frame(seen, dark, amount=2.0), flat, strength=1.0)
    assert torch.allclose(found, scene, atol=1e-12)
    assert torch.equal(raw.dark_frame(seen, dark, amount=0.0), seen)
    assert torch.equal(raw.flat_field(seen, flat, strength=0.0), seen)


def test_flat_field_survives_dead_samples_of_the_flat() -> None:
    image = mosaic("rggb")
    flat = torch.zeros_like(image)
    once = raw.flat_field(image, flat, strength=1.0)
    assert torch.allclose(once, 100 * image)
    assert torch.allclose(raw.flat_field(once, flat, strength=-1.0), image)


def imbalanced(cfa: str, by: float) -> tuple[Tensor, Tensor]:
    """A flat mosaic whose greens on even rows are `by` brighter, and the mask of its greens."""
    image = torch.full((1, 12, 14), 0.5, dtype=torch.float64)
    green = raw.green_sites(image, cfa)
    image[..., ::2, :] += by * green[::2]
    return image, green.expand_as(image)


@pytest.mark.parametrize("cfa", BAYER)
def test_green_equalise_makes_greens_meet_in_the_middle(cfa: str) -> None:
    image, green = imbalanced(cfa, 0.01)
    found = raw.green_equalise(image, threshold=0.1, strength=1.0, cfa=cfa)
    assert (found[green] - 0.505).abs().max() < 3e-4
    assert torch.equal(found[~green], image[~green])
    assert int(green.sum()) == image.numel() // 2


@pytest.mark.parametrize("cfa", PHASES)
def test_green_equalise_is_the_identity_at_no_strength(cfa: str) -> None:
    image = mosaic(cfa) * 4 - 0.2
    assert torch.equal(raw.green_equalise(image, threshold=0.1, strength=0.0, cfa=cfa), image)


def test_green_equalise_leaves_quadratic_surfaces() -> None:
    y, x = torch.meshgrid(torch.arange(14.0), torch.arange(15.0), indexing="ij")
    surface = (0.2 + 0.01 * x - 0.02 * y + 0.002 * x * x + 0.001 * x * y + 0.003 * y * y).double()[None]
    found = raw.green_equalise(surface, threshold=0.5, strength=1.0, cfa="grbg")
    assert (found - surface)[..., 2:-2, 2:-2].abs().max() < 1e-6


def test_green_equalise_spares_what_exceeds_the_threshold() -> None:
    image, _ = imbalanced("grbg", 0.3)
    edge = torch.full((1, 12, 14), 0.1, dtype=torch.float64)
    edge[..., 7:] = 0.9
    for picture in (image, edge):
        assert (raw.green_equalise(picture, threshold=0.05, strength=1.0, cfa="grbg") - picture).abs().max() < 1e-3


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays(dtype: torch.dtype) -> None:
    image = mosaic("rggb").to(dtype)
    for result in (
        raw.linearise(image, table=vector(0, 1), stored=1.0),
        raw.digital_gain(image, gain=3.0),
        raw.lens_shading_radial(image, **FALL_OFF, **CENTRED),
        raw.dark_frame(image, image, amount=0.3),
        raw.flat_field(image, image, strength=0.5),
        raw.green_equalise(image, threshold=0.1, strength=1.0, cfa="rggb"),
    ):
        assert result.dtype == dtype
        assert result.isfinite().all()
